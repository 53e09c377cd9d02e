"""Whether a connection's peer is still there: what is sent to find out, and when it is given up.

A pure machine for both kinds of sockets. Any bytes prove life. A peer that has been silent for a while is
suspected and probed; it is given up only if it owes an answer: protocol pongs count on a connection that has
shown some (proxies eat them, and a cloud that did not know disconnected everybody for 13 minutes: protocol.md
4.8, note 017), JSON only for a phone that speaks it (13.4). A peer that owes nothing is pinged on and left to
TCP.

Phones differ by generation, which is told from what they do (12.8, 12.9): B, C and D put the token into the
query; D sends `ping` by itself and is answered; C closes after 4 s without a message, so it is sent `ping`
every 2 s, and so is D until its first one. An SDK of 2.x takes a JSON `ping` for an error, so apps get none
(10.15).

The machine also times the phone's ack, which hangs on the same facts (13.12).
"""

from __future__ import annotations

import math
from typing import assert_never

import msgspec
from msgspec.structs import replace

from protocols import close_codes

from .moments import moved


class LivenessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every duration of a socket's liveness. The defaults are for phones; see `APP_LIVENESS`.

    Attributes:
      suspect_after_s: silence that makes a peer suspect (DESIGN section 6).
      close_after_s: silence that ends the connection of a peer that owes an answer (DESIGN section 6).
      probe_s: time between two probes of a suspect.
      protocol_ping_s: time between two protocol pings (protocol.md 4.1).
      quiet_ping_s: a peer that is silent this long is pinged ahead of time, so that one that merely has
        nothing to say does not become suspect.
      json_ping_s: time between two JSON pings to a phone that lives on them (protocol.md 4.1).
      ack_wait_s: how long a phone with its token in the header has for `connection_init` before it is
        acknowledged without (13.12).
    """

    suspect_after_s: float = 6.0
    close_after_s: float = 10.0
    probe_s: float = 2.0
    protocol_ping_s: float = 10.0
    quiet_ping_s: float = 5.0
    json_ping_s: float = 2.0
    ack_wait_s: float = 1.0


APP_LIVENESS = LivenessSettings(suspect_after_s=15.0, close_after_s=22.0, quiet_ping_s=10.0)
"""For apps: half-open within 25 s (DESIGN section 6), and no more than one ping in 10 s while all is well."""


# ---------------------------------------------------------------------------------------------------------
# Events


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A phone's upgrade is done. Whatever was known of a connection before is forgotten."""

    token_in_query: bool


class AppOpened(msgspec.Struct, frozen=True, tag=True):
    """An app's upgrade is done."""


class JsonPing(msgspec.Struct, frozen=True, tag=True):
    """The peer sent `ping`: generation D, or an SDK of 3.x."""


class JsonPong(msgspec.Struct, frozen=True, tag=True):
    """The phone sent `pong`."""


class ConnectionInit(msgspec.Struct, frozen=True, tag=True):
    """The phone sent `connection_init`."""


class Doubted(msgspec.Struct, frozen=True, tag=True):
    """Something else makes it worth asking now whether the peer is there."""


