"""Datagrams of generation C (protocol.md 7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocols import MalformedMessage, udp
from protocols.udp import Datagram


@pytest.mark.parametrize(
    ("text", "expected"),  # the first three from the test vectors of the FNV reference code
    [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)],
)
def test_users_are_named_by_their_fnv_1a(text: str, expected: int) -> None:
    assert expected == udp.user_hash(text)


def test_datagram_is_hash_and_sequence_in_network_order_and_the_payload() -> None:
    data = udp.encode(Datagram(0x01020304, 0x0506, b"PING"))

    assert b"\1\2\3\4\5\6PING" == data
    assert Datagram(0x01020304, 0x0506, b"PING") == udp.decode(data)


@given(
    datagram=some.builds(
        Datagram,
        some.integers(0, 2**32 - 1),
        some.integers(0, 2**20),
        some.binary(min_size=1, max_size=1_064),
    )
)
def test_what_a_phone_sends_by_udp_is_what_is_read(datagram: Datagram) -> None:
    assert datagram._replace(sequence=datagram.sequence % 65_536) == udp.decode(udp.encode(datagram))


@given(data=some.one_of(some.binary(max_size=6), some.binary(min_size=1_071, max_size=3_000)))
def test_what_no_phone_sends_by_udp_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage, match=f"a datagram of {len(data)} bytes"):
        udp.decode(data)
