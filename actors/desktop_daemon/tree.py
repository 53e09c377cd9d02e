"""The daemon's tree.

services   what agents need that is no actor: an observer's process
ledger     what is kept of each agent, on the disk before anybody is told
outbox     reports to the server: the newest state, a bounded log, an outcome until it is taken
uplink     the connection: dials, says hello, answers pings
agents     dynamic: one actor a terminal agent
foreman    takes the server's orders
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime import Backoff, ChildSpec, Supervisor

from ..service import EachAlone
from .foreman import Foreman
from .ledger import Ledger
from .outbox import Outbox
from .parts import DaemonParts
from .uplink import Uplink

NAME = "daemon"


class DesktopDaemon(Supervisor):
    """The root of the daemon's tree. Each child recovers alone from its last state."""

    strategy = "one_for_one"
    backoff = Backoff()

    def __init__(self, parts: DaemonParts) -> None:
        super().__init__()
        self.parts = parts

    def children(self) -> Sequence[ChildSpec[Any]]:
        parts = self.parts
        ledger, outbox = self.child("ledger"), self.child("outbox")
        agents, foreman, uplink = self.child("agents"), self.child("foreman"), self.child("uplink")
        return (
            *(service.child() for service in parts.services),
            ChildSpec(name="ledger", factory=lambda: Ledger(parts=parts, outbox=outbox)),
            ChildSpec(name="outbox", factory=lambda: Outbox(parts=parts, ledger=ledger, foreman=foreman)),
            ChildSpec(name="agents", factory=EachAlone, shutdown_s=15.0),
            ChildSpec(
                name="foreman",
                factory=lambda: Foreman(
                    parts=parts, ledger=ledger, outbox=outbox, uplink=uplink, agents=agents
                ),
            ),
            ChildSpec(name="uplink", factory=lambda: Uplink(parts=parts, foreman=foreman, outbox=outbox)),
        )


def daemon_spec(parts: DaemonParts) -> ChildSpec[Any]:
    """The whole tree, below a system's root."""
    return ChildSpec(name=NAME, factory=lambda: DesktopDaemon(parts), shutdown_s=30.0)
