"""The wheel, installed into a clean environment, is the whole program.

The environment sees the libraries of the one that runs the tests, so that nothing is downloaded, but not the
checkout: what it imports of ours it has from the wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("runtime", "protocols", "actors", "adapters", "config", "clients", "bench")


def _run(*words: str | Path, cwd: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PIP_NO_INPUT": "1", "PIP_NO_INDEX": "1"}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel, cwd=folder
    )
    packages = Path(
        _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    # The libraries are put on the path as a folder, so that .pth files in it (the checkout's) are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def test_wheel_holds_every_file_of_every_room(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", *ROOMS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    expected = {name for name in listed.stdout.splitlines() if not name.startswith("bench/results/")}

    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())

    assert sorted(name for name in expected - held if (ROOT / name).exists()) == []
    assert [name for name in held if name.startswith("tests/")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_imported_from_the_wheel(room: str, python: Path) -> None:
    environment = python.parent.parent
    place = _run(python, "-c", f"import {room}; print({room}.__file__)", cwd=environment).strip()

    assert Path(place).is_relative_to(environment)


def test_installed_command_shows_its_help(python: Path) -> None:
    text = _run(python.parent / "glasshouse", "--help", cwd=python.parent.parent)

    assert "serve" in text
    assert "demo" in text
