"""Writes and checks the lock files: every dependency, with its exact version and hashes.

`requirements.lock` is what the program needs, `requirements-test.lock` the same and the tools of
`./run test`, `requirements-bench.lock` the same and what `./run bench` compares with. All come from uv's
universal resolution, so one file serves Python 3.11 to 3.13 on every platform. Their first lines carry a
digest of the dependency tables of pyproject.toml: a lock with another digest is stale, and saying so needs
neither uv nor a network.

Run it as `./run lock [--upgrade | --upgrade-package NAME]`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME_LOCK = "requirements.lock"
TEST_LOCK = "requirements-test.lock"
BENCH_LOCK = "requirements-bench.lock"
LOCKS = (RUNTIME_LOCK, TEST_LOCK, BENCH_LOCK)
PYTHON_FLOOR = "3.11"

_DIGEST_MARK = "# pyproject: sha256:"


def dependency_digest(root: Path = ROOT) -> str:
    """The sha256 of what a lock is made from: the dependency tables and the range of Pythons."""
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    tables = [
        sorted(document["project"]["dependencies"]),
        sorted(document["dependency-groups"]["test"]),
        sorted(document["dependency-groups"]["bench"]),
        document["project"]["requires-python"],
    ]
    return hashlib.sha256(json.dumps(tables).encode()).hexdigest()


def recorded_digest(lock: Path) -> str | None:
    """The digest in the head of a lock file; None where it has none."""
    for line in lock.read_text(encoding="utf-8").splitlines()[:5]:
        if line.startswith(_DIGEST_MARK):
            return line.removeprefix(_DIGEST_MARK)
    return None


def stale_locks(root: Path = ROOT) -> list[str]:
    """The names of the lock files that were made from other dependency tables."""
    digest = dependency_digest(root)
    return [name for name in LOCKS if recorded_digest(root / name) != digest]


def write_locks(uv: str, options: list[str]) -> None:
    """Resolve all lock files with uv. The others are held to the runtime lock's versions."""
    _compile(uv, RUNTIME_LOCK, "the program", options)
    held = [*options, "--constraints", RUNTIME_LOCK]
    _compile(uv, TEST_LOCK, "the program and its tests", [*held, "--group", "test"])
    _compile(uv, BENCH_LOCK, "the program and its benches", [*held, "--group", "bench"])


def _compile(uv: str, name: str, what: str, options: list[str]) -> None:
    # The caller's own pip and uv settings (a mirror, a folder of wheels) must not shape a shared file.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    subprocess.run(
        [
            *(uv, "pip", "compile", "pyproject.toml", "--output-file", name, "--quiet", "--no-config"),
            # Without `fewest` a package whose newest release drops 3.11 is locked twice, once per Python.
            *("--universal", "--python-version", PYTHON_FLOOR, "--fork-strategy", "fewest"),
            *("--generate-hashes", "--no-header", "--no-annotate", *options),
        ],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    lock = ROOT / name
    head = [
        f"# Everything {what} needs, exactly, for Python {PYTHON_FLOOR} to 3.13. Made by `./run lock`.",
        f"{_DIGEST_MARK}{dependency_digest()}",
        "",
    ]
    lock.write_text("\n".join(head) + lock.read_text(encoding="utf-8"), encoding="utf-8")


def main(words: list[str]) -> int:
    if words == ["--check"]:
        stale = stale_locks()
        for name in stale:
            reason = "the dependencies in pyproject.toml have changed since; run ./run lock"
            print(f"{name} is stale: {reason}", file=sys.stderr)
        return 1 if stale else 0
    uv = shutil.which("uv")
    if uv is None:
        print("making the lock files needs uv on PATH (pip install uv)", file=sys.stderr)
        return 1
    write_locks(uv, words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