class Tick(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The deadline has come; this is what the connection's health shows.

    Attributes:
      last_activity_at: any bytes from the peer, on the machine's clock.
      has_shown_pongs: the connection has ever answered a protocol ping.
      missed_pongs: protocol pings in a row without an answer, the newest not counted.
    """

    last_activity_at: float
    has_shown_pongs: bool
    missed_pongs: int


LivenessEvent = Opened | AppOpened | JsonPing | JsonPong | ConnectionInit | Doubted | Tick


# ---------------------------------------------------------------------------------------------------------
# Effects


class SendAck(msgspec.Struct, frozen=True, tag=True):
    """Send `connection_ack`."""


class SendJsonPong(msgspec.Struct, frozen=True, tag=True):
    """Answer a JSON `ping`."""


class SendJsonPing(msgspec.Struct, frozen=True, tag=True):
    """Send a JSON `ping`."""


class SendProtocolPing(msgspec.Struct, frozen=True, tag=True):
    """Send a ping frame."""


class Suspected(msgspec.Struct, frozen=True, tag=True):
    """The peer has been silent for `silent_s`; probes are on their way."""

    silent_s: float


class Recovered(msgspec.Struct, frozen=True, tag=True):
    """A suspect has been heard."""

    after_s: float


class CloseLink(msgspec.Struct, frozen=True, tag=True):
    """The peer is given up. Nothing follows on this connection."""

    code: int
    reason: str


LivenessEffect = SendAck | SendJsonPong | SendJsonPing | SendProtocolPing | Suspected | Recovered | CloseLink


# ---------------------------------------------------------------------------------------------------------
# The machine


class LivenessState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one connection; a fresh one is a machine without a connection.

    Attributes:
      is_open: there is a connection and it has not been given up.
      is_app: its peer is an app, not a phone.
      heard_at: the last sign of life that this machine knows of.
      pinged_at: when the last protocol ping went out.
      json_pinged_at: when the last JSON ping went out; None for a peer that is sent none.
      ack_at: when a phone that sends no `connection_init` gets its ack.
      suspected_at: since when the peer is suspect.
      is_excused: the time was up, and the peer owed no answer.
      has_said_ping, has_said_pong: in JSON.
    """

    is_open: bool = False
    is_app: bool = False
    heard_at: float = 0.0
    pinged_at: float = 0.0
    json_pinged_at: float | None = None
    ack_at: float | None = None
    suspected_at: float | None = None
    is_excused: bool = False
    has_said_ping: bool = False
    has_said_pong: bool = False
    has_shown_pongs: bool = False
    missed_pongs: int = 0


def shifted(state: LivenessState, by_s: float) -> LivenessState:
    """The same machine on a clock that is `by_s` ahead (`actors.moments`)."""
    return replace(
        state,
        heard_at=state.heard_at + by_s,
        pinged_at=state.pinged_at + by_s,
        json_pinged_at=moved(state.json_pinged_at, by_s),
        ack_at=moved(state.ack_at, by_s),
        suspected_at=moved(state.suspected_at, by_s),
    )


def step(
    state: LivenessState, event: LivenessEvent, now: float, settings: LivenessSettings
) -> tuple[LivenessState, tuple[LivenessEffect, ...]]:
    """What happened, and what is sent or done about it, in this order."""
    effects: list[LivenessEffect] = []
    match event:
        case Opened():
            state = LivenessState(
                is_open=True,
                heard_at=now,
                pinged_at=now,
                json_pinged_at=now if event.token_in_query else None,
                ack_at=now if event.token_in_query else now + settings.ack_wait_s,
            )
            effects.append(SendProtocolPing())  # who answers is known to answer from the start
        case AppOpened():
            state = LivenessState(is_open=True, is_app=True, heard_at=now, pinged_at=now)
            effects.append(SendProtocolPing())
        case _ if not state.is_open:
            return state, ()
        case JsonPing():
            state = replace(state, heard_at=now, has_said_ping=True, json_pinged_at=None)
            effects.append(SendJsonPong())
        case JsonPong():
            state = replace(state, heard_at=now, has_said_pong=True)
        case ConnectionInit():
            state = replace(state, heard_at=now, ack_at=now)
        case Doubted():
            if state.suspected_at is None:
                effects.append(Suspected(now - state.heard_at))
                state = replace(state, suspected_at=now, pinged_at=-math.inf)
        case Tick():
            state = replace(
                state,
                heard_at=max(state.heard_at, event.last_activity_at),
                has_shown_pongs=event.has_shown_pongs,
                missed_pongs=event.missed_pongs,
            )
        case _:
            assert_never(event)
    if state.ack_at is not None and now >= state.ack_at:
        state = replace(state, ack_at=None)
        effects.append(SendAck())
    state = _judge(state, now, settings, effects)
    if state.is_open:
        state = _ping(state, now, settings, effects)
    return state, tuple(effects)


def deadline(state: LivenessState, settings: LivenessSettings) -> float | None:
    """When the machine wants a `Tick`; None without a connection."""
    if not state.is_open:
        return None
    times = [_ping_at(state, settings)]
    if state.ack_at is not None:
        times.append(state.ack_at)
    if state.json_pinged_at is not None:
        times.append(_json_ping_at(state.json_pinged_at, settings))
    if state.suspected_at is None:
        times.append(state.heard_at + settings.suspect_after_s)
    elif not state.is_excused:
        times.append(_close_at(state.suspected_at, settings))
    return min(times)


def _judge(
    state: LivenessState, now: float, settings: LivenessSettings, effects: list[LivenessEffect]
) -> LivenessState:
    """Suspect, clear or give up the peer."""
    if state.suspected_at is not None and state.heard_at >= state.suspected_at:
        effects.append(Recovered(state.heard_at - state.suspected_at))
        state = replace(state, suspected_at=None, is_excused=False)
    if state.suspected_at is None:
        if now < state.heard_at + settings.suspect_after_s:
            return state
        effects.append(Suspected(now - state.heard_at))
        is_sent_json = state.json_pinged_at is not None
        return replace(
            state,
            suspected_at=now,
            pinged_at=-math.inf,  # the first probes are due at once
            json_pinged_at=-math.inf if is_sent_json else None,
        )
    if now < _close_at(state.suspected_at, settings):
        return state
    if not _owes_answer(state):
        return replace(state, is_excused=True)
    close = close_codes.APP_UNRESPONSIVE if state.is_app else close_codes.PHONE_SILENT
    effects.append(CloseLink(close.code, close.reason))
    return replace(state, is_open=False)


def _owes_answer(state: LivenessState) -> bool:
    """Whether silence means that nobody is there.

    A phone that says `ping` does so every 5 s (D), one that says `pong` answers every JSON ping (C). A
    protocol pong is missed once two pings went out without one.
    """
    speaks_json = not state.is_app and (state.has_said_ping or state.has_said_pong)
    return speaks_json or (state.has_shown_pongs and state.missed_pongs > 0)


def _ping(
    state: LivenessState, now: float, settings: LivenessSettings, effects: list[LivenessEffect]
) -> LivenessState:
    if now >= _ping_at(state, settings):
        state = replace(state, pinged_at=now)
        effects.append(SendProtocolPing())
    if state.json_pinged_at is not None and now >= _json_ping_at(state.json_pinged_at, settings):
        state = replace(state, json_pinged_at=now)
        effects.append(SendJsonPing())
    return state


def _ping_at(state: LivenessState, settings: LivenessSettings) -> float:
    """When the next protocol ping is due: sooner for a suspect, and once for a peer that falls silent."""
    if state.suspected_at is not None and not state.is_excused:
        return state.pinged_at + settings.probe_s
    quiet_at = state.heard_at + settings.quiet_ping_s
    due = state.pinged_at + settings.protocol_ping_s
    return min(due, quiet_at) if state.pinged_at < quiet_at else due


def _json_ping_at(json_pinged_at: float, settings: LivenessSettings) -> float:
    return json_pinged_at + settings.json_ping_s


def _close_at(suspected_at: float, settings: LivenessSettings) -> float:
    """When a suspect's time is up. Even a late suspicion leaves the probes their time."""
    return suspected_at + settings.close_after_s - settings.suspect_after_s
