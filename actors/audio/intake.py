"""What one connection's binary frames are, and how they become PCM (protocol.md 7.1).

A phone says by `POST /api/client/audio/configure` what it sends, after every ack, and its first frames
overtake that request. LC3 heard as PCM is loud noise, so a connection begins undecided. A frame that cannot
be LC3, by its size or because the decoder finds none in it, makes it PCM at once, which for the 100 ms of
PCM that most phones send is the first. What may be LC3 is held until the phone has said what it is. A phone
that has said nothing within a second is heard for what its frames look like: it encodes whatever it was
answered, or not.
"""

from __future__ import annotations

from typing import Final

from protocols.audio import (
    BYTES_A_SECOND,
    FRAME_SIZES,
    PCM_FORMAT,
    PCM_FRAME_BYTES,
    AudioFormat,
    lc3_format,
)

from ..ports import Lc3, Lc3Decoder
from ..token_bucket import TokenBucket

HOLD_S: Final = 1.0
"""How long the format is waited for."""

DOUBTFUL_BYTES: Final = 1_200
"""A larger frame is PCM: as LC3 it would be 200 ms or more, and phones send 10 to 100 ms at a time."""

_HELD_BYTES: Final = BYTES_A_SECOND  # a second of PCM, many of LC3
_BURST_BYTES: Final = 12_000  # a phone's ring of 20 chunks of 100 ms in the largest LC3 frames
_LC3_BYTES_A_SECOND: Final = 8_000  # the largest LC3 is 6,000, PCM 32,000

_FRAMES_A_SECOND: Final = 200.0  # twice what time allows: a small frame is 16 times its size once decoded
_BURST_FRAMES: Final = 6_000
_MOST_FRAMES: Final = 500  # of one binary frame: 3 ms of work

_MOST_CONCEALED: Final = 20  # LC3 frames: 200 ms
_MOST_CONCEALED_BYTES: Final = _MOST_CONCEALED * PCM_FRAME_BYTES

_DAMAGE: Final = 10
_TOO_DAMAGED: Final = 25
_MOST_DAMAGED: Final = 60


