"""When the daemon dials its server, and when it takes a connection for dead. A pure machine.

It dials until it is connected and never gives up, but for one case: a server that refuses the token will
refuse it again, and a daemon that was replaced by another with the same token would throw that one out. It
says so then, and waits for another token.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.desktop import frames

from .ports import LinkClosed
from .settings import ReconnectSettings

Phase = Literal["waiting", "dialling", "online", "refused"]

_REFUSALS = {
    frames.MISSING_CREDENTIALS: "the server saw no token",
    frames.TOKEN_REVOKED: "the token of this desktop is not valid any more; log in again",
    frames.REPLACED: "another daemon with the token of this desktop took over; it has to end, "
    "or this one has to log in with a token of its own",
}
_UNAUTHORIZED = 401


class ReconnectState(msgspec.Struct, frozen=True, kw_only=True):
    """Where it stands. Times are the system clock's seconds.

    Attributes:
      attempt: dials since the last steady connection.
      due_at: when something is to be done: the next dial, the look for another token, the end of the
        server's silence.
      since: of the phase.
      cause: why it is not online, for people.
    """

    phase: Phase = "waiting"
    attempt: int = 0
    due_at: float | None = 0.0
    since: float = 0.0
    cause: str = "not dialled yet"


class Opened(msgspec.Struct, frozen=True):
    """The dial has a connection."""


class Heard(msgspec.Struct, frozen=True):
    """The server said something."""


class Ended(msgspec.Struct, frozen=True):
    """The connection is over."""

    info: LinkClosed


class Failed(msgspec.Struct, frozen=True):
    """The dial came to nothing."""

    cause: str
    status: int | None = None
    retry_after_s: float | None = None


class Tick(msgspec.Struct, frozen=True):
    """Time has passed.

    Attributes:
      has_other_token: there is another token than the last dial had.
    """

    has_other_token: bool = False


Event = Opened | Heard | Ended | Failed | Tick


class Dial(msgspec.Struct, frozen=True):
    """Open a connection."""


class Drop(msgspec.Struct, frozen=True):
    """Close the connection without waiting for its end: the server is silent."""


class Say(msgspec.Struct, frozen=True):
    """Tell people, on the log: the phase and its cause have changed."""


Effect = Dial | Drop | Say


def wait_s(attempt: int, chance: float, settings: ReconnectSettings) -> float:
    """How long to wait before dial number `attempt` + 1.

    Args:
      attempt: dials that came to nothing; 1 is the first.
      chance: 0 to 1, drawn for this wait.
    """
    exponent = min(max(attempt - 1, 0), 64)
    plain = min(settings.first_s * settings.factor**exponent, settings.longest_s)
    return min(plain * (1 + settings.jitter * (2 * chance - 1)), settings.longest_s)


def step(
    state: ReconnectState, event: Event, now: float, chance: float, settings: ReconnectSettings
) -> tuple[ReconnectState, tuple[Effect, ...]]:
    """What the event changes, and what is to be done.

    Args:
      chance: 0 to 1, drawn for this step.
    """
    match event:
        case Opened() if state.phase == "dialling":
            online = msgspec.structs.replace(
                state, phase="online", due_at=now + settings.silence_s, since=now, cause=""
            )
            return online, (Say(),)
        case Heard() if state.phase == "online":
            return msgspec.structs.replace(state, due_at=now + settings.silence_s), ()
        case Ended(info) if state.phase in ("dialling", "online"):
            return _ended(state, info, now, chance, settings)
        case Failed() if state.phase in ("dialling", "online"):
            if event.status == _UNAUTHORIZED:
                return _refused(state, _REFUSALS[frames.TOKEN_REVOKED], now, settings)
            return _wait(state, event.cause, now, chance, settings, at_least_s=event.retry_after_s or 0.0)
        case Tick():
            return _tick(state, event, now, chance, settings)
        case _:
            return state, ()


def _tick(
    state: ReconnectState, event: Tick, now: float, chance: float, settings: ReconnectSettings
) -> tuple[ReconnectState, tuple[Effect, ...]]:
    if state.phase == "refused" and event.has_other_token:
        return _dial(msgspec.structs.replace(state, attempt=0), now)
    if state.due_at is None or now < state.due_at:
        return state, ()
    match state.phase:
        case "waiting":
            return _dial(state, now)
        case "refused":
            return msgspec.structs.replace(state, due_at=now + settings.token_s), ()
        case "online":
            lost = LinkClosed(frames.HEARTBEAT_LOST, f"the server was silent for {settings.silence_s:g} s")
            after, effects = _ended(state, lost, now, chance, settings)
            return after, (Drop(), *effects)
        case _:
            return state, ()


def _dial(state: ReconnectState, now: float) -> tuple[ReconnectState, tuple[Effect, ...]]:
    dialling = msgspec.structs.replace(
        state, phase="dialling", attempt=state.attempt + 1, due_at=None, since=now
    )
    return dialling, (Dial(),)


def _ended(
    state: ReconnectState, info: LinkClosed, now: float, chance: float, settings: ReconnectSettings
) -> tuple[ReconnectState, tuple[Effect, ...]]:
    refusal = _REFUSALS.get(info.code)
    if refusal is not None:
        return _refused(state, refusal, now, settings)
    was_steady = state.phase == "online" and now - state.since >= settings.steady_s
    attempt = 1 if was_steady else max(state.attempt, 1)
    cause = f"the connection ended with {info.code} {info.reason}".strip()
    return _wait(msgspec.structs.replace(state, attempt=attempt), cause, now, chance, settings)


def _wait(
    state: ReconnectState,
    cause: str,
    now: float,
    chance: float,
    settings: ReconnectSettings,
    *,
    at_least_s: float = 0.0,
) -> tuple[ReconnectState, tuple[Effect, ...]]:
    after_s = max(wait_s(state.attempt, chance, settings), min(at_least_s, settings.longest_s))
    waiting = msgspec.structs.replace(state, phase="waiting", due_at=now + after_s, since=now, cause=cause)
    return waiting, (Say(),)


def _refused(
    state: ReconnectState, cause: str, now: float, settings: ReconnectSettings
) -> tuple[ReconnectState, tuple[Effect, ...]]:
    refused = msgspec.structs.replace(
        state, phase="refused", due_at=now + settings.token_s, since=now, cause=cause
    )
    return refused, (Say(),)
