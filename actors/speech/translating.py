"""What is translated when, and in which order the translations go out: a pure machine for one pair.

`step` takes what happened and the time, and says what to do. Pieces of speech are utterances: guesses that
replace each other, then a final. Finals are translated all, guesses now and then, only the newest, and only
while no final waits for a place. Everything goes out in the order it was spoken: what is behind a final that
has no translation yet waits for it, and a guess never comes after its final.

No translator may make captions stand still. A final has a deadline; one that cannot be translated goes out as
it was spoken, and its readers are told. After failures in a row nothing is asked for a while, and finals pass
as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from protocols.streams import is_same_language
from protocols.transcription import TranscriptionData

from ..language_ports import ErrorKind
from .translation_settings import TranslationSettings

_FIRM: Final = frozenset({"auth", "quota", "model"})
"""Failures that the next request would meet, too."""

_HOPELESS: Final = frozenset({*_FIRM, "request"})
"""Failures that the same request would meet again."""

_SAID: Final[Mapping[ErrorKind, str]] = {
    "auth": "the translator refuses this server",
    "quota": "this server's credits with the translator are used up",
    "rate": "this server asks the translator for too much",
    "overloaded": "the translator is overloaded",
    "network": "the translator cannot be reached",
    "timeout": "the translator does not answer in time",
    "protocol": "the translator's answer cannot be used",
    "request": "the translator refuses the text",
    "model": "this server asks for a model that there is not",
}
"""What readers are told of a failure; its cause is the operator's, and in the log."""

_MOST_DOUBLINGS: Final = 10
_SHORTEST_WAIT_S: Final = 0.01  # floats: a timer may come a hair before what it was set for


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """A piece as it goes out.

    Attributes:
      text: translated, or as it was spoken where `did_translate` is False.
    """

    data: TranscriptionData
    text: str
    did_translate: bool


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One utterance that has not gone out for good.

    Attributes:
      data: the newest that was heard of it.
      due_at: of a final: when it goes out as it was spoken.
      job: the number of the request that runs for it; 0 when none does.
      asked: the text of that request, or of the last one.
      attempts: how often its final was asked for; `again_at`: when it is tried again.
      outcome: its final, ready, behind pieces that are not.
    """

    data: TranscriptionData
    due_at: float = 0.0
    job: int = 0
    asked: str = ""
    attempts: int = 0
    again_at: float = 0.0
    outcome: Spoken | None = None

    @property
    def is_waiting(self) -> bool:
        """It is final, and is not translated yet."""
        return self.data.is_final and self.outcome is None


class TranslatingState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine.

    Attributes:
      pieces: in the order they were spoken. Only the last may be unfinished.
      ended: the utterance whose final was heard last.
      jobs: how many requests there have been.
      partial_at: when a guess was asked for last.
      failures: of requests, in a row.
      pauses: in a row; `paused_until`: until when nothing is asked.
      cause: what readers are told of the last failure.
      is_troubled: the readers know that translation fails.
    """

    pieces: tuple[Piece, ...] = ()
    ended: str | None = None
    jobs: int = 0
    partial_at: float = float("-inf")
    failures: int = 0
    pauses: int = 0
    paused_until: float = 0.0
    cause: str = ""
    is_troubled: bool = False


# ---------------------------------------------------------------------------------------------------------
# Events


class Began(msgspec.Struct, frozen=True, tag=True):
    """The actor begins, or begins again after a crash: no request runs."""


class Heard(msgspec.Struct, frozen=True, tag=True):
    """The recogniser said something."""

    data: TranscriptionData


class Done(msgspec.Struct, frozen=True, tag=True):
    job: int
    text: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    job: int
    kind: ErrorKind
    retry_after_s: float = 0.0


class Looked(msgspec.Struct, frozen=True, tag=True):
    """Time has passed."""


TranslatingEvent = Began | Heard | Done | Failed | Looked

# ---------------------------------------------------------------------------------------------------------
# Effects


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Have this translated, within that time."""

    job: int
    text: str
    source: str
    within_s: float


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants the outcome any more."""

    job: int


class Say(msgspec.Struct, frozen=True, tag=True):
    """Goes to the subscribers."""

    spoken: Spoken


class TellReaders(msgspec.Struct, frozen=True, tag=True):
    """Translation fails, for this reason; once until it works again."""

    cause: str


