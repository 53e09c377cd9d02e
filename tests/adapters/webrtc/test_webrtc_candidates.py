"""Which candidates are followed and told."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.webrtc.candidates import Candidate, judge

CHROMIUM_MDNS = (
    "candidate:3108871526 1 udp 2113937151 a7a26f11-0b6d-4c2c-9d4f-1d5e9f5c0b2e.local 45311 typ host "
    "generation 0 network-cost 999"
)


def host(address: str, *, port: int = 5000, kind: str = "host") -> str:
    return f"candidate:1 1 udp 2130706431 {address} {port} typ {kind}"


EVERYBODYS = ["8.8.8.8", "2a00:1450:4001:81b::200e", "100.128.0.1", "172.32.0.1", "1.1.1.1"]
OUR_OWN = [
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "fe80::1",
    "fd00::1",
    "100.64.0.1",
]
NOBODYS = [
    "0.0.0.0",
    "::",
    "224.0.0.251",
    "239.1.2.3",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "fe80::1%eth0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "2002:7f00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2001:0:1::1",
]


@pytest.mark.parametrize("address", EVERYBODYS)
@pytest.mark.parametrize("allow_local", [False, True])
def test_addresses_of_the_internet_are_followed(address: str, allow_local: bool) -> None:
    candidate = judge(host(address), allow_local=allow_local)

    assert isinstance(candidate, Candidate)
    assert (address, 5000) == (candidate.host, candidate.port)


@pytest.mark.parametrize("address", OUR_OWN)
def test_addresses_of_our_own_network_are_followed_only_where_that_is_allowed(address: str) -> None:
    assert "local" == judge(host(address), allow_local=False)
    assert isinstance(judge(host(address), allow_local=True), Candidate)


@pytest.mark.parametrize("address", NOBODYS)
@pytest.mark.parametrize("allow_local", [False, True])
def test_addresses_of_nobody_or_in_disguise_are_never_followed(address: str, allow_local: bool) -> None:
    assert "local" == judge(host(address), allow_local=allow_local)


def test_an_mdns_name_is_an_address_of_our_own_network() -> None:
    assert "local" == judge(CHROMIUM_MDNS, allow_local=False)
    followed = judge(CHROMIUM_MDNS, allow_local=True)
    assert isinstance(followed, Candidate)
    assert "a7a26f11-0b6d-4c2c-9d4f-1d5e9f5c0b2e.local" == followed.host


@pytest.mark.parametrize("allow_local", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 8.8.8.8 5000",
        "candidate:1 1 udp 1 8.8.8.8 5000 typ nonsense",
        "candidate:1 1 udp 1 8.8.8.8 0 typ host",
        "candidate:1 1 udp 1 8.8.8.8 65536 typ host",
        "candidate:1 1 udp 1 8.8.8.8 -1 typ host",
        "candidate:1 1 udp 4294967296 8.8.8.8 5000 typ host",
        "candidate:1 1 udp 1e3 8.8.8.8 5000 typ host",
        "candidate:1 1 udp 1 8.8.8.8 \u0665\u0660 typ host",
        "candidate:1 1 udp 1 localhost 5000 typ host",
        "candidate:1 1 udp 1 metadata.internal 5000 typ host",
        "candidate:1 1 udp 1 evil.local.example.org 5000 typ host",
        "candidate:1 1 udp 1 127.1 5000 typ host",
        "candidate:1 1 udp 1 2130706433 5000 typ host",
        "candidate:1 1 udp 1 0x7f000001 5000 typ host",
        "candidate:1 1 udp 1 010.0.0.1 5000 typ host",
        "candidate:a\x00b 1 udp 1 8.8.8.8 5000 typ host",
        "candidate:1 1 udp 1 8.8.8.8 5000 typ host " + "x" * 600,
    ],
)
def test_what_is_no_candidate_is_said_to_be_none(text: str, allow_local: bool) -> None:
    assert "malformed" == judge(text, allow_local=allow_local)


@pytest.mark.parametrize(
    "text",
    [
        "candidate:1 1 tcp 1518280447 8.8.8.8 9 typ host tcptype active",
        "candidate:1 2 udp 1518280447 8.8.8.8 5001 typ host",
    ],
)
def test_other_transports_are_left_out_without_complaint(text: str) -> None:
    assert "transport" == judge(text, allow_local=True)


def test_what_is_told_of_a_candidate_holds_no_other_address_of_ours() -> None:
    text = "a=candidate:7 1 UDP 1677729535 8.8.4.4 4000 typ srflx raddr 10.1.2.3 rport 4001"

    told = str(judge(text, allow_local=False))

    assert "candidate:7 1 udp 1677729535 8.8.4.4 4000 typ srflx raddr 0.0.0.0 rport 9" == told


@given(st.ip_addresses(), st.integers(1, 65_535), st.sampled_from(["host", "srflx", "prflx", "relay"]))
def test_nothing_but_addresses_of_the_internet_is_followed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, kind: str
) -> None:
    judged = judge(host(str(address), port=port, kind=kind), allow_local=False)

    if isinstance(judged, Candidate):
        followed = ipaddress.ip_address(judged.host)
        assert followed == address
        assert followed.is_global
        kinds = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")
        assert [] == [kind for kind in kinds if getattr(followed, f"is_{kind}")]
    else:
        assert "local" == judged


@given(st.text(max_size=200), st.booleans())
def test_no_text_is_an_error(text: str, allow_local: bool) -> None:
    judge(text, allow_local=allow_local)
    judged = judge(f"candidate:1 1 udp 1 {text} 5000 typ host", allow_local=allow_local)
    if isinstance(judged, Candidate):
        assert judged == judge(str(judged), allow_local=allow_local)
