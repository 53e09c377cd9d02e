"""What a phone does with what a microphone hears, before any of it goes to the cloud (protocol.md 7).

    the glasses' microphone: LC3, in packets over Bluetooth; put in order, decoded
    the phone's own:         as it is
    then: the voice detector, if it is on; then PCM, or LC3 for the cloud

Nothing here waits or sends: `hear` returns what is to be sent.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, NamedTuple

import lc3
import msgspec

from protocols import ble, sequence
from protocols.audio import (
    FRAME_MS,
    PCM_FORMAT,
    PCM_FRAME_BYTES,
    SAMPLE_RATE_HZ,
    AudioFormat,
    lc3_format,
)
from protocols.ble import MicrophonePacket
from protocols.media_process import Codec
from protocols.sequence import Lost, SequenceState

Audio = Literal["pcm", "lc3", "udp", "webrtc"]
Source = Literal["phone", "glasses"]

SPEECH_MS: Final = 50  # of speech open the microphone
SILENCE_MS: Final = 4_000  # of silence close it
RING_CHUNKS: Final = 20  # from before the speech go out when it opens
FRAME_BYTES: Final = 20  # of LC3 to the cloud: what phones of 2026 do by default
BLE_FRAME_BYTES: Final = 40  # of LC3 from the glasses: 32 kbit/s
_BLE_FRAMES: Final = ble.AUDIO_BYTES // BLE_FRAME_BYTES
_MOST_CONCEALED: Final = 10  # packets: half a second
_FRAME_US: Final = FRAME_MS * 1000


class MicrophoneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    audio: what the cloud gets: PCM or LC3 over the WebSocket; LC3 over UDP where the cloud offers that and it
      gets through; or WebRTC, and PCM over the WebSocket while that is not connected.
    source: whose microphone it is.
    frame_bytes: of LC3 to the cloud: 20, 40 or 60.
    has_detector: nothing is sent while nobody speaks. Phones of 2026 send always.
    is_encrypted: ask for encryption of what goes over UDP.
    codec: what is preferred over WebRTC: opus, or pcm, which is G.711.
    """

    audio: Audio = "pcm"
    source: Source = "phone"
    frame_bytes: int = FRAME_BYTES
    has_detector: bool = False
    is_encrypted: bool = True
    codec: Codec = "opus"

    @property
    def format(self) -> AudioFormat:
        """What the phone tells the cloud of it."""
        return lc3_format(self.frame_bytes) if self.is_lc3 else PCM_FORMAT

    @property
    def is_lc3(self) -> bool:
        """Whether that is LC3."""
        return self.audio in ("lc3", "udp")


class Heard(NamedTuple):
    """What follows from one chunk.

    Attributes:
      is_speaking: what the voice detector says now; None where that is what it said before.
      audio: what is to be sent, in order.
    """

    is_speaking: bool | None = None
    audio: tuple[bytes, ...] = ()


class Microphone:
    """The way from a microphone to what is sent."""

    def __init__(self, options: MicrophoneOptions) -> None:
        self._encoder = Lc3Encoder(options.frame_bytes) if options.is_lc3 else None
        self._air = (GlassesMicrophone(), PacketsFromGlasses()) if options.source == "glasses" else None
        self._detector = VoiceDetector() if options.has_detector else None
        self._ring: deque[bytes] = deque(maxlen=RING_CHUNKS)

    def hear(self, pcm: bytes) -> Heard:
        """The next chunk of what the microphone hears: PCM s16le, mono, 16 kHz."""
        if self._air is not None:
            glasses, phone = self._air
            pcm = b"".join(map(phone.take, glasses.hear(pcm)))
        if self._detector is None:
            return Heard(audio=self._encoded((pcm,)))
        was_speaking = self._detector.is_speaking
        self._detector.hear(pcm)
        is_speaking = self._detector.is_speaking
        if not is_speaking:
            self._ring.append(pcm)
            return Heard(False if was_speaking else None)
        if was_speaking:
            return Heard(audio=self._encoded((pcm,)))
        before = tuple(self._ring)
        self._ring.clear()
        return Heard(True, self._encoded((*before, pcm)))

    def _encoded(self, chunks: tuple[bytes, ...]) -> tuple[bytes, ...]:
        if self._encoder is not None:
            chunks = tuple(map(self._encoder.encode, chunks))
        return tuple(chunk for chunk in chunks if chunk)


