"""docs/security.md: each threat names tests that show what is done about it, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    """The cells of the table's rows, without its head."""
    _, _, table = TEXT.partition("## Threats\n")
    lines = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def known_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_threat_names_a_test_and_every_test_is_there() -> None:
    listed = {cells[0]: re.findall(r"`(test_\w+)`", cells[-1]) for cells in rows()}

    assert {3} == {len(cells) for cells in rows()}
    assert len(listed) >= 30
    assert [] == [threat for threat, tests in listed.items() if not tests]
    assert set() == {name for tests in listed.values() for name in tests} - known_tests()
