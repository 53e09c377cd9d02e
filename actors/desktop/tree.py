"""A user's desk: the assistant and the desktops, each recovering alone.

It stands beside the user's session and not in it: it lives without glasses, from a query, a daemon or an
unfinished task on, until nothing of that is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from runtime import ChildSpec, Ref, Supervisor

from ..assistant.actor import Assistant
from .actor import Desktops
from .messages import DesktopsMessage
from .sockets import DeskSockets

if TYPE_CHECKING:
    from ..assistant.messages import AssistantMessage
    from ..domain import Domain
    from .roster import DeskRosterMessage


def desk_maker(user_id: str, *, domain: Domain, roster: Ref[DeskRosterMessage]) -> Callable[[], DeskTree]:
    """What makes a user's desk, and makes it again after too many crashes: its sockets stay."""
    sockets = DeskSockets()
    return lambda: DeskTree(user_id=user_id, domain=domain, roster=roster, sockets=sockets)


class DeskTree(Supervisor):
    """assistant, desktops."""

    strategy = "one_for_one"

    def __init__(
        self,
        *,
        user_id: str,
        domain: Domain,
        roster: Ref[DeskRosterMessage],
        sockets: DeskSockets,
    ) -> None:
        super().__init__()
        self.user_id = user_id
        self.domain = domain
        self.roster = roster
        self.sockets = sockets

    def children(self) -> Sequence[ChildSpec[Any]]:
        assistant: Ref[AssistantMessage] = self.child("assistant")
        desktops: Ref[DesktopsMessage] = self.child("desktops")
        return (
            ChildSpec(
                name="assistant",
                factory=lambda: Assistant(user_id=self.user_id, domain=self.domain, desktops=desktops),
            ),
            ChildSpec(
                name="desktops",
                factory=lambda: Desktops(
                    user_id=self.user_id,
                    domain=self.domain,
                    sockets=self.sockets,
                    assistant=assistant,
                    roster=self.roster,
                ),
            ),
        )
