"""The examples of docs/runtime.md run, and its table names tests that exist."""

from __future__ import annotations

import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runtime.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(number) for number, _ in enumerate(EXAMPLES)])
def test_an_example_runs(example: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(example)

    runpy.run_path(str(path), run_name="example")


def test_every_test_of_the_table_exists() -> None:
    names = re.findall(r"`((?:tests/system/)?test_\w+\.py)(?:::(\w+))?`", PAGE)

    assert len(names) > 25
    for file, test in names:
        path = ROOT / file if "/" in file else ROOT / "tests" / "runtime" / file
        assert f"def {test}" in path.read_text(), (file, test)
