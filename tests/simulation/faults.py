"""What a seed does to the campaign: one fault after the other, those that last beside each other."""

from __future__ import annotations

import functools
from typing import Final

import trio

from adapters.simulated.store import StoreFaults
from clients.glasses import Glasses
from runtime.testing import Link, SimulatedCrash, crash
from tests.simulation.campaign import Campaign
from tests.simulation.peers import ALL, PACKAGES, App


class Faults:
    """The faults of one run."""

    def __init__(self, campaign: Campaign, nursery: trio.Nursery) -> None:
        self.campaign = campaign
        self.chance = campaign.chance
        self._nursery = nursery
        self._armed: list[object] = []

    def do(self, kind: str) -> None:
        """Begin a fault of `KINDS`."""
        counts = self.campaign.faults
        counts[kind] = counts.get(kind, 0) + 1
        getattr(self, f"_do_{kind}")()

    def disarm(self) -> None:
        """Crashes that have not happened do not any more."""
        for actor in self._armed:
            actor.__dict__.pop("receive", None)

    def _somebody(self) -> str:
        wearer = self.chance.choice(self.campaign.wearers)
        return wearer.user

    def _some_app_link(self) -> tuple[str, str, Link] | None:
        user, package = self._somebody(), self.chance.choice(PACKAGES)
        link = self.campaign.link_of(user, package)
        return None if link is None else (user, package, link)

    def _do_phone_reset(self) -> None:
        user = self._somebody()
        if (link := self.campaign.phone_link(user)) is not None:
            self.campaign.trouble("phone reset", user)
            link.reset()

    def _do_phone_half_open(self) -> None:
        user = self._somebody()
        if (link := self.campaign.phone_link(user)) is not None:
            self.campaign.trouble("phone half-open", user)
            self.campaign.half_open.append(link)
            link.lose(from_near=self.chance.random() < 0.7, from_far=True)

    def _do_phone_late(self) -> None:
        user = self._somebody()
        if (link := self.campaign.phone_link(user)) is not None:
            self._nursery.start_soon(self._hold, link, user, "")

    def _do_second_phone(self) -> None:
        self._nursery.start_soon(self._second_phone, self._somebody())

    def _do_app_reset(self) -> None:
        if (found := self._some_app_link()) is not None:
            user, package, link = found
            self.campaign.trouble("app reset", user, package)
            link.reset()

    def _do_app_half_open(self) -> None:
        if (found := self._some_app_link()) is not None:
            user, package, link = found
            self.campaign.trouble("app half-open", user, package)
            self.campaign.half_open.append(link)
            link.lose()

    def _do_app_late(self) -> None:
        if (found := self._some_app_link()) is not None:
            user, package, link = found
            self._nursery.start_soon(self._hold, link, user, package)

    def _do_app_server_down(self) -> None:
        app = self.campaign.apps[self.chance.choice(PACKAGES)]
        if app.process is not None:
            self._nursery.start_soon(self._down, app, self.chance.choice((0.05, 1.0, 8.0, 30.0)))

    def _do_webhook_500(self) -> None:
        self._nursery.start_soon(self._fail_webhooks, self.campaign.apps[self.chance.choice(PACKAGES)])

    def _do_webhook_hangs(self) -> None:
        self._nursery.start_soon(self._hang_webhooks, self.campaign.apps[self.chance.choice(PACKAGES)])

    def _do_store(self) -> None:
        self._nursery.start_soon(self._fail_store)

    def _do_speech_hangs(self) -> None:
        self._nursery.start_soon(self._stall_speech)

    def _do_speech_fails(self) -> None:
        self.campaign.trouble("speech fails")
        self.campaign.speech.fail()

    def _do_actor(self) -> None:
        """The next message, or one soon after, is the last of an actor's incarnation."""
        nodes = [node for node in self.campaign.server.system.tree().walk() if _is_crashable(node.path)]
        if not nodes:
            return
        ref = self.campaign.server.system.find(self.chance.choice(nodes).path)
        if ref is not None and ref.cell.actor is not None and "receive" not in ref.cell.actor.__dict__:
            self.campaign.world.note(f"arm {ref.path}")
            self._armed.append(ref.cell.actor)
            crash(ref, after=self.chance.randrange(4), chance=self.chance)

    def _do_kill(self) -> None:
        if self.campaign.is_up.is_set():
            self._nursery.start_soon(self._restart_server)

    def _do_clock(self) -> None:
        self.campaign.trouble("clock")
        self.campaign.clock.epoch_s += self.chance.choice((-3600.0, -5.0, 5.0, 3600.0, 86_400.0))

    def _do_choose(self) -> None:
        """A wearer starts what is off, or stops what is on."""
        wearer = self.chance.choice(self.campaign.wearers)
        package = self.chance.choice(PACKAGES)
        self.campaign.trouble("chosen", wearer.user, package)
        wearer.is_fickle.add(package)
        running = package in wearer.glasses.running_apps
        self._nursery.start_soon(wearer.glasses.stop_app if running else wearer.glasses.start_app, package)

    # Those that last

    async def _hold(self, link: Link, user: str, package: str) -> None:
        self.campaign.trouble("late", user, package)
        link.hold()
        await trio.sleep(self.chance.uniform(0.1, 3.0))
        link.release()

    async def _second_phone(self, user: str) -> None:
        """Another phone of the same user: each takes the session from the other."""
        other = self.campaign.glasses_of(user, is_second=True)
        self.campaign.trouble("takeover", user)
        with trio.move_on_after(self.chance.uniform(0.5, 15.0)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(other.run)
                seen = 0
                while True:
                    await other.wait_for(functools.partial(_has_connected, after=seen), timeout_s=1e9)
                    seen = other.connections
                    self.campaign.trouble("takeover", user)
        self.campaign.trouble("takeover", user)

    async def _down(self, app: App, for_s: float) -> None:
        self.campaign.trouble("down", ALL, app.package)
        app.down()
        await trio.sleep(self.chance.uniform(0.0, for_s))
        self.campaign.trouble("up", ALL, app.package)
        app.up()

    async def _fail_webhooks(self, app: App) -> None:
        app.is_failing = True
        await trio.sleep(self.chance.uniform(0.5, 8.0))
        app.is_failing = False

    async def _hang_webhooks(self, app: App) -> None:
        server = self.campaign.server
        self.campaign.trouble("unreachable", ALL, app.package)
        server.webhooks.faults[app.url] = self.chance.choice(("timeout", "too_slow", "unreachable", "dns"))
        await trio.sleep(self.chance.uniform(0.5, 8.0))
        server.webhooks.faults.pop(app.url, None)

    async def _fail_store(self) -> None:
        server = self.campaign.server
        self.campaign.trouble("store")
        if self.chance.random() < 0.5:
            server.store.outage = "the simulated disk is full"
        else:
            server.store.faults = StoreFaults(failure_rate=0.3, max_delay_s=0.5)
        await trio.sleep(self.chance.uniform(0.5, 6.0))
        server.store.outage, server.store.faults = None, StoreFaults()
        self.campaign.trouble("store well")

    async def _stall_speech(self) -> None:
        self.campaign.trouble("speech hangs")
        self.campaign.speech.stall()
        await trio.sleep(self.chance.uniform(0.5, 6.0))
        self.campaign.speech.resume()

    async def _restart_server(self) -> None:
        self.campaign.trouble("kill", ALL, ALL)
        self.campaign.kill_server()
        await trio.sleep(self.chance.uniform(0.05, 3.0))
        await self.campaign.start_server()


KINDS: Final = tuple(sorted(name.removeprefix("_do_") for name in dir(Faults) if name.startswith("_do_")))
OFTEN: Final = ("actor",) * 3
"""What is done more often than the rest: there are many actors."""


async def do_faults(
    campaign: Campaign, *, for_s: float, make: type[Faults] = Faults, further: tuple[str, ...] = ()
) -> None:
    """Do what the seed says for so long; all is mended when it returns.

    Args:
      make: what does them; `further` are the kinds it has beside `KINDS`.
    """
    until = trio.current_time() + for_s
    async with trio.open_nursery() as nursery:
        faults = make(campaign, nursery)
        while trio.current_time() < until:
            await trio.sleep(campaign.chance.uniform(0.1, 4.0))
            faults.do(campaign.chance.choice([*KINDS, *OFTEN, *further]))
    faults.disarm()


def _has_connected(glasses: Glasses, *, after: int) -> bool:
    return glasses.connections > after


def _is_crashable(path: str) -> bool:
    """Not the supervisors above all users, whose end is the process's, nor the services that hold sockets."""
    inside = path.removeprefix("/glasshouse/").split("/")
    if inside[0] == "users":
        return len(inside) >= 3
    return inside[0] in ("journal", "directory", "snapshots", "roster", "farewell") or inside[-1] == "doorman"


def is_provoked(error: BaseException) -> bool:
    return isinstance(error, SimulatedCrash)
