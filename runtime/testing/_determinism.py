"""trio's deterministic scheduling, a private switch, in this one module.

trio shuffles its run queue with `trio._core._run._r` and, when `_ALLOW_DETERMINISTIC_SCHEDULING` is set,
sorts it before, so that the order depends on the generator's seed alone. Hypothesis uses the same switch. A
test fails loudly when it goes away; then look at what `_hypothesis_plugin_setup` in that module does instead.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio
import trio._core._run as _private


class DeterminismUnavailable(Exception):  # noqa: N818 - says what is missing
    """This trio has no deterministic switch where it was."""


def check_switch(module: Any = _private) -> None:
    """Raise DeterminismUnavailable unless trio's private switch is where this module expects it."""
    has_switch = isinstance(getattr(module, "_ALLOW_DETERMINISTIC_SCHEDULING", None), bool)
    if not has_switch or not isinstance(getattr(module, "_r", None), random.Random):
        raise DeterminismUnavailable(
            f"trio {trio.__version__} has no _ALLOW_DETERMINISTIC_SCHEDULING and _r in trio._core._run; "
            "runtime.testing needs another way to seed its scheduling"
        )


@contextmanager
def deterministic_trio(seed: int | str) -> Iterator[None]:
    """Within the block a `trio.run` schedules its tasks as `seed` says."""
    check_switch()
    module: Any = _private
    switch, state = module._ALLOW_DETERMINISTIC_SCHEDULING, module._r.getstate()
    module._ALLOW_DETERMINISTIC_SCHEDULING = True
    module._r.seed(f"trio {seed}")
    try:
        yield
    finally:
        module._ALLOW_DETERMINISTIC_SCHEDULING = switch
        module._r.setstate(state)
