"""A connection core over a wire that a test scripts."""

from __future__ import annotations

from adapters.simulated.telemetry import RecordingTelemetry
from adapters.websocket import EngineSettings, ServerConnection
from tests.adapters.websocket.peers import (
    REQUEST,
    RecordedHandler,
)


class ScriptedWire:
    """A transport that takes as many bytes as the test says, and breaks when it says so."""

    def __init__(self) -> None:
        self.room_bytes = 1 << 40
        self.sent = bytearray()
        self.calls: list[str] = []
        self.is_read_wanted = True
        self.is_write_wanted = False
        self.deadline: float | None = None
        self.ended_calls = 0

    def try_send(self, data: bytes | memoryview, /) -> int:
        if self.room_bytes < 0:
            raise ConnectionResetError("scripted")
        taken = data[: self.room_bytes]
        self.room_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def want(self, *, read: bool, write: bool) -> None:
        assert not self.is_released, "never touched after it was closed"
        self.is_read_wanted, self.is_write_wanted = read, write

    def expire_at(self, deadline: float | None) -> None:
        self.deadline = deadline

    def ended(self) -> None:
        self.ended_calls += 1

    def finish(self) -> None:
        assert not self.is_released
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")

    def reset(self) -> None:
        self.calls.append("reset")

    @property
    def is_released(self) -> bool:
        return bool({"close", "reset"} & set(self.calls))

    def take(self) -> bytes:
        sent = bytes(self.sent)
        self.sent.clear()
        return sent


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A connection with all that it was given."""

    def __init__(
        self, handler: RecordedHandler | None = None, settings: EngineSettings | None = None
    ) -> None:
        self.wire = ScriptedWire()
        self.handler = handler or RecordedHandler()
        self.clock = Clock()
        self.telemetry = RecordingTelemetry()
        self.settings = settings or EngineSettings()
        self.connection = ServerConnection(
            self.wire,
            self.handler,
            id="connection-1",
            peer="peer",
            settings=self.settings,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def open(self) -> Rig:
        self.receive(REQUEST)
        assert self.wire.take().startswith(b"HTTP/1.1 101 ")
        return self

    def receive(self, data: bytes) -> None:
        """All of it, over as many turns as it takes."""
        self.connection.receive(data, self.clock.now)
        while self.connection.has_backlog:
            self.connection.work()

    def messages(self) -> list[tuple[str, object]]:
        return [item for item in self.handler.heard if item[0] in ("text", "binary")]
