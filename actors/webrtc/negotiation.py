"""From a phone's capability to its audio, and again after every failure (protocol.md section 8, 13.10).

    state, effects = step(state, event, now, settings, spread)

The client offers; with `offerer=server` the server does. Both at once is glare: then the configured offerer's
offer counts, and the other one's is dropped. Only the server drops offers, since it never makes one where the
client is the offerer.

A failure is told to the phone with a code, so that it falls back to its WebSocket, and is tried again with
backoff: `webrtc_ready` again, or another offer of ours. Nothing that a phone sends ends more than its peer.
"""

from __future__ import annotations

import enum
import re
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from protocols import webrtc as wire

from .ports import PeerFault, PeerState
from .settings import WebrtcSettings
from .signals import (
    AnswerHeard,
    AnswerMade,
    Candidate,
    CandidateFound,
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
    OfferMade,
    OpenPeer,
    PeerFailed,
    PeerForgotten,
    PeerIs,
    PhoneAway,
    PhoneHere,
    PhoneReplaced,
    SendAnswer,
    SendCandidate,
    SendError,
    SendOffer,
    SendReady,
    SessionOver,
    StartHeard,
    StopHeard,
    TakeAnswer,
    TakeCandidate,
    TakeOffer,
    Tick,
)

MOST_SDP: Final = 32_768
MOST_HELD: Final = 64
"""Candidates that wait for the description they belong to."""
MOST_CANDIDATES: Final = 256
"""Of one peer."""
MOST_UNUSABLE: Final = 3
"""A phone whose offers cannot be used so often in a row is not asked for another one."""

_BUSY_S: Final = 5.0  # a server that is full is not asked again sooner
_CANDIDATE: Final = re.compile(
    r"(a=)?candidate:[A-Za-z0-9+/]{1,32} \d{1,5} (udp|tcp|ssltcp) \d{1,10} [^\s]{1,253} \d{1,5} typ [a-z]+"
    r"( [^\s]{1,256}){0,40}",
    re.IGNORECASE,
)
_SDP_SESSION: Final = re.compile(r"^o=\S+ (\d{1,20}) ", re.MULTILINE)
_FINGERPRINT: Final = re.compile(r"^a=fingerprint:(\S{1,16} [0-9A-Fa-f:]{1,200})", re.MULTILINE)

_CODES: Final = {
    PeerFault.OFFER: wire.OFFER_FAILED,
    PeerFault.CANDIDATE: wire.ICE_FAILED,
    PeerFault.ICE: wire.ICE_FAILED,
    PeerFault.MEDIA: wire.UNKNOWN,
    # INIT_FAILED says that there is no WebRTC here, and a phone asks no more.
    PeerFault.PROCESS: wire.UNKNOWN,
    PeerFault.BUSY: wire.UNKNOWN,
}


class Exchange(enum.Enum):
    """Where offer and answer stand."""

    NONE = "none"
    MAKING = "making our offer"
    OFFERED = "our offer is out"
    TAKING = "answering"
    AGREED = "agreed"


OURS: Final = (Exchange.MAKING, Exchange.OFFERED)


class NegotiationState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine.

    Attributes:
      is_capable: the phone has WebRTC and may use it here.
      phone: the acknowledged connection; None while there is none.
      peer: the present peer's number, 0 for none; `peers` were opened so far.
      sdp_session: how the phone's offer says which peer of its own it is: another one is another peer.
      held: the phone's candidates, and `found` ours, that wait for the description they belong to.
      candidates: the phone's that this peer was given.
      since: when `link` began.
      is_wanted: the phone wants its audio to be taken from the peer.
      start_until: it has asked for that while the peer connects, and is answered then.
      connect_until: the peer is to be connected by then.
      attempt: failures since a peer was connected for long; unusable: since an offer could be used.
      retry_at: when the phone is asked again.
      is_moved: the phone has a peer of the process before this one, which is gone.
      offers: when the phone's newest offers were taken; waiting_offer: one that came too soon after them.
    """

    is_capable: bool = False
    codec: Codec = "opus"
    phone: str | None = None
    peer: int = 0
    peers: int = 0
    exchange: Exchange = Exchange.NONE
    sdp_session: str = ""
    held: tuple[Candidate, ...] = ()
    found: tuple[Candidate, ...] = ()
    candidates: int = 0
    link: PeerState = PeerState.CLOSED
    since: float = 0.0
    is_wanted: bool = False
    start_until: float | None = None
    connect_until: float | None = None
    attempt: int = 0
    unusable: int = 0
    retry_at: float | None = None
    offers: tuple[float, ...] = ()
    waiting_offer: str | None = None
    is_moved: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether the microphone is to be heard over the peer."""
        return self.is_wanted and self.link is PeerState.CONNECTED

    @property
    def is_described(self) -> bool:
        """Whether the peer knows who is at its other end."""
        return self.exchange in (Exchange.TAKING, Exchange.AGREED)


