"""Crash anything: every actor, every message it handles, every point of the handler (docs/actors.md)."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.testing import CrashPoint
from tests.simulation import crashes
from tests.simulation.chapters import CHAPTERS
from tests.simulation.crashes import Point

PAIRS = crashes.pairs()


@pytest.mark.parametrize(
    ("actor", "message"), PAIRS, ids=[f"{actor.__name__} {message.__name__}" for actor, message in PAIRS]
)
def test_a_crash_does_what_the_catalogue_says_and_nothing_else(actor: type[Any], message: type[Any]) -> None:
    problems = crashes.crashed_everywhere(actor, message)

    assert problems, "no chapter sends it: write one, or say why in UNSENT"
    assert [] == [problem for problem in problems if problem is not None]


@pytest.mark.parametrize("point", crashes.production_points())
def test_a_failure_at_a_fault_point_of_production_is_nobodys_trouble(point: str) -> None:
    assert crashes.failed_at(point) is None


def test_what_no_chapter_sends_is_listed_and_nothing_else_is() -> None:
    every = {
        crashes.names(actor, message) for actor, messages in crashes.handled().items() for message in messages
    }
    sent = {
        crashes.names(actor, message)
        for actor, messages in crashes.handled().items()
        for message in messages
        if Point(actor, message, CrashPoint.BEFORE_HANDLER).name in crashes.reached()
    }

    assert set(crashes.UNSENT) <= every, "listed, and gone from the code"
    assert not set(crashes.UNSENT) & sent, "listed, and sent all the same"


def test_every_actor_of_the_tree_has_a_row_that_the_sweep_holds_it_to() -> None:
    said = {
        actor.__name__: crashes.allowance_of(actor) for actor in crashes.handled() if crashes.pairs_of(actor)
    }

    assert len(said) > 10


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_without_a_crash_ends_well(chapter: str) -> None:
    seen = crashes.uncrashed(chapter)

    assert seen.reached
