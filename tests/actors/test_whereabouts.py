from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.whereabouts import whose
from runtime import Actor, ChildSpec, current_actor, open_system

APP = "/glasshouse/users/ada@example.org/apps/org.example.captions"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/glasshouse/journal", {}),
        ("/glasshouse/users", {}),
        ("/glasshouse/users/ada@example.org", {"user": "ada@example.org"}),
        ("/glasshouse/users/ada@example.org/speech/en-US", {"user": "ada@example.org"}),
        ("/glasshouse/users/ada@example.org/apps", {"user": "ada@example.org"}),
        (APP, {"user": "ada@example.org", "package": "org.example.captions"}),
        ("/glasshouse/users/a%252Fb%2Fc@example.org/link", {"user": "a%2Fb/c@example.org"}),
        ("/glasshouse/desks/ada@example.org/assistant", {"user": "ada@example.org"}),
        ("/glasshouse/soga sessions/ada@example.org", {"user": "ada@example.org"}),
    ],
)
def test_a_place_in_the_tree_says_whose_an_actor_is(path: str, fields: dict[str, str]) -> None:
    assert {**fields, "actor": path} == whose(path)


def test_outside_of_actors_nothing_is_said() -> None:
    assert {} == whose(current_actor())


class Asked(Actor[str]):
    """Notes who runs, in a handler and in a task."""

    def __init__(self, seen: list[str | None]) -> None:
        self.seen = seen

    def receive(self, message: str) -> None:
        self.seen.append(current_actor())
        self.start(self._task)

    async def _task(self) -> None:
        await trio.lowlevel.checkpoint()
        self.seen.append(current_actor())


async def test_handlers_and_tasks_know_their_actor(autojump_clock: MockClock) -> None:
    seen: list[str | None] = []
    async with open_system("test") as system:
        ref = await system.spawn(ChildSpec("one", lambda: Asked(seen)))
        ref.tell("first")
        await trio.sleep(1)
        seen.append(current_actor())

    assert ["/one", "/one", None] == seen