def step(
    state: NegotiationState,
    event: NegotiationEvent,
    now: float,
    settings: WebrtcSettings,
    spread: float = 0.5,
) -> tuple[NegotiationState, tuple[NegotiationEffect, ...]]:
    """What happened, and what is done about it.

    Args:
      spread: from 0 to 1, different for each wearer: a media process that ends takes all peers along, and
        they are not to come back at the same moment.
    """
    turn = _Turn(state, now, settings, spread)
    turn.handle(event)
    turn.fall_due()
    effects, is_heard = turn.effects, turn.state.is_heard
    if is_heard != state.is_heard:
        effects.insert(len(effects) if is_heard else 0, Hear(is_heard))
    return turn.state, tuple(effects)


def deadline(state: NegotiationState, settings: WebrtcSettings) -> float | None:
    """When the machine wants a `Tick`; None while there is nothing to wait for."""
    times = [state.start_until, state.connect_until]
    if state.phone is not None:
        times.append(state.retry_at)
        if state.waiting_offer is not None:
            times.append(_next_offer_at(state, settings))
    return min((at for at in times if at is not None), default=None)


def is_candidate(candidate: Candidate) -> bool:
    """Whether it has the form of one (RFC 8839, section 5.1)."""
    index, mid = candidate.sdp_mline_index, candidate.sdp_mid
    if index is not None and not 0 <= index < 256:
        return False
    if mid is not None and len(mid) > 64:
        return False
    return _CANDIDATE.fullmatch(candidate.candidate) is not None


def peer_of(sdp: str) -> str:
    """Which peer of the phone wrote it: the number of its session, which it keeps (RFC 8829, section 5.2.2),
    with its certificate. Empty where that cannot be told.
    """
    session, fingerprint = _SDP_SESSION.search(sdp), _FINGERPRINT.search(sdp)
    return "" if session is None or fingerprint is None else f"{session[1]} {fingerprint[1].lower()}"


def _next_offer_at(state: NegotiationState, settings: WebrtcSettings) -> float:
    if len(state.offers) < settings.free_offers:
        return 0.0
    return state.offers[-settings.free_offers] + settings.offers_s


