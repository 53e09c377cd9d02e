"""The assembly: the one place that knows every room.

`assemble` makes the tree; `serve` and the simulated runs both call it, and only the `World` they hand in
differs (a test compares both trees). What is built here is wired, never decided: decisions are the rooms'.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from quart_trio import QuartTrio

from actors.audio.udp import UdpDoor
from actors.console.ports import ConsoleKeys, SessionLogs
from actors.desktop.entrance import DaemonEntrance
from actors.directory import ListServers
from actors.domain import Domain, Ports, Urls
from actors.front.app_gate import AppGate
from actors.front.app_upgrade import AppUpgrades
from actors.front.daemon_gate import DaemonGate
from actors.front.glasses_gate import GlassesGate
from actors.front.rated_gate import RatedGate
from actors.glasshouse import Glasshouse, Hall
from actors.ports import Gate
from actors.service import ServiceSpec
from adapters.http import openapi
from adapters.http.admin_routes import admin_routes
from adapters.http.app_routes import app_routes
from adapters.http.app_server_routes import app_server_routes
from adapters.http.application import create_application
from adapters.http.assistant_routes import assistant_routes
from adapters.http.audio_routes import audio_routes
from adapters.http.computer_routes import computer_routes
from adapters.http.console import House, Pages, console_routes
from adapters.http.daemon_routes import daemon_routes
from adapters.http.daemon_test_routes import daemon_test_routes
from adapters.http.desk import Desk
from adapters.http.document_routes import document_routes
from adapters.http.glasses_routes import glasses_routes
from adapters.http.hardware_routes import hardware_routes
from adapters.http.home_routes import home_routes
from adapters.http.hosts import host_check
from adapters.http.identity_routes import identity_routes
from adapters.http.metrics_routes import metrics_routes
from adapters.http.phone_routes import phone_routes
from adapters.http.rates import rate_limits
from adapters.http.settings_routes import settings_routes
from adapters.http.speech_routes import speech_routes
from adapters.http.storage_routes import storage_routes
from adapters.http.table import LARGE_BODIES, ROUTES
from adapters.http.tool_routes import tool_routes
from adapters.http.transcript_routes import transcript_routes
from adapters.http.usage_routes import usage_routes
from adapters.metrics import CONTENT_TYPE, Collector, UsageKeeper, expose
from adapters.telemetry import MemoryLogs
from config import __version__
from config.identities import provider_tokens, webview_signer
from config.settings import Settings
from protocols import paths
from runtime import ActorSystem, ChildSpec, SupervisorMessage

TREE: Final = "glasshouse"

_BROWSER_GLASSES: Final = Path(__file__).parent.parent / "clients" / "browser_glasses"
"""The rooms lie side by side wherever they are installed."""


@dataclass(frozen=True)
class World:
    """What the real server and a simulated one have different.

    Attributes:
      ports: the outside.
      media: services that recognise speech.
      udp: what runs the microphone's datagrams, given their door and the host that phones are told.
      front: the services that let peers in, in the order they start, given the gates by path and the
        application.
      admin_token: for the administration's routes.
      make_secret: 32 random bytes as URL-safe text, for daemons' tokens, apps' keys and the console's
        logins.
      console_keys: what the console signs with.
      desks: makes the desks' roster, where a test has one that does what it says.
      health: what the outside has to say in `GET /health`; another `status` than ok where something is wrong.
      is_taking_over: another server still writes what the desks would read; see `config.taking`.
      process: figures of the process that serves since so long.
      logs: what the log said lately, for the console.
    """

    ports: Ports
    media: Sequence[ServiceSpec]
    front: Callable[[Mapping[str, Gate], QuartTrio], Sequence[ServiceSpec]]
    udp: Callable[[UdpDoor, str], Callable[[], Awaitable[object]]]
    admin_token: str
    process: Callable[[float], Mapping[str, float]]
    make_secret: Callable[[], str]
    console_keys: ConsoleKeys
    desks: Callable[[Domain], ChildSpec[Any]] | None = None
    health: Callable[[], Mapping[str, object]] = dict
    is_taking_over: bool = False
    logs: SessionLogs = field(default_factory=MemoryLogs)


def assemble(
    system: ActorSystem, *, settings: Settings, urls: Urls, world: World
) -> ChildSpec[SupervisorMessage]:
    """The whole tree as one child of the system's root."""

    def front(hall: Hall) -> Sequence[ServiceSpec]:
        services = world.front(
            gates(system, hall, world.ports), application(system, hall, settings, urls, world)
        )
        if not settings.udp.enabled:
            return services
        return (*services, ServiceSpec("udp", world.udp(hall.domain.udp, udp_host(settings, urls))))

    soga = msgspec.structs.replace(settings.soga, api_key=settings.soga.api_key or world.make_secret())
    domain = msgspec.structs.replace(settings.domain, soga=soga)
    return ChildSpec(
        name=TREE,
        factory=lambda: Glasshouse(
            ports=world.ports,
            settings=domain,
            urls=urls,
            media=(*world.media, *usage_of(system, settings, world.ports)),
            front=front,
            is_taking_over=world.is_taking_over,
            desks=world.desks,
        ),
        start_s=30.0,
        shutdown_s=10.0,
    )


