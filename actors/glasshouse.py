"""The tree (DESIGN section 4): journal, directory, media, users, front door, in the order they start.

`config` hands in the ports, the settings and the services; this file says how they hang together. The front
door starts last and stops first, so nobody meets a tree that is not up; the recognisers outlive the sessions
that use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime import Backoff, ChildSpec, Ref, Supervisor

from .directory import Directory
from .domain import Domain, DomainSettings, Ports, Urls
from .front.doorman import Doorman, DoormanMessage
from .journal import Journal
from .service import EachAlone, ServiceSpec
from .users.roster import Roster, RosterMessage
from .users.tree import UserTree

if TYPE_CHECKING:
    from runtime import SupervisorMessage


@dataclass(frozen=True)
class Hall:
    """What the services of the front door need of the tree behind it."""

    domain: Domain
    roster: Ref[RosterMessage]
    doorman: Ref[DoormanMessage]


class ServiceGroup(Supervisor):
    """Supervises a fixed list of children, in order, each alone."""

    backoff = Backoff()

    def __init__(self, specs: Sequence[ChildSpec[Any]]) -> None:
        super().__init__()
        self.specs = specs

    def children(self) -> Sequence[ChildSpec[Any]]:
        return self.specs


class Glasshouse(Supervisor):
    """The root of the application's tree."""

    strategy = "one_for_one"

    def __init__(
        self,
        *,
        ports: Ports,
        settings: DomainSettings,
        urls: Urls,
        media: Sequence[ServiceSpec],
        front: Callable[[Hall], Sequence[ServiceSpec]],
    ) -> None:
        super().__init__()
        self.ports = ports
        self.settings = settings
        self.urls = urls
        self.media = media
        self.front = front

    def children(self) -> Sequence[ChildSpec[Any]]:
        roster: Ref[RosterMessage] = self.child("roster")
        users: Ref[SupervisorMessage] = self.child("users")
        domain = Domain(
            ports=self.ports,
            settings=self.settings,
            urls=self.urls,
            journal=self.child("journal"),
            directory=self.child("directory"),
        )

        def make_tree(user_id: str) -> UserTree:
            return UserTree(user_id=user_id, domain=domain, roster=roster)

        return (
            ChildSpec(
                name="journal",
                factory=lambda: Journal(store=self.ports.store, telemetry=self.ports.telemetry),
            ),
            ChildSpec(
                name="directory",
                factory=lambda: Directory(
                    store=self.ports.store,
                    webhooks=self.ports.webhooks,
                    telemetry=self.ports.telemetry,
                    settings=self.settings.directory,
                    breaker_settings=self.settings.breaker,
                    probe_timeout_s=self.settings.lifecycle.probe_timeout_s,
                ),
            ),
            ChildSpec(
                name="media", factory=lambda: ServiceGroup([service.child() for service in self.media])
            ),
            ChildSpec(name="users", factory=EachAlone),
            ChildSpec(name="roster", factory=lambda: Roster(users=users, make_tree=make_tree)),
            ChildSpec(name="front door", factory=lambda: FrontDoor(domain, roster, self.front)),
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
        services: Callable[[Hall], Sequence[ServiceSpec]],
    ) -> None:
        super().__init__()
        self.domain = domain
        self.roster = roster
        self.services = services

    def children(self) -> Sequence[ChildSpec[Any]]:
        doorman: Ref[DoormanMessage] = self.child("doorman")
        hall = Hall(self.domain, self.roster, doorman)
        return (
            *(service.child() for service in self.services(hall)),
            ChildSpec(name="doorman", factory=lambda: Doorman(domain=self.domain, roster=self.roster)),
        )
