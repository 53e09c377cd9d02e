"""docs/apps.md shows the errors as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.reference import with_errors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "apps.md"


def test_the_page_for_app_developers_lists_every_error_as_it_is() -> None:
    written = PAGE.read_text(encoding="utf-8")

    assert with_errors(written) == written, "run: python -m config.reference"


def test_a_page_without_a_place_for_the_errors_is_refused() -> None:
    with pytest.raises(ValueError, match="end of errors"):
        with_errors("# Errors\n<!-- errors -->\n")
