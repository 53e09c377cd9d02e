"""What two servers say to each other, over a socket pair and without servers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from adapters.listener.handing import HandingError, HandingSocket

LONG = os.urandom(300_000)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_payloads_arrive_in_order_each_with_its_own_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = (HandingSocket(sock, within_s=5.0) for sock in pair)
    first, first_peer = socket.socketpair()
    second, second_peer = socket.socketpair()
    with first, first_peer, second, second_peer:
        one.send(b"first", first)
        one.send(b"none")
        one.send(b"", second)

        said = [other.receive() for _ in range(3)]

        assert [b"first", b"none", b""] == [payload for payload, _ in said]
        sockets = [sock for _, sock in said]
        for sock, peer in ((sockets[0], first_peer), (sockets[2], second_peer)):
            assert sock is not None
            with sock:
                peer.send(b"hello")
                assert b"hello" == sock.recv(10)
                assert not os.get_inheritable(sock.fileno())
        assert sockets[1] is None


def test_socket_that_was_passed_stays_open_when_its_giver_closes_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = (HandingSocket(sock, within_s=5.0) for sock in pair)
    mine, peer = socket.socketpair()
    with peer:
        one.send(b"", mine)
        mine.close()
        _, taken = other.receive()
        assert taken is not None
        with taken:
            taken.send(b"still here")
            assert b"still here" == peer.recv(100)


def test_end_of_the_other_is_an_error_at_every_byte(pair: tuple[socket.socket, socket.socket]) -> None:
    sent = bytearray()
    probe, probe_end = socket.socketpair()
    with probe, probe_end:
        HandingSocket(probe, within_s=5.0).send(b"payload")
        sent += probe_end.recv(100)
    for cut in range(len(sent)):
        one, other = socket.socketpair()
        with other:
            with one:
                one.send(sent[:cut])
            with pytest.raises(HandingError, match="gone"):
                HandingSocket(other, within_s=5.0).receive()


def test_silence_ends_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    one, _ = pair
    with pytest.raises(HandingError, match="says nothing"):
        HandingSocket(one, within_s=0.01).receive()


def test_other_that_does_not_listen_holds_nobody_for_longer_than_the_deadline(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, _ = pair
    handing = HandingSocket(one, within_s=0.05)
    with pytest.raises(HandingError, match="does not listen"):
        handing.send(LONG * 20)


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff\x00", b"\x00\x00\x00\x01\x01"])
def test_length_or_socket_that_cannot_be_is_refused(
    pair: tuple[socket.socket, socket.socket], head: bytes
) -> None:
    one, other = pair
    one.send(head + b"x")
    with pytest.raises(HandingError, match="cannot be"):
        HandingSocket(other, within_s=5.0).receive()
