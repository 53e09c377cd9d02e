"""One utterance from the microphone to the lens, as spans of one trace. Off unless it is configured.

The wire of phones and apps knows no trace, so what belongs together is found where it passes: a result of an
utterance is handed from actor to actor with a `Mark`, and what an app shows within `ANSWER_S` after it was
given a result is taken for its answer. An app that shows something else just then is counted all the same.

Plain calls that never wait. Who makes spans does so outside of any transaction: a crash may leave a trace
without its end, or with a step twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

ANSWER_S: Final = 2.0
IDLE_S: Final = 3.0
"""A trace is over when nothing has been added to it for so long."""

MOST_OPEN: Final = 1_000
_ROOT: Final = "utterance"

Attribute = str | int | float | bool


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A step. Times are those of the system's clock, in seconds.

    Attributes:
      trace_id: 16 bytes; span_id and parent_id: 8, parent_id empty for the first of a trace.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    began_at: float
    ended_at: float
    attributes: Mapping[str, Attribute]


class Mark(msgspec.Struct, frozen=True):
    """What of a trace goes along with a message.

    Attributes:
      span_id: of the last step; the next one is its child.
      at: when that step ended.
    """

    utterance_id: str
    trace_id: bytes
    span_id: bytes
    at: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A recogniser's result, and the audio that it is of. Times are those of the system's clock.

    Attributes:
      spoken_from, spoken_to: when its audio was spoken.
      given_from, given_to: when the recogniser was given the first and the last of it; None: not kept.
      arrived_at: when the result came from the recogniser.
    """

    utterance_id: str
    user_id: str
    language: str
    provider: str
    is_final: bool
    spoken_from: float
    spoken_to: float
    given_from: float | None
    given_to: float | None
    arrived_at: float


class _Open:
    """An utterance that is under way; without ids where it is not sampled."""

    __slots__ = ("attributes", "began_at", "last_at", "root_id", "touched_at", "trace_id")

    def __init__(self, began_at: float, now: float) -> None:
        self.trace_id = self.root_id = b""
        self.attributes: Mapping[str, Attribute] = {}
        self.began_at = began_at
        self.last_at = began_at
        self.touched_at = now


class Tracer:
    """One for the server.

    Args:
      put: takes a finished span; must not wait.
      share: of the utterances that are traced, from 0 to 1; chosen when the first result comes.
      new_id: so many random bytes.
      chance: from 0 to 1.
    """

    def __init__(
        self,
        put: Callable[[Span], object],
        *,
        share: float,
        new_id: Callable[[int], bytes],
        chance: Callable[[], float],
    ) -> None:
        self._put = put
        self._share = share
        self._new_id = new_id
        self._chance = chance
        self._open: dict[str, _Open] = {}

    def heard(self, result: Result, now: float) -> Mark | None:
        """The mark of this result; None where its utterance is not traced."""
        known = self._open.get(result.utterance_id)
        if known is None:
            known = self._begin(result, now)
        if not known.trace_id:
            if result.is_final:
                del self._open[result.utterance_id]
            return None
        mark = Mark(result.utterance_id, known.trace_id, known.root_id, result.spoken_to)
        if result.is_final:
            self._step(mark, "microphone", known.began_at, result.spoken_to, {}, now)
            if result.given_from is not None and result.given_to is not None:
                self._step(mark, "to recogniser", result.given_from, result.given_to, {}, now)
        name = "final" if result.is_final else "interim"
        return self._step(mark, name, result.spoken_to, result.arrived_at, {"provider": result.provider}, now)

    def passed(self, mark: Mark, name: str, now: float, **attributes: Attribute) -> Mark:
        """A step that began when the one before ended, and ends now."""
        return self._step(mark, name, mark.at, now, attributes, now)

    def close_idle(self, now: float) -> None:
        """End the traces to which nothing is added any more."""
        for utterance_id, known in [*self._open.items()]:
            if now - known.touched_at >= IDLE_S:
                self._close(utterance_id)

    def _begin(self, result: Result, now: float) -> _Open:
        if len(self._open) >= MOST_OPEN:
            self._close(next(iter(self._open)))
        known = self._open[result.utterance_id] = _Open(result.spoken_from, now)
        if self._chance() < self._share:
            known.trace_id, known.root_id = self._new_id(16), self._new_id(8)
            known.attributes = {
                "user": result.user_id,
                "language": result.language,
                "utterance": result.utterance_id,
            }
        return known

    def _step(
        self,
        mark: Mark,
        name: str,
        began_at: float,
        ended_at: float,
        attributes: Mapping[str, Attribute],
        now: float,
    ) -> Mark:
        span_id, ended_at = self._new_id(8), max(began_at, ended_at)
        self._put(Span(mark.trace_id, span_id, mark.span_id, name, began_at, ended_at, attributes))
        known = self._open.get(mark.utterance_id)
        if known is not None:
            known.last_at = max(known.last_at, ended_at)
            known.touched_at = now
        return Mark(mark.utterance_id, mark.trace_id, span_id, ended_at)

    def _close(self, utterance_id: str) -> None:
        known = self._open.pop(utterance_id)
        if known.trace_id:
            began_at, ended_at = known.began_at, known.last_at
            self._put(Span(known.trace_id, known.root_id, b"", _ROOT, began_at, ended_at, known.attributes))
