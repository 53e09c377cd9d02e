"""The process that asks MongoDB, behind two pipes: `python -m adapters.storage.mongodb.worker`.

Reads go to a few threads. Commits have one thread, which takes all that wait as one group; claims, snapshots
and transcripts have another, in the order in which they came. It reads descriptor 0 and answers on
descriptor 1; whatever prints goes to standard error. It ends when its pipe closes, so it never outlives the
server, and it leaves Ctrl-C to the server.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from actors.ports import StorageError
from adapters.storage.mongodb import wire
from adapters.storage.mongodb.database import MongoDatabase, open_database

_READERS: Final = 4
_MOST_IN_GROUP: Final = 256
_LATE: Final = "MongoDB does not answer: the call waited for its turn until nobody waited for it"

Calls = SimpleQueue[wire.Call | None]


class Answers:
    """The pipe to the server; any thread may write."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, message: wire.FromWorker) -> None:
        """Write it whole; does nothing once the server is gone."""
        rest = memoryview(wire.pack(message))
        with self._lock:
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except BrokenPipeError:
                return

    def of(self, call: wire.Call, work: Callable[[], object]) -> StorageError | None:
        """Do what was asked and answer it. Returns the error that was told."""
        if call.until <= time.monotonic():
            self.fault(call, StorageError(_LATE))
            return None
        try:
            answer = work()
        except StorageError as error:
            self.fault(call, error)
            return error
        except Exception as error:
            told = StorageError(f"it cannot be read or written: {type(error).__name__}: {error}")
            self.fault(call, told)
            return told
        self.write(wire.Answer(call.number, wire.value(answer)))
        return None

    def fault(self, call: wire.Call, error: StorageError) -> None:
        self.write(wire.Fault(call.number, str(error), error.retry_after_s))


class Desk:
    """Hands each call to the threads it is for."""

    def __init__(self, database: MongoDatabase, answers: Answers) -> None:
        self._database = database
        self._answers = answers
        self._commits: Calls = SimpleQueue()
        self._snapshots: Calls = SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
        self._writers = [
            threading.Thread(target=self._commit_all, name="commit", daemon=True),
            threading.Thread(target=self._write_all, name="snapshots", daemon=True),
        ]
        for thread in self._writers:
            thread.start()

    def take(self, call: wire.Call) -> None:
        match call.request:
            case wire.Commit():
                self._commits.put(call)
            case (
                wire.ClaimUser()
                | wire.SaveSnapshots()
                | wire.ForgetSnapshot()
                | wire.KeepTranscripts()
                | wire.ForgetTranscripts()
            ):
                self._snapshots.put(call)
            case request:
                self._readers.submit(
                    self._answers.of, call, partial(self._database.read, request, call.until)
                )

    def finish(self) -> None:
        """Do what waits, then end the threads and hang up."""
        for queue in (self._commits, self._snapshots):
            queue.put(None)
        for thread in self._writers:
            thread.join()
        self._readers.shutdown()
        self._database.close()

    def _commit_all(self) -> None:
        while (call := self._commits.get()) is not None:
            group, is_over = [call], False
            while len(group) < _MOST_IN_GROUP and not is_over:
                try:
                    following = self._commits.get_nowait()
                except Empty:
                    break
                if following is None:
                    is_over = True
                else:
                    group.append(following)
            self._commit(group)
            if is_over:
                return

    def _commit(self, group: Sequence[wire.Call]) -> None:
        """A group, and where it does not go through for what is in it, each call alone."""
        now = time.monotonic()
        due = [call for call in group if call.until > now]
        if len(due) > 1:
            changes = [_changes(call) for call in due]
            try:
                self._database.commit(changes, max(call.until for call in due))
            except StorageError as error:
                if error.retry_after_s <= 1.0:  # nobody answers, whoever asks
                    for call in due:
                        self._answers.fault(call, error)
                    due = []
            else:
                for call in due:
                    self._answers.write(wire.Answer(call.number, wire.value(None)))
                due = []
        late = [call for call in group if call.until <= now]
        for call in (*late, *due):
            self._answers.of(call, partial(self._commit_one, call))

    def _commit_one(self, call: wire.Call) -> None:
        self._database.commit([_changes(call)], call.until)

    def _write_all(self) -> None:
        while (call := self._snapshots.get()) is not None:
            request = call.request
            assert isinstance(request, wire.SnapshotWrite)
            self._answers.of(call, partial(self._database.write, request, call.until))


def _changes(call: wire.Call) -> tuple[wire.WireChange, ...]:
    assert isinstance(call.request, wire.Commit)
    return wire.unpacked(call.request.changes)


def serve(requests: int, answers: Answers) -> None:
    """Answer calls until the pipe is closed."""
    reader = wire.MessageReader()
    desk: Desk | None = None
    while chunk := os.read(requests, 65_536):
        for payload in reader.feed(chunk):
            message = wire.to_worker(payload)
            if isinstance(message, wire.Configure):
                desk = _begin(message, answers)
                if desk is None:
                    return
            else:
                assert desk is not None, "the first message is Configure"
                desk.take(message)
    if desk is not None:
        desk.finish()


def _begin(given: wire.Configure, answers: Answers) -> Desk | None:
    """Make the database ready and say so; None where it cannot be."""
    try:
        database = open_database(given, time.monotonic() + given.start_s)
    except StorageError as error:
        answers.write(wire.Unready(str(error), error.retry_after_s))
        return None
    answers.write(wire.Ready(database.server, database.has_transactions))
    return Desk(database, answers)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.dup(0), Answers(os.dup(1))
    os.dup2(2, 1)
    serve(requests, answers)


if __name__ == "__main__":
    main()
