"""What a phone's binary frames are taken for, and what becomes of LC3 (protocol.md 7.1)."""

from __future__ import annotations

import random

import pytest

from actors.audio.intake import AudioCounts, Intake
from adapters.simulated.lc3 import SimulatedLc3, encode, pcm_of
from protocols.audio import PCM_FORMAT, PCM_FRAME_BYTES, lc3_format

PCM_CHUNK = random.Random(1).randbytes(3_200)
SMALL_PCM = random.Random(2).randbytes(640)


class Phone:
    """One connection's frames, sent in real time."""

    def __init__(self) -> None:
        self.counts = AudioCounts()
        self.intake = Intake(SimulatedLc3(), self.counts)
        self.now = 100.0
        self.heard: list[bytes] = []

    def send(self, *frames: bytes, every_s: float = 0.0) -> list[bytes]:
        """What can be heard after these."""
        for frame in frames:
            self.heard += self.intake.take(frame, self.now)
            self.now += every_s
        return self.heard

    def configure(self, frame_bytes: int | None) -> None:
        format = PCM_FORMAT if frame_bytes is None else lc3_format(frame_bytes)
        self.heard += self.intake.configure(format, self.now)


def chunk(*levels: int, size: int = 20) -> bytes:
    return b"".join(encode(level, size) for level in levels)


def pcm(*levels: int) -> bytes:
    return b"".join(map(pcm_of, levels))


@pytest.mark.parametrize(
    "frame",
    [PCM_CHUNK, SMALL_PCM, b"\1", b"\0" * 3_200, SMALL_PCM[:20], chunk(*range(61))],
    ids=["100 ms", "20 ms", "a byte", "silence", "no LC3 in it", "too large for LC3"],
)
def test_what_cannot_be_lc3_is_heard_at_once_as_it_came(frame: bytes) -> None:
    phone = Phone()

    assert [frame] == phone.send(frame)
    assert phone.intake.is_plain
    assert [frame, chunk(5)] == phone.send(chunk(5)), "once it is PCM, everything is"


@pytest.mark.parametrize("size", [20, 40, 60])
def test_frames_that_overtake_the_format_are_held_and_then_decoded(size: int) -> None:
    phone = Phone()

    assert [] == phone.send(chunk(1, 2, size=size), chunk(3, size=size), every_s=0.1)
    phone.configure(size)

    assert [pcm(1, 2), pcm(3)] == phone.heard
    assert pcm(4, 5) == phone.send(chunk(4, 5, size=size))[-1]
    assert (5, 0, 0) == (phone.counts.decoded, phone.counts.damaged, phone.counts.assumed)


def test_frames_that_overtake_the_format_are_heard_byte_for_byte_when_it_is_pcm() -> None:
    phone = Phone()
    phone.send(chunk(1, 2), chunk(3), every_s=0.1)

    phone.configure(None)

    assert [chunk(1, 2), chunk(3)] == phone.heard


def test_one_frame_that_is_no_lc3_makes_all_that_was_held_pcm() -> None:
    phone = Phone()
    phone.send(chunk(1, 2), chunk(3), every_s=0.1)

    assert [chunk(1, 2), chunk(3), PCM_CHUNK] == phone.send(PCM_CHUNK)


@pytest.mark.parametrize("size", [20, 40, 60])
def test_a_phone_that_never_says_lc3_is_heard_for_what_its_frames_are(size: int) -> None:
    phone = Phone()

    phone.send(*[chunk(7, 7, size=size)] * 49, every_s=0.02)
    assert [] == phone.heard
    phone.send(*[chunk(7, 7, size=size)] * 3, every_s=0.02)

    assert [pcm(7, 7)] * 52 == phone.heard
    assert lc3_format(size) == phone.intake.format
    assert 1 == phone.counts.assumed


def test_what_was_taken_for_lc3_and_is_not_is_pcm_after_all() -> None:
    phone = Phone()
    phone.send(*[chunk(7)] * 101, every_s=0.01)

    phone.send(PCM_CHUNK)

    assert phone.intake.is_plain
    assert [bytes(len(PCM_CHUNK) * 16), PCM_CHUNK] == phone.send(PCM_CHUNK)[-2:], "noise is never heard"


def test_small_frames_that_come_as_fast_as_pcm_are_pcm() -> None:
    phone = Phone()
    frames = [chunk(*[0] * 32)] * 60  # 640 bytes, whatever they may look like

    phone.send(*frames, every_s=0.02)

    assert frames == phone.heard
    assert phone.intake.is_plain


def test_a_burst_of_a_phones_ring_is_still_taken_for_lc3() -> None:
    phone = Phone()

    phone.send(*[chunk(*[9] * 10, size=60)] * 20)
    phone.send(*[chunk(*[9] * 10, size=60)] * 12, every_s=0.1)

    assert lc3_format(60) == phone.intake.format


def test_what_is_held_has_a_bound() -> None:
    phone = Phone()

    phone.send(*[chunk(*[9] * 20, size=60)] * 27)

    assert phone.intake.is_plain
    assert 27 == len(phone.heard)


def test_a_trailing_part_of_a_frame_is_counted_and_dropped() -> None:
    phone = Phone()
    phone.configure(20)

    phone.send(chunk(1) + chunk(2)[:19], chunk(3), b"", b"\1")

    assert [pcm(1), pcm(3)] == phone.heard
    assert 2 == phone.counts.trailing


def test_a_format_said_again_goes_on_in_the_middle_of_the_stream() -> None:
    phone = Phone()
    phone.configure(20)
    phone.send(chunk(64))

    phone.configure(20)
    phone.send(bytes(20))

    assert pcm(32) == phone.heard[-1], "the decoder still knows what went before"


def test_a_phone_may_change_its_format_at_any_time() -> None:
    phone = Phone()
    phone.configure(20)
    phone.send(chunk(1))
    phone.configure(60)
    phone.send(chunk(2, size=60))
    phone.configure(None)
    phone.send(PCM_CHUNK)

    assert [pcm(1), pcm(2), PCM_CHUNK] == phone.heard


def test_a_damaged_frame_is_concealed_and_a_stream_of_them_is_silent_until_it_is_good_again() -> None:
    phone = Phone()
    phone.configure(20)
    rng = random.Random(1)

    phone.send(chunk(800), rng.randbytes(20), chunk(900))
    assert [pcm(800), pcm(400), pcm(900)] == phone.heard
    phone.send(rng.randbytes(200))
    assert bytes(10 * PCM_FRAME_BYTES) == phone.heard[-1]
    phone.send(*[chunk(700)] * 59)
    assert bytes(PCM_FRAME_BYTES) == phone.heard[-1]
    phone.send(*[chunk(700)] * 2)

    assert pcm(700) == phone.heard[-1]
    assert (11, 69) == (phone.counts.damaged, phone.counts.muted)


def test_lc3_faster_than_anybody_speaks_is_not_decoded() -> None:
    phone = Phone()
    phone.configure(20)

    phone.send(*[chunk(*[1] * 500)] * 20)
    assert (6_000, 4_000) == (phone.counts.decoded, phone.counts.excess)
    phone.now += 1.0
    phone.send(chunk(*[2] * 100), chunk(*[2] * 501), bytes(16_000_000))

    assert 6_100 == phone.counts.decoded
    assert pcm(*[2] * 100) == phone.heard[-1]
