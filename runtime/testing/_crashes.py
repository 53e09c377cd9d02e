"""Crashes at the points that matter, and a guard against state outside of `state`."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import Any

from .._actor import AnyActor
from .._faults import fault_point
from .._ref import Ref


class SimulatedCrash(Exception):  # noqa: N818 - not an error of the code under test
    """What a planned crash raises."""


class HiddenState(Exception):  # noqa: N818 - says what was found
    """A handler changed an attribute that would be lost by a crash and not undone by a rollback."""


class CrashPoint(enum.Enum):
    """Where in a transaction."""

    BEFORE_HANDLER = "before the handler"
    AFTER_SWAP = "after the swap, before the first effect"
    BETWEEN_EFFECTS = "between two effects"


def crash(
    ref: Ref[Any],
    point: CrashPoint | None = None,
    *,
    after: int = 0,
    chance: random.Random | None = None,
) -> None:
    """Let the actor crash on one of its next messages.

    Args:
      point: drawn from `chance` unless given.
      after: messages handled as usual before; counted for the present incarnation, and over with it.
      chance: also says between which two effects; the system's own source unless given.

    Raises LookupError when the actor is not up.
    """
    cell = ref.cell
    actor = cell.actor
    if actor is None:
        raise LookupError(f"{ref.path} is not up, so it cannot crash")
    source = cell.system.random if chance is None else chance
    where = source.choice(list(CrashPoint)) if point is None else point
    original: Callable[[Any], Any] = actor.receive
    left = after

    def bomb() -> None:
        raise SimulatedCrash(f"{ref.path} {where.value}")

    def place_bomb() -> None:
        effects = cell.turn.effects
        assert effects is not None
        is_between = where is CrashPoint.BETWEEN_EFFECTS and len(effects) > 1
        effects.insert(source.randrange(1, len(effects)) if is_between else 0, (None, bomb))

    def receive(message: Any) -> Any:
        nonlocal left
        if left > 0:
            left -= 1
            return original(message)
        actor.__dict__.pop("receive", None)
        if where is CrashPoint.BEFORE_HANDLER:
            bomb()
        result = original(message)
        if isawaitable(result):
            return _then(result, place_bomb)
        place_bomb()
        return None

    actor.receive = receive


async def _then(result: Any, call: Callable[[], None]) -> None:
    await result
    call()


def handler_point(actor: type[AnyActor[Any]], message: type[Any], where: CrashPoint) -> str:
    """The name of the fault point that `mark_handlers` puts there; the same for every actor of the class."""
    return f"{actor.__name__} {message.__name__}: {where.value}"


def mark_handlers(actor: AnyActor[Any]) -> None:
    """Make every handler of `actor` pass fault points: before it, after its swap, and between any two effects
    of its commit. A TaskActor's commits before its last are not marked.
    """
    original: Callable[[Any], Any] = actor.receive
    kind = type(actor)

    def mark_effects(message: type[Any]) -> None:
        assert actor._cell is not None
        effects = actor._cell.turn.effects
        assert effects is not None
        between = partial(fault_point, handler_point(kind, message, CrashPoint.BETWEEN_EFFECTS))
        for place in range(len(effects) - 1, 0, -1):
            effects.insert(place, (None, between))
        after = partial(fault_point, handler_point(kind, message, CrashPoint.AFTER_SWAP))
        effects.insert(0, (None, after))

    def receive(message: Any) -> Any:
        fault_point(handler_point(kind, type(message), CrashPoint.BEFORE_HANDLER))
        result = original(message)
        if isawaitable(result):
            return _then(result, partial(mark_effects, type(message)))
        mark_effects(type(message))
        return None

    actor.receive = receive


def forbid_hidden_state(actor: AnyActor[Any]) -> None:
    """Make every handler of `actor` crash that rebinds an attribute other than `state` and the transient
    ones.
    """
    original: Callable[[Any], Any] = actor.receive
    free = {"state", "receive", *actor.transient}

    def check(before: dict[str, Any]) -> None:
        for name, value in vars(actor).items():
            if name not in free and before.get(name, before) is not value:
                raise HiddenState(
                    f"{type(actor).__name__}.{name} was changed in a handler; "
                    "keep it in `state`, or name it in `transient` if it may start clean"
                )

    def receive(message: Any) -> Any:
        before = dict(vars(actor))
        result = original(message)
        if isawaitable(result):
            return _then(result, lambda: check(before))
        check(before)
        return None

    actor.receive = receive
