"""From a phone's capability to its audio (protocol.md section 8, 13.10), as a table and in any order."""

from __future__ import annotations

import pytest

from actors.webrtc.negotiation import (
    MOST_CANDIDATES,
    MOST_HELD,
    MOST_SDP,
    MOST_UNUSABLE,
    Exchange,
    NegotiationState,
    deadline,
    is_candidate,
    step,
)
from actors.webrtc.ports import PeerFault, PeerState
from actors.webrtc.settings import WebrtcSettings
from actors.webrtc.signals import (
    AnswerHeard,
    AnswerMade,
    Candidate,
    CandidateFound,
    CandidateHeard,
    CapabilityHeard,
    ClosePeer,
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

SETTINGS = WebrtcSettings(enabled=True)
OF_SERVER = WebrtcSettings(enabled=True, offerer="server")
WAY = Candidate("candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host", 0, "0")
OTHER_WAY = Candidate(
    "candidate:2 1 UDP 1694498815 198.51.100.2 40001 typ srflx raddr 0.0.0.0 rport 0", 0, "0"
)
HERE, CAN = PhoneHere("c1"), CapabilityHeard(True)
SDP = "v=0\r\no=- 4711 2 IN IP4 127.0.0.1\r\ns=-\r\na=fingerprint:sha-256 12:AB\r\n"
SDP_AGAIN = SDP.replace("4711 2", "4711 3")
OTHER_SDP = SDP.replace("4711", "815")
CONNECTED = PeerIs(1, PeerState.CONNECTED)


class Talk:
    """A negotiation and what came of it."""

    def __init__(self, settings: WebrtcSettings = SETTINGS) -> None:
        self.settings = settings
        self.state = NegotiationState()
        self.now = 100.0

    def __call__(self, *events: NegotiationEvent) -> list[NegotiationEffect]:
        """What comes of the last of them."""
        effects: tuple[NegotiationEffect, ...] = ()
        for event in events:
            self.state, effects = step(self.state, event, self.now, self.settings)
            due = deadline(self.state, self.settings)
            assert due is None or due > self.now, "or the actor would spin"
        return list(effects)

    def wait(self, seconds: float) -> list[NegotiationEffect]:
        """What comes of that, if the machine gets its ticks in time."""
        until, effects = self.now + seconds, []
        while (due := deadline(self.state, self.settings)) is not None and due <= until:
            self.now = due
            effects += self(Tick())
        self.now = until
        return effects


def connected(settings: WebrtcSettings = SETTINGS) -> Talk:
    talk = Talk(settings)
    talk(HERE, CAN, OfferHeard(SDP), AnswerMade(1, "answer"), CONNECTED)
    return talk


def heard() -> Talk:
    talk = connected()
    assert [Hear(True)] == talk(StartHeard())
    return talk


def codes(effects: list[NegotiationEffect]) -> list[str]:
    return [effect.code for effect in effects if isinstance(effect, SendError)]


# -- capability


def test_a_capable_phone_is_asked_for_its_offer() -> None:
    assert [SendReady()] == Talk()(HERE, CAN)


def test_a_phone_without_webrtc_gets_no_answer_to_saying_so() -> None:
    assert [] == Talk()(HERE, CapabilityHeard(False))


def test_a_wearer_who_gets_no_webrtc_is_told_why_and_stays_with_the_websocket() -> None:
    talk = Talk()

    assert [SendError("INIT_FAILED", "no media")] == talk(HERE, CapabilityHeard(True, "opus", "no media"))
    assert [SendError("INIT_FAILED", "no media")] == talk(OfferHeard(SDP, True, "no media"))
    assert not talk.state.peer


def test_a_phone_that_speaks_before_its_ack_is_answered_after_it() -> None:
    talk = Talk()

    assert [] == talk(CAN)
    assert [SendReady()] == talk(HERE)


def test_an_offer_before_the_ack_waits_for_it() -> None:
    talk = Talk()

    assert [] == talk(OfferHeard(SDP))
    assert [OpenPeer(1, "opus"), TakeOffer(SDP)] == talk(HERE)


# -- offers and answers


def test_the_phones_offer_is_answered_and_candidates_go_both_ways() -> None:
    talk = Talk()
    talk(HERE, CapabilityHeard(True, "pcm"))

    assert [OpenPeer(1, "pcm"), TakeOffer(SDP)] == talk(OfferHeard(SDP))
    assert [TakeCandidate(WAY)] == talk(CandidateHeard(WAY))
    assert [] == talk(CandidateFound(1, OTHER_WAY)), "the phone has no answer yet that it belongs to"
    assert [SendAnswer("answer"), SendCandidate(OTHER_WAY)] == talk(AnswerMade(1, "answer"))
    assert [SendCandidate(WAY)] == talk(CandidateFound(1, WAY))
    assert [] == talk(CONNECTED), "nobody has asked for its audio yet"
    assert [Hear(True)] == talk(StartHeard())
    assert [Hear(False)] == talk(StopHeard())


def test_an_offer_without_a_capability_is_taken() -> None:
    assert [OpenPeer(1, "opus"), TakeOffer(SDP)] == Talk()(HERE, OfferHeard(SDP))


def test_the_server_offers_where_the_setting_says_so() -> None:
    talk = Talk(OF_SERVER)

    assert [SendReady(), OpenPeer(1, "opus"), MakeOffer()] == talk(HERE, CAN)
    assert [] == talk(CandidateHeard(WAY)), "it waits for the answer that it belongs to"
    assert [] == talk(CandidateFound(1, OTHER_WAY))
    assert [SendOffer("ours"), SendCandidate(OTHER_WAY)] == talk(OfferMade(1, "ours"))
    assert [TakeAnswer("theirs"), TakeCandidate(WAY)] == talk(AnswerHeard("theirs"))
    assert [Hear(True)] == talk(CONNECTED, StartHeard())


@pytest.mark.parametrize("seen", [CAN, OfferMade(1, "ours")])
def test_in_a_glare_the_offer_of_the_server_that_offers_counts(seen: NegotiationEvent) -> None:
    talk = Talk(OF_SERVER)
    talk(HERE, CAN, seen)

    assert [Ignored("glare")] == talk(OfferHeard(SDP))
    talk(OfferMade(1, "ours"))
    assert [TakeAnswer("theirs")] == talk(AnswerHeard("theirs"))


def test_where_the_server_offers_a_phones_offer_is_taken_all_the_same_if_ours_is_not_out() -> None:
    talk = Talk(OF_SERVER)
    talk(HERE, CAN, OfferMade(1, "ours"), AnswerHeard("theirs"))

    assert [ClosePeer(), OpenPeer(2, "opus"), TakeOffer(SDP)] == talk(OfferHeard(SDP))


def test_an_answer_to_nothing_is_ignored() -> None:
    assert [Ignored("answer to nothing")] == connected()(AnswerHeard("again"))


def test_an_offer_of_the_same_peer_renegotiates_and_its_audio_goes_on() -> None:
    talk = heard()

    assert [TakeOffer(SDP_AGAIN)] == talk(OfferHeard(SDP_AGAIN))
    assert [SendAnswer("more")] == talk(AnswerMade(1, "more"))
    assert talk.state.is_heard


@pytest.mark.parametrize(
    "sdp", [OTHER_SDP, SDP.replace("12:AB", "12:AC"), "o=- 4711 2 IN IP4 0.0.0.0", "nothing to see"]
)
def test_an_offer_of_another_peer_replaces_the_one_there_was(sdp: str) -> None:
    talk = heard()

    assert [Hear(False), ClosePeer(), OpenPeer(2, "opus"), TakeOffer(sdp)] == talk(OfferHeard(sdp))
    assert [] == talk(AnswerMade(1, "of the one before"), CONNECTED)
    talk(AnswerMade(2, "answer"))
    assert [Hear(True)] == talk(PeerIs(2, PeerState.CONNECTED)), "the phone still wants its audio taken there"


@pytest.mark.parametrize("offerer", ["client", "server"])
def test_the_session_of_another_is_none_of_ours(offerer: str) -> None:
    talk = Talk(SETTINGS if offerer == "client" else OF_SERVER)
    talk(HERE, CAN)

    assert ["OFFER_FAILED"] == codes(talk(OfferHeard(SDP, False)))
    assert ["OFFER_FAILED"] == codes(talk(AnswerHeard(SDP, False)))
    assert ["ICE_FAILED"] == codes(talk(CandidateHeard(WAY, False)))
    assert (1 if offerer == "server" else 0) == talk.state.peers


# -- what is hostile


def test_a_storm_of_offers_is_slowed_and_the_newest_of_them_counts() -> None:
    talk = Talk()
    talk(HERE, CAN)
    for number in range(SETTINGS.free_offers):
        assert isinstance(talk(OfferHeard(f"{SDP}{number}"))[-1], TakeOffer)

    assert [Ignored("offer slowed down")] == talk(OfferHeard("one"))
    assert [Ignored("offer slowed down")] == talk(OfferHeard("two"))
    peers = talk.state.peers
    effects = talk.wait(SETTINGS.offers_s)

    assert TakeOffer("two") in effects
    assert TakeOffer("one") not in effects
    assert peers + 1 == talk.state.peers


def test_a_description_that_is_too_large_is_refused() -> None:
    talk = Talk(OF_SERVER)
    talk(HERE, CAN, OfferMade(1, "ours"))

    assert ["OFFER_FAILED"] == codes(talk(OfferHeard("x" * (MOST_SDP + 1))))
    assert ["OFFER_FAILED"] == codes(talk(AnswerHeard("x" * (MOST_SDP + 1))))
    assert Exchange.OFFERED is talk.state.exchange


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("candidate:", 0, "0"),
        Candidate("nonsense"),
        Candidate("candidate:1 1 udp 1 192.0.2.7 40000 typ host\r\na=evil", 0, "0"),
        Candidate("candidate:1 1 udp 1 " + "9" * 300 + " 40000 typ host", 0, "0"),
        Candidate(WAY.candidate, -1, "0"),
        Candidate(WAY.candidate, 10**30, "0"),
        Candidate(WAY.candidate, 0, "m" * 65),
        Candidate(WAY.candidate + " x" * 50, 0, "0"),
    ],
)
def test_a_malformed_candidate_is_answered_and_changes_nothing(candidate: Candidate) -> None:
    talk = connected()
    before = talk.state

    assert ["ICE_FAILED"] == codes(talk(CandidateHeard(candidate)))
    assert before == talk.state