class Lc3Encoder:
    """Encodes chunks of any length; what is no whole frame yet waits for the next chunk."""

    def __init__(self, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._encoder = lc3.Encoder(_FRAME_US, SAMPLE_RATE_HZ)
        self._rest = b""

    def encode(self, pcm: bytes) -> bytes:
        """The whole frames there are by now, one after another."""
        pcm = self._rest + pcm
        whole = len(pcm) // PCM_FRAME_BYTES * PCM_FRAME_BYTES
        self._rest = pcm[whole:]
        return b"".join(
            self._encoder.encode(pcm[start : start + PCM_FRAME_BYTES], self._frame_bytes, 16)
            for start in range(0, whole, PCM_FRAME_BYTES)
        )


class GlassesMicrophone:
    """What the glasses send over the air: a packet for every 50 ms."""

    def __init__(self) -> None:
        self._encoder = Lc3Encoder(BLE_FRAME_BYTES)
        self._frames = b""
        self._number = 0

    def hear(self, pcm: bytes) -> list[bytes]:
        """The packets that are full by now."""
        self._frames += self._encoder.encode(pcm)
        packets = []
        while len(self._frames) >= ble.AUDIO_BYTES:
            packets.append(ble.encode(MicrophonePacket(self._number, self._frames[: ble.AUDIO_BYTES])))
            self._frames = self._frames[ble.AUDIO_BYTES :]
            self._number += 1
        return packets


class PacketsFromGlasses:
    """The phone's end of the air: packets in order and decoded; for those that are lost, silence.

    Attributes:
      state: what has become of the packets.
    """

    def __init__(self) -> None:
        self.state = SequenceState()
        self._decoder = lc3.Decoder(_FRAME_US, SAMPLE_RATE_HZ)

    def take(self, packet: bytes) -> bytes:
        """The PCM that can be heard by now."""
        number, frames = ble.decode(packet)
        # Bluetooth delivers in order: a packet that is not the next one is not waited for.
        self.state, heard = sequence.arrived(self.state, number, frames, 0.0, sequence.BLE)
        self.state, rest = sequence.flushed(self.state, sequence.BLE)
        return b"".join(map(self._pcm, (*heard, *rest)))

    def _pcm(self, item: bytes | Lost) -> bytes:
        if isinstance(item, Lost):
            return bytes(min(item.packets, _MOST_CONCEALED) * _BLE_FRAMES * PCM_FRAME_BYTES)
        return b"".join(
            self._decoder.decode(item[start : start + BLE_FRAME_BYTES], 16)
            for start in range(0, len(item), BLE_FRAME_BYTES)
        )


class VoiceDetector:
    """Says whether somebody speaks: from 50 ms of speech on, until 4 s of silence.

    The frames are judged by PocketSphinx's detector, which is WebRTC's: steady loud noise is speech to it.
    """

    def __init__(self) -> None:
        import pocketsphinx  # type: ignore[import-untyped]  # here: it takes half a second

        self.is_speaking = False
        self._judge = pocketsphinx.Vad(pocketsphinx.Vad.STRICT, SAMPLE_RATE_HZ, FRAME_MS / 1000)
        self._rest = b""
        self._speech_ms = 0
        self._silence_ms = 0

    def hear(self, pcm: bytes) -> None:
        """The next chunk, of any length."""
        pcm = self._rest + pcm
        whole = len(pcm) // PCM_FRAME_BYTES * PCM_FRAME_BYTES
        self._rest = pcm[whole:]
        for start in range(0, whole, PCM_FRAME_BYTES):
            self._frame(is_speech=self._judge.is_speech(pcm[start : start + PCM_FRAME_BYTES]))

    def _frame(self, *, is_speech: bool) -> None:
        self._speech_ms = self._speech_ms + FRAME_MS if is_speech else 0
        self._silence_ms = 0 if is_speech else self._silence_ms + FRAME_MS
        if self._speech_ms >= SPEECH_MS:
            self.is_speaking = True
        elif self._silence_ms >= SILENCE_MS:
            self.is_speaking = False
