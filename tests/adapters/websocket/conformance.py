"""What every engine must do, the pump and its simulated twin.

A test file subclasses `EngineConformance` and gives it an `opener`.
"""

from __future__ import annotations

import contextlib
from typing import cast

import pytest
import trio
import trio_websocket
from trio.abc import Stream

from actors.ports import (
    CloseInfo,
    Connection,
    Outgoing,
)
from adapters.websocket import EngineSettings
from protocols.rest import refusal
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    WAIT_S,
    EchoHandler,
    RawPeer,
    RecordedHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.servers import Opener
from tests.adapters.websocket.slow_peers import SlowPeerConformance

LOTS = bytes(range(256)) * 40  # 10 KiB


class EngineConformance(SlowPeerConformance):
    @pytest.fixture
    def opener(self) -> Opener:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 2, 125, 126, 127, 65_535, 65_536, 300_000])
    async def test_messages_of_every_length_form_come_back(self, opener: Opener, size: int) -> None:
        payload = (LOTS * (size // len(LOTS) + 1))[:size]
        async with opener() as server, server.dial() as stream, trio.open_nursery() as nursery:
            with trio.fail_after(WAIT_S):
                any_stream = cast(trio.SocketStream, stream)  # typed too narrowly there
                client = await trio_websocket.wrap_client_stream(nursery, any_stream, "cloud", "/glasses-ws")
                async with client:
                    await client.send_message(payload)
                    binary = await client.get_message()
                    await client.send_message("\u00e9" * size)
                    text = await client.get_message()

        assert payload == binary
        assert "\u00e9" * size == text

    async def test_gate_sees_the_upgrade(self, opener: Opener) -> None:
        async with opener() as server, server.dial() as stream:
            request = REQUEST.replace(b"/glasses-ws", b"/o/node-1/glasses-ws?token=a%20b")
            answer = await RawPeer(stream).upgrade(request)

        (upgrade,) = server.gate.upgrades
        assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # the sample of RFC 6455
        assert ("/glasses-ws", "node-1", {"token": "a b"}) == (upgrade.path, upgrade.owner, upgrade.query)

    @pytest.mark.parametrize(
        ("target", "status", "body"),
        [
            (b"/glasses-ws?refuse", b"401 Unauthorized", b'{"error":"no"}'),
            (
                b"/glasses-ws?crash",
                b"500 Internal Server Error",
                refusal(500, "Internal server error"),
            ),
            (b"/elsewhere", b"404 Not Found", refusal(404, "Not found")),
        ],
    )
    async def test_refusal_has_status_and_body_and_ends(
        self, opener: Opener, target: bytes, status: bytes, body: bytes
    ) -> None:
        async with opener() as server, server.dial() as stream:
            peer = RawPeer(stream)
            head = await peer.upgrade(REQUEST.replace(b"/glasses-ws", target))
            await peer.send(frame(TEXT, b"too eager"))
            rest = await peer.receive_rest()

        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"\r\nConnection: close" in head
        assert f"\r\nContent-Length: {len(rest)}".encode() in head
        assert rest.endswith(body)

    async def test_request_without_upgrade_goes_to_http_untouched(self, opener: Opener) -> None:
        request = b"POST /health HTTP/1.1\r\nHost: cloud\r\nContent-Length: 2\r\n\r\nhi"
        async with opener() as server, server.dial() as stream:
            await stream.send_all(request)
            await stream.send_eof()
            rest = await RawPeer(stream).receive_rest()

        assert request == rest  # the HTTP handler of these tests is an echo

    async def test_upgrade_that_is_none_is_answered_by_the_protocol(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.dial() as stream:
            server.gate.handlers.append(handler)
            peer = RawPeer(stream)
            head = await peer.upgrade(REQUEST.replace(b"Version: 13", b"Version: 12"))
            await peer.receive_rest()

        assert head.startswith(b"HTTP/1.1 400 ")
        assert [] == handler.heard
        assert 1 == len(server.telemetry.of("websocket.handshake_failed"))

    async def test_frames_sent_with_the_request_are_heard(self, opener: Opener) -> None:
        async with opener() as server, server.dial() as stream:
            peer = RawPeer(stream)
            await peer.upgrade(REQUEST + frame(TEXT, b"early") + frame(PING, b"too"))

            assert (TEXT, b"early") == await peer.receive()
            assert (PONG, b"too") == await peer.receive()

    async def test_one_byte_at_a_time_is_the_same_as_all_at_once(self, opener: Opener) -> None:
        handler = RecordedHandler()
        sent = frame(TEXT, b"a" * 130) + frame(BINARY, b"b", fin=False) + frame(PING) + frame(0, b"c")
        async with opener() as server, server.dial() as stream:
            server.gate.handlers.append(handler)
            peer = RawPeer(stream)
            for byte in REQUEST + sent:
                await peer.send(bytes([byte]))
            await handler.until("binary")

        assert [b"a" * 130] == handler.all("text")
        assert [b"bc"] == handler.all("binary")

    async def test_fragments_are_one_message_and_a_ping_between_is_answered(self, opener: Opener) -> None:
        async with opener() as server, server.peer() as peer:
            await peer.send(frame(TEXT, "h\u00e9".encode()[:2], fin=False))
            await peer.send(frame(PING, b"meanwhile"))
            await peer.send(frame(0, b"", fin=False))
            await peer.send(frame(0, "h\u00e9".encode()[2:]))

            assert (PONG, b"meanwhile") == await peer.receive()
            assert (TEXT, "h\u00e9".encode()) == await peer.receive()

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            pytest.param(frame(TEXT, b"hello", mask=None), 1002, id="unmasked"),
            pytest.param(frame(TEXT | 0x40, b"hello"), 1002, id="reserved bit"),
            pytest.param(frame(0x3, b"hello"), 1002, id="unknown opcode"),
            pytest.param(frame(0xB), 1002, id="unknown control opcode"),
            pytest.param(frame(PING, b"x" * 126), 1002, id="long ping"),
            pytest.param(frame(PING, b"x", fin=False), 1002, id="fragmented ping"),
            pytest.param(frame(0, b"x"), 1002, id="continuation of nothing"),
            pytest.param(
                frame(TEXT, b"x", fin=False) + frame(TEXT, b"y" * 9), 1002, id="message within a message"
            ),
            pytest.param(frame(CLOSE, b"\x03"), 1002, id="half a close code"),
            pytest.param(frame(CLOSE, close_payload(1006)), 1002, id="close code never on the wire"),
            pytest.param(frame(CLOSE, close_payload(1000) + b"\xff"), 1007, id="close reason not UTF-8"),
            pytest.param(frame(TEXT, b"not \xff text"), 1007, id="text not UTF-8"),
            pytest.param(frame(TEXT, b"\xed\xa0\x80 surrogate"), 1007, id="surrogate"),
            pytest.param(frame(TEXT, b"h\xc3", fin=False) + frame(0, b"("), 1007, id="fragments not UTF-8"),
            pytest.param(frame(BINARY, b"x" * 1001), 1009, id="too long"),
            pytest.param(
                frame(BINARY, b"x" * 600, fin=False) + frame(0, b"x" * 600), 1009, id="too long in fragments"
            ),
            pytest.param(b"\x82\xff" + (2**62).to_bytes(8, "big"), 1009, id="absurd length"),
        ],
    )
    async def test_bad_frames_end_their_connection_and_no_other(
        self, opener: Opener, sent: bytes, code: int
    ) -> None:
        bad, good = RecordedHandler(), EchoHandler()
        settings = EngineSettings(max_message_bytes=1000)
        async with (
            opener(settings=settings) as server,
            server.peer(bad) as peer,
            server.peer(good) as neighbour,
        ):
            await peer.send(frame(TEXT, b"before") + sent + frame(TEXT, b"not heard any more"))
            opcode, payload = await peer.receive()
            await peer.receive_rest()
            info = await bad.until_closed()
            await neighbour.send(frame(TEXT, b"still here"))

            assert (TEXT, b"still here") == await neighbour.receive()
        assert (CLOSE, code) == (opcode, int.from_bytes(payload[:2], "big"))
        assert [b"before"] == bad.all("text") + bad.all("binary")
        assert info.by_us or info.code == 1000
        assert [code] == [fields["code"] for fields in server.telemetry.of("websocket.failed")]

    async def test_empty_fragments_without_end_are_too_long(self, opener: Opener) -> None:
        settings = EngineSettings(max_message_bytes=1000, frames_per_turn=10_000)
        async with opener(settings=settings) as server, server.peer() as peer:
            await peer.send(frame(BINARY, b"x", fin=False))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send_until_broken, peer.stream, frame(0, fin=False) * 5_000)
                opcode, payload = await peer.receive()
                nursery.cancel_scope.cancel()

        assert (CLOSE, 1009) == (opcode, int.from_bytes(payload[:2], "big"))

    async def test_close_of_the_peer_is_answered_and_reported(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            await peer.send(frame(CLOSE, close_payload(4001, "good night")))
            answer = await peer.receive()
            rest = await peer.receive_rest()
            info = await handler.until_closed()

        assert (CLOSE, close_payload(4001, "good night")) == answer
        assert b"" == rest
        assert CloseInfo(4001, "good night") == info
        assert not handler.connection.is_open

    async def test_close_without_a_code_is_1005(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            await peer.send(frame(CLOSE))
            answer = await peer.receive()
            info = await handler.until_closed()

        assert (CLOSE, b"") == answer
        assert CloseInfo(1005) == info

    async def test_our_close_goes_out_behind_what_was_sent_and_ends_with_the_answer(
        self, opener: Opener
    ) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            handler.connection.send(Outgoing(b"last"))
            handler.connection.close(1000, "App stopped")
            is_open, sent_after = handler.connection.is_open, handler.connection.send(Outgoing(b"never"))
            received = [await peer.receive(), await peer.receive()]
            await peer.send(frame(TEXT, b"crossing your close") + frame(CLOSE, close_payload(1000, "bye")))
            rest = await peer.receive_rest()
            info = await handler.until_closed()

        assert [(TEXT, b"last"), (CLOSE, close_payload(1000, "App stopped"))] == received
        assert b"" == rest
        assert CloseInfo(1000, "bye", by_us=True) == info
        assert (False, False, []) == (is_open, sent_after, handler.all("text"))

    async def test_close_code_and_reason_are_made_fit(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            handler.connection.close(1006, "\u00e9" * 100)

            assert (CLOSE, close_payload(1011, "\u00e9" * 61)) == await peer.receive()

    async def test_peer_that_does_not_answer_our_close_is_reset(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener(settings=EngineSettings(close_timeout_s=0.05)) as server, server.peer(handler):
            handler.connection.close(1000)
            info = await handler.until_closed()

        assert CloseInfo(1006, by_us=True) == info

    async def test_peer_that_keeps_its_socket_after_the_handshake_is_reset(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with (
            opener(settings=EngineSettings(close_timeout_s=0.05)) as server,
            server.peer(handler) as peer,
        ):
            await peer.send(frame(CLOSE, close_payload(1000)) + b"and on it talks" * 1000)
            await peer.receive()
            with trio.fail_after(WAIT_S):
                await _send_until_broken(peer.stream, b"x")

        assert [CloseInfo(1000)] == handler.all("closed")

    async def test_both_closing_at_once_is_one_close(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            handler.connection.close(1000)
            await peer.send(frame(CLOSE, close_payload(1001)))
            answer = await peer.receive()
            rest = await peer.receive_rest()
            await handler.until_closed()

        assert (CLOSE, close_payload(1000)) == answer
        assert b"" == rest
        assert [CloseInfo(1001, by_us=True)] == handler.all("closed")

    async def test_end_without_a_close_frame_is_1006(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            await peer.send(frame(TEXT, b"half a message")[:-3])
            await peer.stream.aclose()
            info = await handler.until_closed()

        assert CloseInfo(1006) == info
        assert not handler.connection.send(Outgoing(b"late"))

    async def test_peer_that_only_ends_its_sending_is_gone(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.dial() as stream:
            server.gate.handlers.append(handler)
            peer = RawPeer(stream)
            await peer.upgrade()
            await stream.send_eof()
            info = await handler.until_closed()
            rest = await peer.receive_rest()

        assert CloseInfo(1006) == info
        assert b"" == rest

    async def test_abort_ends_at_once_without_a_handshake(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            handler.connection.abort()
            handler.connection.abort()
            info = await handler.until_closed()
            with trio.fail_after(WAIT_S):
                try:
                    rest = await peer.stream.receive_some()
                except trio.BrokenResourceError:
                    rest = b""

        assert CloseInfo(1006, by_us=True) == info
        assert b"" == rest
        assert [("opened", handler.connection.peer), ("closed", info)] == handler.heard

    async def test_ping_measures_the_round_trip(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            health = handler.connection.health
            for _ in range(12):
                handler.connection.ping()
            pings = [await peer.receive() for _ in range(12)]
            missed, before = health.missed_pongs, health.round_trip_s
            await peer.send(frame(PONG, b"unasked") + frame(PONG, pings[-1][1]) + frame(TEXT, b"done"))
            await handler.until("text")
            handler.connection.ping()

        assert {PING} == {opcode for opcode, _ in pings}
        assert 12 == len({payload for _, payload in pings})
        assert (11, None) == (missed, before)
        assert health.round_trip_s is not None
        assert 0 <= health.round_trip_s < WAIT_S
        assert (True, 0) == (health.has_shown_pongs, health.missed_pongs)

    async def test_ping_flood_is_answered_and_delays_nobody(self, opener: Opener) -> None:
        async with opener() as server, server.peer() as flooder, server.peer() as neighbour:
            await flooder.send(frame(PING, b"x") * 3_000)
            await neighbour.send(frame(TEXT, b"me too"))
            neighbours = await neighbour.receive()
            await flooder.send(frame(TEXT, b"last"))
            answers: list[tuple[int, bytes]] = []
            while not answers or answers[-1] != (TEXT, b"last"):
                answers.append(await flooder.receive())

        assert (TEXT, b"me too") == neighbours
        assert {(PONG, b"x"), (TEXT, b"last")} == set(answers)

    async def test_error_in_a_handler_goes_to_failed_and_the_connection_goes_on(self, opener: Opener) -> None:
        class Failing(EchoHandler):
            def opened(self, connection: Connection) -> None:
                super().opened(connection)
                raise ValueError("opened")

            def text(self, connection: Connection, payload: bytes) -> None:
                raise ValueError(payload.decode())

            def closed(self, connection: Connection, info: CloseInfo) -> None:
                super().closed(connection, info)
                raise ValueError("closed")

        handler = Failing()
        async with opener() as server:
            async with server.peer(handler) as peer:
                await peer.send(frame(TEXT, b"text") + frame(BINARY, b"still here"))
                echo = await peer.receive()
            await handler.until("failed", 3)

        assert (BINARY, b"still here") == echo
        assert ["opened", "text", "closed"] == [str(error) for error in handler.all("failed")]

    async def test_error_in_failed_is_reported(self, opener: Opener) -> None:
        class Hopeless(EchoHandler):
            def text(self, connection: Connection, payload: bytes) -> None:
                raise ValueError("first")

            def failed(self, connection: Connection, error: Exception) -> None:
                raise ValueError("second") from error

        async with opener() as server, server.peer(Hopeless()) as peer:
            await peer.send(frame(TEXT, b"text") + frame(BINARY, b"still here"))
            echo = await peer.receive()

        assert (BINARY, b"still here") == echo
        (event,) = server.telemetry.of("websocket.handler_failed")
        assert "second" in str(event["cause"])

    async def test_another_handler_takes_the_connection_over(self, opener: Opener) -> None:
        first, second = RecordedHandler(), RecordedHandler()
        async with opener() as server:
            async with server.peer(first) as peer:
                first.connection.bind(second)
                await peer.send(frame(TEXT, b"for the second"))
                await second.until("text")
            await second.until("closed")

        assert [("opened", first.connection.peer)] == first.heard
        assert [("text", b"for the second"), ("closed", CloseInfo(1006))] == second.heard

    async def test_handler_bound_after_the_end_hears_of_it_once(self, opener: Opener) -> None:
        first, second = RecordedHandler(), RecordedHandler()
        async with opener() as server:
            async with server.peer(first) as peer:
                await peer.send(frame(CLOSE, close_payload(1000)))
                await first.until_closed()
            first.connection.bind(second)
            await second.until_closed()
            async with server.peer() as other:  # a turn more
                await other.send(frame(TEXT, b"x"))
                await other.receive()

        assert [("closed", CloseInfo(1000))] == second.heard
        assert 1 == len(first.all("closed"))

    async def test_message_to_many_is_built_once(self, opener: Opener) -> None:
        handlers = [RecordedHandler(), RecordedHandler()]
        message = Outgoing(b"to all")
        async with opener() as server, server.peer(handlers[0]) as one, server.peer(handlers[1]) as other:
            taken = [handlers[0].connection.send(message)]
            wire = message.wire
            taken.append(handlers[1].connection.send(message))

            assert (TEXT, b"to all") == await one.receive() == await other.receive()
        assert [True, True] == taken
        assert message.wire is wire is not None

    async def test_health_counts_both_ways(self, opener: Opener) -> None:
        handler = EchoHandler()
        async with opener() as server, server.peer(handler) as peer:
            opened = handler.connection.health.last_activity_at
            await peer.send(frame(BINARY, b"x" * 100))
            await peer.receive()
            health = handler.connection.health

        assert (1, 1) == (health.messages_in, health.messages_out)
        assert len(REQUEST) + 106 == health.bytes_in
        assert 102 < health.bytes_out < 102 + 300  # and the answer to the upgrade
        assert health.opened_at <= opened <= health.last_activity_at

    async def test_close_all_is_an_orderly_end_and_takes_no_more(self, opener: Opener) -> None:
        polite, silent = RecordedHandler(), RecordedHandler()
        async with opener() as server, server.peer(polite) as one, server.peer(silent), server.dial() as late:
            async with trio.open_nursery() as nursery:

                async def answer() -> None:
                    await one.receive()
                    await one.send(frame(CLOSE, close_payload(1012)))
                    await one.receive_rest()
                    await one.stream.aclose()

                nursery.start_soon(answer)
                open_before = len(server.engine.connections())
                await server.engine.close_all(timeout_s=0.1)
            refused = await RawPeer(late).upgrade()

        assert 2 == open_before
        assert [CloseInfo(1012, by_us=True)] == polite.all("closed")
        assert [CloseInfo(1006, "server restarts", by_us=True)] == silent.all("closed")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert [] == server.engine.connections()

    async def test_end_of_the_engine_ends_its_connections(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.dial() as stream:
            server.gate.handlers.append(handler)
            await RawPeer(stream).upgrade()
            server.stop()
            await handler.until_closed()

        assert [CloseInfo(1006, by_us=True)] == handler.all("closed")

    async def test_a_thousand_connections_are_served(self, opener: Opener) -> None:
        async with opener() as server, trio.open_nursery() as nursery:
            done = 0

            async def talk(i: int) -> None:
                nonlocal done
                async with server.peer() as peer:
                    await peer.send(frame(BINARY, b"%04d" % i + bytes(3196)))
                    assert (BINARY, b"%04d" % i + bytes(3196)) == await peer.receive()
                    done += 1
                    if done == 1000:
                        all_done.set()
                    await all_done.wait()

            all_done = trio.Event()
            with trio.fail_after(60):
                for i in range(1000):
                    nursery.start_soon(talk, i)
                await all_done.wait()
                at_once = len(server.engine.connections())

        assert 1000 == at_once


async def _send_until_broken(stream: Stream, data: bytes) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        while True:
            await stream.send_all(data)
