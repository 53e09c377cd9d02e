"""What every engine does with a peer that reads slower than it is sent to (DESIGN section 3)."""

from __future__ import annotations

from actors.ports import CloseInfo, Lane, Outgoing
from adapters.websocket import EngineSettings
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    WAIT_S,
    RawPeer,
    RecordedHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.servers import Opener


class SlowPeerConformance:
    async def test_slow_peer_gets_the_newest_display_and_the_last_second_of_audio(
        self, opener: Opener
    ) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.peer(handler) as peer:
            connection = handler.connection
            while connection.health.queued_bytes == 0:  # fill what the network takes
                assert connection.send(Outgoing(bytes(8000), is_text=False))
            for i in range(20):
                connection.send(Outgoing(b"%03d" % i + bytes(3197), is_text=False, lane=Lane.AUDIO))
                connection.send(Outgoing(b"left %d" % i, lane=Lane.DISPLAY, key="left"))
                connection.send(Outgoing(b"right %d" % i, lane=Lane.DISPLAY, key="right"))
            connection.send(Outgoing(b"control"))
            connection.ping()
            connection.ping()
            health = connection.health
            dropped, replaced, queued = health.audio_dropped, health.display_replaced, health.queued_bytes
            received: list[tuple[int, bytes]] = []
            while not received or not received[-1][1].startswith(b"019"):
                received.append(await peer.receive())
            rest = [item for item in received if item != (BINARY, bytes(8000))]

        assert [PING, TEXT, TEXT, TEXT] == [opcode for opcode, _ in rest[:4]]
        assert [b"control", b"left 19", b"right 19"] == [payload for _, payload in rest[1:4]]
        assert [b"%03d" % i for i in range(10, 20)] == [payload[:3] for _, payload in rest[4:]]
        assert (10, 38) == (dropped, replaced)
        assert 32_000 < queued < 32_000 + 8000 * 2 + 200
        assert 0 == health.queued_bytes

    async def test_peer_that_lets_control_pile_up_is_closed_with_1013(self, opener: Opener) -> None:
        handler = RecordedHandler()
        settings = EngineSettings(control_limit_bytes=50_000)
        async with opener(settings=settings) as server, server.peer(handler) as peer:
            while handler.connection.send(Outgoing(b"c" * 1000)):
                pass
            is_open, received = handler.connection.is_open, 0
            while (found := await peer.receive())[0] == TEXT:
                received += 1
            await peer.send(frame(CLOSE, found[1]))
            info = await handler.until_closed()

        assert not is_open
        assert received > 0
        assert (CLOSE, close_payload(1013, "control messages pile up")) == found
        assert CloseInfo(1013, "control messages pile up", by_us=True) == info
        assert 1 == len(server.telemetry.of("websocket.peer_too_slow"))

    async def test_peer_over_the_hard_limit_is_not_read_until_it_drains(self, opener: Opener) -> None:
        handler = RecordedHandler()
        settings = EngineSettings(hard_limit_bytes=100_000, hard_limit_s=WAIT_S)
        async with opener(settings=settings) as server, server.peer(handler) as peer:
            connection = handler.connection
            assert connection.send(Outgoing(bytes(5_000_000), is_text=False))
            refused = [connection.send(Outgoing(b"x", lane=lane)) for lane in (Lane.DISPLAY, Lane.AUDIO)]
            assert 1 == connection.health.audio_dropped, "audio that is refused is counted as well"
            taken = connection.send(Outgoing(b"control"))
            await peer.send(frame(TEXT, b"not yet"))
            async with server.peer() as other:  # several turns of the engine
                for _ in range(5):
                    await other.send(frame(TEXT, b"turn"))
                    await other.receive()
            heard_before = handler.all("text")
            big, control = await peer.receive(), await peer.receive()
            await handler.until("text")

        assert ([False, False], True, []) == (refused, taken, heard_before)
        assert (BINARY, 5_000_000) == (big[0], len(big[1]))
        assert (TEXT, b"control") == control
        assert [b"not yet"] == handler.all("text")

    async def test_peer_that_stays_over_the_hard_limit_is_closed(self, opener: Opener) -> None:
        handler = RecordedHandler()
        settings = EngineSettings(hard_limit_bytes=100_000, hard_limit_s=0.02, close_timeout_s=0.02)
        async with opener(settings=settings) as server, server.peer(handler):
            handler.connection.send(Outgoing(bytes(5_000_000), is_text=False))
            info = await handler.until_closed()

        assert CloseInfo(1006, "more waits for you than one connection may hold", by_us=True) == info
        assert 1 == len(server.telemetry.of("websocket.peer_too_slow"))

    async def test_slow_peer_that_closes_still_gets_the_answer(self, opener: Opener) -> None:
        handler = RecordedHandler()
        async with opener() as server, server.dial() as stream:
            server.gate.handlers.append(handler)
            peer = RawPeer(stream)
            await peer.upgrade()
            handler.connection.send(Outgoing(bytes(3_000_000), is_text=False))
            handler.connection.send(Outgoing(b"dropped by the close"))
            await peer.send(frame(CLOSE, close_payload(1000)))
            await stream.send_eof()
            info = await handler.until_closed()
            received = [await peer.receive(), await peer.receive()]
            rest = await peer.receive_rest()

        assert CloseInfo(1000) == info
        assert [BINARY, CLOSE] == [opcode for opcode, _ in received]
        assert b"" == rest
