"""docs/incidents.md names every test of tests/incidents, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_incident_of_the_table_is_a_test_and_every_test_is_in_the_table() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "incidents").glob("test_*.py")]
    written = {name for text in tests for name in re.findall(r"def (test_\w+)", text)}
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "incidents.md").read_text(encoding="utf-8"))

    assert len(written) > 35
    assert written == set(named)
