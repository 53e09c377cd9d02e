"""The server of a simulated run: the same tree by the same `assemble`, with the twin of everything outside
it.

Nothing here has a socket, a thread, a process or a time of its own: under a seed a whole day of reconnects
replays exactly. Clients reach it by `dial`, which gives them a byte stream, so the real clients run against
it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio
from quart_trio import QuartTrio
from trio.abc import HalfCloseableStream

from actors.assistant.rules import RulesModel
from actors.audio.udp import UdpDoor
from actors.domain import Domain, Ports, Urls
from actors.language_ports import LanguageModel
from actors.ports import Gate
from actors.service import ServiceSpec
from actors.webrtc.absent import NoMedia
from actors.webrtc.ports import Media
from adapters.http.hosting import HttpHost, open_http_host
from adapters.listener.head import Head, make_upgrade, read_head
from adapters.simulated.engine import SimulatedEngine
from adapters.simulated.lc3 import SimulatedLc3
from adapters.simulated.load import ScriptedLoad
from adapters.simulated.speech import ScriptedSpeech
from adapters.simulated.store import SimulatedDocuments, SimulatedStore
from adapters.simulated.synthesis import ToneSynthesis
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.translation import MarkingTranslator
from adapters.simulated.udp import SimulatedBoxes, SimulatedUdp
from adapters.simulated.voice import LoudVoices
from adapters.simulated.webhooks import SimulatedWebhooks
from adapters.websocket import ServerConnection, response_of
from config.assembly import World, assemble
from config.core_tokens import console_keys, core_tokens
from config.running import Running
from config.runtime_events import report
from config.settings import Settings
from config.speaking import tickets_for
from protocols import close_codes
from runtime import ActorSystem, ChildSpec, Ref, SupervisorMessage

CLIENT = ("192.0.2.7", 40_000)
SERVER = ("192.0.2.1", 80)

Streams = Callable[[], tuple[HalfCloseableStream, HalfCloseableStream]]


class SimulatedServer:
    """One server in a simulated world.

    Args:
      system: made with a seed.
      documents: what lies on the disk; hand it to the next server to restart this one.
      make_streams: the network's two ends, the client's first; without faults by default.
      media: where WebRTC's peers live; there are none by default.
      desks: what makes the desks' roster.

    Attributes:
      store, webhooks, speech, translator, synthesis, model, telemetry, tokens, load: the twins, whose faults
        the scenario plans.
    """

    def __init__(
        self,
        system: ActorSystem,
        *,
        settings: Settings | None = None,
        documents: SimulatedDocuments | None = None,
        webhooks: SimulatedWebhooks | None = None,
        speech: ScriptedSpeech | None = None,
        translator: MarkingTranslator | None = None,
        model: LanguageModel | None = None,
        make_streams: Streams | None = None,
        media: Media | None = None,
        desks: Callable[[Domain], ChildSpec[Any]] | None = None,
    ) -> None:
        self.system = system
        self.settings = settings or Settings(jwt_secret="simulated, and thirty-two bytes or more")
        self.telemetry = RecordingTelemetry()
        self.load = ScriptedLoad()
        self.store = SimulatedStore(random.Random(system.random.random()), documents=documents)
        self.webhooks = webhooks or SimulatedWebhooks(random.Random(system.random.random()))
        self.speech = speech or ScriptedSpeech()
        self.translator = translator or MarkingTranslator()
        self.model = model or RulesModel()
        self.synthesis = ToneSynthesis()
        self.tokens = core_tokens(self.settings, wall=system.clock.wall)
        self.media = media or NoMedia()
        self.desks = desks
        self._make_streams = make_streams
        self._engine: Running[SimulatedEngine[Head]] = Running()
        self._host: Running[HttpHost] = Running()
        self.udp: SimulatedUdp | None = None
        self.tree: Ref[SupervisorMessage] | None = None

    async def start(self) -> None:
        """Bring the tree up."""
        self.system.events.listen(lambda event: report(event, self.telemetry))
        ports = Ports(
            store=self.store,
            webhooks=self.webhooks,
            speech=(self.speech,),
            tokens=self.tokens,
            telemetry=self.telemetry,
            load=self.load,
            lc3=SimulatedLc3(),
            boxes=SimulatedBoxes(),
            media=self.media,
            voices=LoudVoices(),
            translator=self.translator,
            language_model=self.model,
            speaking=tickets_for(self.settings, self.synthesis),
        )
        services = ("recognisers", *(("peers",) if self.settings.webrtc.enabled else ()))
        world = World(
            ports=ports,
            media=tuple(ServiceSpec(name, trio.sleep_forever) for name in services),
            front=self._front,
            udp=self._run_udp,
            admin_token="simulated",
            process=lambda uptime_s: {"uptime_s": uptime_s, "cpu_s": 0, "memory_bytes": 0, "descriptors": 0},
            make_secret=lambda: f"{self.system.random.getrandbits(256):064x}",
            desks=self.desks,
            console_keys=console_keys(self.settings),
        )
        urls = Urls("https://glasshouse.example", "http://glasshouse.internal")
        self.tree = await self.system.spawn(
            assemble(self.system, settings=self.settings, urls=urls, world=world)
        )

    async def stop(self) -> None:
        """End in order, as SIGTERM does."""
        close = close_codes.SERVER_RESTARTING
        if self._engine.now is not None:
            self._engine.now.stop_accepting()
            await self._engine.now.close_all(close.code, close.reason)
        assert self.tree is not None
        self.system.stop_child(self.tree)
        await self.system.stopped(self.tree)

    async def dial(self, url: str) -> HalfCloseableStream:
        """The network as a client sees it, whatever the URL's host.

        Raises:
          ConnectionRefusedError: the server does not listen.
        """
        if self._engine.now is None:
            await trio.lowlevel.checkpoint()
            raise ConnectionRefusedError(f"nobody listens for {url}")
        return await self._engine.now.dial()

    def _run_udp(self, door: UdpDoor, public_host: str) -> Callable[[], Awaitable[object]]:
        self.udp = SimulatedUdp(door, public_host=public_host)
        return self.udp.run

    def _front(self, gates: Mapping[str, Gate], application: QuartTrio) -> Sequence[ServiceSpec]:
        async def run_engine() -> None:
            connect: Any = functools.partial(
                ServerConnection,
                settings=self.settings.engine,
                clock=trio.current_time,
                telemetry=self.telemetry,
            )
            engine = SimulatedEngine(
                gates=gates,
                connect=connect,
                read_head=read_head,
                make_upgrade=make_upgrade,
                response_of=response_of,
                http=self._serve_http,
                telemetry=self.telemetry,
                next_id=lambda: self.system.ids.next("connection"),
                make_streams=self._make_streams,
                node_name=self.settings.node_name or None,
            )
            with self._engine.is_now(engine):
                await engine.run()

        async def run_http() -> None:
            wall = self.system.clock.wall
            async with open_http_host(application, telemetry=self.telemetry, wall=wall) as host:
                with self._host.is_now(host):
                    await trio.sleep_forever()  # until the supervisor cancels it

        return (
            ServiceSpec("engine", run_engine),
            ServiceSpec("http", run_http),
            # The engine's twin reads the heads itself; the name stays, for the tree is one.
            ServiceSpec("listener", trio.sleep_forever),
        )

    async def _serve_http(self, stream: HalfCloseableStream) -> None:
        host = await self._host.wait()
        await host.serve(stream, client=CLIENT, server=SERVER)
