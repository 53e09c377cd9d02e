"""The tree (DESIGN section 4): journal, directory, overload, media, users, desks, front door, as they start.

`config` hands in the ports, the settings and the services; this file says how they hang together. The front
door starts last and stops first, so nobody meets a tree that is not up; the recognisers outlive the sessions
that use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime import Backoff, ChildSpec, Ref, Supervisor

from .audio.udp import UdpDoor
from .built_in import BuiltInWebhooks
from .cabinet.actor import Cabinet
from .console.sessions import ConsoleSessions, SessionsMessage
from .desktop.logins import Logins, LoginsMessage
from .desktop.roster import DeskRoster, DeskRosterMessage
from .desktop.tree import desk_maker
from .directory import Directory
from .domain import Domain, DomainSettings, Ports, Urls
from .front.doorman import Doorman, DoormanMessage
from .front.rates import Rates
from .journal import Journal
from .overload import OverloadBoard
from .overload.actor import Overload
from .ports import Webhooks
from .service import EachAlone, ServiceSpec
from .snapshots.actor import Snapshots
from .snapshots.farewell import Farewell
from .soga.document import soga_document
from .soga.messages import ServerMessage
from .soga.server import SogaServer
from .soga.session import SogaSession
from .speech.recognisers import Recognisers
from .users.roster import Roster, RosterMessage
from .users.tree import tree_maker

if TYPE_CHECKING:
    from runtime import SupervisorMessage


@dataclass(frozen=True)
class ConsoleRefs:
    """The console's actors: who is logged in, and where the readers of open pages live."""

    sessions: Ref[SessionsMessage]
    pages: Ref[SupervisorMessage]


@dataclass(frozen=True)
class Hall:
    """What the services of the front door need of the tree behind it."""

    domain: Domain
    roster: Ref[RosterMessage]
    doorman: Ref[DoormanMessage]
    desks: Ref[DeskRosterMessage]
    logins: Ref[LoginsMessage]
    console: ConsoleRefs


class ServiceGroup(Supervisor):
    """Supervises a fixed list of children, in order, each alone."""

    backoff = Backoff()

    def __init__(self, specs: Sequence[ChildSpec[Any]]) -> None:
        super().__init__()
        self.specs = specs

    def children(self) -> Sequence[ChildSpec[Any]]:
        return self.specs