def usage_of(system: ActorSystem, settings: Settings, ports: Ports) -> Sequence[ServiceSpec]:
    """What keeps each wearer's use of the day, where that is wanted."""
    if not settings.usage_days:
        return ()
    keeper = UsageKeeper(
        system, ports.store, ports.telemetry, users=f"/{TREE}/users", keep_days=settings.usage_days
    )
    return (ServiceSpec("usage", keeper.run),)


def udp_host(settings: Settings, urls: Urls) -> str:
    """Where phones reach the microphone's port: as they reach the server, if no setting says otherwise."""
    return settings.udp.public_host or urlsplit(urls.public).hostname or settings.host


def gates(system: ActorSystem, hall: Hall, ports: Ports) -> Mapping[str, Gate]:
    """Who may upgrade, by path without the owner's prefix."""
    upgrades = AppUpgrades(
        system=system,
        tokens=ports.tokens,
        directory=hall.domain.directory,
        telemetry=ports.telemetry,
        settings=hall.domain.settings.front_door,
    )
    apps = AppGate(doorman=hall.doorman, limits=hall.domain.settings.limits, upgrades=upgrades)
    glasses = GlassesGate(
        system=system,
        tokens=ports.tokens,
        roster=hall.roster,
        telemetry=ports.telemetry,
        settings=hall.domain.settings.front_door,
        limits=hall.domain.settings.limits,
        overload=hall.domain.overload,
        snapshots=hall.domain.snapshots,
        udp=hall.domain.udp,
    )
    daemons = DaemonGate(entrance=entrance(system, hall), limits=hall.domain.settings.limits)
    doors: Mapping[str, Gate] = {
        paths.GLASSES: glasses,
        paths.APP: apps,
        paths.APP_ALIAS: apps,
        paths.DAEMON: daemons,
    }
    return {
        path: RatedGate(
            gate,
            rates=hall.domain.rates,
            system=system,
            telemetry=ports.telemetry,
            proxy_hops=hall.domain.settings.front_door.proxy_hops,
        )
        for path, gate in doors.items()
    }


def entrance(system: ActorSystem, hall: Hall) -> DaemonEntrance:
    """Who tells desktop daemons apart."""
    ports = hall.domain.ports
    return DaemonEntrance(
        desks=hall.desks,
        store=ports.store,
        settings=hall.domain.settings.desktop,
        telemetry=ports.telemetry,
        wall=system.clock.wall,
    )


def console(system: ActorSystem, hall: Hall, settings: Settings, urls: Urls, world: World) -> Pages:
    """The pages for people."""
    house = House(
        path=f"/{TREE}",
        directory=hall.domain.directory,
        roster=hall.roster,
        store=world.ports.store,
        logs=world.logs,
        allow_kill=settings.admin.allow_kill,
        make_key=world.make_secret,
    )
    return console_routes(
        system=system,
        house=house,
        sessions=hall.console.sessions,
        readers=hall.console.pages,
        desks=hall.desks,
        tokens=world.ports.tokens,
        keys=world.console_keys,
        settings=settings.console,
        telemetry=world.ports.telemetry,
        public_url=urls.public,
        wall=system.clock.wall,
        new_id=world.make_secret,
    )


@functools.cache
def described() -> Mapping[str, Any]:
    """The OpenAPI document of all routes, made when the first one asks for it."""
    return openapi.document(ROUTES, version=__version__)


