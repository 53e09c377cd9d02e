"""An engine as the conformance suite sees it: something to dial, a gate that admits, a way to end it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from trio.abc import HalfCloseableStream

from actors.ports import Admitted, Connection, ConnectionHandler, Gate, Refused, Upgrade
from adapters.simulated.telemetry import RecordingTelemetry
from tests.adapters.websocket.peers import EchoHandler, RawPeer


class AnyEngine(Protocol):
    def connections(self) -> Sequence[Connection]: ...
    async def close_all(self, code: int = ..., reason: str = ..., *, timeout_s: float = ...) -> None: ...


class Server:
    """A running engine behind its front door, with one gate."""

    def __init__(
        self,
        engine: AnyEngine,
        dial: Callable[[], AbstractAsyncContextManager[HalfCloseableStream]],
        gate: OneGate,
        stop: Callable[[], None],
        port: int = 0,
    ) -> None:
        self.engine = engine
        self.dial = dial
        self.gate = gate
        self.stop = stop
        self.port = port

    @property
    def telemetry(self) -> RecordingTelemetry:
        return self.gate.telemetry

    @asynccontextmanager
    async def peer(self, handler: ConnectionHandler | None = None) -> AsyncIterator[RawPeer]:
        """A raw client that has been upgraded; `handler` is what its gate admits it with."""
        if handler is not None:
            self.gate.handlers.append(handler)
        async with self.dial() as stream:
            peer = RawPeer(stream)
            assert (await peer.upgrade()).startswith(b"HTTP/1.1 101 ")
            yield peer


class OneGate(Gate):
    """Admits with the handlers it is given, in order, then with echoes; refuses what asks for it."""

    def __init__(self) -> None:
        self.handlers: list[ConnectionHandler] = []
        self.upgrades: list[Upgrade] = []
        self.telemetry = RecordingTelemetry()

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        self.upgrades.append(upgrade)
        if "refuse" in upgrade.query:
            return Refused(401, b'{"error":"no"}', {"X-Why": "asked for"})
        if "crash" in upgrade.query:
            raise RuntimeError("the gate is broken")
        return Admitted(self.handlers.pop(0) if self.handlers else EchoHandler())


Opener = Callable[..., AbstractAsyncContextManager[Server]]  # opener(settings=EngineSettings(...))
