"""The server's half of its traces: spans wait in a bounded queue, and a process of its own sends them.

OpenTelemetry's own exporter is a thread: encoding a batch and talking to a collector takes the interpreter's
lock from the loop for milliseconds at a time, and importing it takes most of a second. So the server imports
none of it. It notes a span (a microsecond), and twice a second writes what it has to a pipe. While the
collector is away, or slow, the pipe is full, the queue fills up, and what does not fit is dropped and counted
(`trace_spans_dropped`): nobody waits.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio

from actors.ports import Telemetry
from actors.tracing import Span
from adapters.tracing import frames
from adapters.tracing.settings import TracingSettings
from protocols.child_environment import child_environment
from protocols.pipe_frames import FrameError, PipeReader

_COMMAND: Final = (sys.executable, "-P", "-m", "adapters.tracing.worker")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_FLUSH_S: Final = 0.5
_MOST_A_FRAME: Final = 256
_KILL_S: Final = 2.0
_LAST_S: Final = 1.0
_WAIT_FIRST_S: Final = 1.0
_WAIT_MOST_S: Final = 60.0
_CHUNK: Final = 65_536


class TraceProcess:
    """Takes spans (`put`) and sends them, while its service (`run`) runs.

    Args:
      clock, wall: the system's, for the spans' times on the calendar.
      command: what is executed instead of the worker, for tests.

    Attributes:
      close_idle: called twice a second with the clock's time, and at the end with one that is never.
      pid: of the process; None while there is none.
    """

    def __init__(
        self,
        settings: TracingSettings,
        telemetry: Telemetry,
        *,
        version: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._settings = settings
        self._configure = frames.Configure(settings.endpoint, settings.service_name, version)
        self._telemetry = telemetry
        self._clock = clock
        self._wall = wall
        self._command = command or _COMMAND
        self._waiting: deque[Span] = deque()
        self._is_failing = False
        self.close_idle: Callable[[float], None] = lambda now: None
        self.pid: int | None = None

    def put(self, span: Span) -> None:
        """Keep one span until it is sent. Never waits; one that does not fit is counted."""
        if len(self._waiting) >= self._settings.waiting_spans:
            self._telemetry.count("trace_spans_dropped")
        else:
            self._waiting.append(span)

    async def run(self) -> None:
        """Keep the process until cancelled; then let it send what there is."""
        wait_s = _WAIT_FIRST_S
        while True:
            began_at = trio.current_time()
            cause = await self._live()
            if trio.current_time() - began_at > _WAIT_MOST_S:
                wait_s = _WAIT_FIRST_S
            self._telemetry.warning("trace_process_died", cause=cause, retry_after_s=wait_s)
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, _WAIT_MOST_S)

    async def _live(self) -> str:
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(os.environ),
            )
        except OSError as error:
            return f"{self._command[0]}: {error}"
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, process.stdin)
                await self._read(process.stdout)
                nursery.cancel_scope.cancel()
            with trio.move_on_after(_KILL_S):
                await process.wait()
            return f"it ended with status {process.returncode}"
        finally:
            with trio.move_on_after(
                _LAST_S, shield=True
            ):  # the end of its pipe ends it, with all that was sent
                self.close_idle(math.inf)
                await self._flush(process.stdin)
                await process.stdin.aclose()
                await process.wait()
            process.kill()
            with trio.move_on_after(_KILL_S, shield=True):
                await process.wait()
                await process.stdout.aclose()
            self.pid = None

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        try:
            await pipe.send_all(frames.pack(self._configure))
            while True:
                await trio.sleep(_FLUSH_S)
                self.close_idle(self._clock())
                await self._flush(pipe)
        except trio.BrokenResourceError:
            return  # it is over, which its other pipe says too

    async def _flush(self, pipe: trio.abc.SendStream) -> None:
        waiting, epoch_s = self._waiting, self._wall() - self._clock()
        try:
            while waiting:
                taken = [waiting.popleft() for _ in range(min(_MOST_A_FRAME, len(waiting)))]
                await pipe.send_all(frames.pack(frames.Spans(epoch_s, taken)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._telemetry.count("trace_spans_dropped", len(taken))

    async def _read(self, pipe: trio.abc.ReceiveStream) -> None:
        reader = PipeReader()
        while chunk := await pipe.receive_some(_CHUNK):
            try:
                for payload in reader.feed(bytes(chunk)):
                    self._told(frames.read_told(payload))
            except (FrameError, msgspec.DecodeError):
                return

    def _told(self, told: frames.Told) -> None:
        self._telemetry.count("trace_spans_sent" if not told.cause else "trace_spans_lost", told.spans)
        if told.cause and not self._is_failing:
            self._telemetry.warning("traces_not_sent", spans=told.spans, cause=told.cause)
        elif not told.cause and self._is_failing:
            self._telemetry.info("traces_sent_again")
        self._is_failing = bool(told.cause)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    exporters = {name: value for name, value in ours.items() if name.startswith("OTEL_EXPORTER_OTLP_")}
    return {**child_environment(ours, _ROOT), **exporters}
