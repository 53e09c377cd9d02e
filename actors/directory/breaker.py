"""The circuit breaker of one app server: when its webhooks are held back, and who tries whether it is well.

A pure machine: `step` takes what happened, the time and a number drawn by chance, and says what to do.

- CLOSED: every webhook may go. So many failures in a row open it.
- OPEN: none may go, from no session, until the pause is over. Each opening in a row pauses longer.
- HALF_OPEN: one webhook is out to try. Its success closes the breaker, its failure opens it again. A trial
  that never reports (its session died) is followed by another.

Two things close it at once, since they prove that a process has started anew: a registration, and a probe
that is answered after the server was seen to be gone. A probe answered by a server that was never gone proves
nothing: one that answers every webhook with 500 answers probes all the while.

A permit is good for the era it was given in. What is reported of an earlier era (a timeout of a webhook to
the process before this one) changes nothing.
"""

from __future__ import annotations

import enum
from typing import Annotated, assert_never

import msgspec
from msgspec import Meta
from msgspec.structs import replace


class Mode(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When an app server gets no webhooks for a while (Nygard, Release It!, "Circuit Breaker").

    Attributes:
      failures: failed webhooks in a row that open it: 5xx, no answer in time, no connection.
      pause_s: how long it stays open the first time.
      growth: each further opening without a success in between lasts so many times as long.
      longest_s: the longest pause, before `jitter`. 5 s, as between two probes of a server that is down.
      jitter: a pause is longer by up to this part of it, drawn by chance, so that the breakers of many app
        servers which fell together do not all try at once.
      trial_s: a trial that reports nothing for so long is taken for lost (the limit for one webhook and the
        margin of its report: `lifecycle.webhook_timeout_s`, `lifecycle.report_margin_s`).
    """

    failures: Annotated[int, Meta(ge=1)] = 5
    pause_s: Annotated[float, Meta(gt=0)] = 1.0
    growth: Annotated[float, Meta(ge=1)] = 2.0
    longest_s: Annotated[float, Meta(gt=0)] = 5.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    trial_s: Annotated[float, Meta(gt=0)] = 12.0


class BreakerState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine.

    Attributes:
      era: permits carry it; it changes with every mode.
      failures: in a row, in this era.
      openings: since the last success or registration.
      is_gone: a webhook or a probe met nobody, and nobody has answered since.
      retry_at: OPEN until then, in the seconds of `step`'s `now`.
      trial_until: HALF_OPEN: the trial is believed to report until then.
      cause: the last failure, for people.
    """

    mode: Mode = Mode.CLOSED
    era: int = 0
    failures: int = 0
    openings: int = 0
    is_gone: bool = False
    retry_at: float | None = None
    trial_until: float | None = None
    cause: str = ""


# ---------------------------------------------------------------------------------------------------------
# Events


class Asked(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants to post a webhook. Answered by exactly one `Allow` or `Refuse`.

    Attributes:
      may_try: whether its outcome would be a fair trial; one that is not never is the trial.
    """

    may_try: bool = True


class Succeeded(msgspec.Struct, frozen=True, tag=True):
    """A webhook of `era` was answered below 500, or brought the app's socket."""

    era: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A webhook of `era` failed. `is_gone`: nobody was met at all."""

    era: int
    cause: str
    is_gone: bool = False


class Withdrawn(msgspec.Struct, frozen=True, tag=True):
    """A permit of `era` was not used: nobody wanted the webhook any more."""

    era: int


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The server answered a probe, or called by itself."""


class Silent(msgspec.Struct, frozen=True, tag=True):
    """The server did not answer a probe."""


class Registered(msgspec.Struct, frozen=True, tag=True):
    """A process of the app server has just started."""


BreakerEvent = Asked | Succeeded | Failed | Withdrawn | Answered | Silent | Registered

# ---------------------------------------------------------------------------------------------------------
# Effects


class Allow(msgspec.Struct, frozen=True, tag=True):
    """The webhook may go; report its outcome with this era."""

    era: int


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """The webhook is held back; it is worth asking again after `retry_after_s`, more than 0."""

    retry_after_s: float


class Opened(msgspec.Struct, frozen=True, tag=True):
    """No webhooks from now on, for `pause_s`."""

    pause_s: float


class Closed(msgspec.Struct, frozen=True, tag=True):
    """Webhooks may go again: who was held back need not wait any longer."""


BreakerEffect = Allow | Refuse | Opened | Closed


def step(
    state: BreakerState, event: BreakerEvent, now: float, settings: BreakerSettings, *, chance: float
) -> tuple[BreakerState, tuple[BreakerEffect, ...]]:
    """Take in `event` at `now` (monotonic seconds).

    Args:
      chance: 0 up to 1, drawn anew for each step; decides the jitter of a pause.
    """
    match event:
        case Asked(may_try):
            return _asked(state, now, settings, may_try=may_try)
        case Succeeded(era):
            if era != state.era:
                return state, ()
            return _close(replace(state, openings=0, is_gone=False))
        case Failed(era, cause, is_gone):
            if era != state.era:
                return state, ()
            failed = replace(
                state, failures=state.failures + 1, cause=cause, is_gone=is_gone or state.is_gone
            )
            if state.mode is Mode.CLOSED and failed.failures < settings.failures:
                return failed, ()
            return _open(failed, now, settings, chance)
        case Withdrawn(era):
            if era != state.era or state.mode is not Mode.HALF_OPEN:
                return state, ()
            return replace(state, mode=Mode.OPEN, era=era + 1, retry_at=now, trial_until=None), ()
        case Answered():
            return _close(replace(state, is_gone=False, era=state.era + 1)) if state.is_gone else (state, ())
        case Silent():
            return replace(state, is_gone=True), ()
        case Registered():
            return _close(replace(state, openings=0, is_gone=False, era=state.era + 1))
        case _:
            assert_never(event)


def _asked(
    state: BreakerState, now: float, settings: BreakerSettings, *, may_try: bool
) -> tuple[BreakerState, tuple[BreakerEffect, ...]]:
    if state.mode is Mode.CLOSED:
        return state, (Allow(state.era),)
    until = state.retry_at if state.mode is Mode.OPEN else state.trial_until
    if until is not None and now < until:
        # A trial may be withdrawn at any time, so nobody waits for it longer than for the shortest pause.
        longest_s = until - now if state.mode is Mode.OPEN else settings.pause_s
        return state, (Refuse(min(until - now, longest_s)),)
    if not may_try:
        return state, (Refuse(settings.pause_s),)
    tried = replace(
        state,
        mode=Mode.HALF_OPEN,
        era=state.era + 1,
        retry_at=None,
        trial_until=now + settings.trial_s,
    )
    return tried, (Allow(tried.era),)


def _open(
    state: BreakerState, now: float, settings: BreakerSettings, chance: float
) -> tuple[BreakerState, tuple[BreakerEffect, ...]]:
    pause_s = min(settings.pause_s * settings.growth ** min(state.openings, 64), settings.longest_s)
    pause_s *= 1.0 + settings.jitter * chance
    opened = replace(
        state,
        mode=Mode.OPEN,
        era=state.era + 1,
        openings=state.openings + 1,
        retry_at=now + pause_s,
        trial_until=None,
    )
    return opened, (Opened(pause_s),)


def _close(state: BreakerState) -> tuple[BreakerState, tuple[BreakerEffect, ...]]:
    """Closed, with no failure counted. A breaker that was closed stays in its era."""
    closed = replace(state, mode=Mode.CLOSED, failures=0, retry_at=None, trial_until=None)
    if state.mode is Mode.CLOSED:
        return closed, ()
    return replace(closed, era=state.era + 1), (Closed(),)
