"""A stage for one crash: two wearers with their apps in a quiet world, a chapter that is played to them, and
what was seen of it.

The chapters are in `chapters`. Whoever crashes, what must hold afterwards is `judged`; how it differs from
the same chapter without the crash is what `docs/actors.md` says in its last column.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import trio

from actors.directory import DirectorySettings
from actors.display.arbitration import DisplaySettings
from actors.session.request_settings import RequestSettings
from actors.session.settings import SessionSettings
from actors.soga.settings import SogaSettings
from actors.webrtc.settings import WebrtcSettings
from clients.network import HttpAnswer, request
from clients.socket import DisconnectedError, Socket, hold
from config.settings import Settings
from runtime.testing import SimulatedCrash, World, simulate
from tests.simulation import rules
from tests.simulation.campaign import CLOUD_URL, Campaign
from tests.simulation.faults import is_provoked
from tests.simulation.peers import BUTTONS, CAPTIONS, KEY, App, Wearer

ADA, BOB = rules.USERS
GRACE_S: Final = 12.0
SETTINGS: Final = Settings(
    jwt_secret="simulated, and thirty-two bytes or more",
    session=SessionSettings(phone_grace_s=GRACE_S, free_takeovers=1),
    display=DisplaySettings(dashboard_package=BUTTONS),
    directory=DirectorySettings(webhooks_at_once=1),
    webrtc=WebrtcSettings(enabled=True),
    soga=SogaSettings(enabled=True, api_key="simulated"),
    requests=RequestSettings(light_s=1.0),
)
"""As it comes, but for a grace that a chapter can outlast, a second takeover that has to wait, a line for
webhooks where two want one, the buttons as the dashboard's app, WebRTC for a phone that has it, the
assistant's voice, and little patience with a phone that was asked for a light.
"""

PATIENCE_S: Final = 1.5
"""A wearer taps again when nothing has come of it."""

Play = Callable[["Stage"], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """What a chapter left behind.

    Attributes:
      began: how often each app heard `on_session`, by user and package.
      acks: how often each was acknowledged.
      connections: how often each phone was connected.
      lost: presses that reached not every app that ran for their wearer.
      took_s: the chapter, until all was well.
      reached: how often each fault point was, during the chapter.
      paths: of every actor there was at its end, or when the chapter noted them, by class name.
    """

    began: Mapping[tuple[str, str], int]
    acks: Mapping[tuple[str, str], int]
    connections: Mapping[str, int]
    lost: tuple[tuple[str, str, int], ...]
    took_s: float
    reached: Mapping[str, int]
    paths: Mapping[str, str]


class Stage:
    """What a chapter plays with."""

    def __init__(self, campaign: Campaign, nursery: trio.Nursery) -> None:
        self.campaign = campaign
        self.nursery = nursery
        self.ada: Wearer
        self.bob: Wearer
        self.paths: dict[str, str] = {}

    def app(self, package: str = CAPTIONS) -> App:
        return self.campaign.apps[package]

    async def begin(self) -> None:
        campaign = self.campaign
        await campaign.start_server()
        await campaign.add_apps()
        self.ada, self.bob = campaign.put_on(ADA), campaign.put_on(BOB)
        for wearer, packages in ((self.ada, (BUTTONS, CAPTIONS)), (self.bob, (BUTTONS,))):
            await wearer.glasses.wait_for(lambda phone: phone.is_connected)
            for package in packages:
                await self.start(wearer, package)
        await trio.sleep(1.5)  # the snapshots are written
        for problem in rules.wrong_now(campaign):
            raise rules.Red(f"before the chapter: {problem}")

    async def start(self, wearer: Wearer, package: str) -> None:
        """Start an app as its wearer does: tap, and tap again if nothing comes of it."""
        wearer.wanted.add(package)
        await self._tap(wearer, package, wearer.glasses.start_app, is_on=True)

    async def stop(self, wearer: Wearer, package: str) -> None:
        wearer.wanted.discard(package)
        await self._tap(wearer, package, wearer.glasses.stop_app, is_on=False)

    async def _tap(
        self, wearer: Wearer, package: str, tap: Callable[[str], Awaitable[bool]], *, is_on: bool
    ) -> None:
        while True:
            await tap(package)
            with trio.move_on_after(PATIENCE_S):
                while (package in wearer.glasses.running_apps) is not is_on:  # noqa: ASYNC110 - the phone shows it
                    await trio.sleep(0.02)
                await trio.sleep(rules.SHORT_S)  # what the app subscribes to is under way
                return

    async def use(self, wearer: Wearer, *, presses: int = 3) -> None:
        """Press and speak for a second."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(functools.partial(wearer.glasses.play, bytes(32_000), chunk_ms=250))
            for _ in range(presses):
                await wearer.press()
                await trio.sleep(1.0 / presses)

    async def until(self, holds: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        with trio.fail_after(timeout_s):
            while not holds():  # noqa: ASYNC110 - seen from outside
                await trio.sleep(0.05)

    def note_paths(self) -> None:
        """Remember where actors stand that are gone at the chapter's end."""
        self.paths.update(_paths(self.campaign))

    def is_well(self) -> bool:
        return not any(rules.wrong_now(self.campaign))

    async def well(self) -> None:
        await self.until(self.is_well, timeout_s=60.0)
        await trio.sleep(rules.SHORT_S)

    async def call(self, path: str, body: str = "{}", *, token: str = "simulated") -> HttpAnswer:
        """One HTTP call that is nobody's phone."""
        dial = functools.partial(self.campaign.dial, "http")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        method = "GET" if path.startswith("/api/admin") else "POST"
        return await request(method, f"{CLOUD_URL}{path}", connect=dial, headers=headers, body=body.encode())

    async def get(self, path: str, headers: Mapping[str, str]) -> HttpAnswer:
        """One question of an app server's."""
        dial = functools.partial(self.campaign.dial, "http")
        return await request("GET", f"{CLOUD_URL}{path}", connect=dial, headers=headers)

    async def rest(self, method: str, path: str, body: str = "", *, key: str | None = None) -> HttpAnswer:
        """One call of Ada's phone, or of the app of `key`, made again while a crash is what answers it."""
        while True:
            if key is None:
                answer = await self.ada.glasses.rest(method, path, body.encode())
            else:
                dial = functools.partial(self.campaign.dial, "http")
                headers = {"Authorization": f"Bearer {key}"}
                answer = await request(
                    method, f"{CLOUD_URL}{path}", connect=dial, headers=headers, body=body.encode()
                )
            if answer.status < 500:
                return answer
            await trio.sleep(0.3)

    async def call_for(self, app: App, call: str) -> HttpAnswer:
        """What an app server calls for."""
        body = f'{{"packageName":"{app.package}","apiKey":"{KEY}","webhookUrl":"{app.url}"}}'
        return await self.call(f"/api/app-server/{call}", body)

    async def stranger(self, *said: str, for_s: float) -> None:
        """Somebody at the apps' door who says this and nothing more, for so long or until it is shown out."""
        dial = functools.partial(self.campaign.dial, "stranger")
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(for_s):
                try:
                    socket: Socket = await nursery.start(
                        functools.partial(hold, f"{CLOUD_URL.replace('http', 'ws')}/app-ws", connect=dial)
                    )
                    for text in said:
                        await socket.send(text)
                    while True:
                        await socket.receive()
                except DisconnectedError:
                    pass
            nursery.cancel_scope.cancel()

    def crash(self, path: str) -> None:
        """Crash an actor between two messages, as the first of two."""
        ref = self.campaign.server.system.find(f"{self._root}/{path}")
        assert ref is not None, path
        ref.crash(SimulatedCrash(f"the chapter's, of {path}"))

    @property
    def _root(self) -> str:
        return "/glasshouse"


def played(play: Play, *, seed: int = 0, crash: str | None = None, after: int = 0) -> Seen:
    """Play a chapter, with one crash at the handler point `crash` when it is reached after `after` others.

    Raises:
      Red: what must hold of every chapter did not.
    """

    async def scenario(world: World) -> Seen:
        return await _run(world, play, crash, after)

    return simulate(f"{play.__name__} {seed}", scenario).result


async def _run(world: World, play: Play, crash: str | None, after: int) -> Seen:
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        campaign = Campaign(world, nursery, settings=SETTINGS, marks_handlers=True, has_scripted_desks=True)
        stage = Stage(campaign, nursery)
        await stage.begin()
        reached = dict(world.faults.reached)
        if crash is not None:
            world.faults.plan(crash, times=1, after=after)
        began_at = trio.current_time()
        with trio.fail_after(200.0):
            await play(stage)
        seen = {name: count - reached.get(name, 0) for name, count in world.faults.reached.items()}
        await _settle(campaign)
        took_s = trio.current_time() - began_at
        await rules.use(campaign)
        for at, path, error in campaign.crashes:
            if not is_provoked(error):
                raise rules.Red(f"crash: {path} at {at:.3f}: {error!r}")
        paths = {**stage.paths, **_paths(campaign)}
        rules.check_shape(campaign)
        result = Seen(
            began=_counts(campaign, lambda app: app.began),
            acks=_counts(campaign, lambda app: app.acks),
            connections={wearer.user: wearer.glasses.connections for wearer in campaign.wearers},
            lost=tuple(_lost(campaign)),
            took_s=took_s,
            reached={name: count for name, count in seen.items() if count},
            paths=paths,
        )
        await campaign.stop_server()
        nursery.cancel_scope.cancel()
    left = trio.lowlevel.current_statistics().tasks_living - tasks
    if left:
        raise rules.Red(f"leak: {left} tasks are left")
    return result


LONGEST_S: Final = 40.0
"""Beyond this nothing comes back by itself: the longest wait of a peer is that for a half-open app."""


async def _settle(campaign: Campaign) -> None:
    limit = trio.current_time() + LONGEST_S
    while problems := list(rules.wrong_now(campaign)):
        if trio.current_time() >= limit:
            raise rules.Red(f"never well again: {problems[0]}")
        await trio.sleep(0.05)


def _counts(campaign: Campaign, of: Callable[[App], Mapping[str, list[float]]]) -> dict[tuple[str, str], int]:
    return {
        (user, package): len(times)
        for package, app in campaign.apps.items()
        for user, times in of(app).items()
    }


def _lost(campaign: Campaign) -> list[tuple[str, str, int]]:
    """Presses that an app which got some of them did not get, and any that came twice or out of order."""
    lost = []
    for wearer in campaign.wearers:
        for package, app in campaign.apps.items():
            got = app.pressed.get(wearer.user, [])
            if sorted(set(got)) != got:
                raise rules.Red(f"press: {package} got {got} of {wearer.user}: twice or out of order")
            lost += [(wearer.user, package, number) for number, _ in wearer.presses if number not in got]
    return lost


def _paths(campaign: Campaign) -> dict[str, str]:
    system = campaign.server.system
    paths: dict[str, str] = {}
    for node in system.tree().walk():
        ref = system.find(node.path)
        actor = None if ref is None else ref.cell.actor
        if actor is not None:
            paths.setdefault(type(actor).__name__, node.path.removeprefix("/glasshouse/"))
    return paths