class _Turn:
    """One step under way."""

    def __init__(self, state: NegotiationState, now: float, settings: WebrtcSettings, spread: float) -> None:
        self.state = state
        self.now = now
        self.settings = settings
        self.spread = spread
        self.effects: list[NegotiationEffect] = []

    def handle(self, event: NegotiationEvent) -> None:
        match event:
            case PhoneHere(connection_id):
                self._phone_here(connection_id)
            case PhoneReplaced(is_elsewhere):
                if is_elsewhere:
                    self._begin_anew()
                else:
                    self._put(phone=None, start_until=None, waiting_offer=None)
            case PhoneAway(connection_id):
                if connection_id == self.state.phone:
                    self._put(phone=None, start_until=None, waiting_offer=None)
            case SessionOver():
                phone = self.state.phone
                self._begin_anew()
                self._put(phone=phone)
            case CapabilityHeard():
                self._capability(event)
            case OfferHeard():
                self._offer_heard(event)
            case AnswerHeard():
                self._answer_heard(event)
            case CandidateHeard():
                self._candidate_heard(event)
            case StartHeard():
                self._start_heard()
            case StopHeard():
                self._put(is_wanted=False, start_until=None)
            case PeerForgotten():
                if self.state.is_capable:
                    self._fail(PeerFault.PROCESS, "the server had to begin anew with it")
            case Tick():
                pass
            case _:
                if event.peer == self.state.peer != 0:  # 0: there is none
                    self._of_peer(event)

    def fall_due(self) -> None:
        """Do what the time has come for."""
        state, now = self.state, self.now
        if state.start_until is not None and now >= state.start_until:
            self._put(start_until=None)
            self._error(wire.NOT_CONNECTED, "the peer is not connected yet")
        if state.connect_until is not None and now >= state.connect_until:
            is_lost = state.link is PeerState.DISCONNECTED
            patience_s = self.settings.lost_s if is_lost else self.settings.connect_s
            cause = "was lost and has not come back" if is_lost else "was not connected"
            self._fail(PeerFault.ICE, f"the peer {cause} within {patience_s:g} s")
        state = self.state
        if state.phone is None:
            return
        if state.waiting_offer is not None and now >= _next_offer_at(state, self.settings):
            self._take_offer(state.waiting_offer)
        if self.state.retry_at is not None and now >= self.state.retry_at:
            self._put(retry_at=None)
            if self.settings.offerer == "server":
                self._offer()
            else:
                self._do(SendReady())

    # -- the phone

    def _begin_anew(self) -> None:
        self._drop_peer()
        self.state = NegotiationState(peers=self.state.peers, offers=self.state.offers)

    def _phone_here(self, connection_id: str) -> None:
        state = self.state
        if connection_id == state.phone:
            return
        if state.phone is not None:
            self._begin_anew()  # that it was replaced is lost
        self._put(phone=connection_id)
        state = self.state
        if state.is_moved:
            self._put(is_moved=False)
            self._fail(PeerFault.PROCESS, "another process serves this session now")
        elif state.peer and state.link is not PeerState.CONNECTED and state.is_capable:
            self._drop_peer()  # what was said of it meanwhile is lost
            # Most phones announce themselves anew, which makes them ready; one that does not is told so.
            self._put(retry_at=self.now + self.settings.retry_first_s)

    def _capability(self, event: CapabilityHeard) -> None:
        is_capable = event.is_supported and not event.refusal
        self._put(is_capable=is_capable, codec=event.codec, attempt=0, unusable=0, retry_at=None)
        if not is_capable:
            self._drop_peer()
            self._put(is_wanted=False)
            if event.is_supported:
                self._error(wire.INIT_FAILED, event.refusal)
            return
        if self.state.phone is None:
            self._put(retry_at=self.now)  # once it is acknowledged: nothing reaches it before
            return
        self._do(SendReady())
        if self.settings.offerer == "server" and not self.state.peer:
            self._offer()

    def _offer_heard(self, event: OfferHeard) -> None:
        if not event.is_ours:
            self._ignore("offer of another session", wire.OFFER_FAILED, "the offer names another session")
        elif event.refusal:
            self._error(wire.INIT_FAILED, event.refusal)
        elif len(event.sdp) > MOST_SDP:
            self._ignore("offer too large", wire.OFFER_FAILED, f"an offer has {MOST_SDP} characters at most")
        elif self.state.exchange in OURS:
            self._ignore("glare")  # ours counts, and the phone answers it
        elif self.state.phone is None:
            self._put(waiting_offer=event.sdp)
        elif self.now < _next_offer_at(self.state, self.settings):
            self._ignore("offer slowed down")
            self._put(waiting_offer=event.sdp)
        else:
            self._take_offer(event.sdp)

    def _take_offer(self, sdp: str) -> None:
        sdp_session = peer_of(sdp)
        state = self.state
        is_same = sdp_session != "" and sdp_session == state.sdp_session
        if not (state.peer and is_same and state.exchange is Exchange.AGREED):
            held = () if state.is_described else state.held
            self._drop_peer()
            self._open()
            self._put(held=held, connect_until=self.now + self.settings.connect_s)
        offers = (*self.state.offers, self.now)[-self.settings.free_offers :]
        self._put(
            is_capable=True,
            exchange=Exchange.TAKING,
            sdp_session=sdp_session,
            offers=offers,
            waiting_offer=None,
            retry_at=None,
        )
        self._do(TakeOffer(sdp))
        self._release_held()

    def _answer_heard(self, event: AnswerHeard) -> None:
        if not event.is_ours:
            self._ignore("answer of another session", wire.OFFER_FAILED, "the answer names another session")
        elif len(event.sdp) > MOST_SDP:
            self._ignore(
                "answer too large", wire.OFFER_FAILED, f"an answer has {MOST_SDP} characters at most"
            )
        elif self.state.exchange is not Exchange.OFFERED:
            self._ignore("answer to nothing")
        else:
            self._put(exchange=Exchange.AGREED)
            self._do(TakeAnswer(event.sdp))
            self._release_held()

    def _candidate_heard(self, event: CandidateHeard) -> None:
        state = self.state
        if not event.candidate.candidate:
            return  # there are no more
        if not event.is_ours:
            self._ignore(
                "candidate of another session", wire.ICE_FAILED, "the candidate names another session"
            )
        elif not is_candidate(event.candidate):
            self._ignore("candidate malformed", wire.ICE_FAILED, "that is no candidate")
        elif state.peer and state.is_described:
            if state.candidates >= MOST_CANDIDATES:
                self._ignore("too many candidates")
            else:
                self._put(candidates=state.candidates + 1)
                self._do(TakeCandidate(event.candidate))
        elif len(state.held) >= MOST_HELD:
            self._ignore("too many candidates")
        else:
            self._put(held=(*state.held, event.candidate))

    def _release_held(self) -> None:
        held = self.state.held
        self._put(held=(), candidates=self.state.candidates + len(held))
        for candidate in held:
            self._do(TakeCandidate(candidate))

    def _start_heard(self) -> None:
        state = self.state
        if state.link is PeerState.CONNECTED:
            self._put(is_wanted=True)
        elif state.peer or state.waiting_offer is not None:
            if state.start_until is None:
                self._put(start_until=self.now + self.settings.start_wait_s)
        else:
            self._error(wire.NOT_CONNECTED, "there is no peer")

    # -- the peer

    def _of_peer(self, event: OfferMade | AnswerMade | CandidateFound | PeerIs | PeerFailed) -> None:
        match event:
            case OfferMade(_, sdp):
                if self.state.exchange is Exchange.MAKING:
                    self._put(exchange=Exchange.OFFERED)
                    self._do(SendOffer(sdp))
                    self._send_found()
            case AnswerMade(_, sdp):
                if self.state.exchange is Exchange.TAKING:
                    self._put(exchange=Exchange.AGREED, unusable=0)
                    self._do(SendAnswer(sdp))
                    self._send_found()
            case CandidateFound(_, candidate):
                if self.state.exchange in (Exchange.OFFERED, Exchange.AGREED):
                    self._do(SendCandidate(candidate))
                else:  # the phone cannot take it before the description that it belongs to
                    self._put(found=(*self.state.found, candidate)[:MOST_HELD])
            case PeerIs(_, peer_state):
                self._peer_is(peer_state)
            case PeerFailed(_, PeerFault.CANDIDATE, cause):
                self._ignore("candidate unusable", wire.ICE_FAILED, cause)
            case PeerFailed(_, fault, cause):
                self._fail(fault, cause)
            case _:
                assert_never(event)

    def _send_found(self) -> None:
        for candidate in self.state.found:
            self._do(SendCandidate(candidate))
        self._put(found=())

    def _peer_is(self, peer_state: PeerState) -> None:
        state = self.state
        if peer_state is state.link:
            return
        if peer_state in (PeerState.FAILED, PeerState.CLOSED):
            self._fail(PeerFault.ICE, f"the peer is {peer_state.value}")
            return
        connect_until = state.connect_until
        if peer_state is PeerState.CONNECTED:
            is_wanted = state.is_wanted or state.start_until is not None
            self._put(is_wanted=is_wanted, start_until=None)
            connect_until = None
        elif state.link is PeerState.CONNECTED:
            connect_until = self.now + self.settings.lost_s
        self._put(
            link=peer_state, since=self.now, connect_until=connect_until, attempt=self._failures_in_a_row()
        )

    def _fail(self, fault: PeerFault, cause: str) -> None:
        state, settings = self.state, self.settings
        attempt = self._failures_in_a_row() + 1
        unusable = state.unusable + 1 if fault is PeerFault.OFFER else state.unusable
        retry_s: float | None = None
        if state.is_capable and unusable < MOST_UNUSABLE:
            wait_s = settings.retry_first_s * 2.0 ** min(attempt - 1, 30)
            if fault is PeerFault.BUSY:
                wait_s = max(wait_s, _BUSY_S)
            retry_s = min(wait_s, settings.retry_most_s) * (0.75 + 0.5 * self.spread)
        self._drop_peer()
        self._put(
            attempt=attempt,
            unusable=unusable,
            start_until=None,
            retry_at=None if retry_s is None else self.now + retry_s,
        )
        self._do(Failed(fault, cause, retry_s))
        self._error(_CODES[fault], cause)

    def _failures_in_a_row(self) -> int:
        """None, if the peer has been connected for long."""
        state = self.state
        was_well = state.link is PeerState.CONNECTED and self.now - state.since >= self.settings.settled_s
        return 0 if was_well else state.attempt

    def _offer(self) -> None:
        """Make an offer of ours, for a peer of its own."""
        self._drop_peer()
        self._open()
        self._put(exchange=Exchange.MAKING, connect_until=self.now + self.settings.connect_s)
        self._do(MakeOffer())

    def _open(self) -> None:
        peer = self.state.peers + 1
        self._put(peer=peer, peers=peer, link=PeerState.NEW, since=self.now)
        self._do(OpenPeer(peer, self.state.codec))

    def _drop_peer(self) -> None:
        if self.state.peer:
            self._do(ClosePeer())
        self._put(
            peer=0,
            exchange=Exchange.NONE,
            sdp_session="",
            held=(),
            found=(),
            candidates=0,
            link=PeerState.CLOSED,
            connect_until=None,
        )

    # -- what a turn does

    def _put(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)

    def _do(self, effect: NegotiationEffect) -> None:
        self.effects.append(effect)

    def _error(self, code: str, message: str) -> None:
        self._do(SendError(code, message))

    def _ignore(self, what: str, code: str = "", message: str = "") -> None:
        self._do(Ignored(what))
        if code:
            self._error(code, message)
