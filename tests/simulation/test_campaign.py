"""Seeded faults against the assembled server: `glasshouse bench simulate` has more seeds than these."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation import rules
from tests.simulation.crashes import production_points
from tests.simulation.faults import KINDS
from tests.simulation.webrtc_faults import WEBRTC_KINDS

BATCH = 10


@pytest.mark.parametrize("first", range(0, 450, BATCH))
def test_whatever_breaks_sessions_and_apps_come_through_it(first: int) -> None:
    verdicts = [rules.judge(seed) for seed in range(first, first + BATCH)]

    assert {} == {verdict.seed: verdict.red for verdict in verdicts if verdict.red is not None}


@pytest.mark.parametrize("first", range(450, 500, BATCH))
def test_whatever_becomes_of_their_peers_sessions_and_apps_come_through_it(first: int) -> None:
    verdicts = [rules.judge(seed, has_webrtc=True) for seed in range(first, first + BATCH)]

    assert {} == {verdict.seed: verdict.red for verdict in verdicts if verdict.red is not None}


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(66, id="a stored app was dropped when the catalogue could not be read"),
        pytest.param(1199, id="an app that had just come back was called while it dialled"),
        pytest.param(5091, id="an app session that started clean knew nothing of its app"),
        pytest.param(5134, id="a phone hung up since its ping was lost"),
        pytest.param(5136, id="an app stayed dormant since the phone's return was lost"),
        pytest.param(5311, id="a list that could not be stored was not tried again"),
        pytest.param(5362, id="a session was ready and its roster had crashed over the news"),
        pytest.param(5929, id="an app started before the store had answered was not stored"),
    ],
)
def test_a_seed_that_was_red_stays_green(seed: int) -> None:
    assert rules.judge(seed).red is None


def test_a_seed_of_the_campaign_replays_step_by_step() -> None:
    first, again = rules.judge(3), rules.judge(3)

    assert 1000 < len(first.trace)
    assert first == again


def test_a_sweep_does_every_fault_and_reaches_every_fault_point() -> None:
    done: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    crashes = 0
    for seed in range(12):
        outcome = rules.judge(seed).outcome
        assert outcome is not None
        done.update(outcome.faults)
        reached.update(outcome.fault_points)
        crashes += outcome.crashes

    assert set(KINDS) == set(done)
    assert set(production_points()) == set(reached)
    assert 10 < crashes


def test_a_sweep_with_webrtc_breaks_peers_in_every_way() -> None:
    done: Counter[str] = Counter()
    for seed in range(6):
        outcome = rules.judge(seed, has_webrtc=True).outcome
        assert outcome is not None
        done.update(outcome.faults)

    assert set(WEBRTC_KINDS) <= set(done)
