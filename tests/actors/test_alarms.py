"""When a figure is worth a warning: beyond a limit, or on its way there; and what is done then."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.alarm import Ahead, Alarm, Restarts, TrendSettings, line
from actors.overload import OverloadSettings
from actors.overload.machine import Entered, OverloadState, step
from adapters.simulated.speech import ScriptedSpeech
from adapters.simulated.telemetry import RecordingTelemetry
from clients.coded_audio import sentence, silence
from config.runtime_events import RestartWatch
from runtime import Restarted
from tests.actors.world import open_world
from tests.coded_speech import coded_speech, final_words, say

SETTINGS = TrendSettings(window_s=5.0, ahead_s=30.0, floor=0.25)
LIMIT = 80.0


def test_an_alarm_is_raised_once_and_taken_back_at_half() -> None:
    seen, alarm = [], Alarm()
    for late_ms in (1_900, 2_000, 2_500, 1_900, 1_100, 1_000, 1_900, 2_000):
        alarm = alarm.heard(late_ms, 0.0, limit=2_000, well=1_000)
        seen.append(alarm.is_on)

    assert [False, True, True, True, True, False, False, True] == seen


def test_an_alarm_that_is_to_hold_turns_after_a_time_without_a_break() -> None:
    seen, alarm = [], Alarm()
    for now, value in enumerate([2, 2, 0, 2, 2, 2, 2, 0, 0, 2, 0, 0, 0, 0]):
        alarm = alarm.heard(value, now, limit=1, well=1, hold_s=3)
        seen.append(alarm.is_on)

    assert [False] * 6 + [True] * 7 + [False] == seen


@given(st.lists(st.floats(0, 10)), st.floats(0.1, 5), st.floats(0, 3))
def test_an_alarm_follows_what_lasts(values: list[float], limit: float, hold_s: float) -> None:
    alarm, now = Alarm(), 0.0
    for value in values:
        alarm, now = alarm.heard(value, now, limit=limit, well=limit / 2, hold_s=hold_s), now + 1
    for value, expected in ((limit, True), (limit / 2, False)):
        for _ in range(5):
            alarm, now = alarm.heard(value, now, limit=limit, well=limit / 2, hold_s=hold_s), now + 1
        assert expected is alarm.is_on


def watched(values: Iterable[float], *, limit: float = LIMIT, ahead: Ahead | None = None) -> list[Ahead]:
    """A value a second."""
    ahead, seen = ahead or Ahead(), []
    for now, value in enumerate(values):
        ahead = ahead.heard(value, now, limit=limit, settings=SETTINGS)
        seen.append(ahead)
    return seen


def ramp(begin: float, a_second: float, seconds: int) -> list[float]:
    return [begin + a_second * second for second in range(seconds)]


@pytest.mark.parametrize(
    ("values", "first_at"),
    [
        pytest.param(ramp(0, 1, 80), range(45, 62), id="a ramp is seen within 30 s of the limit"),
        pytest.param(ramp(30, 2, 60), range(20, 24), id="a steep one as soon as it is one"),
        pytest.param(ramp(0, 0.1, 300), None, id="a flat one under the floor is none"),
        pytest.param([60.0] * 120, None, id="high and level"),
        pytest.param(ramp(79, -1, 79), None, id="falling"),
        pytest.param([0.0, 0.0, 0.0, 0.0, 300.0] * 24, None, id="bursts of the same height"),
        pytest.param([0.0] * 40 + [70.0] * 3 + [0.0] * 60, None, id="one burst"),
    ],
)
def test_a_figure_that_goes_to_its_limit_is_seen_before_it_is_there(
    values: Sequence[float], first_at: range | None
) -> None:
    on = [now for now, ahead in enumerate(watched(values)) if ahead.is_on]

    if first_at is None:
        assert [] == on
    else:
        assert on[0] in first_at
        assert values[on[0]] < LIMIT


def test_an_alarm_ahead_goes_off_when_the_figure_levels() -> None:
    seen = watched([*ramp(0, 1, 60), *[60.0] * 40])

    assert seen[59].is_on
    assert not seen[-1].is_on


def test_a_figure_that_was_not_heard_of_begins_anew() -> None:
    risen = watched(ramp(0, 1, 60))[-1]

    assert Ahead(total=79.0, count=1, began_at=100.0) == risen.heard(
        79.0, 100.0, limit=LIMIT, settings=SETTINGS
    )


@given(st.lists(st.floats(0, 1e6), max_size=300), st.floats(1, 1e6))
def test_no_row_of_figures_breaks_a_trend(values: list[float], limit: float) -> None:
    for ahead in watched(values, limit=limit):
        assert ahead.reaches_s >= 0
        assert not math.isnan(ahead.reaches_s)
        assert len(ahead.means) <= 6
        assert not ahead.is_on or ahead.reaches_s <= 2 * SETTINGS.ahead_s


@given(st.floats(0, 1e3), st.floats(-1e3, 1e3).filter(lambda slope: abs(slope) > 1e-3))
def test_a_straight_line_is_found_as_it_is(begin: float, slope: float) -> None:
    points = tuple(begin + slope * 5 * number for number in range(6))

    assert [slope, points[-1]] == pytest.approx([*line(points, 5.0)], rel=1e-6, abs=1e-6)


def test_shedding_begins_at_the_target_when_the_loop_gets_slower_and_slower() -> None:
    settings = OverloadSettings()
    late_s = (settings.target_s + settings.late_s) / 2
    for is_rising in (False, True):
        state, effects = OverloadState(), list[object]()
        for tick in range(3):
            state, told = step(state, late_s, 100 + tick * 0.1, settings, is_rising=is_rising)
            effects += told

        assert [Entered] * is_rising == [type(effect) for effect in effects]


async def test_a_loop_that_gets_slower_and_slower_sheds_before_it_is_late(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        for tick in range(60):
            world.load.late_s = 0.02 + tick * 0.001
            await trio.sleep(1)
            if world.telemetry.of("overload_entered"):
                break
        [rising] = world.telemetry.of("loop_delay_rising")
        [entered] = world.telemetry.of("overload_entered")

    assert float(str(rising["late_s"])) < OverloadSettings().late_s
    assert float(str(entered["late_s"])) < OverloadSettings().late_s


@pytest.mark.parametrize("has_another", [True, False])
async def test_a_recogniser_that_falls_further_behind_is_replaced_before_it_lags(
    has_another: bool, autojump_clock: MockClock
) -> None:
    slow = coded_speech("slow")
    slow.slow(0.7)
    recognisers: list[ScriptedSpeech] = [slow, *([coded_speech("quick")] if has_another else [])]
    async with open_world(recognisers=recognisers) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["transcription:en-US"])
        began_at = trio.current_time()
        failed_at = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, phone, sentence(range(80), word_s=0.2, pause_s=0.0) + silence(3))
            while failed_at is None and trio.current_time() < began_at + 30:
                await trio.sleep(0.1)
                if world.telemetry.of("speech_stream_failed"):
                    failed_at = trio.current_time() - began_at
        await trio.sleep(5)

    [ahead] = world.telemetry.of("speech_falling_behind")[:1]
    assert "slow" == ahead["provider"]
    assert float(str(ahead["waiting_s"])) < 3.0
    failures = world.telemetry.of("speech_stream_failed")
    if has_another:
        assert "falls further behind" in str(failures[0]["cause"])
        assert [f"w{number}" for number in range(80)] == final_words(server)
    else:
        assert all("falls further behind" not in str(failure["cause"]) for failure in failures)


def restarted(path: str) -> Restarted:
    return Restarted(path, 1, 0.1, True)


def test_restarts_that_grow_are_told_once_a_minute() -> None:
    telemetry, moment = RecordingTelemetry(), [0.0]
    watch = RestartWatch(telemetry, lambda: moment[0])
    told = []
    for minute, restarts in enumerate([1, 1, 2, 4, 9, 9, 9, 9]):
        for number in range(restarts):
            moment[0] = minute * 60.0 + number
            user = f"user{number}@example.org"
            watch.heard(restarted(f"/glasshouse/users/{user}/display"))
        told.append(len(telemetry.of("restarts_growing")))

    assert [0, 0, 0, 1, 2, 3, 3, 3] == told
    first = telemetry.of("restarts_growing")[0]
    assert ("/glasshouse/users/*/display", 3) == (first["place"], first["restarts"])


def test_few_restarts_or_always_as_many_are_not_told() -> None:
    telemetry, moment = RecordingTelemetry(), [0.0]
    watch = RestartWatch(telemetry, lambda: moment[0])
    for minute in range(20):
        moment[0] = minute * 60.0
        for _ in range(2):
            watch.heard(restarted("/glasshouse/journal"))
        watch.heard("something else")

    assert [] == telemetry.of("restarts_growing")


@given(st.lists(st.floats(0, 500), max_size=100).map(sorted), st.integers(1, 5))
def test_growth_is_told_at_most_once_a_window(moments: list[float], least: int) -> None:
    counts, told = Restarts(), []
    for moment in moments:
        counts, is_growth = counts.heard(moment, window_s=60.0, least=least)
        if is_growth:
            told.append(counts.began_at)
        assert 1 <= counts.now
        assert len(counts.before) <= 5
        assert counts.began_at <= moment < counts.began_at + 60.01

    assert len(told) == len(set(told))
