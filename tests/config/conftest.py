"""What the tests of commands have in common."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory that is not there yet; every command means it, and nothing of who runs the tests."""
    for name in list(os.environ):
        if name.startswith("GLASSHOUSE_") or name in {"PORT", "AUGMENTOS_AUTH_JWT_SECRET"}:
            monkeypatch.delenv(name)
    folder = tmp_path / "data"
    monkeypatch.setenv("GLASSHOUSE_DATA", str(folder))
    return folder
