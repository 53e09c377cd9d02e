"""A language model in a process of its own, as the server has it.

Importing Anthropic's SDK is two seconds of Python, and each call of it three to four milliseconds. In a
thread of the server that holds the loop for as long and sheds audio on a busy machine; here the loop pays for
a frame each way. The process starts with the server, so that the first question finds it ready, and is
started again when it dies: what was being asked fails as the network does, which whoever asks tries again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import trio

from actors.language_ports import LanguageModelError, ModelAnswer, ModelRequest
from actors.ports import Telemetry
from adapters.language_model import frames
from adapters.language_model.frames import Answered, Ask, Cancel, Configure, Counted, Failed, Ready, Told
from adapters.language_model.settings import AnthropicSettings
from protocols.child_environment import child_environment
from protocols.pipe_frames import FrameError, PipeReader

_NAME: Final = "anthropic"
_COMMAND: Final = (sys.executable, "-P", "-m", "adapters.language_model.worker")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_KILL_S: Final = 2.0
_START_S: Final = 60.0
_LATE_S: Final = 2.0
"""Past its time by so much an answer is not late: the process hangs."""

_WAIT_FIRST_S: Final = 0.5
_WAIT_MOST_S: Final = 30.0
_CHUNK: Final = 65_536

_WAYS: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What says how the world is reached from here; the SDK reads them, in either case."""


class _Asked:
    """A question that is out."""

    def __init__(self) -> None:
        self.is_over = trio.Event()
        self.outcome: ModelAnswer | LanguageModelError | None = None

    def end(self, outcome: ModelAnswer | LanguageModelError) -> None:
        self.outcome = outcome
        self.is_over.set()


