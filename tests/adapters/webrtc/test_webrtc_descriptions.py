"""What of a description is used, what is refused, and what of ours is told."""

from __future__ import annotations

import contextlib

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings

from adapters.webrtc.descriptions import (
    MOST_LINES,
    Remote,
    SdpSession,
    UnusableError,
    local_told,
    read_remote,
)
from tests.adapters.webrtc.offers import AUDIO, HIDDEN, VIDEO, mutated


def remote(sdp: str, *, allow_local: bool = False) -> Remote:
    return read_remote(sdp, is_offer=True, speaks=False, allow_local=allow_local, most_candidates=40)


def test_a_browsers_candidates_are_taken_out_and_judged() -> None:
    public = AUDIO.replace("192.0.2.2", "8.8.8.8")

    read = remote(public)

    assert "candidate" not in read.sdp
    assert ["8.8.8.8"] == [candidate.host for candidate in read.candidates]
    assert 3 == read.left_out  # an address of its own network, and two for TCP
    assert ("B28C", frozenset({"opus", "pcmu", "pcma"})) == (read.ufrag, read.codecs)
    assert ["fd00::2", "8.8.8.8"] == sorted(
        (candidate.host for candidate in remote(public, allow_local=True).candidates), reverse=True
    )


def test_a_camera_and_a_data_channel_are_answered_as_refused() -> None:
    read = remote(VIDEO)
    ours = "v=0\r\ns=-\r\na=group:BUNDLE 0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 111\r\n"

    told = local_told(ours + "a=mid:0\r\n", read, allow_local=False, bitrate=32_000).splitlines()

    assert 1 == read.sdp.count("m=")
    assert "a=group:BUNDLE 0\r\n" in read.sdp
    assert [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ] == [line for line in told if line.startswith("m=")]
    assert ["a=mid:0", "a=mid:1", "a=mid:2"] == [line for line in told if line.startswith("a=mid")]


def test_sections_before_the_audio_stay_before_it() -> None:
    head, audio, *rest = VIDEO.split("m=")
    read = remote("m=".join([head, *rest, audio]))

    assert (2, 0) == (len(read.before), len(read.after))


def test_what_is_told_limits_opus_and_leaves_our_own_network_out() -> None:
    ours = (
        "v=0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 10.0.0.5\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
        "a=candidate:1 1 udp 2130706431 10.0.0.5 4000 typ host\r\n"
        "a=candidate:2 1 udp 1694498815 8.8.8.8 4001 typ srflx raddr 10.0.0.5 rport 4000\r\n"
        "a=end-of-candidates\r\n"
    )

    told = local_told(ours, None, allow_local=False, bitrate=24_000)

    assert "10.0.0.5" not in told
    assert "a=candidate:2 1 udp 1694498815 8.8.8.8 4001 typ srflx raddr 0.0.0.0 rport 9\r\n" in told
    assert "end-of-candidates" not in told
    assert "a=fmtp:111 minptime=10;useinbandfec=1;stereo=0;maxaveragebitrate=24000\r\n" in told
    assert "end-of-candidates" in local_told(ours, None, allow_local=True, bitrate=24_000)


@pytest.mark.parametrize(
    ("sdp", "cause"),
    [
        ("", "no session description"),
        ("hello", "no session description"),
        ("v=0\r\n", "no section for audio"),
        (AUDIO.replace("m=audio", "m=video"), "no section for audio"),
        (AUDIO.replace("m=audio 52858", "m=audio 0"), "no section for audio"),
        (AUDIO.replace("a=sendrecv", "a=recvonly"), "the wrong way"),
        (AUDIO.replace("a=sendrecv", "a=inactive"), "the wrong way"),
        (AUDIO.replace("m=audio", "m=AUDIO"), "a section begins"),
        (AUDIO.replace("m=audio 52858", "m=audio 999999"), "a section begins"),
        (AUDIO.replace("a=ice-ufrag:B28C\r\n", ""), "ICE credentials"),
        (AUDIO.replace("a=ice-ufrag:B28C", "a=ice-ufrag:B2"), "ICE credentials"),
        (AUDIO.replace("a=ice-pwd:", "a=ice-pwd: "), "ICE credentials"),
        (AUDIO.replace("a=fingerprint", "a=fingerpaint"), "no fingerprint"),
        (AUDIO.replace("a=setup:actpass", "a=setup:holdconn"), "setup is 'holdconn'"),
        (AUDIO.replace("a=setup:actpass\r\n", ""), "setup is ''"),
        (AUDIO.replace("a=mid:0", "a=mid:" + "0" * 40), "a mid is"),
        (AUDIO + "a=x\r\n" * MOST_LINES, "lines"),
        (AUDIO + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 8, "sections"),
    ],
)
def test_a_description_that_nothing_can_be_heard_by_says_why(sdp: str, cause: str) -> None:
    with pytest.raises(UnusableError, match=cause):
        remote(sdp)


@settings(max_examples=400)
@given(mutated())
def test_a_mutated_offer_is_read_or_refused_and_names_no_address_that_is_not_allowed(sdp: str) -> None:
    try:
        read = remote(sdp)
    except UnusableError:
        return

    assert () == read.candidates  # all of the recorded ones are of its own network
    assert 1 == read.sdp.count("m=audio")
    with contextlib.suppress(Exception):
        assert [] == SessionDescription.parse(read.sdp).media[0].ice_candidates


@pytest.mark.parametrize("hidden", HIDDEN)
def test_no_candidate_hides_behind_another_separator_of_lines(hidden: str) -> None:
    read = remote(AUDIO.replace("a=rtcp-rsize", "a=rtcp-rsize" + hidden))

    assert [] == SessionDescription.parse(read.sdp).media[0].ice_candidates


def test_the_descriptions_of_one_peer_are_versions_of_one_session() -> None:
    session = SdpSession()

    named = [session.name(f"v=0\r\no=- {number} {number} IN IP4 0.0.0.0\r\ns=-\r\n") for number in (7, 8)]

    origins = [sdp.splitlines()[1] for sdp in named]
    assert ["o=- 7 1 IN IP4 0.0.0.0", "o=- 7 2 IN IP4 0.0.0.0"] == origins
