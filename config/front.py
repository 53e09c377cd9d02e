"""The real front door: the WebSocket engine, HTTP and the listener, as services of the tree.

They start in that order, and one that fails takes those after it along: the listener holds the engine. In an
orderly stop the listener goes first, then requests are answered, then every WebSocket hears 1012 (protocol.md
10.17).
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio
from quart_trio import QuartTrio

from actors.audio.udp import UdpDoor
from actors.ports import Gate, Telemetry
from actors.service import ServiceSpec
from adapters.http.hosting import HttpHost, open_http_host
from adapters.listener.listener import Listener
from adapters.udp import UdpListener
from adapters.websocket import Engine, PumpLoad
from config.running import Running
from config.settings import Settings
from protocols import close_codes

DRAIN_S = 2.0
CLOSE_S = 2.0


class FrontDoorServices:
    """Engine, HTTP host and listener of one process.

    Args:
      listening: the keeper's socket. Each listener gets a duplicate, so that a restarted one still has it.
      wall: epoch seconds.
      load: told how far behind the engine is.
      is_taking_over: begin with nobody let in and nothing read, until whoever takes over opens up.
    """

    def __init__(
        self,
        *,
        listening: socket.socket,
        settings: Settings,
        telemetry: Telemetry,
        wall: Callable[[], float],
        next_id: Callable[[], str],
        load: PumpLoad | None = None,
        is_taking_over: bool = False,
    ) -> None:
        self.load = load
        self.listening = listening
        self.settings = settings
        self.telemetry = telemetry
        self.wall = wall
        self.next_id = next_id
        self.is_closed = is_taking_over
        self.engine: Running[Engine] = Running()
        self.host: Running[HttpHost] = Running()
        self.listener: Running[Listener] = Running()

    def services(self, gates: Mapping[str, Gate], application: QuartTrio) -> Sequence[ServiceSpec]:
        """The three services, in the order they start."""

        async def run_engine() -> None:
            engine = Engine(
                telemetry=self.telemetry,
                settings=self.settings.engine,
                next_id=self.next_id,
                load=self.load,
            )
            if self.is_closed:
                engine.freeze()
            with self.engine.is_now(engine):
                await engine.run()

        async def run_http() -> None:
            async with open_http_host(application, telemetry=self.telemetry, wall=self.wall) as host:
                with self.host.is_now(host):
                    await trio.sleep_forever()  # until the supervisor cancels it

        async def run_listener() -> None:
            engine, host = await self.engine.wait(), await self.host.wait()
            listener = Listener(
                self.listening.dup(),
                gates=gates,
                engine=engine,
                http=host,
                telemetry=self.telemetry,
                node_name=self.settings.node_name or None,
                limits=self.settings.listener,
                is_paused=self.is_closed,
            )
            with self.listener.is_now(listener):
                await listener.run()
                await trio.sleep_forever()  # it was told to stop accepting; the supervisor ends it

        return (
            ServiceSpec("engine", run_engine),
            ServiceSpec("http", run_http),
            ServiceSpec("listener", run_listener),
        )

    def udp(self, door: UdpDoor, public_host: str) -> Callable[[], Awaitable[object]]:
        """What runs the microphone's datagrams."""
        return UdpListener(
            door, host=self.settings.host, public_host=public_host, telemetry=self.telemetry
        ).run

    def open(self) -> None:
        """From now on read and let in: what was to be taken over is here."""
        self.is_closed = False
        if self.engine.now is not None:
            self.engine.now.thaw()
        if self.listener.now is not None:
            self.listener.now.resume()

    async def stop(self) -> None:
        """Take nobody in any more, answer what is being asked, say goodbye to every WebSocket."""
        close = close_codes.SERVER_RESTARTING
        if self.listener.now is not None:
            self.listener.now.stop_accepting()
        if self.host.now is not None:
            await self.host.now.drain(DRAIN_S)
        if self.engine.now is not None:
            await self.engine.now.close_all(close.code, close.reason, timeout_s=CLOSE_S)
