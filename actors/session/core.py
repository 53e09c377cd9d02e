"""What the parts of a session share: who is near, what is known, how something is said.

The session's actor is one class in a chain of files, each with one idea: this core, who hears what
(`hearing.py`), what runs (`running.py`), and the session's own life with its phone (`actor.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import timestamps
from runtime import Actor, Ref, ReplyTo

from ..apps.messages import Deliver
from ..audio import AudioMessage, AudioSlot
from ..link.messages import ToPhone
from . import wire
from .messages import (
    SessionMessage,
)

if TYPE_CHECKING:
    from runtime import SupervisorMessage

    from ..apps.actor import AppSession
    from ..display.messages import DisplayMessage
    from ..domain import Domain
    from ..link.messages import LinkMessage
    from ..speech.remembering import HistoryMessage
    from ..users.roster import RosterMessage
    from ..webrtc.messages import PeerMessage
    from .beginning import Beginning

Asker = ReplyTo["bool | None"]


@dataclass(frozen=True)
class Neighbours:
    """The other children of the user's subtree."""

    display: Ref[DisplayMessage]
    audio: Ref[AudioMessage]
    speech: Ref[SupervisorMessage]
    history: Ref[HistoryMessage]
    apps: Ref[SupervisorMessage]
    link: Ref[LinkMessage]
    peer: Ref[PeerMessage]
    audio_slot: AudioSlot


class SessionCore(Actor[SessionMessage]):
    """Its state is `SessionState`, kept across crashes; timers are armed again from it."""

    mailbox_size = 4096

    def __init__(
        self,
        *,
        beginning: Beginning,
        domain: Domain,
        neighbours: Neighbours,
        roster: Ref[RosterMessage],
        make_app: Callable[..., AppSession],
    ) -> None:
        self.user_id = beginning.session.user_id
        self.domain = domain
        self.near = neighbours
        self.roster = roster
        self.make_app = make_app
        self.settings = domain.settings.session
        self.telemetry = domain.ports.telemetry
        self.state = beginning.session
        self.apps_to_resume = beginning.apps
        self.handed = beginning.handed
        self.untold = {} if beginning.handed is None else dict(beginning.handed.untold)
        self.overheard = {} if beginning.handed is None else dict(beginning.handed.overheard)

    def _stamp(self) -> str:
        return timestamps.iso(self.system.clock.wall())

    def _to_phone(self, payload: bytes, *, is_ack: bool = False) -> None:
        self.near.link.tell(ToPhone(wire.control(payload), is_ack=is_ack))

    def _to_all_apps(self, payload: bytes) -> None:
        outgoing = wire.control(payload)
        for entry in self.state.apps.values():
            entry.ref.tell(Deliver(outgoing))
