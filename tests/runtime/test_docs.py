"""The examples of docs/runtime.md and docs/patterns run and are typed; the tests these pages name exist."""

from __future__ import annotations

import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONCEPTS = ROOT / "docs" / "runtime.md"
PATTERNS = sorted((ROOT / "docs" / "patterns").glob("*.md"))
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in (CONCEPTS, *PATTERNS)}
EXAMPLES = {
    f"{page}-{number}": example
    for page, text in TEXTS.items()
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(EXAMPLES[name], encoding="utf-8")

    runpy.run_path(str(path), run_name="example")


def test_examples_are_typed_and_formatted_as_our_own_code(tmp_path: pathlib.Path) -> None:
    for name, example in EXAMPLES.items():
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(example, encoding="utf-8")
    environment = {**os.environ, "MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(tmp_path / "cache")}

    for tool in (
        ("mypy", "--strict", "--follow-imports=silent", "--no-error-summary"),
        ("ruff", "format", "--quiet", "--diff", "--no-cache", "--config", "pyproject.toml"),
    ):
        verdict = subprocess.run(
            [sys.executable, "-m", *tool, *map(str, sorted(tmp_path.glob("*.py")))],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert (0, "") == (verdict.returncode, verdict.stdout + verdict.stderr)


def test_every_test_of_the_table_exists() -> None:
    names = re.findall(r"`((?:tests/system/)?test_\w+\.py)(?:::(\w+))?`", TEXTS[CONCEPTS.stem])

    assert len(names) > 25
    for file, test in names:
        path = ROOT / file if "/" in file else ROOT / "tests" / "runtime" / file
        assert f"def {test}(" in path.read_text(encoding="utf-8") if test else path.exists(), (file, test)


def test_every_test_a_pattern_rests_on_exists() -> None:
    files = {
        path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "runtime").glob("*.py")
    }
    tests = set(re.findall(r"def (test_\w+)\(", "".join(files.values())))

    for page in PATTERNS:
        named = set(re.findall(r"`(test_\w+(?:\.py)?)`", TEXTS[page.stem]))
        assert len(named) > 2, page.stem
        assert set() == named - tests - set(files), page.stem


def test_every_pattern_is_listed_and_built_alike() -> None:
    listed = re.findall(r"\]\(patterns/([\w-]+)\.md\)", TEXTS[CONCEPTS.stem])

    assert [page.stem for page in PATTERNS] == sorted(listed)
    for page in PATTERNS:
        headings = re.findall(r"^#+ .+$", TEXTS[page.stem], flags=re.MULTILINE)
        assert ["## What to watch out for", "## What it rests on"] == headings[1:], page.stem
        assert f"{page.stem}-0" in EXAMPLES
