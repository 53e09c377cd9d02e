"""What the campaign of resilience reads from its records, on records made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.resilience.records import Event, Frames, Log, Reader
from bench.resilience.rows import row
from bench.resilience.scenarios import Hit, Scenario
from bench.resilience.verdict import (
    Count,
    Window,
    count,
    count_stale,
    longest_gap,
    outcome,
    recovery,
)

SCENARIO = Scenario("made up", lambda world: ())
WINDOW = Window(began=10.0, ended=20.0, quiet_gap_s=0.1)


def frames(*arrivals: tuple[int, float, float]) -> Frames:
    """Number, when it arrived, when it was sent."""
    made = Frames()
    for number, at, other in arrivals:
        made.numbers.append(number)
        made.at.append(at)
        made.other.append(other)
    return made


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        ([4, 5, 6], Count(3)),
        ([3, 4, 5, 6, 7], Count(3)),
        ([4, 6], Count(3, lost=1)),
        ([4, 5, 5, 6], Count(3, doubled=1)),
        ([5, 4, 6], Count(3, disorder=1)),
    ],
    ids=["all", "others are not judged", "one lost", "one doubled", "out of order"],
)
def test_numbers_tell_what_was_lost_doubled_and_out_of_order(came: list[int], expected: Count) -> None:
    assert expected == count([4, 5, 6], came)


def test_the_peers_own_wait_is_counted_apart_from_the_servers_share() -> None:
    events = [
        Event(10.0, "phone", "lost", 0, "1006"),
        Event(10.0, "app", "lost", 0, "1006"),
        Event(11.0, "app", "dial", 0, None),
        Event(15.0, "phone", "dial", 0, None),
        Event(15.1, "phone", "ack", 0, []),
        Event(15.2, "phone", "shown", 0, [9.5, 3]),
    ]
    arrived = frames((7, 10.1, 9.9), (8, 15.25, 15.2))

    back = recovery(9.95, events, arrived, listening=())

    assert pytest.approx((5.05, 5.3, 0.25)) == (back.own_s, back.audio_s, back.beyond_s)
    assert pytest.approx((5.25, 0.2)) == (back.display_s, back.dial_to_display_s)


def test_an_app_server_that_was_killed_is_waited_for_until_it_listens() -> None:
    back = recovery(10.0, [], frames((8, 12.4, 12.3)), listening=(12.1,))

    assert pytest.approx((2.1, 2.4)) == (back.own_s, back.audio_s)


def test_a_session_that_does_not_come_back_is_infinitely_late() -> None:
    back = recovery(10.0, [], frames((7, 10.05, 9.9)), listening=())

    assert (math.inf, math.inf) == (back.audio_s, back.display_s)


def test_a_display_after_a_newer_one_is_stale_and_a_repeated_one_is_not() -> None:
    shown = [Event(at, "phone", "shown", 0, [made_at, 0]) for at, made_at in ((1, 0.5), (2, 1.5), (3, 1.5))]

    assert 0 == count_stale(shown)
    assert 1 == count_stale([*shown, Event(4, "phone", "shown", 0, [0.5, 0])])


def test_a_pause_counts_also_when_it_goes_on_at_the_end() -> None:
    arrived = frames(*((number, 10 + number / 10, 0.0) for number in range(11)))

    assert pytest.approx(0.1) == longest_gap(arrived, 10.0, 11.0)
    assert pytest.approx(9.0) == longest_gap(arrived, 10.0, 20.0)


def steady(number_of_sessions: int, folder: Path) -> Reader:
    """Sessions with all frames and one press a second each, from 5 to 25."""
    phones, apps = Log(folder, "phone"), Log(folder, "app")
    for tick in range(200):
        at = 5.0 + tick / 10
        for session in range(number_of_sessions):
            phones.frame(session, tick, at, 0.001)
            apps.frame(session, tick, at + 0.002, at)
            if tick % 10 == 0:
                phones.event(at, "press", session, tick)
                apps.event(at + 0.002, "press", session, tick)
                phones.event(at + 0.004, "shown", session, [at + 0.003, tick])
    phones.close()
    apps.close()
    reader = Reader(folder, number_of_sessions)
    reader.read()
    return reader


def judged(reader: Reader, *more: Event) -> dict[str, object]:
    """The row of a scenario that hits session 0 at 10.0."""
    reader.events.extend(more)
    found = outcome(SCENARIO, [Hit(0, 10.0)], WINDOW, reader)
    left = {"MB": 1}
    return row(SCENARIO, found, [], left, left, None)


def test_what_dies_without_a_socket_may_lose_nothing(tmp_path: Path) -> None:
    reader = steady(1, tmp_path)
    reader.arrived[0].numbers[60] = 59  # the frame of 11.0 came as another one

    judgement = [
        row(scenario, outcome(scenario, [Hit(0, 10.0)], WINDOW, reader), [], {}, {}, None)["verdict"]
        for scenario in (SCENARIO._replace(is_lossless=True), SCENARIO)
    ]

    assert "1 lost" in judgement[0]
    assert "1 lost" not in judgement[1]


def test_a_fault_that_nobody_noticed_meets_its_aims(tmp_path: Path) -> None:
    judgement = judged(steady(2, tmp_path))

    assert "met" == judgement["verdict"]
    assert (96, 10) == (judgement["frames"], judgement["presses"]), (
        "those under way at the end are not judged"
    )


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event(12.0, "app", "session", 0, None), "1 begun needlessly"),
        (Event(12.0, "app", "webhook", 0, True), "1 begun needlessly"),
        (Event(12.0, "phone", "lost", 1, "1006"), "1 others noticed"),
        (Event(12.0, "app", "press", 0, 50), "doubled"),
        (Event(12.0, "phone", "shown", 0, [8.0, 1]), "stale displays"),
    ],
    ids=["onSession again", "webhook while up", "another's socket", "a press twice", "an old display"],
)
def test_each_harm_is_missed_by_its_name(tmp_path: Path, event: Event, words: str) -> None:
    reader = steady(2, tmp_path)
    reader.events.sort()

    judgement = judged(reader, event)

    assert str(judgement["verdict"]).startswith("MISSED")
    assert words in str(judgement["verdict"])
