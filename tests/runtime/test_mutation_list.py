"""The list of mutations is not stale, and goes hand in hand with the promises of docs/runtime.md."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.mutations import EVERY, PROMISES, ROOT, Mutation

MUTATIONS = [mutation for mutations in EVERY.values() for mutation in mutations]
PAGE = (ROOT / "docs" / "runtime.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.split("\n## Promises\n", 1)[1].split("\n## ", 1)[0].splitlines()
    if line.startswith("| ")
][1:]


@functools.cache
def defined_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_a_mutation_still_fits(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text(encoding="utf-8")

    assert text.count(mutation.old) == 1, f"{mutation.path} has changed: write the mutation anew"
    compile(text.replace(mutation.old, mutation.new), mutation.path, "exec")
    assert mutation.old != mutation.new
    for node_id in mutation.node_ids:
        file, _, test = node_id.partition("::")
        assert test.split("[")[0] in defined_in(ROOT / file), f"there is no {node_id}"


def test_mutations_have_names_of_their_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]

    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_promise_has_a_mutation_and_every_mutation_a_promise() -> None:
    assert [row[0] for row in ROWS] == list(PROMISES)
    assert all(PROMISES.values())


def test_every_promise_names_a_test_that_a_mutation_of_it_fails() -> None:
    for promise, shown, _ in ROWS:
        named = set(re.findall(r"`(?:tests/system/)?(test_\w+\.py)", shown))
        noticing = {
            Path(node_id.split("::")[0]).name
            for mutation in PROMISES[promise]
            for node_id in mutation.node_ids
        }

        assert named, f"no test is named for: {promise}"
        assert named & noticing, f"{promise}: {named} notice nothing, {noticing} do"
