"""What a stream knows of its own slowness."""

from __future__ import annotations

import random

from trio.testing import MockClock

from actors.latency import Spread, Stages, Transit
from clients.coded_audio import sentence, silence
from tests.actors.world import ADA, open_world
from tests.coded_speech import coded_speech, say


def test_quantiles_are_right_to_their_class() -> None:
    chance, spread = random.Random(1), Spread()
    values = [chance.expovariate(1 / 80) for _ in range(5_000)]
    for value in values:
        spread.add(value, 1.0)
    values.sort()

    view = spread.view(1.0)

    assert 5_000 == view["count"]
    assert round(values[-1]) == view["most_ms"]
    for share, name in ((0.5, "p50_ms"), (0.99, "p99_ms")):
        exact = values[int(5_000 * share)]
        assert exact <= view[name] <= exact * 1.6


def test_what_is_older_than_two_minutes_is_forgotten() -> None:
    spread = Spread()
    spread.add(900, 0.0)
    spread.add(10, 70.0)
    assert 900 == spread.view(110.0)["most_ms"]

    assert {"count": 1, "p50_ms": 10, "p99_ms": 10, "most_ms": 10} == spread.view(131.0)
    assert {} == spread.view(500.0)
    assert {} == Stages().view(0.0)


def test_a_value_beyond_all_classes_counts() -> None:
    spread = Spread()
    spread.add(60_000, 0.0)

    assert 60_000 == spread.quantile_ms(0.99, 0.0)


def test_a_frame_is_late_by_what_it_misses_the_promptest_by() -> None:
    transit = Transit()
    for count in range(100):
        late_s = 0.08 if count % 10 == 9 else 0.0
        transit.heard(count * 100.0, 50.0 + count * 0.1 + late_s)

    assert {"count": 100, "p50_ms": 0, "p99_ms": 80, "most_ms": 80} == {
        name: round(value, -1) if name != "count" else value
        for name, value in transit.spread.view(60.0).items()
    }


def test_a_pause_of_the_microphone_is_nobodys_delay_and_neither_is_drift() -> None:
    transit = Transit()
    position_ms, now = 0.0, 0.0
    for count in range(3_000):
        now += 30.0 if count == 1_500 else 0.1
        position_ms += 100 * (1 - 50e-6)  # the phone's crystal is slow
        transit.heard(position_ms, now)

    assert transit.spread.view(now)["most_ms"] <= 1


async def test_the_tree_shows_how_long_each_stage_took(autojump_clock: MockClock) -> None:
    async with open_world(recognisers=[coded_speech("one")]) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US"])

        await say(phone, sentence(range(5)) * 3)

        stages = world.system.tree(world.find(f"users/{ADA}/speech/en-US")).facts["stages"]
        assert isinstance(stages, dict)
        assert 3 == stages["final"]["count"]
        assert 15 <= stages["interim"]["count"]
        assert 300 <= stages["final"]["p50_ms"] <= 400
        assert 18 == stages["delivery"]["count"]
        assert stages["arrival"]["p99_ms"] <= 1


async def test_a_slow_recogniser_is_warned_of_once_and_taken_back(autojump_clock: MockClock) -> None:
    provider = coded_speech("one")
    async with open_world(recognisers=[provider]) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US"])
        provider.slow(0.2)
        await say(phone, sentence(range(10), pause_s=0.5))
        provider.resume()
        await say(phone, silence(2) + sentence(range(10, 15)) + silence(4))

        late = world.telemetry.of("speech_late")
        assert {"behind"} <= {str(fact["what"]) for fact in late} <= {"behind", "old"}
        assert len({fact["what"] for fact in late}) == len(late), "each once"
        assert {str(fact["what"]) for fact in late} == {
            str(fact["what"]) for fact in world.telemetry.of("speech_in_time")
        }
        assert (ADA, "en-US", "one") == (late[0]["user"], late[0]["language"], late[0]["provider"])
