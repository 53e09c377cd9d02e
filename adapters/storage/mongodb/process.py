"""The process that asks MongoDB, as the server has it: one, supervised, and the calls that wait for it.

A call is numbered, put in order and written by one task; another task reads the answers. When the process
dies, what it had not answered is asked of the next one, since everything may be asked twice (`database`); a
call that two processes died of is an error. No call waits for longer than `MongoSettings.call_s`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import trio

from actors.ports import StorageError, Telemetry
from adapters.storage.mongodb import wire
from adapters.storage.mongodb.settings import MongoSettings
from protocols.child_environment import child_environment
from protocols.pipe_frames import FrameError

_ROOT: Final = str(Path(__file__).resolve().parents[3])
_KILL_S: Final = 2.0
_MOST_LIVES: Final = 2
_MOST_OUTGOING_BYTES: Final = 64 * 1024 * 1024


class WorkerProcess(Protocol):
    """The process that asks MongoDB, as `trio.Process` is one."""

    stdin: trio.abc.SendStream | None
    stdout: trio.abc.ReceiveStream | None

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def kill(self) -> None: ...


async def launch_worker() -> WorkerProcess:
    """Start it. Raises OSError."""
    return await trio.lowlevel.open_process(
        (sys.executable, *wire.COMMAND),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(os.environ, _ROOT),
    )


class _Waiting:
    """A call, and what came of it."""

    __slots__ = ("call", "fault", "is_over", "lives", "value")

    def __init__(self, call: wire.Call) -> None:
        self.call = call
        self.lives = 0
        self.value: msgspec.Raw | None = None
        self.fault: StorageError | None = None
        self.is_over = trio.Event()

    def fail(self, cause: str, retry_after_s: float) -> None:
        self.fault = StorageError(cause, retry_after_s=retry_after_s)
        self.is_over.set()


class StoreProcess:
    """Keeps the process and asks it. `run` has to be running for any of it.

    Args:
      configure: what each process is told first.
      launch: what starts the process; tests have others.

    Attributes:
      pid: the process's; None while there is none.
      restarts: processes that ended without being told to.
    """

    def __init__(
        self,
        configure: wire.Configure,
        settings: MongoSettings,
        telemetry: Telemetry,
        launch: Callable[[], Awaitable[WorkerProcess]],
    ) -> None:
        self._configure = configure
        self._settings = settings
        self._telemetry = telemetry
        self._launch = launch
        self._calls: dict[int, _Waiting] = {}
        self._last_number = 0
        self._outgoing: deque[bytes] = deque()
        self._outgoing_bytes = 0
        self._has_outgoing = trio.Event()
        self._is_up = False
        self._is_told = trio.Event()  # ready, or why not
        self._is_life_told = trio.Event()  # likewise, of the process that runs now
        self._trouble: StorageError | None = None
        self._cause = ""
        self._life: trio.CancelScope | None = None
        self._is_closed = False
        self._is_closing = trio.Event()
        self._has_ended = trio.Event()
        self.pid: int | None = None
        self.restarts = 0

    async def run(self) -> None:
        """Keep the process until `aclose` or until cancelled; then end it."""
        failures = 0
        try:
            while not self._is_closed:
                began = trio.current_time()
                try:
                    await self._live()
                except Exception as error:  # a mistake of ours must not leave callers waiting
                    self._cause = f"what talks to it has crashed: {error!r}"
                if self._is_closed:
                    break
                failures = failures + 1 if trio.current_time() - began < self._settings.restart_most_s else 1
                await self._wait_to_restart(failures)
        finally:
            self._is_closed = True
            self._fail_all("the store is closed", 1.0)
            self._is_told.set()
            self._has_ended.set()

    async def ready(self) -> None:
        """Wait until the first process is ready.

        Raises:
          StorageError: it cannot be: MongoDB does not answer, refuses us, or holds what we cannot read.
        """
        await self._is_told.wait()
        if not self._is_up:
            raise self._trouble or StorageError("the store is closed")

    async def aclose(self) -> None:
        """Wait for what was asked, then end the process. Calls after it raise StorageError.

        Cancellation: it closes all the same; `call_s` bounds it.
        """
        self._is_closed = True
        with trio.CancelScope(shield=True):
            with trio.move_on_after(self._settings.call_s):
                for waiting in list(self._calls.values()):
                    await waiting.is_over.wait()
            self._is_closing.set()
            await self._has_ended.wait()

    async def ask(self, request: wire.Request, kind: Any) -> Any:
        """The answer to a request.

        Args:
          kind: the type of the answer, for msgspec.

        Raises:
          StorageError

        Cancellation: the request may still be done.
        """
        if self._is_closed:
            raise StorageError("the store is closed")
        if not self._is_up and self._trouble is not None:
            raise StorageError(str(self._trouble), retry_after_s=self._trouble.retry_after_s)
        if len(self._calls) >= self._settings.most_waiting:
            raise StorageError(f"{len(self._calls)} calls wait for MongoDB already", retry_after_s=0.5)
        if self._outgoing_bytes > _MOST_OUTGOING_BYTES:
            raise StorageError(f"{self._outgoing_bytes} bytes wait for MongoDB already", retry_after_s=0.5)
        self._last_number += 1
        until = time.monotonic() + self._settings.call_s
        waiting = _Waiting(wire.Call(self._last_number, until, request))
        self._calls[self._last_number] = waiting
        if self._is_up:
            self._send(waiting)
        try:
            with trio.move_on_after(self._settings.call_s + 0.2):  # its own error comes first, and says more
                await waiting.is_over.wait()
        finally:
            del self._calls[waiting.call.number]
        if waiting.fault is not None:
            raise waiting.fault
        if waiting.value is None:
            raise StorageError(f"MongoDB did not answer within {self._settings.call_s:g} s")
        try:
            return msgspec.msgpack.decode(waiting.value, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StorageError(f"what MongoDB holds is unreadable: {error}", retry_after_s=60.0) from error

    def _send(self, waiting: _Waiting) -> None:
        waiting.lives += 1
        packed = wire.pack(waiting.call)
        self._outgoing.append(packed)
        self._outgoing_bytes += len(packed)
        self._has_outgoing.set()

    def _fail_all(self, cause: str, retry_after_s: float) -> None:
        for waiting in self._calls.values():
            waiting.fail(cause, retry_after_s)

    async def _wait_to_restart(self, failures: int) -> None:
        first, most = self._settings.restart_first_s, self._settings.restart_most_s
        wait_s = min(most, first * 2 ** min(16, failures - 1))
        self.restarts += 1
        self._telemetry.warning(
            "store_process_died",
            cause=self._cause,
            failures=failures,
            waiting=len(self._calls),
            retry_after_s=wait_s,
        )
        for waiting in self._calls.values():
            if waiting.lives >= _MOST_LIVES:
                waiting.fail(f"the process that asks MongoDB died of it: {self._cause}", 5.0)
        with trio.move_on_after(wait_s):
            await self._is_closing.wait()

    async def _live(self) -> None:
        """Start a process and talk to it until one of us cannot go on, or the store is closed."""
        self._cause = ""
        self._is_life_told = trio.Event()
        self._outgoing.clear()
        self._outgoing_bytes = 0
        try:
            process = await self._launch()
        except OSError as error:
            self._not_up(StorageError(f"the process that asks MongoDB cannot be started: {error}"))
            self._cause = str(self._trouble)
            return
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        try:
            async with trio.open_nursery() as nursery:
                self._life = nursery.cancel_scope
                nursery.start_soon(self._until_end, process)
                nursery.start_soon(self._write, process.stdin)
                nursery.start_soon(self._read, process.stdout)
                nursery.start_soon(self._until_ready)
                nursery.start_soon(self._until_closing, process)
        finally:
            self._life = None
            self._is_up = False
            self.pid = None
            with trio.move_on_after(_KILL_S, shield=True):
                await process.stdin.aclose()
                if not self._is_closed:
                    process.kill()
                await process.wait()
            if process.returncode is None:
                process.kill()
            await process.stdout.aclose()

    def _not_up(self, trouble: StorageError) -> None:
        self._trouble = trouble
        self._fail_all(str(trouble), trouble.retry_after_s)
        self._is_told.set()
        self._is_life_told.set()

    def _give_up(self, cause: str) -> None:
        self._cause = self._cause or cause
        if self._life is not None:
            self._life.cancel()

    async def _until_end(self, process: WorkerProcess) -> None:
        status = await process.wait()
        await trio.sleep(0.05)  # what it wrote last says more
        self._give_up(f"it ended with status {status}")

    async def _until_closing(self, process: WorkerProcess) -> None:
        await self._is_closing.wait()
        self._give_up("the store is closed")

    async def _until_ready(self) -> None:
        with trio.move_on_after(self._settings.start_s + _KILL_S):
            await self._is_life_told.wait()
            return
        self._not_up(StorageError(f"it was not ready within {self._settings.start_s:g} s"))
        self._give_up(str(self._trouble))

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        piece = wire.pack(self._configure)
        try:
            while True:
                await pipe.send_all(piece)
                while not self._outgoing:
                    self._has_outgoing = trio.Event()
                    await self._has_outgoing.wait()
                piece = b"".join(self._outgoing)
                self._outgoing.clear()
                self._outgoing_bytes = 0
        except trio.BrokenResourceError:
            await trio.sleep(_KILL_S)  # its status says more, and comes at once
            self._give_up("it closed its pipe")

    async def _read(self, pipe: trio.abc.ReceiveStream) -> None:
        reader = wire.MessageReader()
        while chunk := await pipe.receive_some(65_536):
            try:
                for payload in reader.feed(bytes(chunk)):
                    self._take(wire.from_worker(payload))
            except (FrameError, msgspec.DecodeError, UnicodeDecodeError) as error:
                self._give_up(f"it wrote nonsense: {error}")
                return
        await trio.sleep(_KILL_S)
        self._give_up("it closed its pipe")

    def _take(self, message: wire.FromWorker) -> None:
        match message:
            case wire.Ready():
                self._is_up, self._trouble = True, None
                self._telemetry.info(
                    "store_process_started",
                    pid=self.pid,
                    server=message.server,
                    has_transactions=message.has_transactions,
                )
                if not message.has_transactions:
                    self._telemetry.warning("store_without_transactions", server=message.server)
                for waiting in self._calls.values():
                    if not waiting.is_over.is_set():
                        self._send(waiting)
                self._is_told.set()
                self._is_life_told.set()
            case wire.Unready(cause, retry_after_s):
                self._not_up(StorageError(cause, retry_after_s=retry_after_s))
                self._give_up(cause)
            case wire.Answer(number, content):
                if (answered := self._calls.get(number)) is not None:
                    answered.value = content
                    answered.is_over.set()
            case wire.Fault(number, cause, retry_after_s):
                if (failed := self._calls.get(number)) is not None:
                    failed.fail(cause, retry_after_s)
