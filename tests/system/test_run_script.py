"""`./run`, as a stranger starts it: an empty home, a bare environment, nothing installed.

The checkout here has the script, a lock file that wants nothing, and a command that prints its words, so the
tests are about the script alone and need no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder with spaces"
    (folder / "config" / "cli").mkdir(parents=True)
    shutil.copy(ROOT / "run", folder / "run")
    (folder / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    (folder / "config" / "__init__.py").touch()
    (folder / "config" / "cli" / "__init__.py").touch()
    (folder / "config" / "cli" / "__main__.py").write_text(
        "import os, sys\n"
        "print('words', sys.argv[1:])\n"
        "print(os.environ['GLASSHOUSE_COMMAND'], file=sys.stderr)\n"
        "sys.exit(3)\n",
        encoding="utf-8",
    )
    return folder


def _base_python() -> str:
    """The Python that made the environment the tests run in."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def _start(checkout: Path, *words: str, path: str = "/usr/bin:/bin") -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["/bin/sh", checkout / "run", *words],
        cwd="/",
        env={"HOME": str(checkout.parent), "PATH": path, "GLASSHOUSE_PYTHON": _base_python()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_first_runs_at_once_make_one_environment_and_pass_words_and_status_on(checkout: Path) -> None:
    started = [_start(checkout, "say", str(number), "two words") for number in range(3)]
    outcomes = [(process.communicate(timeout=100), process.returncode) for process in started]

    assert [f"words ['say', '{number}', 'two words']\n" for number in range(3)] == [
        out for (out, _), _ in outcomes
    ]
    assert [3, 3, 3] == [status for _, status in outcomes]
    assert 1 == sum("making .venv" in err for (_, err), _ in outcomes)

    # A changed lock is installed once more, in the same environment; a moved checkout goes on working.
    (checkout / "requirements.lock").write_text("# still nothing\n", encoding="utf-8")
    moved = checkout.rename(checkout.with_name("moved"))
    process = _start(moved, "again")
    out, err = process.communicate(timeout=100)

    assert ("words ['again']\n", 3) == (out, process.returncode)
    assert "installing requirements.lock" in err
    assert "making" not in err
    assert f"{moved / 'run'}\n" == err.splitlines(keepends=True)[-1]

    # A link is followed, also one to a link, and what is printed to be typed is the link.
    (moved.parent / "first").symlink_to("moved/run")
    (moved.parent / "second").symlink_to(moved.parent / "first")
    linked = subprocess.run(
        ["/bin/sh", "second", "linked"], cwd=moved.parent, capture_output=True, text=True, check=False
    )

    assert ("words ['linked']\n", "./second\n") == (linked.stdout, linked.stderr)


def test_the_benches_bring_what_they_compare_with(checkout: Path) -> None:
    (checkout / "requirements-bench.lock").write_text("# nothing more\n", encoding="utf-8")

    process = _start(checkout, "bench", "runtime")
    out, err = process.communicate(timeout=100)

    assert ("words ['bench', 'runtime']\n", 3) == (out, process.returncode)
    assert "installing requirements-bench.lock" in err

    # It holds what the program needs, so the program's own lock is not installed again.
    process = _start(checkout, "serve")
    out, err = process.communicate(timeout=100)

    assert ("words ['serve']\n", f"{checkout / 'run'}\n") == (out, err)


def test_without_a_python_the_answer_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cmp", "rm", "mkdir", "cp", "chmod", "readlink"):
        found = shutil.which(name)
        assert found is not None
        os.symlink(found, tools / name)

    done = subprocess.run(
        ["/bin/sh", checkout / "run", "demo"],
        env={"HOME": str(tmp_path), "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "GLASSHOUSE_PYTHON" in done.stderr


def test_a_browser_and_a_voice_are_installed_for_the_tests_where_that_can_be_done(
    checkout: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cmp", "rm", "mkdir", "cp", "chmod", "readlink", "timeout"):
        found = shutil.which(name)
        assert found is not None
        os.symlink(found, tools / name)
    (checkout / "requirements-test.lock").write_text("# nothing\n", encoding="utf-8")

    def asked_by(user: str, *, apt_status: int) -> tuple[list[str], str]:
        log = tmp_path / f"asked-by-{user}-{apt_status}"
        for name, does in (("apt-get", f'echo "$*" >>"{log}"; exit {apt_status}'), ("id", f"echo {user}")):
            (tools / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
            (tools / name).chmod(0o755)
        _, err = _start(checkout, "test", path=str(tools)).communicate(timeout=100)
        return log.read_text().splitlines() if log.exists() else [], err

    asked, said = asked_by("0", apt_status=0)
    update, install, update_again, install_voice = asked
    assert update.endswith(" update")
    assert update == update_again
    assert "install --yes --no-install-recommends chromium" == install
    assert "install --yes --no-install-recommends flite" == install_voice
    assert "apt could not install" not in said

    asked, said = asked_by("0", apt_status=1)
    assert [update, update] == asked
    for what in ("chromium", "flite"):
        assert f"apt could not install {what}, what it said is above: its tests are skipped" in said

    asked, said = asked_by("1000", apt_status=0)
    assert [] == asked
    assert 2 == said.count("only root can install it, with apt: its tests are skipped")


def test_a_python_that_does_not_run_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    broken = tools / "broken"
    broken.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n", encoding="utf-8")
    broken.chmod(0o755)
    os.symlink(_base_python(), tools / "python3.13")

    done = subprocess.run(
        ["/bin/sh", checkout / "run", "say"],
        env={"HOME": str(tmp_path), "PATH": f"{tools}:/usr/bin:/bin", "GLASSHOUSE_PYTHON": str(broken)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "words ['say']\n"
