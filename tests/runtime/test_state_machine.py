"""States as values, messages postponed to the next state, and time-outs that belong to a state."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import trio


class Light(enum.Enum):
    RED = 1
    GREEN = 2


@dataclass(frozen=True)
class Closed:
    attempts: int = 0


@dataclass(frozen=True)
class Open:
    handled: tuple[str, ...] = ()


class BoomError(Exception):
    pass


def boom(_: Any) -> None:
    raise BoomError


def work(name: str) -> Any:
    """A message that can only be handled while open."""

    def message(actor: Any) -> None:
        if isinstance(actor.state, Open):
            actor.become(Open((*actor.state.handled, name)))
        else:
            actor.postpone()

    return message


def close(actor: Any) -> None:
    actor.state = Closed()


async def test_what_is_postponed_comes_back_in_order_in_the_next_state(stage: Any) -> None:
    ref = await stage.actor(on_start=close)
    for name in ("one", "two"):
        ref.tell(work(name))
    ref.tell(lambda actor: actor.become(Closed(1)))
    await stage.quiet()
    assert stage.system.tree(ref).stashed == 2
    ref.tell(lambda actor: actor.become(Open()))
    ref.tell(work("three"))
    await stage.quiet()

    assert stage.state(ref) == Open(("one", "two", "three"))


async def test_what_is_postponed_survives_crashes(stage: Any) -> None:
    def close_at_first(actor: Any) -> None:
        if not isinstance(actor.state, Open):
            actor.state = Closed()

    ref = await stage.actor(on_start=close_at_first)
    ref.tell(work("one"))
    ref.tell(work("two"))
    ref.tell(boom)
    await stage.quiet()
    ref.tell(boom)
    await stage.quiet()
    ref.tell(lambda actor: actor.become(Open()))
    await stage.quiet()

    assert stage.state(ref) == Open(("one", "two"))


async def test_a_handler_that_raises_has_postponed_nothing(stage: Any) -> None:
    ref = await stage.actor(on_start=close)

    def postpone_and_raise(actor: Any) -> None:
        actor.postpone()
        raise BoomError

    ref.tell(postpone_and_raise)
    await stage.quiet()

    assert stage.system.tree(ref).stashed == 0
    assert [postpone_and_raise] == [letter.message for letter in stage.system.dead_letters.recent]


async def test_a_state_timeout_comes_in_its_state(stage: Any) -> None:
    ref = await stage.actor()
    ref.tell(lambda actor: actor.become(Closed(), timeout_s=2, message=lambda actor: actor.become(Open())))
    await trio.sleep(1.9)
    before = stage.state(ref)
    await trio.sleep(0.2)

    assert (Closed(), Open()) == (before, stage.state(ref))


async def test_another_state_cancels_the_timeout_and_the_same_one_does_not(stage: Any) -> None:
    times: list[float] = []

    def timeout(actor: Any) -> None:
        times.append(actor.now)

    ref = await stage.actor()
    began = trio.current_time()
    ref.tell(lambda actor: actor.become(Closed(), timeout_s=2, message=timeout))
    ref.tell(lambda actor: actor.become(Closed(1)))
    await trio.sleep(3)
    ref.tell(lambda actor: actor.become(Open(), timeout_s=2, message=timeout))
    await trio.sleep(1)
    ref.tell(lambda actor: actor.become(Closed()))
    await trio.sleep(9)

    assert [round(time - began, 3) for time in times] == [2]


async def test_enum_members_are_states_by_their_names(stage: Any) -> None:
    ref = await stage.actor(on_start=lambda actor: setattr(actor, "state", Light.RED))
    tried: list[Any] = []

    def only_when_green(actor: Any) -> None:
        tried.append(actor.state)
        if actor.state is Light.RED:
            actor.postpone()

    ref.tell(only_when_green)
    ref.tell(lambda actor: actor.become(Light.GREEN))
    await stage.quiet()

    assert tried == [Light.RED, Light.GREEN]
    assert stage.system.tree(ref).state == "green"


async def test_what_is_postponed_is_not_tried_again_in_the_same_state(stage: Any) -> None:
    tried: list[Any] = []

    def not_now(actor: Any) -> None:
        tried.append(actor.state)
        actor.postpone()

    ref = await stage.actor(on_start=close)
    ref.tell(not_now)
    ref.tell(lambda actor: actor.become(Closed(1)))
    ref.tell(lambda actor: actor.become(Open()))
    await stage.quiet()

    assert tried == [Closed(), Open()]
