"""One plausible bug, and who has to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """Replace `old`, which stands once in `file`, by `new`, and one of `tests` fails.

    Attributes:
      name: unique; what goes wrong, in words.
      file: in runtime/, unless it begins with another room that is broken: `tests/`, `actors/`,
        `adapters/`.
      tests: `test_file.py::test_name` in tests/runtime/, unless they name a folder themselves.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def path(self) -> str:
        """The file to change, from the root of the tree."""
        return (
            self.file if self.file.startswith(("tests/", "actors/", "adapters/")) else f"runtime/{self.file}"
        )

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The tests as pytest takes them, from the root of the tree."""
        return tuple(test if "/" in test.split("::")[0] else f"tests/runtime/{test}" for test in self.tests)


def by(*tests: str) -> tuple[str, ...]:
    """Noticed by these tests."""
    return tests
