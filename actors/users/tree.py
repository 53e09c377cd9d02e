"""One user's subtree: each child recovers alone from its last state (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from runtime import ChildSpec, Ref, Supervisor

from ..apps.actor import AppSession
from ..audio import AudioActor, AudioSlot
from ..display.actor import Display
from ..display.arbitration import DisplayState
from ..link.actor import GlassesLink
from ..service import EachAlone
from ..session.actor import UserSession
from ..session.beginning import Beginning, PhoneSocket
from ..session.core import Neighbours
from ..session.state import SessionState
from ..speech.remembering import TranscriptHistory
from ..webrtc.actor import PeerActor
from ..webrtc.negotiation import NegotiationState
from ..webrtc.slot import PeerSlot

if TYPE_CHECKING:
    from ..domain import Domain
    from .roster import RosterMessage


class OneBeginning:
    """What a subtree begins with, for the first of each of its actors only.

    One that starts clean later, after crashes, starts with nothing: what it began with is long past.
    """

    def __init__(self, user_id: str, beginning: Beginning) -> None:
        self._nothing = Beginning(SessionState(user_id=user_id))
        self._session = self._display = self._phone = self._webrtc = self._history = beginning

    def session(self) -> Beginning:
        beginning, self._session = self._session, self._nothing
        return beginning

    def display(self) -> DisplayState:
        beginning, self._display = self._display, self._nothing
        return beginning.display

    def history(self) -> Beginning:
        beginning, self._history = self._history, self._nothing
        return beginning

    def phone(self) -> PhoneSocket | None:
        beginning, self._phone = self._phone, self._nothing
        return beginning.phone

    def webrtc(self) -> NegotiationState:
        beginning, self._webrtc = self._webrtc, self._nothing
        return beginning.webrtc


def tree_maker(
    user_id: str, beginning: Beginning, *, domain: Domain, roster: Ref[RosterMessage]
) -> Callable[[], UserTree]:
    """What makes a user's subtree, and makes it again after too many crashes.

    The slots stay: the one knows the phone's connection, which the next link takes up, the other the peer,
    which the next peer actor closes.
    """
    one = OneBeginning(user_id, beginning)
    slot = AudioSlot(
        domain.overload.shedder(), domain.ports.lc3, domain.udp, stall_s=domain.settings.webrtc.stall_s
    )
    peer_slot = PeerSlot(slot)
    if beginning.phone is not None:
        slot.attach(beginning.phone.connection, beginning.phone.audio, beginning.phone.udp)
    return lambda: UserTree(
        user_id=user_id, beginning=one, domain=domain, roster=roster, audio_slot=slot, peer_slot=peer_slot
    )


class UserTree(Supervisor):
    """session, display, audio, peer, history, speech, apps, link."""

    strategy = "one_for_one"

    def __init__(
        self,
        *,
        user_id: str,
        beginning: OneBeginning,
        domain: Domain,
        roster: Ref[RosterMessage],
        audio_slot: AudioSlot,
        peer_slot: PeerSlot,
    ) -> None:
        super().__init__()
        self.user_id = user_id
        self.beginning = beginning
        self.domain = domain
        self.roster = roster
        self.audio_slot = audio_slot
        self.peer_slot = peer_slot

    def children(self) -> Sequence[ChildSpec[Any]]:
        neighbours = Neighbours(
            display=self.child("display"),
            audio=self.child("audio"),
            speech=self.child("speech"),
            history=self.child("history"),
            apps=self.child("apps"),
            link=self.child("link"),
            peer=self.child("peer"),
            audio_slot=self.audio_slot,
        )
        return (
            ChildSpec(
                name="session",
                factory=lambda: UserSession(
                    beginning=self.beginning.session(),
                    domain=self.domain,
                    neighbours=neighbours,
                    roster=self.roster,
                    make_app=AppSession,
                ),
            ),
            ChildSpec(
                name="display",
                factory=lambda: Display(
                    user_id=self.user_id,
                    link=neighbours.link,
                    session=self.child("session"),
                    domain=self.domain,
                    beginning=self.beginning.display(),
                ),
            ),
            ChildSpec(
                name="audio",
                factory=lambda: AudioActor(
                    user_id=self.user_id,
                    slot=self.audio_slot,
                    session=self.child("session"),
                    telemetry=self.domain.ports.telemetry,
                ),
            ),
            ChildSpec(
                name="peer",
                factory=lambda: PeerActor(
                    user_id=self.user_id,
                    link=neighbours.link,
                    slot=self.peer_slot,
                    domain=self.domain,
                    beginning=self.beginning.webrtc(),
                ),
            ),
            ChildSpec(name="history", factory=self._history),
            ChildSpec(name="speech", factory=EachAlone),
            ChildSpec(name="apps", factory=EachAlone),
            ChildSpec(
                name="link",
                factory=lambda: GlassesLink(
                    user_id=self.user_id,
                    session=self.child("session"),
                    peer=neighbours.peer,
                    audio_slot=self.audio_slot,
                    settings=self.domain.settings.liveness,
                    limits=self.domain.settings.limits,
                    telemetry=self.domain.ports.telemetry,
                    phone=self.beginning.phone(),
                    tracer=self.domain.ports.tracer,
                ),
            ),
        )

    def _history(self) -> TranscriptHistory:
        beginning = self.beginning.history()
        return TranscriptHistory(
            user_id=self.user_id,
            store=self.domain.ports.store,
            telemetry=self.domain.ports.telemetry,
            settings=self.domain.settings.transcripts,
            is_resumed=bool(beginning.session.incarnation),
            unwritten=() if beginning.handed is None else beginning.handed.unwritten,
        )
