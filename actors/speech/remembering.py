"""A session's memory of what was said, for apps that ask for it: half an hour, and past a restart.

It hears the transcription streams and is written behind: a second's finals in one call. Who may ask is the
session's decision. It is stored only what an app was allowed to hear: a stream exists because an app that
declares the microphone subscribed to it, and nothing is heard, nor stored, without one.

A new session begins by forgetting what the user's last one may have left; one that goes on reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from protocols.transcription import Segment
from runtime import Actor, ReplyTo, RestartInfo

from ..ports import KeptTranscript, StorageError, Store, Telemetry, retry_after_s
from . import history as histories
from .history import History, Remembered
from .history_settings import TranscriptSettings
from .messages import Recognised

_MOST_ASKERS = 32


class ReadHistory(msgspec.Struct, frozen=True):
    """Answer what was said in a language between two moments, in ms of the calendar."""

    language: str
    from_ms: float
    to_ms: float
    reply_to: ReplyTo[tuple[Segment, ...] | None]


class HistoryReady(msgspec.Struct, frozen=True):
    """The store has said what the session before left, or has forgotten it."""

    stored: tuple[bytes, ...]


class HistoryWritten(msgspec.Struct, frozen=True):
    """What was being written is stored."""


class HistoryFailed(msgspec.Struct, frozen=True):
    """The store could not."""

    error: Exception


class HistoryDue(msgspec.Struct, frozen=True):
    """It is time to write, or to ask the store again."""


HistoryMessage = Recognised | ReadHistory | HistoryReady | HistoryWritten | HistoryFailed | HistoryDue


class HistoryState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      unwritten: ids of finals that are not stored yet.
      writing: those of them that are on their way.
      is_ready: the store was asked for, or rid of, what was left.
      askers: who waits for that.
      is_well: the store did what it was last asked.
    """

    history: History = {}
    unwritten: tuple[str, ...] = ()
    writing: tuple[str, ...] = ()
    is_ready: bool = False
    askers: tuple[ReadHistory, ...] = ()
    is_well: bool = True

    @property
    def unwritten_finals(self) -> tuple[Remembered, ...]:
        """What is not in the store yet."""
        wanted = frozenset((*self.writing, *self.unwritten))
        return tuple(one for one in histories.finals(self.history) if one.result_id in wanted)


