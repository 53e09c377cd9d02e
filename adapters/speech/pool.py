"""The worker processes, and who is lent one.

A slot is one task and at most one process. It starts when somebody needs it, loads a decoder, takes the
utterance that has waited longest, recognises it while it is being spoken, and takes the next. When its
process dies, hangs or talks nonsense the slot kills it, puts the utterance back at the head of the queue and
starts another after a back-off. The queue holds one utterance of a stream at a time, so that somebody who
talks a lot waits behind everybody else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec
import trio

from actors.ports import Telemetry
from protocols.child_environment import child_environment

from .settings import PocketSphinxSettings
from .utterance import Utterance
from .worker_frames import FrameError, FrameReader, Kind, pack

WorkerState = Literal["off", "starting", "idle", "lent", "waiting"]

_COMMAND: Final = (sys.executable, "-P", "-m", "adapters.speech.pocketsphinx_worker")
_ROOT: Final = str(Path(__file__).resolve().parents[2])
_KILL_TIMEOUT_S: Final = 2.0
_BROKEN_AFTER: Final = 3
"""Failed starts in a row, with no worker left, after which streams are told instead of kept waiting."""


class WorkerView(msgspec.Struct, frozen=True):
    """One slot, for the console and for tests.

    Attributes:
      state: `off` nobody has needed it yet; `starting` loads its model; `waiting` for its back-off to end.
      restarts: processes of this slot that ended without being told to.
    """

    slot: int
    state: WorkerState
    pid: int | None
    utterances: int
    restarts: int
    last_error: str


class _Slot:
    def __init__(self, number: int) -> None:
        self.number = number
        self.state: WorkerState = "off"
        self.pid: int | None = None
        self.utterance: Utterance | None = None
        self.utterances = 0
        self.restarts = 0
        self.failures = 0  # in a row
        self.failed_starts = 0  # in a row
        self.last_error = ""


class _WorkerError(Exception):
    """The process cannot go on; the text says why."""


class WorkerPool:
    """Runs the slots. Everything but `run` is a plain call.

    Args:
      on_broken: called with the cause when no worker can be kept alive.
    """

    def __init__(
        self,
        settings: PocketSphinxSettings,
        telemetry: Telemetry,
        on_broken: Callable[[str], None],
        command: tuple[str, ...] | None = None,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._on_broken = on_broken
        self._command = command or _COMMAND
        self._slots = [_Slot(number) for number in range(settings.worker_count or _core_count())]
        self._queue: deque[Utterance] = deque()
        self._free = trio.lowlevel.ParkingLot()
        self._off = trio.lowlevel.ParkingLot()
        self._demand = settings.prestart

    def views(self) -> tuple[WorkerView, ...]:
        return tuple(
            WorkerView(slot.number, slot.state, slot.pid, slot.utterances, slot.restarts, slot.last_error)
            for slot in self._slots
        )

    @property
    def retry_after_s(self) -> float:
        """When a worker may be there again."""
        return max(self._backoff_s(slot) for slot in self._slots)

    @property
    def is_broken(self) -> bool:
        """No worker lives, and one slot at least has failed to start again and again."""
        is_any_alive = any(slot.state in ("idle", "lent") for slot in self._slots)
        return not is_any_alive and any(slot.failed_starts >= _BROKEN_AFTER for slot in self._slots)

    def want(self, workers: int) -> None:
        """Have this many workers, as far as there are slots; they stay."""
        self._demand = max(self._demand, workers)
        self._off.unpark_all()

    def enqueue(self, utterance: Utterance) -> None:
        """Lend it a worker when its turn comes."""
        self._queue.append(utterance)
        self._free.unpark_all()

    async def run(self) -> None:
        """Keep the workers until cancelled; then kill them."""
        async with trio.open_nursery() as nursery:
            for slot in self._slots:
                nursery.start_soon(self._keep, slot)

    async def _keep(self, slot: _Slot) -> None:
        while self._demand <= slot.number:
            await self._off.park()
        while True:
            cause = await self._life(slot)
            slot.failures += 1
            slot.failed_starts += slot.state == "starting"
            slot.restarts += 1
            slot.last_error = cause
            slot.state = "waiting"
            slot.pid = None
            wait_s = self._backoff_s(slot)
            self._telemetry.warning(
                "speech_worker_died",
                slot=slot.number,
                cause=cause,
                failures=slot.failures,
                retry_after_s=wait_s,
            )
            self._put_back(slot)
            if self.is_broken:
                self._on_broken(cause)
            await trio.sleep(wait_s)

    def _backoff_s(self, slot: _Slot) -> float:
        first, most = self._settings.restart_first_s, self._settings.restart_most_s
        return float(min(most, first * 2 ** max(0, slot.failures - 1)))

    def _put_back(self, slot: _Slot) -> None:
        utterance, slot.utterance = slot.utterance, None
        if utterance is None or utterance.is_abandoned:
            return
        if utterance.attempts >= self._settings.attempts:
            self._telemetry.error("speech_utterance_given_up", attempts=utterance.attempts)
            utterance.owner.given_up(utterance)
            return
        utterance.rewind()
        self._queue.appendleft(utterance)
        self._free.unpark_all()

    async def _life(self, slot: _Slot) -> str:
        """Start a process and lend it until it fails; returns why it did."""
        slot.state = "starting"
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=child_environment(os.environ, _ROOT),
            )
        except OSError as error:
            return f"{self._command[0]}: {error}"
        slot.pid = process.pid
        cause = ""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_at_end, process, nursery.cancel_scope)
                try:
                    await self._serve(slot, _Pipes(process))
                except _WorkerError as error:
                    cause = str(error)
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.move_on_after(_KILL_TIMEOUT_S, shield=True):
                await process.wait()
                await _close(process)
        return cause or f"its process ended with status {process.returncode}"

    async def _serve(self, slot: _Slot, pipes: _Pipes) -> None:
        with _within(self._settings.start_timeout_s):
            await pipes.answer(Kind.READY)
        slot.failed_starts = 0
        self._telemetry.info("speech_worker_started", slot=slot.number, pid=slot.pid)
        while True:
            slot.state = "idle"
            utterance = await self._next()
            slot.state = "lent"
            slot.utterance = utterance
            utterance.lend()
            await self._recognise(utterance, pipes)
            slot.utterance = None
            slot.utterances += 1
            slot.failures = 0

    async def _next(self) -> Utterance:
        while True:
            while self._queue:
                utterance = self._queue.popleft()
                if not utterance.is_abandoned:
                    return utterance
            await self._free.park()

    async def _recognise(self, utterance: Utterance, pipes: _Pipes) -> None:
        request = pack(Kind.BEGIN, utterance.owner.mean.encode())
        while not utterance.is_abandoned:
            piece = utterance.take()
            is_last = utterance.is_all_taken
            if not piece and not is_last:
                await utterance.wait()
                continue
            if piece:
                request += pack(Kind.AUDIO, piece)
            if is_last:  # together with the last piece: one switch of processes less before the final
                request += pack(Kind.END_SILENT if utterance.is_silent_at_end else Kind.END)
            with _within(self._settings.answer_timeout_s):
                await pipes.send(request)
                request = b""
                if piece:
                    kind, payload = await pipes.answer(Kind.HEARD, Kind.PARTIAL)
                    utterance.heard(payload.decode(errors="replace") if kind is Kind.PARTIAL else None)
                if is_last:
                    _, payload = await pipes.answer(Kind.FINAL)
                    mean, _, text = payload.decode(errors="replace").partition("\n")
                    if not utterance.is_abandoned:
                        utterance.owner.finished(utterance, text, mean)
                    return
        with _within(self._settings.answer_timeout_s):
            await pipes.send(pack(Kind.ABANDON))


class _Pipes:
    """A worker's two pipes."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests = process.stdin
        self._answers = process.stdout
        self._reader = FrameReader()
        self._frames: deque[tuple[Kind, bytes]] = deque()

    async def send(self, frames: bytes) -> None:
        try:
            await self._requests.send_all(frames)
        except trio.BrokenResourceError as error:
            raise _WorkerError("it closed its pipe") from error

    async def answer(self, *expected: Kind) -> tuple[Kind, bytes]:
        """The next frame, which must be one of these."""
        while not self._frames:
            chunk = await self._answers.receive_some()
            if not chunk:
                raise _WorkerError("it closed its pipe")
            try:
                self._frames.extend(self._reader.feed(bytes(chunk)))
            except FrameError as error:
                raise _WorkerError(f"it wrote {error}") from error
        kind, payload = self._frames.popleft()
        if kind not in expected:
            raise _WorkerError(f"it answered {kind.name} where {expected[0].name} belongs")
        return kind, payload


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise _WorkerError(f"it gave no answer within {seconds} s")


async def _cancel_at_end(process: trio.Process, scope: trio.CancelScope) -> None:
    """An idle worker that dies is replaced too, without waiting for the next utterance to find out."""
    await process.wait()
    scope.cancel()


async def _close(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await pipe.aclose()


def _core_count() -> int:
    return len(os.sched_getaffinity(0))