@pytest.mark.parametrize(
    "way", [WAY, OTHER_WAY, Candidate(f"a={WAY.candidate}"), Candidate(WAY.candidate, 255)]
)
def test_a_browsers_candidate_is_one(way: Candidate) -> None:
    assert is_candidate(way)


def test_the_end_of_candidates_is_no_news() -> None:
    assert [] == connected()(CandidateHeard(Candidate("", 0, "0")))


def test_candidates_before_their_offer_wait_for_it_and_are_bounded() -> None:
    talk = Talk()
    talk(HERE, CAN)
    for _ in range(MOST_HELD):
        assert [] == talk(CandidateHeard(WAY))

    assert [Ignored("too many candidates")] == talk(CandidateHeard(OTHER_WAY))
    assert [OpenPeer(1, "opus"), TakeOffer(SDP), *[TakeCandidate(WAY)] * MOST_HELD] == talk(OfferHeard(SDP))


def test_a_peer_is_given_no_end_of_candidates() -> None:
    talk = connected()
    for _ in range(MOST_CANDIDATES):
        assert [TakeCandidate(WAY)] == talk(CandidateHeard(WAY))

    assert [Ignored("too many candidates")] == talk(CandidateHeard(WAY))


def test_an_unusable_candidate_leaves_the_peer_alone() -> None:
    talk = heard()

    assert ["ICE_FAILED"] == codes(talk(PeerFailed(1, PeerFault.CANDIDATE, "no such address")))
    assert talk.state.is_heard


