"""What the trees of all users add up to."""

from __future__ import annotations

import time

import trio
from trio.testing import MockClock

from actors.figures import Figures
from clients.coded_audio import sentence
from runtime import Actor, ChildSpec, open_system
from tests.actors.world import World, open_world
from tests.coded_speech import coded_speech, say


class Busy(Actor[float]):
    """Computes for as long as it is told."""

    def receive(self, message: float) -> None:
        until = time.perf_counter() + message
        while time.perf_counter() < until:
            pass


def figures_of(world: World) -> Figures:
    figures = Figures()
    figures.add(world.system.tree().walk())
    return figures


async def test_wearers_apps_and_streams_are_counted(autojump_clock: MockClock) -> None:
    async with open_world(recognisers=[coded_speech("one")]) as world:
        phone = await world.phone()
        await world.running_app(phone, subscriptions=["transcription:en-US"])
        await say(phone, sentence(range(5)))
        await trio.sleep(20)

        figures = figures_of(world)

        assert (1, 1) == (figures.sessions, figures.phones)
        assert 20 <= figures.session_s[0] <= 30
        assert {"running": 1} == dict(next(iter(figures.apps.values())).phases)
        assert {"one": 1} == dict(figures.providers)
        assert {"arrival", "interim", "final", "delivery"} == set(figures.stages)
        assert 0 == figures.delayed
        assert {"websocket": 1} == dict(figures.sources)
        assert 1 == figures.kinds["UserSession"].actors
        assert figures.kinds["UserSession"].handled
        assert 0 == figures.kinds["UserSession"].restarts


async def test_a_phone_that_has_left_and_an_actor_that_crashed_are_seen(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.settle()
        world.find("directory").crash(RuntimeError("no"))
        phone.hang_up()
        await trio.sleep(2)

        figures = figures_of(world)

        assert (1, 0) == (figures.sessions, figures.phones)
        assert 1 == figures.kinds["Directory"].restarts
        assert {} == dict(figures.apps)


async def test_what_goes_wrong_with_an_app_is_counted_by_type(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.connection.say({"type": "no such thing"})
        await world.settle()
        server.connection.hang_up()
        await server.come_back()
        world.webhooks.remove(server.url)
        server.connection.hang_up()
        await trio.sleep(30)

        [figures] = figures_of(world).apps.values()

        assert {"MALFORMED_MESSAGE": 1, "socket lost": 2} == {
            kind: count for kind, count in figures.errors.items() if " refused" not in kind
        }
        assert figures.handled > 5


async def test_the_time_that_actors_work_is_theirs() -> None:
    async with open_system("test") as system:
        slow, idle = [await system.spawn(ChildSpec(name, Busy)) for name in ("slow", "idle")]
        for _ in range(3):
            slow.tell(0.01)
        await trio.sleep(0.1)
        worked_s = {ref: system.tree(ref).worked_s for ref in (slow, idle)}

    assert 0.03 <= worked_s[slow] < 1
    assert worked_s[idle] < 0.01


async def test_nothing_at_all_is_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        figures = figures_of(world)

        assert (0, 0, {}) == (figures.sessions, figures.phones, figures.stages)