class TranscriptHistory(Actor[HistoryMessage]):
    """One for a session.

    Args:
      is_resumed: the session goes on from another process: what it stored belongs to this session.
      unwritten: what that process had not stored yet.
    """

    transient = ("is_busy",)

    def __init__(
        self,
        *,
        user_id: str,
        store: Store,
        telemetry: Telemetry,
        settings: TranscriptSettings,
        is_resumed: bool,
        unwritten: tuple[Remembered, ...] = (),
    ) -> None:
        self.user_id = user_id
        self.store = store
        self.telemetry = telemetry
        self.settings = settings
        self.is_resumed = is_resumed
        self.is_busy = False
        history: History = {}
        for one in unwritten:
            history = histories.heard(history, one, settings, is_final=True)
        self.state = HistoryState(history, tuple(one.result_id for one in unwritten))

    def facts(self) -> Mapping[str, object]:
        """How much there is."""
        return {
            "segments": sum(len(spoken.finals) for spoken in self.state.history.values()),
            "bytes": sum(spoken.size for spoken in self.state.history.values()),
            "unwritten": len(self.state.unwritten) + len(self.state.writing),
        }

    def started(self, restart: RestartInfo | None) -> None:
        if not self.settings.store:
            self.state = replace(self.state, is_ready=True)
            return
        if restart is not None:
            # A clean start has forgotten what it had; by now the store has nothing of any other session.
            self.is_resumed = self.is_resumed or not restart.state_kept
            unwritten = (*self.state.writing, *self.state.unwritten)
            self.state = replace(self.state, writing=(), unwritten=unwritten)
        self._work()

    def receive(self, message: HistoryMessage) -> None:
        match message:
            case Recognised():
                self._heard(message)
            case ReadHistory():
                self._read(message)
            case HistoryReady(stored):
                self._ready(stored)
            case HistoryWritten():
                self.is_busy = False
                self._is_well_again()
                self.state = replace(self.state, writing=())
                if self.state.unwritten:
                    self.set_timer("due", self.settings.write_s, HistoryDue())
            case HistoryFailed(error):
                self._failed(error)
            case HistoryDue():
                self._work()

    def _now_ms(self) -> int:
        return round(self.system.clock.wall() * 1000)

    def _heard(self, message: Recognised) -> None:
        data = message.data
        result_id = data.utterance_id or self.system.ids.next("utterance")
        one = histories.of(data, data.transcribe_language or "", self._now_ms(), result_id)
        history = histories.heard(self.state.history, one, self.settings, is_final=data.is_final)
        self.state = replace(self.state, history=history)
        if data.is_final and data.text.strip() and self.settings.store:
            if not self.state.unwritten and not self.is_busy:
                self.set_timer("due", self.settings.write_s, HistoryDue())
            self.state = replace(self.state, unwritten=(*self.state.unwritten, result_id))

    def _read(self, question: ReadHistory) -> None:
        if self.state.is_ready or not self.is_resumed or not self.state.is_well:
            self._answer(question)
        elif len(self.state.askers) < _MOST_ASKERS:
            self.state = replace(self.state, askers=(*self.state.askers, question))
        else:
            question.reply_to.fail(StorageError("what was said is still being read"))

    def _answer(self, question: ReadHistory) -> None:
        question.reply_to.tell(
            histories.between(
                self.state.history,
                question.language,
                question.from_ms,
                question.to_ms,
                self._now_ms(),
                self.settings,
            )
        )

    def _answer_askers(self) -> None:
        for question in self.state.askers:
            self._answer(question)
        self.state = replace(self.state, askers=())

    # -- the store, one thing at a time

    def _work(self) -> None:
        if self.is_busy:
            return
        oldest_ms = round(self._now_ms() - self.settings.keep_s * 1000)
        if not self.state.is_ready:
            self.is_busy = True
            job = self.store.find_transcripts if self.is_resumed else self._forget
            self.start(job, self.user_id, then=HistoryReady, failed=HistoryFailed, name="history")
        elif self.state.unwritten:
            self.is_busy = True
            wanted = frozenset(self.state.unwritten)
            self.state = replace(self.state, writing=self.state.unwritten, unwritten=())
            kept = tuple(
                KeptTranscript(self.user_id, one.result_id, one.at_ms, msgspec.json.encode(one))
                for one in histories.finals(self.state.history)
                if one.result_id in wanted
            )
            self.start(
                self.store.keep_transcripts,
                kept,
                oldest_ms,
                then=lambda _: HistoryWritten(),
                failed=HistoryFailed,
                name="history",
            )

    async def _forget(self, user_id: str) -> tuple[bytes, ...]:
        await self.store.forget_transcripts(user_id)
        return ()

    def _ready(self, stored: tuple[bytes, ...]) -> None:
        self.is_busy = False
        self._is_well_again()
        found = []
        for body in stored:
            try:
                found.append(msgspec.json.decode(body, type=Remembered))
            except msgspec.MsgspecError as error:
                self.telemetry.warning("transcript_unreadable", user=self.user_id, cause=str(error))
        history = histories.joined(self.state.history, found, self._now_ms(), self.settings)
        self.state = replace(self.state, history=history, is_ready=True)
        self._answer_askers()
        if self.state.unwritten:
            self.set_timer("due", self.settings.write_s, HistoryDue())

    def _failed(self, error: Exception) -> None:
        """The store is not well: what was said is told from memory, and written later."""
        self.is_busy = False
        if self.state.is_well:
            self.telemetry.error("transcripts_not_stored", user=self.user_id, cause=str(error))
        unwritten = (*self.state.writing, *self.state.unwritten)
        known = {one.result_id for one in histories.finals(self.state.history)}
        unwritten = tuple(result_id for result_id in unwritten if result_id in known)
        self.state = replace(self.state, is_well=False, writing=(), unwritten=unwritten)
        self._answer_askers()
        self.set_timer("due", retry_after_s(error), HistoryDue())

    def _is_well_again(self) -> None:
        if not self.state.is_well:
            self.telemetry.info("transcripts_stored_again", user=self.user_id)
            self.state = replace(self.state, is_well=True)