class LookAgain(msgspec.Struct, frozen=True, tag=True):
    """Say `Looked` in so long at the latest."""

    after_s: float


TranslatingEffect = Ask | Cancel | Say | TellReaders | LookAgain

Step = tuple[TranslatingState, tuple[TranslatingEffect, ...]]


def step(
    state: TranslatingState,
    event: TranslatingEvent,
    now: float,
    source: str,
    target: str,
    settings: TranslationSettings,
) -> Step:
    """What `event` changes and what is to be done, in order.

    Args:
      source: of the stream that is listened to; `auto` where the recogniser finds it.
    """
    return _Turn(state, now, source, target, settings).take(event)


class _Turn:
    """One step, while it is made."""

    def __init__(
        self, state: TranslatingState, now: float, source: str, target: str, settings: TranslationSettings
    ) -> None:
        self.state = state
        self.pieces = list(state.pieces)
        self.now = now
        self.source = source
        self.target = target
        self.settings = settings
        self.effects: list[TranslatingEffect] = []

    def take(self, event: TranslatingEvent) -> Step:
        match event:
            case Began():
                self.pieces = [replace(piece, job=0) for piece in self.pieces]
            case Heard(data):
                self._hear(data)
            case Done(job, text):
                self._done(job, text)
            case Failed():
                self._failed(event)
            case Looked():
                pass
            case _ as never:
                assert_never(never)
        self._give_up_late_ones()
        if self.now < self.state.paused_until:
            self._give_up_all(self.state.cause)
        self._speak()
        self._ask_for_finals()
        self._ask_for_the_guess()
        self._look_again()
        return replace(self.state, pieces=tuple(self.pieces)), tuple(self.effects)

    # -- what happened

    def _hear(self, data: TranscriptionData) -> None:
        pieces = self.pieces
        is_new = not pieces or pieces[-1].data.is_final or pieces[-1].data.utterance_id != data.utterance_id
        if is_new and pieces and not pieces[-1].data.is_final:
            self._cancel(pieces.pop())  # its final was lost: who said it goes on with the next
        if not data.is_final and data.utterance_id is not None and data.utterance_id == self.state.ended:
            return  # a guess after its final
        piece = Piece(data=data) if is_new else replace(pieces.pop(), data=data)
        if not data.is_final:
            pieces.append(piece)
            if self._needs_nothing(data) and len(pieces) == 1:
                self.effects.append(Say(Spoken(data=data, text=data.text, did_translate=False)))
            return
        self.state = replace(self.state, ended=data.utterance_id)
        self._cancel(piece)
        piece = replace(piece, job=0, due_at=self.now + self.settings.deadline_s)
        if self._needs_nothing(data):
            piece = replace(piece, outcome=_as_spoken(piece))
        pieces.append(piece)
        waiting = [number for number, each in enumerate(pieces) if each.is_waiting]
        if len(waiting) > self.settings.waiting_most:
            self._give_up(waiting[0], f"{len(waiting)} pieces wait for their translation")

    def _needs_nothing(self, data: TranscriptionData) -> bool:
        return not data.text.strip() or is_same_language(self._source_of(data), self.target)

    def _source_of(self, data: TranscriptionData) -> str:
        return data.detected_language or self.source

    def _done(self, job: int, text: str) -> None:
        self.state = replace(self.state, failures=0, pauses=0, paused_until=0.0, is_troubled=False)
        number = self._number_of(job)
        if number is None:
            return
        piece = replace(self.pieces[number], job=0)
        spoken = Spoken(data=piece.data, text=text, did_translate=True)
        if piece.data.is_final:
            piece = replace(piece, outcome=spoken)
        elif number == 0:
            # It may be older than what has been heard meanwhile, and is still the newest translation.
            data = replace(piece.data, text=piece.asked)
            self.effects.append(Say(replace(spoken, data=data)))
        self.pieces[number] = piece

    def _failed(self, failure: Failed) -> None:
        state, settings = self.state, self.settings
        state = replace(state, failures=state.failures + 1, cause=_SAID[failure.kind])
        is_firm = failure.kind in _FIRM
        is_trial = state.pauses > 0
        if is_firm or is_trial or state.failures >= settings.pause_after:
            doublings = min(state.pauses, _MOST_DOUBLINGS)
            pause_s = settings.pause_most_s if is_firm else settings.pause_first_s * 2.0**doublings
            pause_s = min(max(pause_s, failure.retry_after_s), settings.pause_most_s)
            state = replace(state, failures=0, pauses=state.pauses + 1, paused_until=self.now + pause_s)
        self.state = state
        number = self._number_of(failure.job)
        if number is None:
            return
        piece = self.pieces[number] = replace(self.pieces[number], job=0)
        if not piece.data.is_final:
            return
        wait_s = max(failure.retry_after_s, settings.retry_s * 2.0 ** (piece.attempts - 1))
        is_hopeless = failure.kind in _HOPELESS or piece.attempts >= settings.attempts
        if is_hopeless or self.now + wait_s >= piece.due_at:
            self._give_up(number, state.cause)
        else:
            self.pieces[number] = replace(piece, again_at=self.now + wait_s)

    # -- what follows

    def _give_up_late_ones(self) -> None:
        for number, piece in enumerate(self.pieces):
            if piece.is_waiting and self.now >= piece.due_at:
                self._give_up(number, f"no translation within {self.settings.deadline_s:g} s")

    def _give_up_all(self, cause: str) -> None:
        for number, piece in enumerate(self.pieces):
            if piece.is_waiting and not piece.job:
                self._give_up(number, cause)

    def _give_up(self, number: int, cause: str) -> None:
        """It goes out as it was spoken."""
        piece = self.pieces[number]
        self._cancel(piece)
        self.pieces[number] = replace(piece, job=0, outcome=_as_spoken(piece))
        if not self.state.is_troubled:
            self.state = replace(self.state, is_troubled=True)
            self.effects.append(TellReaders(cause))

    def _speak(self) -> None:
        while self.pieces and self.pieces[0].outcome is not None:
            self.effects.append(Say(self.pieces.pop(0).outcome))  # type: ignore[arg-type]

    def _ask_for_finals(self) -> None:
        for number, piece in enumerate(self.pieces):
            if self._places() <= 0:
                return
            if piece.is_waiting and not piece.job and self.now >= piece.again_at:
                self._ask(number, within_s=piece.due_at - self.now)

    def _ask_for_the_guess(self) -> None:
        if self._guess() is None or self.now < self.state.partial_at + self.settings.partial_s:
            return
        if self._places() > 0:
            self.state = replace(self.state, partial_at=self.now)
            self._ask(len(self.pieces) - 1, within_s=self.settings.deadline_s)

    def _guess(self) -> Piece | None:
        """The unfinished piece, if it is worth asking for."""
        piece = self.pieces[-1] if self.pieces else None
        if piece is None or piece.data.is_final or piece.job or not self.settings.partials:
            return None
        is_waiting = any(each.is_waiting and not each.job for each in self.pieces)
        is_known = piece.asked == piece.data.text or self._needs_nothing(piece.data)
        if is_waiting or is_known or self.now < self.state.paused_until:
            return None
        return piece

    def _ask(self, number: int, *, within_s: float) -> None:
        job = self.state.jobs + 1
        self.state = replace(self.state, jobs=job)
        piece = self.pieces[number]
        text = piece.data.text
        attempts = piece.attempts + 1 if piece.data.is_final else 0
        self.pieces[number] = replace(piece, job=job, asked=text, attempts=attempts)
        self.effects.append(Ask(job, text, self._source_of(piece.data), within_s))

    def _places(self) -> int:
        return self.settings.at_once - sum(1 for piece in self.pieces if piece.job)

    def _cancel(self, piece: Piece) -> None:
        if piece.job:
            self.effects.append(Cancel(piece.job))

    def _number_of(self, job: int) -> int | None:
        return next((number for number, piece in enumerate(self.pieces) if piece.job == job), None)

    def _look_again(self) -> None:
        due = min(self._moments(), default=None)
        if due is not None:
            self.effects.append(LookAgain(max(due - self.now, _SHORTEST_WAIT_S)))

    def _moments(self) -> Iterator[float]:
        for piece in self.pieces:
            if piece.is_waiting:
                yield piece.due_at
                if piece.again_at > self.now:
                    yield piece.again_at
        if self._guess() is not None and self._places() > 0:
            yield self.state.partial_at + self.settings.partial_s


def _as_spoken(piece: Piece) -> Spoken:
    return Spoken(data=piece.data, text=piece.data.text, did_translate=False)
