"""The glasses' microphone packet (seed 003)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocols import MalformedMessage, ble
from protocols.ble import MicrophonePacket


def test_packet_is_a_header_a_sequence_number_and_two_hundred_bytes() -> None:
    data = ble.encode(MicrophonePacket(7, bytes(range(200))))

    assert bytes((0xF1, 7, *range(200))) == data
    assert 202 == len(data)


@given(sequence=some.integers(0, 100_000), lc3=some.binary(min_size=200, max_size=200))
def test_what_glasses_send_is_what_the_phone_reads(sequence: int, lc3: bytes) -> None:
    assert MicrophonePacket(sequence % 256, lc3) == ble.decode(ble.encode(MicrophonePacket(sequence, lc3)))


@given(data=some.one_of(some.binary(max_size=300), some.binary(min_size=202, max_size=202)))
def test_anything_else_over_the_air_is_malformed(data: bytes) -> None:
    if len(data) == 202 and data[0] == 0xF1:
        assert data[2:] == ble.decode(data).lc3
    else:
        with pytest.raises(MalformedMessage, match="microphone's"):
            ble.decode(data)
