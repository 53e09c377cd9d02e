"""Which recogniser a transcription stream uses, when it is replaced, and when the wearer is told.

A pure machine: `step` takes what happened, the time and the recognisers in the order of preference, and says
what to do. A recogniser is left when it fails, when it hangs (it does not move while voices wait for it), and
when it lags (it moves, stays behind, and does not catch up). One that falls behind further and
further is left before it lags, if there is another. The next one that may be used takes over at once
and hears the audio since the last final again, so that nobody hears the change. In a pause of the speech the
stream goes back to a better one that is well again.

The wearer is told when nobody can take over, and when who took over says nothing for a while; and told again
when the words come back. Where nobody can take over the phone is asked for what it hears itself, until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from .settings import SpeechSettings

HANG: Final = "hang"
LAG: Final = "lag"

_FIRM: Final = frozenset({"auth", "quota", "rate"})
"""Failures whose time to retry is the recogniser's own word and not a guess."""

_SHORTEST_WAIT_S: Final = 0.01  # floats: a timer may come a hair before what it was set for
_SHRINKS_S: Final = 0.5  # a backlog that has shrunk by less does not count as catching up


class Candidate(msgspec.Struct, frozen=True):
    """A recogniser for the stream's language. `free_at`: from when its breaker lets it be used."""

    name: str
    free_at: float = 0.0


class Cooling(msgspec.Struct, frozen=True):
    """A recogniser that failed this stream. It is not tried before `until`."""

    name: str
    failures: int
    until: float


