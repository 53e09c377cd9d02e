"""The peer actor: one WebRTC peer of one user at most. `negotiation.py` decides, this performs.

The peer belongs to the session and not to the phone's WebSocket: while that is away its audio goes on. It
ends with the session, with a phone that takes over from elsewhere, and with a crash of this actor, after
which the phone is asked to negotiate anew; meanwhile the microphone is heard over the WebSocket.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, assert_never

import msgspec
from msgspec.structs import replace

from protocols import timestamps, to_phone
from protocols import webrtc as wire
from runtime import Actor, Ref, RestartInfo, StopReason

from ..link.messages import LinkMessage, ToPhone
from ..ports import Outgoing
from ..token_bucket import TokenBucket
from . import negotiation, quality
from .messages import PeerMeasured, PeerMessage, PeerTold, PhoneSignalled, Signal
from .negotiation import NegotiationState
from .ports import PeerRequest, PeerState
from .quality import Quality
from .settings import on_the_wire, refusal, share_of
from .signals import (
    AnswerHeard,
    Candidate,
    CandidateHeard,
    CapabilityHeard,
    ClosePeer,
    Codec,
    Failed,
    Hear,
    Ignored,
    MakeOffer,
    NegotiationEffect,
    NegotiationEvent,
    OfferHeard,
    OpenPeer,
    PeerForgotten,
    PhoneAway,
    PhoneHere,
    SendAnswer,
    SendCandidate,
    SendError,
    SendOffer,
    SendReady,
    StartHeard,
    StopHeard,
    TakeAnswer,
    TakeCandidate,
    TakeOffer,
    Tick,
)
from .slot import PeerSlot

if TYPE_CHECKING:
    from ..domain import Domain


class PeerActorState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      faults: how often a peer could not go on, by category; ignored: what of the phone was not taken.
    """

    negotiation: NegotiationState = NegotiationState()
    quality: Quality = Quality()
    faults: Mapping[str, int] = {}
    ignored: Mapping[str, int] = {}


