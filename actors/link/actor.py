"""The phone's link: takes over each new connection at once, keeps it honest, passes everything else on.

Whether a connection is alive is decided by `liveness.py`; this actor performs. The late close of a connection
that was replaced changes nothing (protocol.md 4.2): only the current one counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from protocols import close_codes, from_phone, to_phone, udp
from protocols.audio import AudioFormat
from runtime import Actor, Ref, RestartInfo

from .. import liveness
from ..allowance import TrafficLimits, phone_allowances
from ..audio import AudioSlot
from ..audio.udp import UdpOffer
from ..connection_facts import connection_facts
from ..liveness import LivenessState
from ..ports import Connection, Outgoing, Telemetry
from ..session import messages as session
from ..tracing import Mark, Tracer
from ..webrtc.messages import PhoneSignalled
from ..webrtc.signals import PhoneAway, PhoneHere, PhoneReplaced
from .handler import PhoneHandler
from .messages import (
    AudioConfigured,
    LinkMessage,
    LivenessTick,
    PhoneClosed,
    PhoneOpened,
    PhoneSaid,
    Resync,
    ToPhone,
)

if TYPE_CHECKING:
    from ..session.beginning import PhoneSocket
    from ..session.messages import SessionMessage
    from ..webrtc.messages import PeerMessage

_PONG = Outgoing(to_phone.encode(to_phone.Pong()))
_PING = Outgoing(to_phone.encode(to_phone.Ping()))


class LinkState(msgspec.Struct, frozen=True):
    """What a crash does not lose: the connection itself is the engine's and stays open.

    Attributes:
      phones: how many connections there were, this one included.
      audio: what the connection's microphone sends, where the phone has said so.
      udp: what it was offered of UDP, and whether it has taken it.
    """

    connection: Connection | None = None
    liveness: LivenessState = LivenessState()
    is_acked: bool = False
    phones: int = 0
    audio: AudioFormat | None = None
    udp: UdpOffer | None = None


class GlassesLink(Actor[LinkMessage]):
    """One per user, whether a phone is there or not.

    Args:
      phone: its open connection, where that came along from the process before.
    """

    def __init__(
        self,
        *,
        user_id: str,
        session: Ref[SessionMessage],
        peer: Ref[PeerMessage],
        audio_slot: AudioSlot,
        settings: liveness.LivenessSettings,
        limits: TrafficLimits,
        telemetry: Telemetry,
        phone: PhoneSocket | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.user_id = user_id
        self.session = session
        self.peer = peer
        self.audio_slot = audio_slot
        self.settings = settings
        self.limits = limits
        self.telemetry = telemetry
        self.tracer = tracer
        self.state = LinkState()
        if phone is not None:
            self.state = LinkState(
                phone.connection,
                phone.liveness,
                phone.is_acked,
                phone.phones,
                phone.audio,
                phone.udp,
            )

    def facts(self) -> Mapping[str, object]:
        return {**connection_facts(self.state.connection, self.now), "phones": self.state.phones}

    def started(self, restart: RestartInfo | None) -> None:
        newest, connection = self.audio_slot.connection, self.state.connection
        if newest is not None and newest.is_open and newest is not connection:
            # A crash took the state, or the message of its arrival, but closes no socket: the phone is taken
            # up as it is.
            self._opened(newest, token_in_query=True)
        elif restart is not None and connection is not None:
            # The lost message may have been its end, its ack, or anything that it was to hear.
            format, offer = self.audio_slot.format, self.audio_slot.offer_of_udp
            self.state = msgspec.structs.replace(self.state, audio=format, udp=offer)
            if self.state.liveness.has_said_ping:
                self.perform(connection.send, _PONG)  # the lost message may have been a ping
            if not connection.is_open:
                self._lost(connection)
            elif not self.state.is_acked:
                self._announce_again(connection)
            else:
                self.session.tell(session.Repeat(connection.id))
                self.peer.tell(PhoneHere(connection.id))
        elif connection is not None:
            self._take_over(connection)
        self._arm()

    def _take_over(self, connection: Connection) -> None:
        """A connection that came from another process: it is acknowledged and known, or has just broken."""
        if not connection.is_open:
            self._lost(connection)
            return
        handler = PhoneHandler(
            user_id=self.user_id,
            link=self.ref,
            audio=self.audio_slot,
            token_in_query=True,  # only its arrival asks for that, and it has arrived
            telemetry=self.telemetry,
            allowances=phone_allowances(self.limits),
        )
        self.perform(connection.bind, handler)
        if self.state.is_acked:
            self.peer.tell(PhoneHere(connection.id))
        if self.state.udp is not None and self.state.udp.is_registered:
            self._join_udp(has_pinged=True)

    def receive(self, message: LinkMessage) -> None:
        match message:
            case PhoneSaid(connection, said, raw):
                if connection is self.state.connection:
                    self._heard(said, raw)
                elif connection.is_open:  # nobody answers it any more: it had better dial again
                    close = close_codes.SERVER_RESTARTING
                    self.perform(connection.close, close.code, close.reason)
            case ToPhone(outgoing, is_ack, mark):
                self._send(outgoing, is_ack=is_ack, mark=mark)
            case LivenessTick():
                self._tick()
            case Resync(phone):
                self._resync(phone)
            case AudioConfigured(format):
                self.state = msgspec.structs.replace(self.state, audio=format)
            case PhoneOpened(connection, token_in_query):
                self._opened(connection, token_in_query=token_in_query)
            case PhoneClosed(connection, info):
                if connection is self.state.connection:
                    self.telemetry.info(
                        "phone_lost",
                        user=self.user_id,
                        connection=connection.id,
                        code=info.code,
                        reason=info.reason,
                        was_reset=info.was_reset,
                        silent_s=round(self.now - connection.health.last_activity_at, 3),
                        reconnects=self.state.phones - 1,
                    )
                    self._lost(connection)

    def _opened(self, connection: Connection, *, token_in_query: bool) -> None:
        older = self.state.connection
        if older is connection:
            # A busy server's link may start after its phone has come, and took it up then by the slot.
            older = None
        if older is not None:
            replaced = close_codes.PHONE_REPLACED
            self.perform(older.close, replaced.code, replaced.reason)
            self.peer.tell(PhoneReplaced(is_elsewhere=_host(older) != _host(connection)))
        self.telemetry.info(
            "phone_connected", user=self.user_id, connection=connection.id, peer=connection.peer
        )
        self.state = LinkState(
            connection=connection,
            phones=self.state.phones + 1,
            audio=self.audio_slot.format,
            udp=self.audio_slot.offer_of_udp,
        )
        self.session.tell(session.PhoneArrived(connection.id))
        self._step(liveness.Opened(token_in_query=token_in_query))

    def _resync(self, phone: str | None) -> None:
        connection = self.state.connection
        if connection is None:
            if phone is not None:
                self.session.tell(session.PhoneGone(phone))
        elif connection.id != phone or not self.state.is_acked:
            self._announce_again(connection)

    def _announce_again(self, connection: Connection) -> None:
        """Without this a phone whose arrival or ack was lost in a crash would wait on a connection that
        lives.
        """
        self.session.tell(session.PhoneArrived(connection.id))
        if self.state.liveness.ack_at is None:
            self.session.tell(session.AckDue(connection.id))

    def _heard(self, message: from_phone.PhoneMessage, raw: bytes) -> None:
        match message:
            case from_phone.Ping():
                self._step(liveness.JsonPing())
            case from_phone.Pong():
                self._step(liveness.JsonPong())
            case from_phone.ConnectionInit():
                self._step(liveness.ConnectionInit())
            case from_phone.UdpRegister(user_id_hash=user_hash):
                self._register_udp(user_hash)
            case from_phone.UdpUnregister():
                self._take_udp(is_registered=False)
                self.perform(self.audio_slot.leave_udp)
            case (
                from_phone.WebrtcCapability()
                | from_phone.WebrtcOffer()
                | from_phone.WebrtcAnswer()
                | from_phone.WebrtcIceCandidate()
                | from_phone.WebrtcAudioStart()
                | from_phone.WebrtcAudioStop()
            ):
                self.peer.tell(PhoneSignalled(message))
            case _:
                self.session.tell(session.PhoneReported(message, raw))

    def _register_udp(self, user_hash: int) -> None:
        """A phone that may not send datagrams gets no answer to its probes, and stays with its WebSocket."""
        if user_hash != udp.user_hash(self.user_id):
            self.telemetry.warning("udp_wrong_hash", user=self.user_id, user_hash=user_hash)
        elif self.audio_slot.offer_of_udp is not None:
            self._take_udp(is_registered=True)
            self._join_udp()

    def _join_udp(self, *, has_pinged: bool = False) -> None:
        _, allowance = phone_allowances(self.limits)
        wall = self.system.clock.wall
        join = partial(self.audio_slot.join_udp, self.user_id, allowance, wall, has_pinged=has_pinged)
        self.perform(join)

    def _take_udp(self, *, is_registered: bool) -> None:
        if self.state.udp is not None:
            offer = msgspec.structs.replace(self.state.udp, is_registered=is_registered)
            self.state = msgspec.structs.replace(self.state, udp=offer)

    def _send(self, outgoing: Outgoing, *, is_ack: bool, mark: Mark | None = None) -> None:
        connection = self.state.connection
        if connection is None or not (is_ack or self.state.is_acked):
            return
        if is_ack:
            self.state = msgspec.structs.replace(self.state, is_acked=True)
        self.perform(connection.send, outgoing)
        if mark is not None and self.tracer is not None:
            queued_bytes = connection.health.queued_bytes
            self.tracer.passed(mark, "lens", self.now, queued_bytes=queued_bytes)
        if is_ack:
            self.peer.tell(PhoneHere(connection.id))

    def _tick(self) -> None:
        if self.state.connection is not None:
            health = self.state.connection.health
            self._step(
                liveness.Tick(
                    last_activity_at=health.last_activity_at,
                    has_shown_pongs=health.has_shown_pongs,
                    missed_pongs=health.missed_pongs,
                )
            )

    def _lost(self, connection: Connection) -> None:
        self.state = LinkState(phones=self.state.phones)
        if self.audio_slot.connection is connection:
            self.perform(self.audio_slot.leave_udp)
        self.session.tell(session.PhoneGone(connection.id))
        self.peer.tell(PhoneAway(connection.id))
        self._arm()

    # -- the liveness machine and its effects -------------------------------------------------------------

    def _step(self, event: liveness.LivenessEvent) -> None:
        connection = self.state.connection
        if connection is None:
            return
        machine, effects = liveness.step(self.state.liveness, event, self.now, self.settings)
        self.state = msgspec.structs.replace(self.state, liveness=machine)
        for effect in effects:
            self._perform(connection, effect)
        self._arm()

    def _perform(self, connection: Connection, effect: liveness.LivenessEffect) -> None:
        match effect:
            case liveness.SendAck():
                self.session.tell(session.AckDue(connection.id))
            case liveness.SendJsonPong():
                self.perform(connection.send, _PONG)
            case liveness.SendJsonPing():
                self.perform(connection.send, _PING)
            case liveness.SendProtocolPing():
                self.perform(connection.ping)
            case liveness.Suspected(silent_s):
                self.telemetry.info("phone_suspected", user=self.user_id, silent_s=round(silent_s, 3))
            case liveness.Recovered(after_s):
                self.telemetry.info("phone_recovered", user=self.user_id, after_s=round(after_s, 3))
            case liveness.CloseLink(code, reason):
                self._give_up(connection, code, reason)

    def _give_up(self, connection: Connection, code: int, reason: str) -> None:
        """A silent phone cannot answer a close frame: it is gone for the session now, whatever its socket
        does.
        """
        self.telemetry.info("phone_silent", user=self.user_id, connection=connection.id, reason=reason)
        self.perform(connection.close, code, reason)
        self._lost(connection)

    def _arm(self) -> None:
        due = liveness.deadline(self.state.liveness, self.settings)
        if due is None:
            self.cancel_timer("liveness")
        else:
            self.set_timer("liveness", max(0.0, due - self.now), LivenessTick())


def _host(connection: Connection) -> str:
    """Where it comes from, without its port."""
    return connection.peer.rpartition(":")[0]