class FailoverState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine.

    Attributes:
      provider: whose stream runs; None while there is none.
      since: when it was opened.
      heard_ms: how far in its audio it was when looked at last.
      moved_at: when it last got further, or said something.
      late_since, late_by_s: since when it has been late, and by how much then.
      lost_at: when a recogniser was lost; None once another has said something.
      is_told: the wearer reads "captions delayed".
      is_unserved: nobody could take over, and nobody has said anything since.
      cooling: those that failed and have said nothing since.
      switches: how often another one took over.
    """

    provider: str | None = None
    since: float = 0.0
    heard_ms: int = 0
    moved_at: float = 0.0
    late_since: float | None = None
    late_by_s: float = 0.0
    lost_at: float | None = None
    is_told: bool = False
    is_unserved: bool = False
    cooling: tuple[Cooling, ...] = ()
    switches: int = 0


# ---------------------------------------------------------------------------------------------------------
# Events


class Began(msgspec.Struct, frozen=True, tag=True):
    """The stream's actor begins, or begins again after a crash: nothing runs."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The recogniser's stream ended. `kind` is that of its SpeechError."""

    kind: str
    cause: str = ""
    retry_after_s: float = 0.0


class Said(msgspec.Struct, frozen=True, tag=True):
    """A result came."""


class Troubled(msgspec.Struct, frozen=True, tag=True):
    """The recogniser says itself that it cannot keep up."""


class Untroubled(msgspec.Struct, frozen=True, tag=True):
    """It keeps up again."""


class Looked(msgspec.Struct, frozen=True, tag=True):
    """Time has passed; how the recogniser stands.

    Attributes:
      heard_ms: how far it is in its audio.
      waiting_s: how long the oldest voice that it has not heard has waited; 0 when there is none.
      is_live: it has been given all there is: no replay is under way.
      is_quiet: nothing that was said waits for its final.
      late_in_s: its lateness grows, and will be `lag_s` after so long; None where it does not grow like that.
    """

    heard_ms: int = 0
    waiting_s: float = 0.0
    is_live: bool = True
    is_quiet: bool = True
    late_in_s: float | None = None


FailoverEvent = Began | Failed | Said | Troubled | Untroubled | Looked

# ---------------------------------------------------------------------------------------------------------
# Effects


class Open(msgspec.Struct, frozen=True, tag=True):
    """End the stream that runs, if one does; open one of `provider` on the audio since the last final."""

    provider: str


class End(msgspec.Struct, frozen=True, tag=True):
    """End the stream that runs; there is no other."""


class Blame(msgspec.Struct, frozen=True, tag=True):
    """Tell the breaker that `provider` failed."""

    provider: str
    kind: str
    cause: str
    retry_after_s: float


class TellWearer(msgspec.Struct, frozen=True, tag=True):
    """Captions are delayed."""


class UntellWearer(msgspec.Struct, frozen=True, tag=True):
    """They are not any more."""


class AskPhone(msgspec.Struct, frozen=True, tag=True):
    """There is no recogniser: what the phone hears itself is better than nothing."""


class ReleasePhone(msgspec.Struct, frozen=True, tag=True):
    """There is one again."""


class LookAgain(msgspec.Struct, frozen=True, tag=True):
    """Say `Looked` in so long at the latest."""

    after_s: float


FailoverEffect = Open | End | Blame | TellWearer | UntellWearer | AskPhone | ReleasePhone | LookAgain

Step = tuple[FailoverState, tuple[FailoverEffect, ...]]


def step(
    state: FailoverState,
    event: FailoverEvent,
    now: float,
    candidates: Sequence[Candidate],
    settings: SpeechSettings,
) -> Step:
    """What `event` changes and what is to be done, in order."""
    match event:
        case Began():
            return _choose(replace(state, provider=None), now, candidates, settings)
        case Failed() | Said() | Troubled() | Untroubled() if state.provider is None:
            return state, ()  # of nobody
        case Failed():
            return _lose(state, event, now, candidates, settings)
        case Said():
            rest = tuple(cooling for cooling in state.cooling if cooling.name != state.provider)
            return _recover(replace(state, cooling=rest, moved_at=now))
        case Troubled():
            return replace(state, is_told=True), () if state.is_told else (TellWearer(),)
        case Untroubled():
            return _recover(state)
        case Looked():
            if state.provider is None:
                return _choose(state, now, candidates, settings)
            return _look(state, event, now, candidates, settings)
        case _ as never:
            assert_never(never)


def _look(
    state: FailoverState,
    look: Looked,
    now: float,
    candidates: Sequence[Candidate],
    settings: SpeechSettings,
) -> Step:
    if look.heard_ms > state.heard_ms:
        state = replace(state, heard_ms=look.heard_ms, moved_at=now)
    if look.waiting_s >= settings.hang_s and now - state.moved_at >= settings.hang_s:
        cause = f"it has not moved for {now - state.moved_at:.1f} s while voices wait"
        return _lose(state, Failed(HANG, cause), now, candidates, settings)
    state = _lateness(state, look, now, settings)
    if state.late_since is not None and now - state.late_since >= settings.lag_patience_s:
        cause = f"it is {look.waiting_s:.1f} s behind and does not catch up"
        return _lose(state, Failed(LAG, cause), now, candidates, settings)
    if look.late_in_s is not None:
        others = [candidate for candidate in candidates if candidate.name != state.provider]
        if _first_free(state, now, others) is not None:
            cause = f"it is {look.waiting_s:.1f} s behind, and falls further behind"
            return _lose(state, Failed(LAG, cause), now, candidates, settings)
    if look.is_quiet and not look.waiting_s and now - state.since >= settings.return_s:
        better = _first_free(state, now, _before(candidates, state.provider))
        if better is not None:
            return _open(state, better.name, now, settings)
    effects: tuple[FailoverEffect, ...] = ()
    if state.lost_at is not None and not look.waiting_s and look.is_live:
        return _recover(state)
    if state.lost_at is not None and not state.is_told:
        silent_s = min(now - state.lost_at, look.waiting_s)
        if silent_s >= settings.notice_after_s:
            state, effects = replace(state, is_told=True), (TellWearer(),)
        elif look.waiting_s:
            effects = (LookAgain(max(settings.notice_after_s - silent_s, _SHORTEST_WAIT_S)),)
    return state, effects


def _lateness(state: FailoverState, look: Looked, now: float, settings: SpeechSettings) -> FailoverState:
    """Since when it has been late without catching up. Pauses in speech make it look better."""
    if not look.is_live or look.waiting_s < settings.lag_s:
        return replace(state, late_since=None)
    is_over = state.late_since is not None and now - state.late_since >= settings.lag_patience_s
    if state.late_since is None or (is_over and look.waiting_s < state.late_by_s - _SHRINKS_S):
        return replace(state, late_since=now, late_by_s=look.waiting_s)
    return state


def _recover(state: FailoverState) -> Step:
    effects: tuple[FailoverEffect, ...] = (UntellWearer(),) if state.is_told else ()
    if state.is_unserved:
        effects = (*effects, ReleasePhone())
    return replace(state, lost_at=None, is_told=False, is_unserved=False), effects


def _lose(
    state: FailoverState,
    failure: Failed,
    now: float,
    candidates: Sequence[Candidate],
    settings: SpeechSettings,
) -> Step:
    assert state.provider is not None
    name = state.provider
    before = next((cooling for cooling in state.cooling if cooling.name == name), None)
    failures = 1 if before is None else before.failures + 1
    wait_s = min(settings.reopen_most_s, settings.reopen_first_s * 2.0 ** min(failures - 1, 30))
    retry_s = failure.retry_after_s
    wait_s = max(wait_s, retry_s if failure.kind in _FIRM else min(retry_s, settings.reopen_most_s))
    rest = tuple(cooling for cooling in state.cooling if cooling.name != name)
    state = replace(
        state,
        provider=None,
        cooling=(*rest, Cooling(name, failures, now + wait_s)),
        lost_at=now if state.lost_at is None else state.lost_at,
    )
    state, effects = _choose(state, now, candidates, settings)
    return state, (Blame(name, failure.kind, failure.cause, wait_s), *effects)


def _choose(
    state: FailoverState, now: float, candidates: Sequence[Candidate], settings: SpeechSettings
) -> Step:
    """Open the best one that may be used, or wait for the first that may."""
    found = _first_free(state, now, candidates)
    if found is not None:
        return _open(state, found.name, now, settings)
    free_at = min(
        (_free_at(state, candidate) for candidate in candidates), default=now + settings.reopen_most_s
    )
    wait_s = min(max(free_at - now, 0.0), settings.reopen_most_s)
    told = () if state.is_told else (TellWearer(),)
    asked = () if state.is_unserved else (AskPhone(),)
    return replace(state, is_told=True, is_unserved=True), (End(), *told, *asked, LookAgain(wait_s))


def _open(state: FailoverState, name: str, now: float, settings: SpeechSettings) -> Step:
    is_first = state.since == 0.0 and state.lost_at is None
    state = replace(
        state,
        provider=name,
        since=now,
        heard_ms=0,
        moved_at=now,
        late_since=None,
        switches=state.switches if is_first else state.switches + 1,
    )
    again = () if state.lost_at is None or state.is_told else (LookAgain(settings.notice_after_s),)
    return state, (Open(name), *again)


def _before(candidates: Sequence[Candidate], name: str | None) -> Sequence[Candidate]:
    """Those that are preferred to `name`."""
    names = [candidate.name for candidate in candidates]
    return candidates[: names.index(name)] if name in names else candidates


def _first_free(state: FailoverState, now: float, candidates: Sequence[Candidate]) -> Candidate | None:
    return next((candidate for candidate in candidates if _free_at(state, candidate) <= now), None)


def _free_at(state: FailoverState, candidate: Candidate) -> float:
    own = next((cooling.until for cooling in state.cooling if cooling.name == candidate.name), 0.0)
    return max(candidate.free_at, own)
