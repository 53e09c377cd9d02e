"""The campaign of faults: wearers with phones, apps on app servers, and whatever a seed does to them.

The scene and its faults; what must hold is `rules`. The peers are the real clients, which keep the manners of
their originals: a phone dials again after 5 s, an app after 1, 2 and 4 s and then waits for a webhook. A
server is a process: an actor system of its own, over documents that outlive it. A killed one reaches nothing
any more, and dials wait for the next, since the listening socket is the keeper's.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Final

import trio
from trio.abc import HalfCloseableStream

from actors.ports import AppDocument, Permission, PutApp, StorageError
from adapters.simulated.speech import ScriptedSpeech, ScriptedUtterance
from adapters.simulated.store import SimulatedDocuments, SimulatedStore
from clients.coded_audio import word
from clients.glasses import Glasses
from config.settings import Settings
from config.simulated import SimulatedServer
from runtime import CrashReport, open_system
from runtime.testing import Link, World
from tests.actors.media import ScriptedMedia
from tests.actors.soga.desks import Desks
from tests.simulation.peers import KEY, PACKAGES, App, JumpingClock, Trouble, Wearer
from tests.simulation.webrtc import Negotiator, speak

CLOUD_URL: Final = "http://glasshouse.example"
TOKEN_AGE_S: Final = 30 * 86_400.0
SECOND: Final = word(0, 1.0)  # somebody speaks: silence would be withheld from the recogniser
SCRIPT: Final = (ScriptedUtterance(text="we hear you", start_s=0.1, end_s=0.6, final_delay_s=0.1),)


class Campaign:
    """One run: who takes part, what is broken, what was seen.

    Args:
      settings: of every server; as they come by default.
      marks_handlers: every handler of every actor passes fault points (`runtime.testing.handler_point`).
      has_webrtc: every phone has WebRTC and uses it; `settings` say whether they may.
      has_scripted_desks: every desk does what `desks` says, instead of what the store does.

    Attributes:
      links: every connection to who dialled it, a user or a package.
      half_open: those of them that carry nothing any more, in at least one direction.
      troubles: in order.
      crashes: every crash report's time, path and error.
      faults: how often each kind of fault was done.
      media: of the present server.
      desks: what the users' assistants and computers do, whatever server asks, where they are scripted.
    """

    def __init__(
        self,
        world: World,
        nursery: trio.Nursery,
        *,
        settings: Settings | None = None,
        marks_handlers: bool = False,
        has_webrtc: bool = False,
        has_scripted_desks: bool = False,
    ) -> None:
        self.world = world
        self.chance = world.random
        self.nursery = nursery
        self.clock = JumpingClock()
        self.documents = SimulatedDocuments()
        self.speech = ScriptedSpeech(default=SCRIPT, repeat_s=1.0)
        self.links: dict[Link, str] = {}
        self.half_open: list[Link] = []
        self.troubles: list[Trouble] = []
        self.crashes: list[tuple[float, str, BaseException]] = []
        self.faults: dict[str, int] = {}
        self.apps = {package: App(self, package) for package in PACKAGES}
        self.wearers: list[Wearer] = []
        self.server: SimulatedServer
        self.is_up = trio.Event()
        self._outage: str | None = None
        self._catalogue_from = 0.0
        self._worn: dict[str, trio.CancelScope] = {}
        self._settings = settings
        self._marks_handlers = marks_handlers
        self._has_webrtc = has_webrtc
        self._has_scripted_desks = has_scripted_desks
        self.media = ScriptedMedia()
        self.desks = Desks()
        self._tokens: dict[str, str] = {}
        self._ends: dict[HalfCloseableStream, Link] = {}
        self._kill = trio.Event()
        self._gone = trio.Event()
        self._processes = 0

    # The server and the network

    async def start_server(self, *, outage: str | None = None, catalogue_outage_s: float = 0.0) -> None:
        """The next process, over the documents of those before it.

        Args:
          outage: what its store says at first, to everything.
          catalogue_outage_s: how long it cannot read the catalogue of apps.
        """
        self._outage = outage
        self._catalogue_from = trio.current_time() + catalogue_outage_s
        self._kill, self._gone = trio.Event(), trio.Event()
        await self.nursery.start(self._live, self._kill, self._gone)
        self.is_up.set()

    def kill_server(self) -> None:
        """As kill -9: from here on it reaches neither disk nor network."""
        self.is_up = trio.Event()
        for link in self.links:
            link.reset()
        self._kill.set()

    async def _live(self, kill: trio.Event, gone: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        self._processes += 1
        name = f"glasshouse {self._processes}"
        async with open_system(name, clock=self.clock, seed=f"{name} {self.world.seed}") as system:
            self.world.observe(system)
            if self._marks_handlers:
                self.world.mark_handlers(system)
            system.events.listen(self._note_crash)
            self.media = ScriptedMedia()
            server = SimulatedServer(
                system,
                settings=self._settings,
                documents=self.documents,
                speech=self.speech,
                make_streams=self._streams,
                media=self.media,
                desks=self.desks.spec if self._has_scripted_desks else None,
            )
            self.server = server
            server.store.outage = self._outage
            self._hide_catalogue(server.store)
            await server.start()
            for app in self.apps.values():
                app.serve_on(server)
            task_status.started()
            await kill.wait()
            await server.store.aclose()
            await server.webhooks.aclose()
        gone.set()

    def _hide_catalogue(self, store: SimulatedStore) -> None:
        read = store.list_apps

        async def list_apps() -> tuple[AppDocument, ...]:
            if trio.current_time() < self._catalogue_from:
                raise StorageError("the simulated catalogue is on another disk")
            return await read()

        store.list_apps = list_apps  # type: ignore[method-assign]

    async def stop_server(self) -> None:
        """In order, as by SIGTERM."""
        await self.server.stop()
        self._kill.set()
        await self._gone.wait()

    def _note_crash(self, event: object) -> None:
        if isinstance(event, CrashReport):
            self.crashes.append((trio.current_time(), event.path, event.error))

    def _streams(self) -> tuple[HalfCloseableStream, HalfCloseableStream]:
        link = self.world.link(delay_s=self.chance.choice((0.001, 0.01, 0.05)))
        self._ends[link.near] = link
        return link.near, link.far

    async def dial(self, owner: str, url: str) -> HalfCloseableStream:
        """The network: whoever dials reaches the server that is up, or waits for the next."""
        await self.is_up.wait()
        stream = await self.server.dial(url)
        self.links[self._ends.pop(stream)] = owner
        return stream

    def link_of(self, user: str, package: str) -> Link | None:
        """The connection of an app session; the client keeps it to itself."""
        session = self.apps[package].session_of(user)
        socket = None if session is None else session._socket
        if socket is None:
            return None
        stream: object = getattr(socket._stream, "_stream", None)  # below what watches it
        return next((link for link in self.links if link.near is stream), None)

    def phone_link(self, user: str) -> Link | None:
        """The newest connection that the user's phone dialled."""
        return next((link for link, owner in reversed(self.links.items()) if owner == user), None)

    def is_phone_well(self, wearer: Wearer) -> bool:
        """Whether the phone has its session, on a connection that works."""
        return wearer.glasses.is_connected and self.phone_link(wearer.user) not in self.half_open

    def is_app_well(self, user: str, package: str) -> bool:
        """Whether the app has the user's session, on a connection that works."""
        session = self.apps[package].session_of(user)
        is_connected = session is not None and session.is_connected
        return is_connected and self.link_of(user, package) not in self.half_open

    # The peers

    async def add_apps(self) -> None:
        for package in PACKAGES:
            document = AppDocument(
                package_name=package,
                public_url=self.apps[package].url,
                hashed_api_key=hashlib.sha256(KEY.encode()).hexdigest(),
                name=package,
                permissions=(Permission("ALL"),),
            )
            await self.server.store.commit([PutApp(document)])
            self.apps[package].up()

    def glasses_of(self, user: str, *, is_second: bool = False) -> Glasses:
        dial = functools.partial(self.dial, f"{user}, second" if is_second else user)
        return Glasses(CLOUD_URL, self._tokens[user], connect=dial, wall=self.clock.wall)

    def put_on(self, user: str) -> Wearer:
        # A token that is older than any jump of the clock: one from the future is refused.
        self.clock.epoch_s -= TOKEN_AGE_S
        self._tokens[user] = self.server.tokens.mint(user, expires_s=None)
        self.clock.epoch_s += TOKEN_AGE_S
        wearer = Wearer(user, self.glasses_of(user))
        self.wearers.append(wearer)
        self.switch_on(wearer)
        return wearer

    def switch_on(self, wearer: Wearer) -> None:
        """Let the phone dial, and dial again whenever it is lost."""
        scope = self._worn[wearer.user] = trio.CancelScope()
        self.nursery.start_soon(self._wear, wearer, scope)

    def take_off(self, wearer: Wearer) -> None:
        """The phone is switched off: it closes its connection."""
        self._worn[wearer.user].cancel()

    async def _wear(self, wearer: Wearer, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                if self._has_webrtc:
                    nursery.start_soon(Negotiator(wearer.glasses).run)
                await wearer.glasses.run()

    async def live(self, wearer: Wearer) -> None:
        """Press and speak until cancelled."""
        while True:
            await trio.sleep(self.chance.uniform(0.2, 1.5))
            await wearer.press()
            if self.chance.random() < 0.3:
                await wearer.glasses.play(SECOND, chunk_ms=250)
            if self._has_webrtc and self.chance.random() < 0.3:
                await speak(self.media.living(), 0.5)

    # What was done

    def trouble(self, kind: str, user: str = "", package: str = "") -> None:
        self.troubles.append(Trouble(trio.current_time(), kind, user, package))
        self.world.note(f"trouble {kind} {user} {package}")
