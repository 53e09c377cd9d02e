"""From packets to PCM: order, loss, pauses, and strangers' timestamps."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.webrtc.g711 import G711Decoder
from adapters.webrtc.listening import DamagedPacketError, Listening, Piece
from adapters.webrtc.opus import OpusDecoder, OpusEncoder, has_fec, library
from tests.adapters.webrtc.sound import (
    SPEECH,
    correlation,
    damage_db,
    delay,
    loudness_db,
    samples,
    unlikeness_db,
)

FRAME_BYTES = 640
TICKS = 960  # of 48 kHz, in 20 ms
DAMAGED = b"damaged"


class Toy:
    """Packets of any length: a byte for each 2.5 ms, and its value is what is heard. `+` carries FEC."""

    clock_hz = 48_000

    def samples(self, packet: bytes) -> int:
        if packet == DAMAGED:
            raise DamagedPacketError
        return len(packet.removesuffix(b"+")) * 40

    def decode(self, packet: bytes) -> bytes:
        return b"".join(bytes((value,)) * 80 for value in packet.removesuffix(b"+"))

    def conceal(self, samples: int) -> bytes:
        return b"~" * (samples * 2)

    def recover(self, following: bytes, samples: int) -> bytes | None:
        return b"r" * (samples * 2) if following.endswith(b"+") else None


def listen(packets: list[tuple[int, bytes]], *, step: float = 0.02) -> tuple[Listening, list[Piece]]:
    """Packets of 20 ms by their number, one each 20 ms."""
    listening = Listening(Toy(), now=0.0)
    pieces: list[Piece] = []
    for turn, (number, packet) in enumerate(packets):
        pieces += listening.overdue(turn * step)
        pieces += listening.take(number, number * TICKS, packet, turn * step)
    return listening, pieces + listening.overdue(1e9)


def letters(pieces: list[Piece]) -> str:
    """What was heard, a letter for 20 ms."""
    pcm = b"".join(piece.pcm for piece in pieces)
    return "".join(chr(pcm[at]) for at in range(0, len(pcm), FRAME_BYTES))


@pytest.mark.parametrize(
    ("packets", "heard", "concealed", "recovered"),
    [
        ([(1, b"a" * 8), (2, b"b" * 8), (3, b"c" * 8)], "abc", 0, 0),
        ([(1, b"a" * 8), (2, b"b" * 8), (2, b"b" * 8), (3, b"c" * 8)], "abc", 0, 0),
        ([(1, b"a" * 8), (3, b"c" * 8), (4, b"d" * 8), (5, b"e" * 8)], "a~cde", 320, 0),
        ([(1, b"a" * 8), (3, b"c" * 8 + b"+"), (4, b"d" * 8)], "arcd", 0, 1),
        ([(1, b"a" * 8), (5, b"e" * 8 + b"+"), (6, b"f" * 8)], "a~~ref", 640, 1),
        ([(1, b"a" * 8), (2, DAMAGED), (3, b"c" * 8), (4, b"d" * 8)], "a~cd", 0, 0),
        ([(65_535, b"a" * 8), (65_536, b"b" * 8), (65_537, b"c" * 8)], "abc", 0, 0),
        ([(1, b"a" * 4), (2, b"b" * 8)], "ab", 0, 0),
    ],
)
def test_packets_are_heard_in_order_and_holes_are_filled(
    packets: list[tuple[int, bytes]], heard: str, concealed: int, recovered: int
) -> None:
    listening, pieces = listen(packets)

    assert heard == letters(pieces)
    assert concealed == sum(piece.concealed for piece in pieces)
    assert recovered == listening.recovered
    assert pieces[0].position == 0
    assert listening.end == pieces[-1].position + len(pieces[-1].pcm) // 2


def test_packets_that_overtake_each_other_are_heard_in_order() -> None:
    _, pieces = listen([(1, b"a" * 8), (3, b"c" * 8), (2, b"b" * 8), (4, b"d" * 8)], step=0.01)

    assert "abcd" == letters(pieces)


def test_a_packet_in_its_turn_waits_for_nothing() -> None:
    listening = Listening(Toy(), now=0.0)

    for number in range(5):
        assert 1 == len(listening.take(number, number * TICKS, b"a" * 8, number * 0.02))
        assert listening.due_at is None


def test_a_packet_after_a_gap_waits_twenty_milliseconds() -> None:
    listening = Listening(Toy(), now=0.0)
    listening.take(1, TICKS, b"a" * 8, 0.0)

    assert [] == listening.take(3, 3 * TICKS, b"c" * 8, 0.04)
    assert 0.06 == pytest.approx(listening.due_at)
    assert (1, 0) == (listening.waiting, listening.lost)
    assert "~c" == letters(listening.overdue(0.06))
    assert (0, 1) == (listening.waiting, listening.lost)


@pytest.mark.parametrize(
    ("pause", "heard", "position"), [(10, 11, 11 * 320), (49, 50, 50 * 320), (60, 1, 61 * 320)]
)
def test_a_pause_of_the_sender_is_filled_up_to_a_second_and_else_told_by_the_position(
    pause: int, heard: int, position: int
) -> None:
    listening = Listening(Toy(), now=0.0)
    first = listening.take(1, 0, b"a" * 8, 0.0)
    after = listening.take(2, (1 + pause) * TICKS, b"b" * 8, 1.0)

    assert heard == len(letters(first + after)) - 1
    assert position == after[-1].position + len(after[-1].pcm) // 2 - 320
    assert 0 == sum(piece.concealed for piece in after)


def test_frames_of_ten_milliseconds_are_put_together() -> None:
    listening = Listening(Toy(), now=0.0)
    pieces = [listening.take(number, number * TICKS // 2, b"a" * 4, 0.0) for number in range(4)]

    assert [0, 1, 0, 1] == [len(one) for one in pieces]
    assert [0, 320] == [piece.position for one in pieces for piece in one]


def test_timestamps_cannot_make_more_audio_than_there_was_time() -> None:
    listening = Listening(Toy(), now=0.0)
    heard = 0
    for number in range(1_000):
        pieces = listening.take(number, number * 47_000, b"a" * 8, number * 0.001)
        heard += sum(len(piece.pcm) for piece in pieces) // 2

    assert heard <= (1 + 3 + 1) * 16_000
    assert listening.refused > 900


@given(
    st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 1 << 32), st.binary(max_size=60)), max_size=30)
)
def test_whatever_strangers_send_positions_only_grow(packets: list[tuple[int, int, bytes]]) -> None:
    for make in (OpusDecoder, lambda: G711Decoder("PCMU"), Toy):
        listening = Listening(make(), now=0.0)
        end = 0
        for turn, (number, timestamp, packet) in enumerate(packets):
            now = turn * 0.02
            for piece in listening.overdue(now) + listening.take(number, timestamp, packet, now):
                assert piece.position >= end
                assert not len(piece.pcm) % FRAME_BYTES
                assert 0 <= piece.concealed <= len(piece.pcm) // 2
                end = piece.position + len(piece.pcm) // 2


# ---------------------------------------------------------------------------------------------------------
# What is heard of speech


def encoded(loss_percent: int = 10) -> list[bytes]:
    encoder = OpusEncoder(loss_percent=loss_percent)
    whole = len(SPEECH) // FRAME_BYTES * FRAME_BYTES
    return [encoder.encode(SPEECH[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES)]


def through(
    packets: list[bytes], is_lost: Callable[[int], bool], decoder: OpusDecoder
) -> tuple[Listening, bytes]:
    listening = Listening(decoder, now=0.0)
    pieces: list[Piece] = []
    for number, packet in enumerate(packets):
        if not is_lost(number):
            now = number * 0.02
            pieces += listening.overdue(now) + listening.take(number, number * TICKS, packet, now)
    return listening, b"".join(piece.pcm for piece in pieces)


class Zeros(OpusDecoder):
    """What a decoder without concealment leaves."""

    def conceal(self, samples: int) -> bytes:
        return bytes(samples * 2)

    def recover(self, following: bytes, samples: int) -> bytes | None:
        return None


class WithoutFec(OpusDecoder):
    def recover(self, following: bytes, samples: int) -> bytes | None:
        return None


def test_speech_arrives_as_it_was_said() -> None:
    _, pcm = through(encoded(), lambda number: False, OpusDecoder())

    said, heard = samples(SPEECH), samples(pcm)
    late = delay(said, heard)
    assert 0 <= late < 160
    assert correlation(said, heard[late:]) > 0.8  # VOIP takes the lowest tones away and turns phases
    assert unlikeness_db(said, heard[late:]) < 3
    assert 1.0 > abs(loudness_db(said) - loudness_db(heard))


@pytest.mark.parametrize("percent", [5, 10])
def test_lost_speech_is_restored_by_fec_and_else_concealed(percent: int) -> None:
    packets = encoded()
    _, pcm = through(packets, lambda number: False, OpusDecoder())
    whole = samples(pcm)
    chance = random.Random(percent)
    lost = {number for number in range(2, len(packets) - 1) if chance.random() < percent / 100}
    listenings, heard = zip(
        *(through(packets, lost.__contains__, decoder()) for decoder in (OpusDecoder, WithoutFec, Zeros)),
        strict=True,
    )
    fec, concealed, silent = map(samples, heard)

    assert len(lost) == listenings[0].lost
    assert listenings[0].recovered > 0.5 * len(lost)
    assert [len(whole)] * 3 == [len(fec), len(concealed), len(silent)]
    assert damage_db(whole, fec) > damage_db(whole, concealed) + 0.2
    assert unlikeness_db(whole, fec) < 0.5 * unlikeness_db(whole, concealed)
    assert unlikeness_db(whole, concealed) < 0.5 * unlikeness_db(whole, silent)


def test_fec_is_seen_as_libopus_sees_it() -> None:
    if not hasattr(library(), "opus_packet_has_lbrr"):
        pytest.skip("libopus before 1.5 does not say")
    packets = encoded() + encoded(loss_percent=0)

    said = [bool(library().opus_packet_has_lbrr(packet, len(packet))) for packet in packets]

    assert said == [has_fec(packet) for packet in packets]
    assert 100 < sum(said) < len(said)


def test_a_lost_packet_of_g711_fades() -> None:
    loud = G711Decoder("PCMU")
    loud.decode(bytes([0x10, 0x90] * 80))

    first, second = loud.conceal(320), loud.conceal(320)

    assert 10 < loudness_db(samples(first))
    assert 6.0 == pytest.approx(loudness_db(samples(first)) - loudness_db(samples(second)), abs=0.2)
