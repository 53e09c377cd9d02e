"""What a session that another process has handed over begins with here: as it stood, on this process's clock.

Times are moved by the difference of the two clocks, so every deadline keeps its remaining time and nobody is
suspected for the silence of the hand-over itself. What cannot be handed over are the tasks of the giver: a
webhook's POST that was open has `connect_s` from now on to bring its socket, a probe is asked for again, and
a stop does not wait for its socket's closing handshake, which the giver ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from .. import liveness, microphone
from ..apps import complaints
from ..apps import resumption as apps
from ..apps.lifecycle import LifecycleState, Phase
from ..built_in import is_built_in
from ..display.state import shifted as shifted_display
from ..domain import DomainSettings
from ..moments import moved
from ..ports import Connection, ConnectionHandler, ConnectionHealth, Outgoing
from ..session import requests, rtmp
from ..session.beginning import AppSocket, Beginning, HandedFacts, Overheard, PhoneSocket, ResumedApp
from ..session.last_known import LastKnown
from ..session.state import SessionState
from ..webrtc.negotiation import NegotiationState
from .record import HandedApp, HandedSession, HandedWebrtc


class GoneConnection:
    """Stands for a connection that broke on its way here: it has ended, and whoever has it finds that out."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.peer = ""
        self.is_open = False
        self.waiting_bytes = 0
        self.health = ConnectionHealth(opened_at=0.0, last_activity_at=0.0)

    def send(self, message: Outgoing) -> bool:
        return False

    def ping(self) -> None:
        """Nobody is there."""

    def close(self, code: int, reason: str = "") -> None:
        """It is closed."""

    def abort(self) -> None:
        """It has ended."""

    def bind(self, handler: ConnectionHandler) -> None:
        """Nothing more is heard of it."""


def adopted(
    record: HandedSession, connections: Mapping[str, Connection], now: float, settings: DomainSettings
) -> Beginning:
    """The session in the process that takes it over.

    Args:
      connections: those that came with it, by id; one that is missing has broken.
      now: this process's monotonic seconds.
    """
    by_s = now - record.now
    link = record.link
    phone = None
    if link is not None:
        connection = _connection(connections, link.connection)
        state = liveness.shifted(link.liveness, by_s)
        phone = PhoneSocket(connection, state, link.is_acked, link.phones, link.audio, link.udp)
    session = SessionState(
        user_id=record.user_id,
        incarnation=record.incarnation,
        started_at=record.started_at + by_s,
        started_wall=record.started_wall,
        phone=None if link is None else link.connection,
        acked=link.connection if link is not None and record.is_acked else None,
        grace_ends_at=moved(record.grace_ends_at, by_s),
        to_boot=record.to_boot,
        microphone=microphone.shifted(record.microphone, by_s),
        stopping=dict.fromkeys(record.stopping, ()),
        again=dict.fromkeys(record.again, ()),
        saved=record.saved,
        glasses=record.glasses,
        last_known=LastKnown(
            record.last_known.location,
            dict(record.last_known.calendar),
            record.last_known.located_at,
            record.last_known.datetime,
        ),
        plays={
            request_id: replace(play, due_at=play.due_at + by_s) for request_id, play in record.plays.items()
        },
        takeovers=tuple(at + by_s for at in record.takeovers),
        sockets=tuple(
            _connection(connections, app.connection) for app in record.apps if app.connection is not None
        ),
        is_ending=record.is_ending,
        preferences=record.preferences,
        location_tier=record.location_tier,
        requests=tuple(requests.shifted(one, by_s) for one in record.requests),
        rtmp=None if record.rtmp is None else rtmp.shifted(record.rtmp, by_s),
    )
    return Beginning(
        session,
        tuple(_app(one, connections, by_s, now, settings) for one in record.apps),
        shifted_display(record.display, by_s),
        phone=phone,
        webrtc=_webrtc(record.webrtc),
        handed=HandedFacts(
            to_start=record.to_start,
            is_announced=record.is_announced,
            overheard={one.language: Overheard(one.audio, one.utterance_id) for one in record.speech},
            unwritten=record.unwritten,
            untold={(one.source, one.target): one.finals for one in record.translations},
        ),
    )


def _app(
    one: HandedApp, connections: Mapping[str, Connection], by_s: float, now: float, settings: DomainSettings
) -> ResumedApp:
    machine = apps.shifted(one.lifecycle, by_s)
    socket = None
    if is_built_in(one.app) and machine.phase not in (Phase.STOPPING, Phase.STOPPED):
        machine = apps.renewed(is_phone_here=machine.is_phone_here, now=now)
    elif one.connection is not None:
        socket = AppSocket(
            _connection(connections, one.connection),
            liveness.shifted(one.liveness, by_s),
            complaints.shifted(one.complaints, by_s),
            one.takes_audio,
            one.audio_dropped,
        )
    return ResumedApp(
        one.app,
        _machine(machine, now, settings.lifecycle.connect_s),
        one.subscriptions,
        one.is_stored,
        has_listed=one.has_listed,
        is_farewell_told=one.is_farewell_told,
        is_missed=one.is_missed,
        socket=socket,
    )


def _machine(state: LifecycleState, now: float, connect_s: float) -> LifecycleState:
    if state.awaited is not None:
        state = replace(state, pending=state.awaited, pending_until=now + connect_s, connect_until=None)
    if state.probe_until is not None:
        state = replace(state, probe_until=None, probe_at=now)
    return replace(state, closing_id=None)


def _webrtc(handed: HandedWebrtc | None) -> NegotiationState:
    if handed is None:
        return NegotiationState()
    return NegotiationState(is_capable=True, codec=handed.codec, is_wanted=handed.is_wanted, is_moved=True)


def _connection(connections: Mapping[str, Connection], id: str) -> Connection:
    connection = connections.get(id)
    return GoneConnection(id) if connection is None else connection