def test_a_phone_whose_offers_are_unusable_is_not_asked_for_ever() -> None:
    talk = Talk()
    talk(HERE, CAN)
    for number in range(1, MOST_UNUSABLE + 1):
        talk(OfferHeard("hostile"))
        assert ["OFFER_FAILED"] == codes(talk(PeerFailed(number, PeerFault.OFFER, "no")))
        asked = [effect for effect in talk.wait(120) if isinstance(effect, SendReady)]
        assert (0 if number == MOST_UNUSABLE else 1) == len(asked)

    assert [SendReady()] == talk(CAN), "but it may try again itself"


# -- the start of the audio


def test_a_start_while_the_peer_connects_waits_for_it() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), AnswerMade(1, "answer"))

    assert [] == talk(StartHeard())
    assert [] == talk.wait(0.9)
    assert [Hear(True)] == talk(CONNECTED)


def test_a_start_waits_no_longer_than_a_second() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), AnswerMade(1, "answer"), StartHeard())

    assert ["NOT_CONNECTED"] == codes(talk.wait(1.0))
    assert [] == talk(CONNECTED), "the phone was told that it is not"
    assert [Hear(True)] == talk(StartHeard())


def test_a_start_without_a_peer_fails_at_once() -> None:
    assert ["NOT_CONNECTED"] == codes(Talk()(HERE, CAN, StartHeard()))


