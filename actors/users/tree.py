"""One user's subtree: each child recovers alone from its last state (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime import ChildSpec, Ref, Supervisor

from ..apps.actor import AppSession
from ..audio import AudioActor, AudioSlot
from ..display.actor import Display
from ..link.actor import GlassesLink
from ..service import EachAlone
from ..session.actor import UserSession
from ..session.core import Neighbours

if TYPE_CHECKING:
    from ..domain import Domain
    from .roster import RosterMessage


class UserTree(Supervisor):
    """session, display, audio, speech, apps, link."""

    strategy = "one_for_one"

    def __init__(self, *, user_id: str, domain: Domain, roster: Ref[RosterMessage]) -> None:
        super().__init__()
        self.user_id = user_id
        self.domain = domain
        self.roster = roster
        self.audio_slot = AudioSlot()

    def children(self) -> Sequence[ChildSpec[Any]]:
        neighbours = Neighbours(
            display=self.child("display"),
            audio=self.child("audio"),
            speech=self.child("speech"),
            apps=self.child("apps"),
            link=self.child("link"),
            audio_slot=self.audio_slot,
        )
        return (
            ChildSpec(
                name="session",
                factory=lambda: UserSession(
                    user_id=self.user_id,
                    domain=self.domain,
                    neighbours=neighbours,
                    roster=self.roster,
                    make_app=AppSession,
                ),
            ),
            ChildSpec(
                name="display",
                factory=lambda: Display(user_id=self.user_id, link=neighbours.link, domain=self.domain),
            ),
            ChildSpec(
                name="audio",
                factory=lambda: AudioActor(slot=self.audio_slot, session=self.child("session")),
            ),
            ChildSpec(name="speech", factory=EachAlone),
            ChildSpec(name="apps", factory=EachAlone),
            ChildSpec(
                name="link",
                factory=lambda: GlassesLink(
                    user_id=self.user_id,
                    session=self.child("session"),
                    settings=self.domain.settings.liveness,
                    telemetry=self.domain.ports.telemetry,
                ),
            ),
        )
