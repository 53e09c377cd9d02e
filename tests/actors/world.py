"""The whole tree without sockets: real gates and actors, connections and app servers in memory.

What a phone or an app would send is said into a `FakeConnection`; what it would receive is read from it. Time
is virtual, so a test waits for hours in no time.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
import trio.testing

from actors.assistant.rules import RulesModel
from actors.domain import Domain, DomainSettings, Ports, Urls
from actors.front.app_gate import AppGate
from actors.front.app_upgrade import AppUpgrades
from actors.front.glasses_gate import GlassesGate
from actors.glasshouse import Glasshouse, Hall
from actors.language_ports import LanguageModel, Translator
from actors.ports import (
    Admitted,
    AppDocument,
    CloseInfo,
    ConnectionHandler,
    ConnectionHealth,
    Lane,
    Outgoing,
    Permission,
    PutApp,
    Refused,
    SpeechEvent,
    SpeechProgress,
    SpeechProvider,
    SpeechRequest,
    Upgrade,
    Voices,
    WebhookAnswer,
)
from actors.service import ServiceSpec
from actors.speaking import Speaking
from actors.tracing import Tracer
from actors.webrtc.absent import NoMedia
from actors.webrtc.ports import Media
from adapters.simulated.lc3 import SimulatedLc3
from adapters.simulated.load import ScriptedLoad
from adapters.simulated.store import SimulatedDocuments, SimulatedStore
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.udp import SimulatedBoxes
from adapters.simulated.voice import LoudVoices
from adapters.simulated.webhooks import Call, SimulatedWebhooks
from adapters.tokens import CoreTokens
from runtime import ActorSystem, ChildSpec, Ref, open_system

ADA = "ada@example.org"
CAPTIONS = "org.example.captions"
KEY = "key-of-captions"
SECRET = "a secret of thirty-two bytes or more"


class FakeConnection:
    """`actors.ports.Connection` that keeps what is sent. Its peer speaks through `say`, `stream` and
    `hang_up`.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.id = name
        self.peer = "192.0.2.1:5000"
        self.is_open = True
        self.health = ConnectionHealth(opened_at=now(), last_activity_at=now())
        self.waiting_bytes = 0
        self.sent: list[Outgoing] = []
        self.closed_with: tuple[int, str] | None = None
        self.pings = 0
        self.on_send: Callable[[Outgoing], None] = lambda message: None
        self._now = now
        self._handler: ConnectionHandler | None = None

    # what the actors call

    def send(self, message: Outgoing) -> bool:
        if self.is_open:
            self.sent.append(message)
            self.on_send(message)
        return self.is_open

    def ping(self) -> None:
        self.pings += 1
        self.health.missed_pongs += 1

    def close(self, code: int, reason: str = "") -> None:
        if self.is_open:
            self.closed_with = (code, reason)
            self._end(CloseInfo(code=code, reason=reason, by_us=True))

    def abort(self) -> None:
        self._end(CloseInfo(code=1006, by_us=True, was_reset=True))

    def bind(self, handler: ConnectionHandler) -> None:
        self._handler = handler

    # what the peer does

    def open(self, handler: ConnectionHandler) -> None:
        self._handler = handler
        handler.opened(self)

    def say(self, message: Mapping[str, object] | bytes) -> None:
        self.health.last_activity_at = self._now()
        payload = message if isinstance(message, bytes) else msgspec.json.encode(message)
        assert self._handler is not None
        self._handler.text(self, payload)

    def stream(self, frame: bytes) -> None:
        self.health.last_activity_at = self._now()
        assert self._handler is not None
        self._handler.binary(self, frame)

    def hang_up(self, code: int = 1006) -> None:
        self._end(CloseInfo(code=code, was_reset=code == 1006))

    def _end(self, info: CloseInfo) -> None:
        if self.is_open:
            self.is_open = False
            assert self._handler is not None
            self._handler.closed(self, info)

    # what the test reads

    def heard(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The text messages so far, those of type `kind` only if it is given."""
        messages = [msgspec.json.decode(sent.payload) for sent in self.sent if sent.is_text]
        return [message for message in messages if kind is None or message["type"] == kind]

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.heard()]

    def texts(self) -> list[str]:
        """The text of every text_wall shown on it."""
        layouts = [message["layout"] for message in self.heard("display_event")]
        return [layout["text"] for layout in layouts if layout["layoutType"] == "text_wall"]

    def frames(self) -> list[bytes]:
        return [sent.payload for sent in self.sent if sent.lane is Lane.AUDIO]

    def running(self) -> list[str]:
        """The running list as the phone last heard it."""
        sessions: list[str] = self.heard("app_state_change")[-1]["userSession"]["activeAppSessions"]
        return sessions


class PuppetStream:
    """A recogniser's stream whose words the test speaks."""

    def __init__(
        self, provider: PuppetSpeech, request: SpeechRequest, emit: Callable[[SpeechEvent], None]
    ) -> None:
        self.provider = provider
        self.request = request
        self.emit = emit
        self.offered = b""
        self.finalized = 0
        self.is_running = False
        self.progress = SpeechProgress()
        self.failure: Exception | None = None
        self._failed = trio.Event()

    def offer(self, pcm: bytes) -> None:
        self.offered += pcm

    def finalize(self) -> None:
        self.finalized += 1

    def fail(self, error: Exception) -> None:
        self.failure = error
        self._failed.set()

    async def run(self) -> None:
        self.is_running = True
        try:
            await self._failed.wait()
            assert self.failure is not None
            raise self.failure
        finally:
            self.is_running = False


class PuppetSpeech:
    """A recogniser that says what the test tells it to."""

    name = "puppet"

    def __init__(self) -> None:
        self.streams: list[PuppetStream] = []

    def supports(self, language: str) -> bool:
        return language in ("en-US", "fr-FR")

    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> PuppetStream:
        stream = PuppetStream(self, request, emit)
        self.streams.append(stream)
        return stream

    def running(self) -> list[PuppetStream]:
        return [stream for stream in self.streams if stream.is_running]


class AppServer:
    """An app server in the simulated network: answers webhooks and dials as the SDK does."""

    def __init__(
        self, world: World, package: str, key: str, url: str, subscriptions: Sequence[object]
    ) -> None:
        self.world = world
        self.package = package
        self.key = key
        self.url = url
        self.subscriptions = list(subscriptions)
        self.requests: list[dict[str, Any]] = []
        self.connections: list[FakeConnection] = []
        self.dials = True
        self.status = 200

    @property
    def connection(self) -> FakeConnection:
        return self.connections[-1]

    def kinds(self) -> list[str]:
        return [request["type"] for request in self.requests]

    def up(self) -> None:
        self.world.webhooks.serve(self.url, self._answer)

    def down(self) -> None:
        """The process dies: its sockets are reset, nobody listens."""
        self.world.webhooks.remove(self.url)
        for connection in self.connections:
            connection.hang_up()

    async def dial(self, session_id: str, *, key: str | None = None) -> FakeConnection:
        connection = self.world.connect()
        connection.open(await self.world.app_handler())
        init = {"type": "tpa_connection_init", "sessionId": session_id, "packageName": self.package}
        connection.say({**init, "apiKey": self.key if key is None else key})
        await self.world.settle()
        return connection

    async def come_back(self) -> FakeConnection:
        """Dial by itself, as the SDK does after a lost socket; its list of subscriptions follows the ack."""
        connection = await self.dial(f"{ADA}-{self.package}")
        self.connections.append(connection)
        if connection.is_open:
            self.subscribe()
        await self.world.settle()
        return connection

    async def _answer(self, call: Call) -> WebhookAnswer:
        if call.path != "/webhook":
            return WebhookAnswer(200)
        request = msgspec.json.decode(call.body)
        self.requests.append(request)
        if request["type"] == "session_request" and self.dials and self.status == 200:
            connection = await self.dial(request["sessionId"])
            self.connections.append(connection)
            self.subscribe()
        return WebhookAnswer(self.status, b'{"status":"success"}')

    def subscribe(self, *subscriptions: object) -> None:
        wanted = list(subscriptions) or self.subscriptions
        update = {"type": "subscription_update", "packageName": self.package, "subscriptions": wanted}
        self.connection.say(update)

    def show(self, text: str, **fields: object) -> None:
        layout = {"layoutType": "text_wall", "text": text}
        self.connection.say(
            {"type": "display_event", "packageName": self.package, "layout": layout, **fields}
        )


class World:
    """One server's tree and everything around it."""

    def __init__(
        self,
        system: ActorSystem,
        documents: SimulatedDocuments,
        recognisers: Sequence[SpeechProvider] | None = None,
        media: Media | None = None,
        voices: Voices | None = None,
        translator: Translator | None = None,
        model: LanguageModel | None = None,
        desks: Callable[[Domain], ChildSpec[Any]] | None = None,
        speaking: Speaking | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.tracer = tracer
        self.system = system
        self.model = model or RulesModel()
        self.desks = desks
        self.speaking = speaking
        self.translator = translator
        self.store = SimulatedStore(random.Random(1), documents=documents)
        self.webhooks = SimulatedWebhooks(random.Random(2))
        self.telemetry = RecordingTelemetry()
        self.load = ScriptedLoad()
        self.tokens = CoreTokens((SECRET,), wall=system.clock.wall)
        self.speech = PuppetSpeech()
        self.recognisers = recognisers or (self.speech,)
        self.media = media or NoMedia()
        self.voices = voices or LoudVoices()
        self.hall: Hall | None = None
        self._count = 0

    async def start(self, settings: DomainSettings, *, is_taking_over: bool = False) -> None:
        def front(hall: Hall) -> Sequence[ServiceSpec]:
            self.hall = hall
            return ()

        ports = Ports(
            store=self.store,
            webhooks=self.webhooks,
            speech=self.recognisers,
            tokens=self.tokens,
            telemetry=self.telemetry,
            load=self.load,
            lc3=SimulatedLc3(),
            boxes=SimulatedBoxes(),
            media=self.media,
            voices=self.voices,
            translator=self.translator,
            language_model=self.model,
            speaking=self.speaking,
            tracer=self.tracer,
        )
        spec = ChildSpec(
            "glasshouse",
            lambda: Glasshouse(
                ports=ports,
                settings=settings,
                urls=Urls("https://glass.example.org", "http://127.0.0.1:8002"),
                media=(),
                front=front,
                is_taking_over=is_taking_over,
                desks=self.desks,
            ),
        )
        self.tree = await self.system.spawn(spec)
        assert self.hall is not None
        self.glasses_gate = GlassesGate(
            system=self.system,
            tokens=self.tokens,
            roster=self.hall.roster,
            telemetry=self.telemetry,
            settings=settings.front_door,
            limits=settings.limits,
            overload=self.hall.domain.overload,
            snapshots=self.hall.domain.snapshots,
            udp=self.hall.domain.udp,
        )
        upgrades = AppUpgrades(
            system=self.system,
            tokens=self.tokens,
            directory=self.hall.domain.directory,
            telemetry=self.telemetry,
            settings=settings.front_door,
        )
        self.app_gate = AppGate(doorman=self.hall.doorman, limits=settings.limits, upgrades=upgrades)

    async def app_handler(self, headers: Mapping[str, str] | None = None) -> ConnectionHandler:
        """What hears an app's socket whose upgrade is admitted."""
        admitted = await self.app_gate.admit(upgrade("/app-ws", headers))
        assert isinstance(admitted, Admitted), admitted
        return admitted.handler

    async def die(self) -> None:
        """As by kill -9: from here on nothing reaches the disk, whatever the tree still does."""
        await self.store.aclose()

    async def settle(self) -> None:
        """Wait until everybody waits."""
        await trio.testing.wait_all_tasks_blocked()

    def connect(self) -> FakeConnection:
        self._count += 1
        return FakeConnection(f"connection-{self._count}", self.system.clock.now)

    def find(self, path: str) -> Ref[Any]:
        ref = self.system.find(f"/glasshouse/{path}")
        assert ref is not None, f"no actor at {path}"
        return ref

    async def admit(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Admitted | Refused:
        return await self.glasses_gate.admit(upgrade("/glasses-ws", headers, query))

    async def phone(
        self, user: str = ADA, *, token_in_query: bool = True, query: Mapping[str, str] | None = None
    ) -> FakeConnection:
        """A phone that has dialled in."""
        token = self.tokens.mint(user, expires_s=None)
        query = {**(query or {}), **({"token": token} if token_in_query else {})}
        headers = {} if token_in_query else {"authorization": f"Bearer {token}"}
        admitted = await self.admit(headers, query)
        assert isinstance(admitted, Admitted)
        connection = self.connect()
        connection.open(admitted.handler)
        await self.settle()
        return connection

    async def app_server(
        self,
        package: str = CAPTIONS,
        *,
        subscriptions: Sequence[object] = ("transcription:en-US", "audio_chunk", "button_press"),
        permissions: Sequence[str] = ("ALL",),
        key: str = KEY,
        **fields: Any,
    ) -> AppServer:
        """An app in the catalogue whose server is up."""
        app = AppDocument(
            package_name=package,
            public_url=f"https://{package}.example.org",
            hashed_api_key=hashlib.sha256(key.encode()).hexdigest(),
            name=fields.pop("name", package),
            permissions=tuple(Permission(name) for name in permissions),
            **fields,
        )
        await self.store.commit([PutApp(app)])
        return self.known_server(package, subscriptions=subscriptions, key=key)

    def known_server(
        self,
        package: str = CAPTIONS,
        *,
        subscriptions: Sequence[object] = ("transcription:en-US", "audio_chunk", "button_press"),
        key: str = KEY,
    ) -> AppServer:
        """The server of an app that is in the catalogue already, up."""
        server = AppServer(self, package, key, f"https://{package}.example.org", subscriptions)
        server.up()
        return server

    async def running_app(self, phone: FakeConnection, package: str = CAPTIONS, **fields: Any) -> AppServer:
        """An app that runs for the phone's user, its boot screen over and its subscriptions told."""
        server = await self.app_server(package, **fields)
        phone.say({"type": "start_app", "packageName": package})
        await trio.sleep(2)
        assert package in phone.running()
        return server


@asynccontextmanager
async def open_world(
    documents: SimulatedDocuments | None = None,
    settings: DomainSettings | None = None,
    *,
    outage: str | None = None,
    recognisers: Sequence[SpeechProvider] | None = None,
    media: Media | None = None,
    voices: Voices | None = None,
    translator: Translator | None = None,
    model: LanguageModel | None = None,
    desks: Callable[[Domain], ChildSpec[Any]] | None = None,
    speaking: Speaking | None = None,
    tracer: Tracer | None = None,
) -> AsyncIterator[World]:
    """A server's tree, stopped in order at the end of the block.

    Args:
      outage: fails the store from the start.
      recognisers: instead of the puppet.
      media: where WebRTC's peers live; there are none by default.
      voices: instead of the detector's twin.
      model: what the assistant thinks with; rules unless given.
      translator, speaking, tracer: none unless given.
      desks: makes a roster of desks that do what a test says.
    """
    async with open_system("test", seed=1) as system:
        world = World(
            system,
            documents or SimulatedDocuments(),
            recognisers,
            media,
            voices,
            translator,
            model,
            desks,
            speaking,
            tracer,
        )
        world.store.outage = outage
        await world.start(settings or DomainSettings())
        yield world


def upgrade(
    path: str, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> Upgrade:
    return Upgrade(path=path, query=query or {}, headers=headers or {}, peer="192.0.2.1:5000")