def test_a_stop_takes_back_a_start_that_waits() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), AnswerMade(1, "answer"), StartHeard(), StopHeard())

    assert [] == talk(CONNECTED)


# -- failures


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (PeerFault.ICE, "ICE_FAILED"),
        (PeerFault.OFFER, "OFFER_FAILED"),
        (PeerFault.MEDIA, "UNKNOWN"),
        (PeerFault.PROCESS, "UNKNOWN"),
        (PeerFault.BUSY, "UNKNOWN"),
    ],
)
def test_a_failure_falls_back_at_once_is_told_and_tried_again(fault: PeerFault, code: str) -> None:
    talk = heard()

    effects = talk(PeerFailed(1, fault, "no"))
    assert Hear(False) == effects[0]
    assert [code] == codes(effects)
    assert SendReady() not in effects
    assert [SendReady()] == talk.wait(6.0)
    assert not talk.state.is_heard


def test_where_the_server_offers_a_retry_is_another_offer() -> None:
    talk = Talk(OF_SERVER)
    talk(HERE, CAN, OfferMade(1, "ours"), AnswerHeard("theirs"), CONNECTED, StartHeard())
    talk(PeerIs(1, PeerState.FAILED))

    assert [OpenPeer(2, "opus"), MakeOffer()] == talk.wait(2.0)
    talk(OfferMade(2, "ours"), AnswerHeard("theirs"))
    assert [Hear(True)] == talk(PeerIs(2, PeerState.CONNECTED))


def test_retries_come_at_growing_distances_and_begin_anew_after_a_good_while() -> None:
    talk = Talk()
    talk(HERE, CAN)
    waits = []
    for number in range(1, 9):
        talk(OfferHeard(f"o=- {number} 1 "))
        effects = talk(PeerFailed(number, PeerFault.ICE, "no"))
        waits += [effect.retry_s for effect in effects if isinstance(effect, Failed)]
        talk.wait(100)
    talk(OfferHeard(SDP), AnswerMade(9, "answer"), PeerIs(9, PeerState.CONNECTED))
    talk.wait(SETTINGS.settled_s)
    effects = talk(PeerIs(9, PeerState.FAILED))

    assert [1, 2, 4, 8, 16, 32, 60, 60] == waits
    assert [1] == [effect.retry_s for effect in effects if isinstance(effect, Failed)]


def test_wearers_are_not_tried_again_at_the_same_moment() -> None:
    waits = set()
    for spread in (0.0, 0.3, 1.0):
        _, effects = step(connected().state, PeerFailed(1, PeerFault.PROCESS, "no"), 100.0, SETTINGS, spread)
        waits |= {effect.retry_s for effect in effects if isinstance(effect, Failed)}

    assert {0.75, 0.9, 1.25} == waits