class AudioCounts:
    """What has become of the frames of one microphone.

    Attributes:
      frames, bytes_in, stray: routed frames, their bytes, and those that came while nobody wanted any.
      unrouted: came while no router stood, or on a connection that was replaced.
      decoded, damaged, concealed, muted: LC3 frames that were decoded, that could not be LC3, that were lost
        and filled, and that were silenced because too much around them was damaged.
      trailing: binary frames that did not end with a whole LC3 frame; the part is dropped.
      excess: LC3 frames that were dropped because they came faster than anybody can speak.
      assumed: how often a phone never said what it sends, and sent LC3.
    """

    __slots__ = (
        "assumed",
        "bytes_in",
        "concealed",
        "damaged",
        "decoded",
        "excess",
        "frames",
        "muted",
        "stray",
        "trailing",
        "unrouted",
    )

    assumed: int
    bytes_in: int
    concealed: int
    damaged: int
    decoded: int
    excess: int
    frames: int
    muted: int
    stray: int
    trailing: int
    unrouted: int

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    def add(self, other: AudioCounts) -> None:
        """Add all of `other`."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add_routed(self, frames: int, bytes_in: int, stray: int) -> None:
        """Add what a router has counted."""
        self.frames += frames
        self.bytes_in += bytes_in
        self.stray += stray


class Intake:
    """Turns one connection's frames into PCM.

    Attributes:
      format: what the phone sends; None while that is not known.
    """

    __slots__ = (
        "_counts",
        "_decoder",
        "_held",
        "_is_assumed",
        "_lc3",
        "_packet_bytes",
        "_since",
        "_suspects",
        "format",
    )

    def __init__(self, lc3: Lc3, counts: AudioCounts) -> None:
        self.format: AudioFormat | None = None
        self._lc3 = lc3
        self._counts = counts
        self._decoder: VoiceDecoder | None = None
        self._held: list[bytes] = []
        self._is_assumed = False
        self._packet_bytes = 0
        self._since = 0.0
        self._suspects: dict[int, Lc3Decoder] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether its frames are PCM and need nothing done to them."""
        return self.format == PCM_FORMAT

    def configure(self, format: AudioFormat, now: float) -> tuple[bytes, ...]:
        """The phone says what it sends. Returns what was held, as PCM.

        A phone that repeats itself is not heard anew: the decoder goes on in the middle of its stream.
        """
        self._is_assumed = False
        if format == self.format:
            return ()
        held, self._held = self._held, []
        size = format.frame_bytes
        self.format = format
        self._suspects = None
        self._decoder = None if size is None else VoiceDecoder(self._lc3, size, self._counts)
        return tuple(pcm for frame in held for pcm in self.take(frame, now))

    def take(self, frame: bytes, now: float) -> tuple[bytes, ...]:
        """One binary frame of the connection at `now`. Returns what can be heard now, in order."""
        if self.format is None:
            return self._undecided(frame, now)
        if self._decoder is None:
            self._packet_bytes = len(frame)
            return (frame,)
        pcm = self._decoder.decode(frame, now)
        if self._is_assumed and self._decoder.is_muted:
            self.configure(PCM_FORMAT, now)
        return (pcm,) if pcm else ()

    def conceal(self, packets: int) -> bytes:
        """PCM in the place of `packets` that never came, each as long as the last one; at most 200 ms.

        PCM has no decoder that knows how the voice went on: there it is silence.
        """
        if self._decoder is not None:
            return self._decoder.conceal(packets)
        if self.format is None:
            return b""
        return bytes(min(packets * self._packet_bytes, _MOST_CONCEALED_BYTES) // 2 * 2)

    def _undecided(self, frame: bytes, now: float) -> tuple[bytes, ...]:
        suspects = self._suspects
        if suspects is None:
            suspects = self._suspects = {size: self._lc3.decoder(size) for size in FRAME_SIZES}
        for size in list(suspects):
            if not _may_be(frame, size, suspects[size]):
                del suspects[size]
        if not suspects:
            return (*self.configure(PCM_FORMAT, now), *self.take(frame, now))
        if not self._held:
            self._since = now
        self._held.append(frame)
        waited_s, held_bytes = now - self._since, sum(map(len, self._held))
        if waited_s < HOLD_S and held_bytes <= _HELD_BYTES:
            return ()
        if held_bytes > _BURST_BYTES + waited_s * _LC3_BYTES_A_SECOND:
            return self.configure(PCM_FORMAT, now)  # silence is both, but comes as fast as PCM
        self._counts.assumed += 1
        # Two frames of 20 bytes can be read as one of 40, hardly ever the other way.
        heard = self.configure(lc3_format(min(suspects)), now)
        self._is_assumed = True
        return heard


def _may_be(frame: bytes, size: int, decoder: Lc3Decoder) -> bool:
    if len(frame) > DOUBTFUL_BYTES or len(frame) % size:
        return False
    damaged = decoder.damaged
    decoder.decode(frame)
    return damaged == decoder.damaged


class VoiceDecoder:
    """Decodes LC3, counts, and lets no garbage through: most of it is found damaged, the rest is loud noise.

    Each damaged frame weighs as much as ten good ones. Three in a row silence what follows until so many good
    frames have come as make up for them.

    Attributes:
      is_muted: whether it is silent now.
    """

    __slots__ = ("_budget", "_counts", "_damage", "_decoder", "_last_count", "_size", "is_muted")

    def __init__(self, lc3: Lc3, size: int, counts: AudioCounts) -> None:
        self._size = size
        self._decoder = lc3.decoder(size)
        self._counts = counts
        self._budget = TokenBucket(_FRAMES_A_SECOND, _BURST_FRAMES)
        self._damage = 0
        self._last_count = 0
        self.is_muted = False

    def decode(self, payload: bytes, now: float) -> bytes:
        """The PCM of the payload's whole frames."""
        counts = self._counts
        count, rest = divmod(len(payload), self._size)
        if rest:
            counts.trailing += 1
            payload = payload[:-rest]
        if count > _MOST_FRAMES or not self._budget.take(now, count):
            counts.excess += count
            return b""
        self._last_count = count
        before = self._decoder.damaged
        pcm = self._decoder.decode(payload)
        damaged = self._decoder.damaged - before
        counts.decoded += count - damaged
        counts.damaged += damaged
        if not self._lets_through(count, damaged):
            counts.muted += count
            return bytes(len(pcm))
        return pcm

    def conceal(self, packets: int) -> bytes:
        """PCM for packets that were lost, of as many frames as the last one; at most 200 ms."""
        count = min(packets * self._last_count, _MOST_CONCEALED)
        self._counts.concealed += count
        return bytes(count * PCM_FRAME_BYTES) if self.is_muted else self._decoder.conceal(count)

    def _lets_through(self, count: int, damaged: int) -> bool:
        damage = self._damage + damaged * (_DAMAGE + 1) - count
        self._damage = damage = max(0, min(_MOST_DAMAGED, damage))
        if damage >= _TOO_DAMAGED:
            self.is_muted = True
        elif not damage:
            self.is_muted = False
        return not self.is_muted
