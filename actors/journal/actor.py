"""Group commit: whatever arrives while a transaction is being written goes into the next one.

A lone change is written at once; under load the batch grows by itself, so no timer is needed. A transaction
that fails is answered to each of its callers with a time to retry: the session goes on from memory (DESIGN
section 6).
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime import Actor, Recipient, RestartInfo, fault_point

from ..ports import Change, Store, Telemetry, retry_after_s


class CommitDone(msgspec.Struct, frozen=True):
    """The changes are durable."""

    token: int


class CommitFailed(msgspec.Struct, frozen=True):
    """The changes are not stored; it is worth asking again after `retry_after_s`."""

    token: int
    retry_after_s: float


class Commit(msgspec.Struct, frozen=True):
    """Make `changes` durable, then tell `reply_to` a CommitDone or CommitFailed with `token`."""

    changes: tuple[Change, ...]
    token: int = 0
    reply_to: Recipient[CommitDone | CommitFailed] | None = None


class _Written(msgspec.Struct, frozen=True):
    pass


class _NotWritten(msgspec.Struct, frozen=True):
    error: Exception


class StorageWellbeing(msgspec.Struct, frozen=True):
    """The journal's state: what waits, what is being written, whether storage is well."""

    waiting: tuple[Commit, ...] = ()
    writing: tuple[Commit, ...] = ()
    is_well: bool = True


JournalMessage = Commit | _Written | _NotWritten


class Journal(Actor[JournalMessage]):
    """Writes one batch at a time, in the order of arrival.

    A crash keeps what waits and writes the interrupted batch again: every change is idempotent.
    """

    mailbox_size = 16_384

    def __init__(self, *, store: Store, telemetry: Telemetry) -> None:
        self.store = store
        self.telemetry = telemetry
        self.state = StorageWellbeing()

    def started(self, restart: RestartInfo | None) -> None:
        if self.state.writing or self.state.waiting:
            again = self.state.writing + self.state.waiting
            self.state = msgspec.structs.replace(self.state, writing=(), waiting=again)
            self._write_next()

    def receive(self, message: JournalMessage) -> None:
        if isinstance(message, Commit):
            self.state = msgspec.structs.replace(self.state, waiting=(*self.state.waiting, message))
        elif isinstance(message, _Written):
            for commit in self.state.writing:
                if commit.reply_to is not None:
                    commit.reply_to.tell(CommitDone(commit.token))
            self.state = msgspec.structs.replace(self.state, writing=(), is_well=True)
        else:
            self._answer_failure(message.error)
        if not self.state.writing and self.state.waiting:
            self._write_next()

    def _write_next(self) -> None:
        batch = self.state.waiting
        self.state = msgspec.structs.replace(self.state, writing=batch, waiting=())
        changes: list[Change] = [change for commit in batch for change in commit.changes]
        self.start(self._store, changes, then=_written, failed=_NotWritten, name="commit")

    async def _store(self, changes: list[Change]) -> None:
        fault_point("journal: before a commit")
        await self.store.commit(changes)
        fault_point("journal: durable, and nobody knows")

    def _answer_failure(self, error: Exception) -> None:
        self.telemetry.error("storage_commit_failed", cause=str(error), commits=len(self.state.writing))
        for commit in self.state.writing:
            if commit.reply_to is not None:
                commit.reply_to.tell(CommitFailed(commit.token, retry_after_s(error)))
        self.state = msgspec.structs.replace(self.state, writing=(), is_well=False)


def _written(_: Any) -> _Written:
    return _Written()
