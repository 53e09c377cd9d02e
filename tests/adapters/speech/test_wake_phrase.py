"""The wake phrase in what PocketSphinx makes of speech: heard where it is said, and nowhere else.

All of it, with more voices, is `python -m tests.actors.soga.wake`; here is a part, for the time it takes.
"""

from __future__ import annotations

import shutil

import pytest

from adapters.speech.pocketsphinx_worker import Recogniser
from clients.recordings import recordings
from tests.actors.soga.wake import QUESTIONS, misheard, woken


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def test_nothing_that_recorded_people_say_wakes(recogniser: Recogniser) -> None:
    heard = list(misheard(recogniser, recordings()[:2]))

    assert len(heard) > 20
    assert [] == [text for text, is_woken in heard if is_woken]


@pytest.mark.skipif(
    shutil.which("flite") is None, reason="flite is not installed; ./run test does so as root"
)
def test_most_that_a_clear_voice_says_to_it_wakes(recogniser: Recogniser) -> None:
    assert woken(recogniser, "slt", QUESTIONS[:2]) == 2