class Glasshouse(Supervisor):
    """The root of the application's tree.

    Args:
      desks: makes the desks' roster, where a test has one that does what it says.
    """

    strategy = "one_for_one"

    def __init__(
        self,
        *,
        ports: Ports,
        settings: DomainSettings,
        urls: Urls,
        media: Sequence[ServiceSpec],
        front: Callable[[Hall], Sequence[ServiceSpec]],
        is_taking_over: bool = False,
        desks: Callable[[Domain], ChildSpec[Any]] | None = None,
    ) -> None:
        super().__init__()
        self.is_taking_over = is_taking_over
        self.ports = ports
        self.desks = desks
        self.settings = settings
        self.urls = urls
        self.media = media
        self.front = front
        self.board = OverloadBoard(settings.overload)
        self.rates = Rates(settings.rates)
        self.udp = UdpDoor(settings.udp, ports.boxes, ports.telemetry)

    def children(self) -> Sequence[ChildSpec[Any]]:
        soga = self.settings.soga
        built_in = (soga_document(soga.package_name, soga.api_key),) if soga.enabled else ()
        webhooks: Webhooks = self.ports.webhooks
        for app in built_in:
            webhooks = BuiltInWebhooks(webhooks, app.public_url, self.child("soga"))
        ports = replace(self.ports, webhooks=webhooks)
        roster: Ref[RosterMessage] = self.child("roster")
        users: Ref[SupervisorMessage] = self.child("users")
        desks: Ref[SupervisorMessage] = self.child("desks")
        desk_roster: Ref[DeskRosterMessage] = self.child("desk roster")
        logins: Ref[LoginsMessage] = self.child("logins")
        console = ConsoleRefs(self.child("console sessions"), self.child("console pages"))
        domain = Domain(
            ports=ports,
            settings=self.settings,
            urls=self.urls,
            journal=self.child("journal"),
            directory=self.child("directory"),
            cabinet=self.child("cabinet"),
            snapshots=self.child("snapshots"),
            overload=self.board,
            rates=self.rates,
            udp=self.udp,
            recognisers=Recognisers(self.settings.speech, self.ports.telemetry),
        )
        snapshots = self.settings.snapshots

        return (
            ChildSpec(
                name="journal",
                factory=lambda: Journal(store=self.ports.store, telemetry=self.ports.telemetry),
            ),
            ChildSpec(
                name="directory",
                factory=lambda: Directory(
                    store=self.ports.store,
                    webhooks=webhooks,
                    telemetry=self.ports.telemetry,
                    settings=self.settings.directory,
                    breaker_settings=self.settings.breaker,
                    probe_timeout_s=self.settings.lifecycle.probe_timeout_s,
                    built_in=built_in,
                ),
            ),
            ChildSpec(
                name="cabinet",
                factory=lambda: Cabinet(
                    store=self.ports.store,
                    journal=domain.journal,
                    roster=roster,
                    telemetry=self.ports.telemetry,
                    settings=self.settings.cabinet,
                ),
            ),
            ChildSpec(
                name="snapshots",
                factory=lambda: Snapshots(
                    store=self.ports.store,
                    telemetry=self.ports.telemetry,
                    settings=snapshots,
                    phone_grace_s=self.settings.session.phone_grace_s,
                ),
            ),
            ChildSpec(
                name="overload",
                factory=lambda: Overload(
                    board=self.board, load=self.ports.load, telemetry=self.ports.telemetry
                ),
            ),
            ChildSpec(
                name="media", factory=lambda: ServiceGroup([service.child() for service in self.media])
            ),
            ChildSpec(name="users", factory=EachAlone),
            ChildSpec(
                name="roster",
                factory=lambda: Roster(
                    users=users,
                    domain=domain,
                    make_tree=partial(tree_maker, domain=domain, roster=roster),
                ),
            ),
            ChildSpec(name="desks", factory=EachAlone),
            ChildSpec(
                name="desk roster",
                factory=lambda: DeskRoster(
                    desks=desks,
                    domain=domain,
                    make_tree=partial(desk_maker, domain=domain, roster=desk_roster),
                    is_taking_over=self.is_taking_over,
                ),
            )
            if self.desks is None
            else self.desks(domain),
            ChildSpec(
                name="logins",
                factory=lambda: Logins(settings=self.settings.desktop, telemetry=self.ports.telemetry),
            ),
            *self._soga(domain, desk_roster),
            ChildSpec(
                name="console sessions",
                factory=lambda: ConsoleSessions(
                    store=self.ports.store,
                    journal=domain.journal,
                    settings=self.settings.console,
                    telemetry=self.ports.telemetry,
                ),
            ),
            ChildSpec(name="console pages", factory=EachAlone),
            ChildSpec(
                name="farewell",
                factory=lambda: Farewell(
                    snapshots=domain.snapshots,
                    telemetry=self.ports.telemetry,
                    flush_s=snapshots.flush_s,
                ),
                shutdown_s=snapshots.flush_s + 1.0,
            ),
            ChildSpec(
                name="front door",
                factory=lambda: FrontDoor(domain, roster, desk_roster, logins, console, self.front),
            ),
        )

    def _soga(self, domain: Domain, desks: Ref[DeskRosterMessage]) -> Sequence[ChildSpec[Any]]:
        """The assistant's voice: its sessions, and the server that makes them."""
        if not self.settings.soga.enabled:
            return ()
        sessions = self.child("soga sessions")

        def session(user_id: str, server: Ref[ServerMessage]) -> SogaSession:
            key = self.settings.soga.api_key
            return SogaSession(user_id=user_id, key=key, server=server, desks=desks, domain=domain)

        return (
            ChildSpec(name="soga sessions", factory=EachAlone),
            ChildSpec(
                name="soga",
                factory=lambda: SogaServer(domain=domain, sessions=sessions, make_session=session),
            ),
        )


class FrontDoor(Supervisor):
    """The services that let the world in, then the doorman.

    A service that fails takes along those started after it: the listener holds the engine. The doorman is
    last, so that its crash closes nobody's socket.
    """

    strategy = "rest_for_one"
    backoff = Backoff()

    def __init__(
        self,
        domain: Domain,
        roster: Ref[RosterMessage],
        desks: Ref[DeskRosterMessage],
        logins: Ref[LoginsMessage],
        console: ConsoleRefs,
        services: Callable[[Hall], Sequence[ServiceSpec]],
    ) -> None:
        super().__init__()
        self.domain = domain
        self.roster = roster
        self.desks = desks
        self.logins = logins
        self.console = console
        self.services = services

    def children(self) -> Sequence[ChildSpec[Any]]:
        doorman: Ref[DoormanMessage] = self.child("doorman")
        hall = Hall(self.domain, self.roster, doorman, self.desks, self.logins, self.console)
        return (
            *(service.child() for service in self.services(hall)),
            ChildSpec(name="doorman", factory=lambda: Doorman(domain=self.domain, roster=self.roster)),
        )