def application(system: ActorSystem, hall: Hall, settings: Settings, urls: Urls, world: World) -> QuartTrio:
    """The HTTP application with its routes."""
    ports = world.ports
    wall = system.clock.wall
    directory = hall.domain.directory
    started_at = system.clock.now()
    daemons = entrance(system, hall)
    has_tests = settings.desktop.test_endpoints
    tests = (daemon_test_routes(entrance=daemons, wall=wall),) if has_tests else ()

    desk = Desk(
        tokens=ports.tokens,
        identity=provider_tokens(settings, wall=wall),
        webviews=webview_signer(settings, wall=wall),
        directory=directory,
        roster=hall.roster,
        cabinet=hall.domain.cabinet,
        store=ports.store,
        webhooks=ports.webhooks,
        telemetry=ports.telemetry,
        wall=wall,
        urls=hall.domain.urls,
        limits=settings.cabinet,
        token_s=settings.exchanged_token_s,
        versions=settings.versions,
        server_version=__version__,
        front_door=hall.domain.settings.front_door,
    )

    def health() -> Mapping[str, object]:
        overload = {"status": "overloaded"} if hall.domain.overload.state.is_closed else {}
        return {"uptime_s": round(system.clock.now() - started_at, 3), **overload, **world.health()}

    collector = Collector(system, path=f"/{TREE}", users=f"/{TREE}/users")

    async def metrics() -> tuple[str, str]:
        figures, servers = await collector.collect(), await directory.ask(ListServers)
        process = world.process(system.clock.now() - started_at)
        return expose(figures, ports.telemetry.counters(), servers, process), CONTENT_TYPE

    def troubles() -> Sequence[str]:
        said = world.health().get("status", "ok")
        is_well = system.state_of(hall.domain.journal).is_well
        found = (
            ("new sessions are refused: overloaded", hall.domain.overload.state.is_closed),
            ("the store does not take what is written", not is_well),
            (str(said), said != "ok"),
        )
        return [why for why, is_so in found if is_so]

    pages = console(system, hall, settings, urls, world) if settings.console.enabled else ()

    return create_application(
        ports.telemetry,
        health,
        (
            rate_limits(
                hall.domain.rates,
                ports.telemetry,
                proxy_hops=settings.proxy_hops,
                now=system.clock.now,
                wall=wall,
            ),
            *((host_check(settings.allowed_hosts, ports.telemetry),) if settings.allowed_hosts else ()),
            app_routes(tokens=ports.tokens, roster=hall.roster, telemetry=ports.telemetry, wall=wall),
            audio_routes(tokens=ports.tokens, roster=hall.roster, telemetry=ports.telemetry, wall=wall),
            transcript_routes(
                directory=directory,
                roster=hall.roster,
                telemetry=ports.telemetry,
                wall=wall,
                admits=desk.admits,
            ),
            speech_routes(speaking=ports.speaking, telemetry=ports.telemetry, wall=wall),
            app_server_routes(directory=directory, telemetry=ports.telemetry, wall=wall, admits=desk.admits),
            daemon_routes(entrance=daemons),
            computer_routes(
                tokens=ports.tokens,
                entrance=daemons,
                logins=hall.logins,
                make_secret=world.make_secret,
                wall=wall,
            ),
            assistant_routes(
                tokens=ports.tokens,
                desks=hall.desks,
                store=ports.store,
                telemetry=ports.telemetry,
                wall=wall,
            ),
            home_routes(desk),
            settings_routes(desk),
            phone_routes(desk, next_id=system.ids.next),
            identity_routes(desk),
            storage_routes(desk),
            tool_routes(desk),
            usage_routes(desk),
            hardware_routes(desk),
            document_routes(desk, described),
            admin_routes(
                admin_token=world.admin_token,
                tree=system.tree,
                counters=ports.telemetry.counters,
                directory=directory,
                find=system.find if settings.admin.allow_kill else None,
            ),
            *((glasses_routes(_BROWSER_GLASSES),) if settings.browser_glasses else ()),
            metrics_routes(
                tokens=(world.admin_token, settings.metrics_token), page=metrics, troubles=troubles
            ),
            *tests,
            *pages,
        ),
        wall=wall,
        node_name=settings.node_name or None,
        large_bodies=LARGE_BODIES,
    )
