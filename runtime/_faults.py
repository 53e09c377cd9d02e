"""Places in production code where a simulated run may make something fail. Nothing at all otherwise."""

from __future__ import annotations

from collections.abc import Callable

_reached: Callable[[str], None] | None = None


def fault_point(name: str) -> None:
    """Say that the code has come to `name`. A simulation may raise here what it has planned; else it costs
    40 ns.
    """
    if _reached is not None:
        _reached(name)


def set_fault_plan(reached: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """Let `reached` decide at every fault point from now on; returns who did before. For the test kit."""
    global _reached
    before, _reached = _reached, reached
    return before
