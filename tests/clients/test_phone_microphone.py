"""What the simulated phone makes of what a microphone hears (seed 003, protocol.md 7)."""

from __future__ import annotations

import array
import itertools
import math
from collections.abc import Iterator

import lc3
import pytest

from clients.glasses import MicrophoneOptions
from clients.glasses.microphone import (
    GlassesMicrophone,
    Lc3Encoder,
    Microphone,
    PacketsFromGlasses,
    VoiceDetector,
)
from clients.recordings import recordings
from protocols import ble
from protocols.audio import PCM_FRAME_BYTES

SECOND = 32_000
CHUNK = SECOND // 10
SPEECH = recordings()[1]


def chunks(pcm: bytes, size: int = CHUNK) -> Iterator[bytes]:
    return (pcm[start : start + size] for start in range(0, len(pcm), size))


def level(pcm: bytes) -> float:
    samples = array.array("h", pcm)
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def decoded(frames: bytes, size: int) -> bytes:
    decoder = lc3.Decoder(10_000, 16_000)
    return b"".join(decoder.decode(frame, 16) for frame in chunks(frames, size))


def likeness(one: bytes, other: bytes) -> float:
    """From 0 to 1: how much of one's loud and quiet is the other's, by tenths of a second."""
    pairs = [(level(a), level(b)) for a, b in zip(chunks(one), chunks(other), strict=False)]
    return sum(min(pair) for pair in pairs) / sum(max(pair) for pair in pairs)


def test_the_phones_own_microphone_is_sent_as_it_is() -> None:
    microphone = Microphone(MicrophoneOptions())

    assert [(b"\1\2\3",), (b"\4",), ()] == [microphone.hear(pcm).audio for pcm in (b"\1\2\3", b"\4", b"")]


@pytest.mark.parametrize("size", [20, 40, 60])
def test_lc3_goes_out_in_whole_frames_of_its_size(size: int) -> None:
    microphone = Microphone(MicrophoneOptions(audio="lc3", frame_bytes=size))

    sent = [audio for pcm in chunks(SPEECH.pcm) for audio in microphone.hear(pcm).audio]

    assert {10 * size} == set(map(len, sent[:-1]))
    assert likeness(SPEECH.pcm, decoded(b"".join(sent), size)) > 0.9


def test_what_is_no_whole_frame_waits_for_the_next_chunk() -> None:
    encoder, other = Lc3Encoder(20), Lc3Encoder(20)

    in_pieces = [encoder.encode(pcm) for pcm in chunks(SPEECH.pcm[:SECOND], 500)]

    assert other.encode(SPEECH.pcm[:SECOND]) == b"".join(in_pieces)
    assert {20, 40} == set(map(len, in_pieces))


@pytest.mark.parametrize("audio", ["pcm", "lc3"])
def test_the_glasses_microphone_is_heard_through_their_packets(audio: str) -> None:
    microphone = Microphone(MicrophoneOptions(audio=audio, source="glasses"))  # type: ignore[arg-type]

    sent = [one for pcm in chunks(SPEECH.pcm) for one in microphone.hear(pcm).audio]

    assert {CHUNK if audio == "pcm" else 200} == set(map(len, sent[:-1]))
    heard = b"".join(sent) if audio == "pcm" else decoded(b"".join(sent), 20)
    assert likeness(SPEECH.pcm, heard) > 0.85


def test_glasses_send_a_packet_every_fifty_milliseconds_numbered_past_255() -> None:
    glasses = GlassesMicrophone()

    packets = [packet for pcm in chunks(bytes(13 * SECOND)) for packet in glasses.hear(pcm)]

    assert 260 == len(packets)
    assert [number % 256 for number in range(260)] == [ble.decode(packet).sequence for packet in packets]


def test_packets_lost_in_the_air_leave_silence_of_their_length() -> None:
    glasses, phone = GlassesMicrophone(), PacketsFromGlasses()
    packets = glasses.hear(SPEECH.pcm)

    heard = [phone.take(packet) for number, packet in enumerate(packets) if number not in (20, 21)]

    assert len(packets) * 5 * PCM_FRAME_BYTES == sum(map(len, heard))
    assert bytes(2 * 5 * PCM_FRAME_BYTES) == heard[20][: 2 * 5 * PCM_FRAME_BYTES]
    assert 2 == phone.state.lost


def test_the_detector_opens_at_speech_and_sends_the_two_seconds_before_it() -> None:
    microphone = Microphone(MicrophoneOptions(has_detector=True))
    quiet = [microphone.hear(pcm) for pcm in chunks(bytes(3 * SECOND))]
    speech_chunks = list(chunks(SPEECH.pcm[8_000:]))

    heard = [microphone.hear(pcm) for pcm in speech_chunks]

    assert all(each == (None, ()) for each in quiet)
    opened_at = [each.is_speaking for each in heard].index(True)
    assert opened_at <= 1
    assert 21 == len(heard[opened_at].audio), "the ring and the chunk itself"
    before = list(itertools.chain(chunks(bytes(3 * SECOND)), speech_chunks))
    assert b"".join(before[30 + opened_at - 20 : 30 + opened_at + 1]) == b"".join(heard[opened_at].audio)


def test_the_detector_closes_after_four_seconds_of_silence() -> None:
    microphone = Microphone(MicrophoneOptions(has_detector=True))
    for pcm in chunks(SPEECH.pcm):
        microphone.hear(pcm)

    after = [microphone.hear(pcm) for pcm in chunks(bytes(6 * SECOND))]

    said = [each.is_speaking for each in after]
    assert 1 == said.count(False)
    assert 37 <= said.index(False) <= 41
    assert all(each.audio for each in after[: said.index(False)])
    assert not any(each.audio for each in after[said.index(False) :])


class Judge:
    """Everything but zeros is speech, without the hangover of the real one."""

    def is_speech(self, frame: bytes) -> bool:
        return any(frame)


@pytest.mark.parametrize(("spoken_ms", "opens"), [(40, False), (50, True)])
def test_fifty_milliseconds_of_speech_are_needed(
    monkeypatch: pytest.MonkeyPatch, spoken_ms: int, opens: bool
) -> None:
    detector = VoiceDetector()
    monkeypatch.setattr(detector, "_judge", Judge())

    for _ in range(3):
        detector.hear(b"\1" * (spoken_ms * 32) + bytes(SECOND))

    assert opens == detector.is_speaking


@pytest.mark.parametrize(("silent_ms", "stays"), [(3_990, True), (4_000, False)])
def test_four_seconds_of_silence_are_needed(
    monkeypatch: pytest.MonkeyPatch, silent_ms: int, stays: bool
) -> None:
    detector = VoiceDetector()
    monkeypatch.setattr(detector, "_judge", Judge())
    detector.hear(b"\1" * 3_200)

    detector.hear(bytes(silent_ms * 32))

    assert stays == detector.is_speaking