class ModelProcess:
    """`LanguageModel` over a process. `run` is the service that keeps it.

    Args:
      base_url: where Anthropic is, without `/v1`; empty means Anthropic's own.
      command: what is executed instead of the worker, for tests.
    """

    def __init__(
        self,
        *,
        key: str,
        base_url: str = "",
        telemetry: Telemetry,
        settings: AnthropicSettings | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._configure = Configure(key, base_url, settings or AnthropicSettings())
        self._telemetry = telemetry
        self._command = command or _COMMAND
        self._asked: dict[int, _Asked] = {}
        self._last_number = 0
        self._outgoing: deque[bytes] = deque()
        self._has_outgoing = trio.Event()
        self._is_ready = trio.Event()
        self._life: trio.CancelScope | None = None
        self._cause = ""
        self.pid: int | None = None

    @property
    def name(self) -> str:
        return _NAME

    async def prepare(self) -> None:
        """Wait until it is ready, for as long as it may take to start."""
        with trio.move_on_after(_START_S):
            await self._is_ready.wait()

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        """Ask once.

        Args:
          timeout_s: seconds for everything, the start of the process included.

        Raises:
          LanguageModelError: `network` too where the process has died.

        Cancellation: the process is told, and closes its connection.
        """
        deadline = trio.current_time() + timeout_s
        with trio.move_on_after(timeout_s):
            await self._is_ready.wait()
        left_s = deadline - trio.current_time()
        if not self._is_ready.is_set() or left_s <= 0:
            raise LanguageModelError(_NAME, "timeout", f"its process was not ready within {timeout_s:g} s")
        self._last_number += 1
        number, asked = self._last_number, _Asked()
        try:
            packed = frames.pack(Ask(number, request, left_s))
        except frames.TooLargeError as error:
            raise LanguageModelError(_NAME, "request", f"the question: {error}") from error
        self._asked[number] = asked
        self._send(packed)
        try:
            with trio.move_on_after(left_s + _LATE_S):
                await asked.is_over.wait()
        finally:
            del self._asked[number]
            if not asked.is_over.is_set():
                self._send(frames.pack(Cancel(number)))
        if asked.outcome is None:
            self._give_up("it does not answer")
            raise LanguageModelError(_NAME, "timeout", f"no answer within {timeout_s:g} s")
        if isinstance(asked.outcome, LanguageModelError):
            raise asked.outcome
        return asked.outcome

    async def aclose(self) -> None:
        """The process belongs to `run`, and ends with it."""

    async def run(self) -> None:
        """Keep the process until cancelled; then end it."""
        wait_s = _WAIT_FIRST_S
        while True:
            cause = await self._live()
            if self._is_ready.is_set():
                wait_s = _WAIT_FIRST_S
            self._is_ready = trio.Event()
            self._telemetry.warning("language_model_process_died", cause=cause, retry_after_s=wait_s)
            for asked in self._asked.values():
                asked.end(LanguageModelError(_NAME, "network", f"its process ended: {cause}"))
            await trio.sleep(wait_s)
            wait_s = min(wait_s * 2, _WAIT_MOST_S)

    def _send(self, packed: bytes) -> None:
        self._outgoing.append(packed)
        self._has_outgoing.set()

    def _give_up(self, cause: str) -> None:
        self._cause = self._cause or cause
        if self._life is not None:
            self._life.cancel()

    async def _live(self) -> str:
        """Start a process and talk to it until one of us cannot go on; returns why."""
        self._cause = ""
        self._outgoing.clear()
        self._send(frames.pack(self._configure))
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(os.environ),
            )
        except OSError as error:
            return f"{self._command[0]}: {error}"
        self.pid = process.pid
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with trio.open_nursery() as nursery:
                self._life = nursery.cancel_scope
                nursery.start_soon(self._until_end, process)
                nursery.start_soon(self._write, process.stdin)
                nursery.start_soon(self._read, process.stdout)
                nursery.start_soon(self._watch_the_start)
        finally:
            self._life, self.pid = None, None
            process.kill()
            with trio.move_on_after(_KILL_S, shield=True):
                await process.wait()
                await process.stdin.aclose()
                await process.stdout.aclose()
        return self._cause

    async def _watch_the_start(self) -> None:
        with trio.move_on_after(_START_S):
            await self._is_ready.wait()
            self._telemetry.info("language_model_process_started", pid=self.pid)
            return
        self._give_up(f"it was not ready within {_START_S:g} s")

    async def _until_end(self, process: trio.Process) -> None:
        self._give_up(f"it ended with status {await process.wait()}")

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        try:
            while True:
                while not self._outgoing:
                    self._has_outgoing = trio.Event()
                    await self._has_outgoing.wait()
                piece = b"".join(self._outgoing)
                self._outgoing.clear()
                await pipe.send_all(piece)
        except trio.BrokenResourceError:
            await self._pipe_closed()

    async def _read(self, pipe: trio.abc.ReceiveStream) -> None:
        reader = PipeReader()
        while chunk := await pipe.receive_some(_CHUNK):
            try:
                for payload in reader.feed(bytes(chunk)):
                    self._take(frames.read_from_worker(payload))
            except (FrameError, msgspec.DecodeError) as error:
                self._give_up(f"it wrote nonsense: {error}")
                return
        await self._pipe_closed()

    async def _pipe_closed(self) -> None:
        await trio.sleep(_KILL_S)  # its status says more, and comes at once
        self._give_up("it closed its pipe")

    def _take(self, message: frames.FromWorker) -> None:
        match message:
            case Ready():
                self._is_ready.set()
            case Answered(number, answer):
                self._end(number, answer)
            case Failed(number, kind, cause, retry_after_s):
                self._end(number, LanguageModelError(_NAME, kind, cause, retry_after_s=retry_after_s))
            case Counted(event, amount):
                self._telemetry.count(event, amount)
            case Told(level, event, fields):
                getattr(self._telemetry, level)(event, **fields)

    def _end(self, number: int, outcome: ModelAnswer | LanguageModelError) -> None:
        asked = self._asked.get(number)
        if asked is not None:
            asked.end(outcome)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    ways = {name: ours[name] for way in _WAYS for name in (way, way.lower()) if name in ours}
    return {**child_environment(ours, _ROOT), **ways}
