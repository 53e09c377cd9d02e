"""`glasshouse app new` and `glasshouse app test`: what is written runs, and what is broken is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import SDK_APP
from tests.system.server import ROOT

PATIENCE_S = 90


def glasshouse(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "config.cli", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def shortened(folder: Path) -> None:
    """Without the steps that take time: the drop, and the restart."""
    file = folder / "wearer.toml"
    steps = file.read_text(encoding="utf-8").split("[[step]]")
    kept = [step for step in steps if "drop = true" not in step and "restart = true" not in step]
    assert len(kept) == len(steps) - 2
    file.write_text("[[step]]".join(kept), encoding="utf-8")


@pytest.mark.parametrize("kind", ["python", "node"])
def test_a_new_app_runs_and_passes_its_own_test(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "node":
        request.getfixturevalue("node")
    made = glasshouse("app", "new", "my_app", "--kind", kind, folder=tmp_path)
    assert 0 == made.returncode, made.stderr
    folder = tmp_path / "my_app"
    if kind == "node":
        (folder / "node_modules").symlink_to(SDK_APP / "node_modules")
    shortened(folder)

    done = glasshouse("app", "test", "my_app", folder=tmp_path)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "ok  3  says 'good morning', sees 'good morning'" in done.stdout
    assert done.stdout.endswith("4 of 4 steps as expected\n")


def test_a_step_that_is_not_as_expected_ends_the_test_and_says_what_was_seen(tmp_path: Path) -> None:
    glasshouse("app", "new", "my_app", folder=tmp_path)
    folder = tmp_path / "my_app"
    (folder / "wearer.toml").write_text(
        '[app]\npackage = "org.example.my_app"\ncommand = ["python3", "app.py"]\n'
        '[[step]]\nsees = "is on"\n[[step]]\npress = "main"\nsees = "Pressed 7"\nwithin_s = 1\n',
        encoding="utf-8",
    )

    done = glasshouse("app", "test", "my_app", folder=tmp_path)

    assert 1 == done.returncode
    assert "ok  1  sees 'is on'" in done.stdout
    assert "not ok  2  press main, sees 'Pressed 7'" in done.stdout
    assert "expected sees 'Pressed 7' within 1 s; the lens showed" in done.stderr
    assert "'Pressed 1'" in done.stderr


def test_an_app_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    glasshouse("app", "new", "my_app", folder=tmp_path)
    (tmp_path / "my_app/app.py").write_text("raise SystemExit('no key to the door')", encoding="utf-8")

    done = glasshouse("app", "test", "my_app", folder=tmp_path)

    assert 1 == done.returncode
    assert "the app ended with status 1; it said:\nno key to the door" in done.stderr


def test_nothing_is_written_over_and_no_odd_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()

    taken = glasshouse("app", "new", "taken", folder=tmp_path)
    odd = glasshouse("app", "new", "../up", folder=tmp_path)

    assert (1, 1) == (taken.returncode, odd.returncode)
    assert "taken is there already" in taken.stderr
    assert "expected a name of small letters" in odd.stderr
    assert ["taken"] == [path.name for path in tmp_path.iterdir()]
