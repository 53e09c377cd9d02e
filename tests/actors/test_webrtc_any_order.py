"""Whatever a phone, its peer and time do in whatever order: what a negotiation never does."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.webrtc.negotiation import (
    MOST_HELD,
    Exchange,
    NegotiationState,
    deadline,
    step,
)
from actors.webrtc.ports import PeerFault, PeerState
from actors.webrtc.signals import (
    AnswerHeard,
    AnswerMade,
    Candidate,
    CandidateFound,
    CandidateHeard,
    CapabilityHeard,
    ClosePeer,
    Hear,
    MakeOffer,
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
    SessionOver,
    StartHeard,
    StopHeard,
    TakeAnswer,
    TakeCandidate,
    TakeOffer,
    Tick,
)
from tests.actors.test_webrtc_negotiation import (
    OF_SERVER,
    OTHER_SDP,
    OTHER_WAY,
    SDP,
    SDP_AGAIN,
    SETTINGS,
    WAY,
)

SOME_SDP = st.sampled_from([SDP, SDP_AGAIN, OTHER_SDP, "hostile", ""])
SOME_WAY = st.sampled_from([WAY, OTHER_WAY, Candidate(""), Candidate("nonsense")])


class Negotiations(RuleBasedStateMachine):
    """Whatever comes in whatever order: one peer at most, and it is heard only while it is connected."""

    def __init__(self) -> None:
        super().__init__()
        self.state = NegotiationState()
        self.now = 0.0
        self.open = 0
        self.opened = 0
        self.is_heard = False
        self.settings = SETTINGS

    def see(self, event: NegotiationEvent) -> None:
        self.state, effects = step(self.state, event, self.now, self.settings)
        for effect in effects:
            match effect:
                case OpenPeer(number, _):
                    assert not self.open, "one at most"
                    assert number > self.opened, "no number twice"
                    self.open = self.opened = number
                case ClosePeer():
                    assert self.open
                    assert not self.is_heard, "the microphone goes over before the peer goes"
                    self.open = 0
                case Hear(is_heard):
                    assert is_heard is not self.is_heard
                    self.is_heard = is_heard
                case MakeOffer() | TakeOffer() | TakeAnswer() | TakeCandidate():
                    assert self.open
                case _:
                    pass

    @rule(offerer=st.sampled_from(["client", "server"]))
    def is_set(self, offerer: str) -> None:
        if not self.state.peers:
            self.settings = SETTINGS if offerer == "client" else OF_SERVER

    @rule(number=st.integers(0, 3))
    def phone_comes(self, number: int) -> None:
        self.see(PhoneHere(f"c{number}"))

    @rule(number=st.integers(0, 3))
    def phone_goes(self, number: int) -> None:
        self.see(PhoneAway(f"c{number}"))

    @rule(
        event=st.sampled_from(
            [PhoneReplaced(), PhoneReplaced(False), SessionOver(), PeerForgotten(), StartHeard(), StopHeard()]
        )
    )
    def said(self, event: NegotiationEvent) -> None:
        self.see(event)

    @rule(can=st.booleans(), refusal=st.sampled_from(["", "", "no"]))
    def capability(self, can: bool, refusal: str) -> None:
        self.see(CapabilityHeard(can, "opus", refusal))

    @rule(sdp=SOME_SDP, is_ours=st.booleans())
    def offered(self, sdp: str, is_ours: bool) -> None:
        self.see(OfferHeard(sdp, is_ours))

    @rule(sdp=SOME_SDP)
    def answered(self, sdp: str) -> None:
        self.see(AnswerHeard(sdp))

    @rule(way=SOME_WAY)
    def way_of_the_phone(self, way: Candidate) -> None:
        self.see(CandidateHeard(way))

    @rule(before=st.integers(0, 1), way=SOME_WAY, what=st.integers(0, 2))
    def peer_tells(self, before: int, way: Candidate, what: int) -> None:
        number = self.opened - before
        events = (OfferMade(number, SDP), AnswerMade(number, SDP), CandidateFound(number, way))
        self.see(events[what])

    @rule(before=st.integers(0, 1), state=st.sampled_from(PeerState))
    def peer_is(self, before: int, state: PeerState) -> None:
        self.see(PeerIs(self.opened - before, state))

    @rule(before=st.integers(0, 1), fault=st.sampled_from(PeerFault))
    def peer_fails(self, before: int, fault: PeerFault) -> None:
        self.see(PeerFailed(self.opened - before, fault, "no"))

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 6.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := deadline(self.state, self.settings)) is not None and due <= until:
            assert due >= self.now
            before, self.now = self.state, due
            self.see(Tick())
            assert before != self.state, "or the actor would spin"
        self.now = until

    @invariant()
    def state_and_world_agree(self) -> None:
        assert self.open == self.state.peer
        assert self.is_heard is self.state.is_heard
        assert not self.is_heard or self.open
        assert len(self.state.held) <= MOST_HELD
        assert len(self.state.found) <= MOST_HELD
        if self.settings.offerer == "client":
            assert self.state.exchange not in (Exchange.MAKING, Exchange.OFFERED)
        if self.state.peer and self.state.link is not PeerState.CONNECTED:
            assert self.state.connect_until is not None, "it would be waited for for ever"


TestNegotiations = Negotiations.TestCase
TestNegotiations.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
