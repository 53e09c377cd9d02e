"""The suite itself: what both kinds of actor promise is tried on both."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

HERE = pathlib.Path(__file__).parent


def test_the_suite_runs_over_both_kinds() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(HERE)],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    # A parameter of a test's own stands before or behind the kind.
    names = {
        kind: {
            re.sub(rf"\b{kind}\b", "*", line)
            for line in listed.splitlines()
            if re.search(rf"[\[-]{kind}[\]-]", line)
        }
        for kind in ("actor", "task_actor")
    }

    assert len(names["actor"]) > 150
    assert names["actor"] == names["task_actor"]


async def test_a_kind_is_what_it_says(stage: Any, request: pytest.FixtureRequest) -> None:
    ref = await stage.actor()

    assert request.node.callspec.id == {"actor": "actor", "task": "task_actor"}[ref.cell.actor.kind]
    assert (ref.cell.runner is None) is (stage.kind.kind == "actor")
