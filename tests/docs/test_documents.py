"""What the documents point at is there: files, tests, states."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = r"runtime|protocols|actors|adapters|config|clients|bench|tests|docs|examples|deploy|\.github"
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    ROOT / "examples/README.md",
    *sorted(ROOT.glob("examples/*/README.md")),
]
STATES = {"built", "measured", "partly", "not yet", "not measured", "refused"}


def mission_rows() -> Iterator[tuple[str, str, str]]:
    text = (ROOT / "docs" / "mission.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[1] != "State":
            yield cells[0], cells[1], cells[2]


def names_something(evidence: str) -> bool:
    """Whether it names a file of ours, a test, or a command to watch it by."""
    return re.search(rf"`(?:(?:{ROOMS})/[^`]+|\.ci/run|test_\w+|\./run \w+[^`]*)`", evidence) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_are_named_are_there(document: Path) -> None:
    named = re.findall(rf"`((?:{ROOMS})/[\w./-]*\w)`", document.read_text(encoding="utf-8"))

    assert [] == [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_that_are_named_are_there(document: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", document.read_text(encoding="utf-8")))

    if named:
        tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
        assert set() == named - set(re.findall(r"^ *(?:async )?def (test_\w+)\(", tests, flags=re.MULTILINE))


def test_each_row_of_the_mission_has_a_state_and_what_it_needs() -> None:
    rows = list(mission_rows())

    assert len(rows) > 180
    for asked, state, evidence in rows:
        assert state in STATES, asked
        assert evidence, asked
        if state in {"built", "measured", "partly"}:
            assert names_something(evidence), asked
        if state in {"built", "partly"}:
            assert re.search(r"`(?:tests/|test_|\./run demo)", evidence), asked
        if state == "partly":
            assert "not yet" in evidence.lower(), asked