def test_a_peer_that_does_not_connect_has_failed() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), AnswerMade(1, "answer"))

    assert [] == talk.wait(SETTINGS.connect_s - 0.1)
    assert ["ICE_FAILED"] == codes(talk.wait(0.2))


def test_a_peer_that_is_lost_is_not_heard_and_may_come_back() -> None:
    talk = heard()

    assert [Hear(False)] == talk(PeerIs(1, PeerState.DISCONNECTED))
    assert [] == talk.wait(SETTINGS.lost_s - 0.1)
    assert [Hear(True)] == talk(CONNECTED)


def test_a_peer_that_stays_lost_has_failed() -> None:
    talk = heard()
    talk(PeerIs(1, PeerState.DISCONNECTED))

    assert ["ICE_FAILED"] == codes(talk.wait(SETTINGS.lost_s))


# -- phones that come and go


def test_the_peer_goes_on_while_the_phones_socket_is_away() -> None:
    talk = heard()

    assert [] == talk(PhoneAway("c1"), PhoneHere("c2"))
    assert talk.state.is_heard


def test_a_peer_that_was_still_connecting_is_asked_for_again_on_the_next_socket() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), PhoneAway("c1"))

    assert [ClosePeer()] == talk(PhoneHere("c2"))
    assert [SendReady()] == talk.wait(SETTINGS.retry_first_s)


def test_a_phone_that_announces_itself_anew_is_asked_once() -> None:
    talk = Talk()
    talk(HERE, CAN, OfferHeard(SDP), PhoneAway("c1"), PhoneHere("c2"))

    assert [SendReady()] == talk(CAN)
    assert [] == talk.wait(100)


def test_a_retry_waits_for_the_phone() -> None:
    talk = heard()
    talk(PhoneAway("c1"), PeerFailed(1, PeerFault.ICE, "no"))

    assert [] == talk.wait(100)
    assert [SendReady()] == talk(PhoneHere("c2"))


@pytest.mark.parametrize("events", [(PhoneReplaced(), PhoneHere("c2")), (PhoneHere("c2"),)])
def test_a_phone_that_takes_over_brings_its_own_microphone(events: tuple[NegotiationEvent, ...]) -> None:
    talk = heard()

    assert [Hear(False), ClosePeer()] == talk(events[0])
    talk(*events[1:])
    assert NegotiationState(phone="c2", peers=1, offers=talk.state.offers) == talk.state


def test_a_phone_that_dials_again_from_where_it_was_keeps_its_peer() -> None:
    talk = heard()

    assert [] == talk(PhoneReplaced(is_elsewhere=False), PhoneHere("c2"))
    assert talk.state.is_heard


def test_nothing_is_told_of_a_peer_where_there_is_none() -> None:
    talk = Talk()

    assert [] == talk(HERE, CAN, PeerIs(0, PeerState.CONNECTED))
    assert ["NOT_CONNECTED"] == codes(talk(StartHeard()))


def test_the_session_takes_its_peer_along() -> None:
    talk = heard()

    assert [Hear(False), ClosePeer()] == talk(SessionOver())
    assert [] == talk.wait(100)


def test_a_peer_that_a_crash_has_closed_is_negotiated_again() -> None:
    talk = heard()

    assert Hear(False) == talk(PeerForgotten())[0]
    assert [SendReady()] == talk.wait(2)


def test_a_phone_that_says_it_can_no_more_is_heard_over_the_websocket() -> None:
    assert [Hear(False), ClosePeer()] == heard()(CapabilityHeard(False))


def test_a_phone_that_says_again_what_it_can_keeps_its_peer() -> None:
    talk = heard()

    assert [SendReady()] == talk(CAN)
    assert talk.state.is_heard


def test_in_another_process_the_phone_is_asked_again() -> None:
    talk = Talk()
    talk.state = NegotiationState(is_capable=True, is_wanted=True, is_moved=True)

    assert ["UNKNOWN"] == codes(talk(HERE)), "its peer has gone with the process before"
    assert [SendReady()] == talk.wait(2)
