"""The scripted wearer's file: what is read from it, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.app_test.scenario import ScenarioError, read

APP = '[app]\npackage = "org.example.a"\ncommand = ["true"]\n'


def write(folder: Path, text: str) -> Path:
    (folder / "wearer.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_word_that_is_said_twice_is_one_of_the_vocabulary(tmp_path: Path) -> None:
    scenario = read(write(tmp_path, APP + '[[step]]\nsays = "to be or"\n[[step]]\nsays = "not to be"\n'))

    assert ("to", "be", "or", "not") == scenario.vocabulary
    assert (3, 0, 1) == scenario.spoken("not to be")


def test_a_step_says_what_it_does_and_expects(tmp_path: Path) -> None:
    step = '[[step]]\npress = "main"\nsees = "a b"\nsees_not = "c"\n'

    assert ["press main, sees 'a b', sees_not 'c'"] == [
        str(step) for step in read(write(tmp_path, APP + step)).step
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing required field `app`"),
        (APP, "missing required field `step`"),
        (APP + "[[step]]\n", "step 1 does nothing and expects nothing"),
        (APP + '[[step]]\npress = "a"\ndrop = true\n', "step 1 does more than one thing: press a, drop"),
        (APP + '[[step]]\nsees = "("\n', "step 1 has a pattern in 'sees' that is none"),
        (APP + '[[step]]\nsee = "a"\n', "unknown field `see`"),
        (APP + '[[step]]\nhead = "left"\n', "Invalid enum value 'left'"),
        (APP + "[[step]]\nwithin_s = 0\ndrop = true\n", "within_s"),
        ("app = [", "wearer.toml: "),
        (APP.replace('["true"]', "[]") + "[[step]]\ndrop = true\n", "length >= 1"),
    ],
)
def test_what_is_wrong_with_a_scenario_is_said(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as raised:
        read(write(tmp_path, text))

    assert problem in str(raised.value)


def test_a_folder_without_a_scenario_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"wearer\.toml: No such file"):
        read(tmp_path)
