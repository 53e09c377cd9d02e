"""Run mutations: `python -m tests.mutations [WORD...]`. Exits with 1 when one survives."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401 - imported once, before the fork
import pytest
import trio.testing  # noqa: F401 - likewise

from . import EVERY, ROOT, Mutation

ROOMS = ("runtime", "protocols", "actors", "adapters", "config", "clients", "bench", "tests", "docs")
LIMIT_S = 300.0
CPU_S = 40  # what waits for nothing in virtual time spins
PASSED, FAILED = 0, 1  # pytest's exit codes; every other one means that it did not run the tests
_FORK: Any = multiprocessing.get_context("fork")


@dataclass
class Trial:
    """Tests that run in a process of their own, on a copy of the tree.

    Forked: what pytest imports costs a second, more than most mutations' tests.
    """

    tree: Path
    process: Any
    began: float
    whole: str = ""  # the file that is broken meanwhile, as it was

    @classmethod
    def begin(cls, tree: Path, node_ids: tuple[str, ...], *, cpu_s: int = CPU_S) -> Trial:
        process = _FORK.Process(target=_run_tests, args=(tree, node_ids, cpu_s))
        process.start()
        return cls(tree, process, time.monotonic())

    def end(self) -> int | None:
        """Pytest's exit code; None when it did not end in time."""
        self.process.join(max(0.0, self.began + LIMIT_S - time.monotonic()))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            return None
        code: int = self.process.exitcode
        return None if code == -signal.SIGXCPU else code

    @property
    def output(self) -> str:
        return (self.tree / "output.txt").read_text(encoding="utf-8", errors="replace")


def _run_tests(tree: Path, node_ids: tuple[str, ...], cpu_s: int) -> None:
    """In the child: everything is imported from `tree` and not from the checkout."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    output = os.open(tree / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.chdir(tree)
    sys.path[:] = [str(tree), *(entry for entry in sys.path if entry and Path(entry) != ROOT)]
    os.environ["PYTHONPATH"] = str(tree)
    os.environ["PYTHONDONTWRITEBYTECODE"] = (
        "1"  # for its children; two versions within a second look the same
    )
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    code = pytest.main([*options, "-W", "ignore::pytest.PytestAssertRewriteWarning", *node_ids])
    sys.stdout.flush()
    os._exit(code)


def chosen(words: list[str]) -> list[Mutation]:
    """The mutations whose name or promise has one of `words` in it; all without a word."""
    return [
        mutation
        for promise, mutations in EVERY.items()
        for mutation in mutations
        if not words or any(word in f"{mutation.name} {promise}".lower() for word in words)
    ]


def copy_of_the_tree(folder: Path) -> Path:
    """What the tests need, in `folder`; the checkout itself is never changed."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", ".*", "results")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=left_out)
    for file in ROOT.glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder / file.name)
    return folder


def begin(mutation: Mutation, tree: Path) -> Trial | str:
    """Break the copy; or say why that cannot be done."""
    path = tree / mutation.path
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutation.old) != 1:
        return f"stale: its text stands {whole.count(mutation.old)} times in {mutation.path}"
    text = whole.replace(mutation.old, mutation.new)
    try:
        compile(text, mutation.path, "exec")
    except SyntaxError as error:
        return f"broken: {error}"
    path.write_text(text, encoding="utf-8")
    trial = Trial.begin(tree, mutation.node_ids)
    trial.whole = whole
    return trial


def end(mutation: Mutation, trial: Trial) -> str:
    """`killed`, `hung` (noticed too, if not nicely), `survived`, or what is wrong. Mends the copy."""
    code = trial.end()
    (trial.tree / mutation.path).write_text(trial.whole, encoding="utf-8")
    names = {PASSED: "survived", FAILED: "killed", None: "hung"}
    return names.get(code) or f"broken: pytest ended with {code}\n{trial.output}"


def verdicts_on(mutations: list[Mutation], trees: list[Path]) -> Iterator[tuple[Mutation, str, float]]:
    """Try every mutation, as many at a time as there are copies of the tree."""
    todo, free = list(reversed(mutations)), list(trees)
    running: dict[Any, tuple[Mutation, Trial]] = {}
    while todo or running:
        while todo and free:
            mutation = todo.pop()
            trial = begin(mutation, free[-1])
            if isinstance(trial, str):
                yield mutation, trial, 0.0
            else:
                running[trial.process.sentinel] = (mutation, trial)
                free.pop()
        oldest = min((trial.began for _, trial in running.values()), default=0.0)
        ended = wait(list(running), max(0.0, oldest + LIMIT_S - time.monotonic()))
        late = [key for key, (_, trial) in running.items() if trial.began + LIMIT_S <= time.monotonic()]
        for key in {*ended, *late}:
            mutation, trial = running.pop(key)
            verdict = end(mutation, trial)
            free.append(trial.tree)
            yield mutation, verdict, time.monotonic() - trial.began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only those with one of these in their name or promise")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time, each on a tree of its own")
    parser.add_argument("--list", action="store_true", help="say what there is and do nothing")
    options = parser.parse_args()
    mutations = chosen([word.lower() for word in options.words])
    if options.list:
        for promise, members in EVERY.items():
            print(promise, *(f"  {member.name}" for member in members), sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        trees = [copy_of_the_tree(Path(folder) / str(number)) for number in range(max(1, options.jobs))]
        every_test = tuple(sorted({test for mutation in mutations for test in mutation.node_ids}))
        untouched = Trial.begin(trees[0], every_test, cpu_s=10 * CPU_S)
        if untouched.end() != PASSED:
            print(
                untouched.output,
                "The tests fail without any mutation; nothing is learnt from them.",
                sep="\n",
            )
            return 1
        noticed = 0
        for mutation, verdict, took_s in verdicts_on(mutations, trees):
            print(f"{verdict:9} {took_s:5.1f} s  {mutation.name}", flush=True)
            noticed += verdict in ("killed", "hung")
    print(f"{len(mutations)} mutations, {noticed} noticed, {len(mutations) - noticed} not")
    return 0 if noticed == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main())
