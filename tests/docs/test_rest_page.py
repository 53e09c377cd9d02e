"""docs/rest.md is the table of routes as it is, and the tests it names try every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.http.table import GROUPS
from config.rest_reference import file_of_tests, rest_reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_routes_is_the_table() -> None:
    written = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")

    assert rest_reference() == written, "run: python -m config.reference"


@pytest.mark.parametrize("module", GROUPS)
def test_each_group_of_routes_has_its_tests_where_the_page_says(module: str) -> None:
    assert "def test_" in (ROOT / file_of_tests(module)).read_text(encoding="utf-8")
