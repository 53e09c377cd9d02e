"""The audio on its way to a recogniser: whoever takes over hears it once, in order, from the last final."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.audio.loudness import is_loud
from actors.ports import SpeechProgress
from actors.speech.feed import AudioFeed
from clients.coded_audio import silence, word
from clients.recordings import recordings
from protocols.audio import BYTES_A_SECOND


class Taker:
    """A recogniser's stream that keeps what it is given."""

    def __init__(self) -> None:
        self.pcm = b""
        self.finalized_at: list[int] = []
        self.progress = SpeechProgress()

    def offer(self, pcm: bytes) -> None:
        self.pcm += pcm

    def finalize(self) -> None:
        self.finalized_at.append(len(self.pcm))

    async def run(self) -> None:
        raise NotImplementedError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def feed_of(*frames: bytes, keep_s: float = 30.0) -> tuple[AudioFeed, Clock]:
    """A feed that was offered these frames, each when it had been spoken."""
    clock = Clock()
    feed = AudioFeed(clock, keep_s)
    for frame in frames:
        clock.now += len(frame) / BYTES_A_SECOND
        feed.offer(frame)
    return feed, clock


def test_who_takes_over_is_given_what_is_kept_before_what_comes() -> None:
    feed, _ = feed_of(b"ab", b"cd", b"ef")
    taker = Taker()
    feed.attach(taker, 2)

    feed.offer(b"gh")
    assert b"" == taker.pcm
    feed.replay(3)
    assert (b"cdef", False) == (taker.pcm, feed.is_live)
    feed.replay(100)
    feed.offer(b"ij")

    assert (b"cdefghij", True) == (taker.pcm, feed.is_live)


def test_a_replay_may_begin_within_a_frame() -> None:
    feed, _ = feed_of(b"abcdef")
    taker = Taker()

    feed.attach(taker, 2)
    feed.replay(100)

    assert b"cdef" == taker.pcm


def test_what_is_settled_is_not_kept() -> None:
    feed, _ = feed_of(b"ab", b"cd", b"ef")
    first, second = Taker(), Taker()
    feed.attach(first, 0)
    feed.replay(100)

    feed.settle(4)
    feed.attach(second, 0)
    feed.replay(100)

    assert b"ef" == second.pcm
    assert 4 == feed.base


def test_silence_of_the_phone_is_told_when_the_audio_before_it_is_handed_on() -> None:
    feed, _ = feed_of(b"ab", b"cd")
    taker = Taker()
    feed.attach(taker, 0)

    feed.finalize()
    assert [] == taker.finalized_at
    feed.replay(100)
    assert [4] == taker.finalized_at
    feed.offer(b"ef")
    feed.finalize()

    assert [4, 6] == taker.finalized_at


def test_the_oldest_goes_when_there_is_too_much_and_nobody_has_heard_it() -> None:
    second = bytes(BYTES_A_SECOND)
    feed, _ = feed_of(*[second] * 5, keep_s=3.0)
    taker = Taker()

    feed.attach(taker, 0)
    feed.replay(10 * BYTES_A_SECOND)

    assert 3 * BYTES_A_SECOND == len(taker.pcm)
    assert (2 * BYTES_A_SECOND, 2 * BYTES_A_SECOND) == (feed.base, feed.lost_bytes)


def test_what_a_recogniser_has_heard_is_not_lost_when_it_goes() -> None:
    feed, _ = feed_of(keep_s=1.0)
    feed.attach(Taker(), 0)

    for _ in range(100):
        feed.offer(bytes(3200))

    assert (0, 0) == (feed.base, feed.lost_bytes)


def test_it_knows_when_something_was_spoken_and_how_long_voices_wait() -> None:
    feed, clock = feed_of(silence(1), word(3, 1.0), silence(1))

    assert 1.5 == feed.spoken_at(BYTES_A_SECOND * 3 // 2)
    assert None is feed.spoken_at(BYTES_A_SECOND * 4)
    clock.now += 0.5
    assert 1.5 == feed.waiting_s(BYTES_A_SECOND), "the voice arrived when it had been spoken"
    assert 0.0 == feed.waiting_s(2 * BYTES_A_SECOND), "silence waits for nobody"
    feed.settle(BYTES_A_SECOND)
    assert 1.5 == feed.spoken_at(BYTES_A_SECOND * 3 // 2), "nobody has been given it yet, so it is kept"


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: str(recording.name))
def test_people_are_loud_and_a_quiet_room_is_not(recording: object) -> None:
    from clients.recordings import Recording

    assert isinstance(recording, Recording)
    assert recording.speech_start_s is not None
    assert recording.speech_end_s is not None
    begin, end = (int(at * 16_000) * 2 for at in (recording.speech_start_s, recording.speech_end_s))
    spoken = recording.pcm[begin:end]
    frames = [spoken[at : at + 3200] for at in range(0, len(spoken) - 3200, 3200)]

    assert sum(is_loud(frame) for frame in frames) > 0.8 * len(frames)
    assert not is_loud(silence(0.1))
    assert not is_loud(b"")
    assert not is_loud(b"\x7f")


actions = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(1, 40)),
        st.tuples(st.just("replay"), st.integers(1, 60)),
        st.tuples(st.just("settle"), st.integers(0, 400)),
        st.tuples(st.just("switch"), st.just(0)),
        st.tuples(st.just("detach"), st.just(0)),
    ),
    max_size=60,
)


@given(actions)
def test_every_recogniser_hears_a_piece_of_the_audio_without_a_hole(
    steps: Sequence[tuple[str, int]],
) -> None:
    """What each was given is the audio from its base on, and no settled byte comes again."""
    feed, _ = feed_of()
    said, settled = b"", 0
    taker: Taker | None = None
    for action, amount in steps:
        match action:
            case "offer":
                frame = bytes((len(said) + index) % 251 for index in range(amount))
                said += frame
                feed.offer(frame)
            case "replay":
                feed.replay(amount)
            case "settle" if taker is not None:
                settled = max(settled, min(amount, feed.given))
                feed.settle(settled)
            case "switch":
                taker = Taker()
                feed.attach(taker, settled)
                assert settled == feed.base, "all that is not settled is there"
            case "detach":
                feed.detach()
                taker = None
        if taker is not None:
            assert said[feed.base : feed.base + len(taker.pcm)] == taker.pcm
    if taker is not None:
        feed.replay(len(said) + 1)
        assert said[feed.base :] == taker.pcm