class PeerActor(Actor[PeerMessage]):
    """One per user, whether the phone has WebRTC or not.

    Args:
      slot: outlives its incarnations.
      beginning: what came along from the process before.
    """

    transient = ("_signals",)

    def __init__(
        self,
        *,
        user_id: str,
        link: Ref[LinkMessage],
        slot: PeerSlot,
        domain: Domain,
        beginning: NegotiationState | None = None,
    ) -> None:
        self.user_id = user_id
        self.link = link
        self.slot = slot
        self.settings = domain.settings.webrtc
        self.media = domain.ports.media
        self.telemetry = domain.ports.telemetry
        self.spread = share_of(f"retry {user_id}")
        self.state = PeerActorState(beginning or NegotiationState())
        self._signals = TokenBucket(self.settings.signals, self.settings.signals_burst)

    def facts(self) -> Mapping[str, object]:
        machine, measured = self.state.negotiation, self.state.quality
        stats = measured.stats
        round_trip_s = stats.round_trip_s
        return {
            "peer": machine.link.value if machine.peer else None,
            "exchange": machine.exchange.value,
            "is_heard": machine.is_heard,
            "peers": machine.peers,
            "failures_in_a_row": machine.attempt,
            "retry_s": None if machine.retry_at is None else round(max(0.0, machine.retry_at - self.now), 1),
            "round_trip_ms": None if round_trip_s is None else round(round_trip_s * 1000, 1),
            "jitter_ms": round(stats.jitter_s * 1000, 1),
            "buffer_ms": round(stats.buffer_s * 1000, 1),
            "loss": round(measured.loss, 4),
            "packets": stats.packets,
            "bytes_in": stats.bytes_in,
            "lost": stats.lost,
            "recovered": stats.recovered,
            "poor": [figure for figure, alarm in measured.alarms.items() if alarm.is_on],
            "faults": dict(self.state.faults),
            "ignored": dict(self.state.ignored),
        }

    def started(self, restart: RestartInfo | None) -> None:
        self.perform(self.slot.close, self.now)
        if restart is not None:
            # Waiting mail may be of a peer before: no number comes twice, not even after a clean start.
            machine = self.state.negotiation
            machine = replace(machine, peers=max(machine.peers, self.slot.peers))
            self.state = replace(self.state, negotiation=machine)
            phone, known = self.slot.audio.connection, self.state.negotiation.phone
            if phone is not None and phone.is_open:
                self._step(PhoneHere(phone.id))  # its arrival, or the end of the one before, may be lost
            elif known is not None:
                self._step(PhoneAway(known))
            self._step(PeerForgotten())
        self._arm()

    def stopping(self, reason: StopReason) -> None:
        self.perform(self.slot.close, self.now)

    def receive(self, message: PeerMessage) -> None:
        match message:
            case PhoneSignalled(signal):
                if self._signals.take(self.now):
                    self._step(self._event_of(signal))
                else:
                    self.telemetry.count("webrtc_signals_dropped")
            case PeerTold(event):
                self._step(event)
            case PeerMeasured():
                self._measured(message)
            case _:
                self._step(message)
        self._arm()

    def _event_of(self, signal: Signal) -> NegotiationEvent:
        is_ours = signal.session_id is None or signal.session_id.lower() == self.user_id
        match signal:
            case wire.WebrtcCapability():
                codec: Codec = "pcm" if signal.preferred_codec == "pcm" else "opus"
                return CapabilityHeard(signal.supported, codec, self._refusal())
            case wire.WebrtcOffer():
                return OfferHeard(signal.sdp, is_ours, self._refusal())
            case wire.WebrtcAnswer():
                return AnswerHeard(signal.sdp, is_ours)
            case wire.WebrtcIceCandidate():
                candidate = Candidate(signal.candidate, signal.sdp_mline_index, signal.sdp_mid)
                return CandidateHeard(candidate, is_ours)
            case wire.WebrtcAudioStart():
                return StartHeard()
            case wire.WebrtcAudioStop():
                return StopHeard()
            case _:
                assert_never(signal)

    def _refusal(self) -> str:
        return refusal(self.settings, self.user_id, is_available=self.media.is_available)

    def _measured(self, message: PeerMeasured) -> None:
        if message.peer != self.state.negotiation.peer:
            return
        measured, alarms = quality.reported(self.state.quality, message.stats, self.now, self.settings)
        self.state = replace(self.state, quality=measured)
        for figure, is_poor, value in alarms:
            if is_poor:
                self.telemetry.warning("webrtc_poor", user=self.user_id, figure=figure, value=value)
            else:
                self.telemetry.info("webrtc_well", user=self.user_id, figure=figure, value=value)

    # -- the machine and its effects ----------------------------------------------------------------------

    def _step(self, event: NegotiationEvent) -> None:
        before = self.state.negotiation
        machine, effects = negotiation.step(before, event, self.now, self.settings, self.spread)
        self.state = replace(self.state, negotiation=machine)
        if machine.peer != before.peer:
            self.state = replace(self.state, quality=Quality())
        for effect in effects:
            self._perform(effect)
        if machine.link is not before.link and machine.link is PeerState.CONNECTED:
            self.telemetry.info("webrtc_connected", user=self.user_id, peer=machine.peer)

    def _perform(self, effect: NegotiationEffect) -> None:
        slot = self.slot
        match effect:
            case SendReady():
                servers = tuple(on_the_wire(server) for server in self.settings.servers)
                self._send(wire.WebrtcReady(ice_servers=servers, **self._head()))
            case SendOffer(sdp):
                self._send(wire.WebrtcOffer(sdp=sdp, **self._head()))
            case SendAnswer(sdp):
                self._send(wire.WebrtcAnswer(sdp=sdp, **self._head()))
            case SendCandidate(found):
                message = wire.WebrtcIceCandidate(
                    candidate=found.candidate,
                    sdp_mline_index=found.sdp_mline_index,
                    sdp_mid=found.sdp_mid,
                    **self._head(),
                )
                self._send(message)
            case SendError(code, message):
                self._send(wire.WebrtcError(message=message, code=code, **self._head()))
            case OpenPeer(peer, codec):
                request = PeerRequest(
                    peer_id=self.system.ids.next("peer"),
                    codec=codec,
                    ice_servers=self.settings.servers,
                    allow_local=self.settings.allow_local,
                )
                self.perform(slot.open, self.media, request, peer, self.ref, self.system.clock.now)
            case ClosePeer():
                self.perform(slot.close, self.now)
            case MakeOffer() | TakeOffer() | TakeAnswer() | TakeCandidate():
                self.perform(self._with_peer, effect)
            case Hear(is_heard):
                self.perform(partial(slot.audio.hear_peer, self.now, is_heard=is_heard))
            case Failed(fault, cause, retry_s):
                faults = self.state.faults
                faults = {**faults, fault.value: faults.get(fault.value, 0) + 1}
                self.state = replace(self.state, faults=faults)
                self.telemetry.warning(
                    "webrtc_failed",
                    user=self.user_id,
                    category=fault.value,
                    cause=cause,
                    retry_s=None if retry_s is None else round(retry_s, 1),
                )
            case Ignored(what):
                ignored = self.state.ignored
                self.state = replace(self.state, ignored={**ignored, what: ignored.get(what, 0) + 1})
                self.telemetry.info("webrtc_ignored", user=self.user_id, what=what)
            case _:
                assert_never(effect)

    def _with_peer(self, effect: MakeOffer | TakeOffer | TakeAnswer | TakeCandidate) -> None:
        peer = self.slot.peer
        if peer is None:
            return
        match effect:
            case MakeOffer():
                peer.make_offer()
            case TakeOffer(sdp):
                peer.take_offer(sdp)
            case TakeAnswer(sdp):
                peer.take_answer(sdp)
            case TakeCandidate(candidate):
                peer.take_candidate(candidate.candidate, candidate.sdp_mline_index, candidate.sdp_mid)

    def _send(self, message: to_phone.MessageToPhone) -> None:
        self.link.tell(ToPhone(Outgoing(to_phone.encode(message))))

    def _head(self) -> dict[str, str]:
        return {"session_id": self.user_id, "timestamp": timestamps.iso(self.system.clock.wall())}

    def _arm(self) -> None:
        due = negotiation.deadline(self.state.negotiation, self.settings)
        if due is None:
            self.cancel_timer("deadline")
        else:
            self.set_timer("deadline", max(0.0, due - self.now), Tick())
