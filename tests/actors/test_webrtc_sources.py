"""Whatever way a voice comes, what is routed is the voice: no gap, nothing twice (protocol.md 8.2)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

import pytest

from actors.audio.sources import DECIDE_S, PATIENT_S, Source, SourceCounts, Sources
from tests.actors.voice import BREATHLESS, SPEECH, lossy

STALL_S = 0.15
FRAME = 640  # bytes of 20 ms
A_SECOND = 32_000


class Ways(NamedTuple):
    """How one voice travels.

    Attributes:
      chunk_ms: of a frame that comes directly.
      direct_s, webrtc_s: how late the two are.
      up: from when to when WebRTC carries what is spoken; each time it is another peer.
      is_told: whether the end of a peer is told, or found out.
    """

    chunk_ms: int
    direct_s: float
    webrtc_s: float
    up: tuple[tuple[float, float], ...]
    is_told: bool = True


class Played:
    """What came of it.

    Attributes:
      routed: what was routed, in order.
      changes: when, to what, and how much was routed by then.
    """

    def __init__(self) -> None:
        self.counts = SourceCounts()
        self.sources = Sources(self.counts, stall_s=STALL_S)
        self.routed = b""
        self.changes: list[tuple[float, Source, int]] = []

    def do(self, now: float, call: Callable[[], bytes]) -> None:
        before = self.sources.source
        heard = call()
        if self.sources.source is not before:
            self.changes.append((now, self.sources.source, len(self.routed)))
        self.routed += heard


def play(voice: bytes, ways: Ways, over_webrtc: bytes | None = None) -> Played:
    """The voice, spoken from time 0 on."""
    sent = voice if over_webrtc is None else over_webrtc
    played = Played()
    sources = played.sources
    events: list[tuple[float, int, Callable[[float], bytes]]] = []
    size = ways.chunk_ms * 32
    for begin in range(0, len(voice), size):
        chunk = voice[begin : begin + size]
        at = (begin + len(chunk)) / A_SECOND + ways.direct_s
        events.append((at, 1, lambda now, chunk=chunk: sources.direct(chunk, now)))  # type: ignore[misc]
    for from_s, to_s in ways.up:
        first = int(from_s * 50) * FRAME

        def begin_peer(now: float) -> bytes:
            return sources.peer_began(now) + sources.hear(now, is_heard=True)

        events.append((from_s + ways.webrtc_s, 0, begin_peer))
        for begin in range(first, min(len(sent), int(to_s * 50) * FRAME), FRAME):
            frame, place = sent[begin : begin + FRAME], begin - first
            at = (begin + len(frame)) / A_SECOND + ways.webrtc_s
            events.append((at, 2, lambda now, f=frame, p=place: sources.peer(f, p, now)))  # type: ignore[misc]
        if ways.is_told:
            events.append((to_s + ways.webrtc_s, 3, lambda now: sources.hear(now, is_heard=False)))
    for at, _, call in sorted(events, key=lambda event: event[:2]):
        due = sources.due_at()
        if due is not None and due < at:
            played.do(due, lambda due=due: sources.look(due))  # type: ignore[misc]
        played.do(at, lambda at=at, call=call: call(at))  # type: ignore[misc]
    return played


def any_ways(chance: random.Random, for_s: float) -> Ways:
    up, at = [], chance.uniform(0.5, 1.5)
    while at < for_s - 1.0:
        until = at + chance.uniform(0.6, 2.5)
        up.append((at, min(until, for_s - 0.5)))
        at = until + chance.uniform(0.7, 1.5)
    chunk_ms = chance.choice((10, 20, 40, 60, 100))
    return Ways(chunk_ms, chance.uniform(0, 0.1), chance.uniform(0, 0.25), tuple(up), chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(40))
def test_a_voice_that_changes_its_way_again_and_again_is_routed_whole_and_once(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange((len(BREATHLESS) - 8 * A_SECOND) // 2) * 2
    voice = BREATHLESS[begin : begin + 8 * A_SECOND]
    ways = any_ways(chance, 8.0)

    played = play(voice, ways)

    assert 2 * len(ways.up) == len(played.changes)
    assert voice == played.routed
    assert (0, 0) == (played.counts.unsure, played.counts.missing_bytes)


@pytest.mark.parametrize("seed", range(20))
def test_webrtc_that_is_ahead_of_long_frames_waits_for_them(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange((len(BREATHLESS) - 4 * A_SECOND) // 2) * 2
    voice = BREATHLESS[begin : begin + 4 * A_SECOND]
    from_s = chance.uniform(1.0, 1.1)
    ways = Ways(100, chance.uniform(0.06, 0.1), chance.uniform(0, 0.02), ((from_s, from_s + 1.5),))

    played = play(voice, ways)

    assert 2 == len(played.changes)
    assert voice == played.routed


@pytest.mark.parametrize("seed", range(12))
def test_of_a_lossy_codec_no_more_than_a_third_of_a_millisecond_is_lost_or_said_twice(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange((len(BREATHLESS) - 8 * A_SECOND) // 2) * 2
    voice = BREATHLESS[begin : begin + 8 * A_SECOND]
    ways = any_ways(chance, 8.0)

    played = play(voice, ways, lossy(voice, chance))

    assert 2 * len(ways.up) == len(played.changes)
    at_most = 2 * 5 * len(played.changes)  # bytes of 5 samples
    assert abs(len(played.routed) - len(voice)) <= at_most
    tail = voice[-A_SECOND // 4 :]
    assert played.routed.endswith(tail), "the end came directly, and is there as it is"


@pytest.mark.parametrize("seed", range(12))
def test_a_change_in_a_pause_leaves_the_words_whole(seed: int) -> None:
    chance = random.Random(seed)
    begin = chance.randrange((len(BREATHLESS) - 2 * A_SECOND) // 2) * 2
    word = BREATHLESS[begin : begin + A_SECOND]
    pause = bytes(2 * A_SECOND)
    ways = Ways(
        chance.choice((20, 100)),
        chance.uniform(0, 0.05),
        chance.uniform(0.05, 0.2),
        ((1.0, 4.2), (7.0, 10.2)),
        is_told=seed % 2 == 0,
    )

    played = play(pause + word + pause + word + pause + word + pause, ways)

    assert 4 == len(played.changes)
    assert 3 == played.routed.count(word)


def test_the_change_to_webrtc_comes_soon_after_it_delivers() -> None:
    ways = Ways(100, 0.02, 0.08, ((2.0, 4.0),))

    (to_webrtc, back) = play(SPEECH[: 6 * A_SECOND], ways).changes

    assert Source.WEBRTC is to_webrtc[1]
    assert to_webrtc[0] - (2.02 + 0.08) <= 0.2
    assert back[0] == pytest.approx(4.08)


def test_a_stall_is_noticed_and_the_voice_goes_on() -> None:
    voice = BREATHLESS[: 6 * A_SECOND]
    played = play(voice, Ways(20, 0.01, 0.05, ((2.0, 4.0),), is_told=False))

    changed_at, source, _ = played.changes[-1]
    assert Source.WEBSOCKET is source
    assert changed_at - (4.0 + 0.05) <= STALL_S + 0.02
    assert voice == played.routed


def test_what_comes_directly_is_not_routed_beside_webrtc_and_is_counted() -> None:
    voice = BREATHLESS[: 5 * A_SECOND]
    played = play(voice, Ways(100, 0.0, 0.1, ((1.0, 9.0),), is_told=False))

    assert Source.WEBRTC is played.sources.source
    assert voice == played.routed
    over_webrtc = len(voice) - played.changes[0][2]
    assert abs(played.counts.ignored_bytes - over_webrtc) <= 0.1 * A_SECOND


def test_where_nobody_else_delivers_webrtc_is_heard_from_its_first_sample() -> None:
    played = Played()
    played.do(1.0, lambda: played.sources.hear(1.0, is_heard=True))

    played.do(1.02, lambda: played.sources.peer(SPEECH[:FRAME], 0, 1.02))

    assert SPEECH[:FRAME] == played.routed
    assert [(1.02, Source.WEBRTC, 0)] == played.changes


def test_a_phone_that_ends_the_one_where_it_begins_the_other_is_heard_without_a_hole() -> None:
    voice = BREATHLESS[: 3 * A_SECOND]
    played = Played()
    sources = played.sources
    sources.hear(0.0, is_heard=True)
    for begin in range(0, A_SECOND, 3_200):
        now = (begin + 3_200) / A_SECOND
        played.do(now, lambda b=begin, n=now: sources.direct(voice[b : b + 3_200], n))  # type: ignore[misc]
    for begin in range(A_SECOND, 3 * A_SECOND, FRAME):
        now = (begin + FRAME) / A_SECOND
        part = voice[begin : begin + FRAME]
        played.do(now, lambda p=part, b=begin, n=now: sources.peer(p, b - A_SECOND, n))  # type: ignore[misc]

    assert voice == played.routed
    assert played.changes[0][0] - 1.02 == pytest.approx(DECIDE_S, abs=0.03)


def test_a_peer_that_ends_while_nobody_else_delivers_leaves_the_way_free() -> None:
    played = Played()
    sources = played.sources
    sources.hear(0.0, is_heard=True)
    played.do(0.02, lambda: sources.peer(SPEECH[:FRAME], 0, 0.02))

    played.do(0.2, lambda: sources.look(0.2))
    played.do(9.0, lambda: sources.direct(SPEECH[FRAME : 2 * FRAME], 9.0))

    assert SPEECH[: 2 * FRAME] == played.routed
    assert sources.is_idle


def test_webrtc_that_was_not_asked_for_is_not_heard() -> None:
    played = Played()

    for at in range(20):
        now = at / 50
        played.do(now, lambda n=now, p=at * FRAME: played.sources.peer(bytes(FRAME), p, n))  # type: ignore[misc]

    assert b"" == played.routed
    assert 20 * FRAME == played.counts.unheard_bytes


def test_frames_that_come_directly_are_passed_on_as_they_are_while_nothing_else_is_heard() -> None:
    sources = Sources(SourceCounts(), stall_s=STALL_S, odd_bytes=1)

    frames = [bytes(33), bytes(2), b"\1", bytes(3_200)]
    assert all(frame is sources.direct(frame, 1.0) for frame in frames)


def test_half_a_sample_stays_one_through_a_change() -> None:
    """A frame of odd length splits a sample; its other half comes over WebRTC, of the same sample."""
    voice = BREATHLESS[: 4 * A_SECOND]
    played = Played()
    sources = played.sources
    sources.hear(0.0, is_heard=True)
    events = []
    for begin in range(0, len(voice), 3_201):
        part = voice[begin : begin + 3_201]
        events.append(((begin + len(part)) / A_SECOND, part, -1))
    for begin in range(A_SECOND, 2 * A_SECOND, FRAME):
        events.append(((begin + FRAME) / A_SECOND + 0.06, voice[begin : begin + FRAME], begin - A_SECOND))
    for now, part, place in sorted(events):
        due = sources.due_at()
        if due is not None and due < now:
            played.do(due, lambda d=due: sources.look(d))  # type: ignore[misc]
        if place < 0:
            played.do(now, lambda p=part, n=now: sources.direct(p, n))  # type: ignore[misc]
        else:
            played.do(now, lambda p=part, b=place, n=now: sources.peer(p, b, n))  # type: ignore[misc]

    assert 2 == len(played.changes)
    assert 1 == played.changes[0][2] % 2, "or the case is none"
    assert voice == played.routed


def test_what_comes_twice_over_webrtc_is_heard_once_and_a_hole_is_no_end() -> None:
    played = Played()
    sources = played.sources
    sources.hear(0.0, is_heard=True)
    for now, place in ((0.02, 0), (0.04, 0), (0.06, 320), (0.08, 6_400)):
        part = SPEECH[place : place + FRAME]
        played.do(now, lambda p=part, b=place, n=now: sources.peer(p, b, n))  # type: ignore[misc]

    assert SPEECH[:960] + SPEECH[6_400:7_040] == played.routed
    assert 1 == len(played.changes)


def test_after_another_connection_its_audio_is_none_of_the_one_before() -> None:
    sources = Sources(SourceCounts(), stall_s=STALL_S)
    sources.hear(0.0, is_heard=True)
    sources.direct(SPEECH[:3_201], 0.1)

    sources.direct_broken()

    assert SPEECH[:10] == sources.direct(SPEECH[:10], 0.2)
    assert sources.is_idle


def test_deciding_takes_a_fifth_of_a_second_and_a_little_more_where_somebody_speaks() -> None:
    assert DECIDE_S <= 0.2
    assert PATIENT_S <= 0.3
