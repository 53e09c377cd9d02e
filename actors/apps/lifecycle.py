"""The life of one app session: from its first webhook through lost sockets and dead servers to its end.

A pure machine (protocol.md 4.4 to 4.8; DESIGN section 6): `step` takes what happened and the time, and says
what to do. What it holds on to:

- An app is RUNNING exactly while it has a current socket; every socket that dials is adopted or refused.
- No webhook goes out while a socket is current or an earlier webhook is unanswered: the SDK would drop the
  live session and run `onSession` again (protocol.md 10.6).
- A lost socket gets the whole grace while its app server may live, since the SDK dials again by itself. A
  server that refuses a connection has forgotten its sessions and will not dial: the grace ends. No other
  failure proves as much. Whoever did not answer gets the webhook when it does, however long that takes.
- A server that answers but does not bring the app back gets a bounded number of webhooks.

Deadlines are in the state and are looked at after every event, so a late tick delays but changes nothing.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ..ports import ProbeOutcome
from .lifecycle_events import (
    Adopt,
    AuthenticationFailed,
    CloseSocket,
    Effect,
    Ended,
    Event,
    LifecycleSettings,
    OwnershipReleased,
    Phase,
    PhaseChanged,
    PhoneLost,
    PhoneReturned,
    PostStopWebhook,
    PostWebhook,
    ProbeServer,
    RefuseSocket,
    SendAppStopped,
    ServerProbed,
    ServerRecovered,
    ServerRegistered,
    SocketArrived,
    SocketClosed,
    Stage,
    StartFailed,
    StartRequested,
    StopRequested,
    StopWebhookDone,
    Tick,
    WebhookAnswered,
    WebhookFailed,
    WebhookHeldBack,
)

__all__ = [
    "Adopt",
    "AuthenticationFailed",
    "CloseSocket",
    "Effect",
    "Ended",
    "Event",
    "LifecycleSettings",
    "LifecycleState",
    "OwnershipReleased",
    "Phase",
    "PhaseChanged",
    "PhoneLost",
    "PhoneReturned",
    "PostStopWebhook",
    "PostWebhook",
    "ProbeServer",
    "RefuseSocket",
    "SendAppStopped",
    "ServerProbed",
    "ServerRecovered",
    "ServerRegistered",
    "SocketArrived",
    "SocketClosed",
    "Stage",
    "StartFailed",
    "StartRequested",
    "StopRequested",
    "StopWebhookDone",
    "Tick",
    "WebhookAnswered",
    "WebhookFailed",
    "WebhookHeldBack",
    "deadline",
    "step",
]

SESSION_ENDED = "session_ended"
UNREACHED = frozenset({"refused", "unreachable", "dns", "tls"})
"""Kinds of WebhookError that met no app server."""
_UNAVAILABLE = frozenset({502, 503, 504})  # what a proxy answers for a server that is down


class LifecycleState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole machine. A value decoded from its own encoding goes on where this one stood.

    Attributes:
      socket_id: the current socket; set exactly while RUNNING.
      closing_id: the socket that a stop is closing.
      is_released: the current socket said that its close is meant.
      attempt: the number of the newest webhook.
      pending: the webhook whose POST is still open, and until when its report is believed to come.
      awaited: the webhook that is to bring a socket; None once it has, or has been judged.
      is_posted: a webhook went out since a socket was last adopted.
      was_posted: `is_posted` as it was before the newest attempt, which may turn out to be held back.
      failures: webhooks of this start or resurrection that failed.
      lost_at: when the last socket was lost: the outage counts from here.
      is_server_gone: the server was not there when it was asked, and has not answered since.
      probe_until: a probe is under way, and until when its report is believed to come.
      refusal: why a socket was refused for its key during this start.
      is_start_wanted: somebody asked for a start while the stop was under way.
    """

    phase: Phase = Phase.STOPPED
    socket_id: str | None = None
    closing_id: str | None = None
    is_released: bool = False
    is_phone_here: bool = True
    attempt: int = 0
    pending: int | None = None
    pending_until: float | None = None
    awaited: int | None = None
    is_posted: bool = False
    was_posted: bool = False
    posted_at: float | None = None
    failures: int = 0
    connect_until: float | None = None
    grace_until: float | None = None
    post_at: float | None = None
    lost_at: float | None = None
    is_server_gone: bool = False
    probe_at: float | None = None
    probe_until: float | None = None
    refusal: str | None = None
    stop_reason: str = ""
    is_stop_reported: bool = False
    stopping_until: float | None = None
    is_start_wanted: bool = False


def step(
    state: LifecycleState, event: Event, now: float, settings: LifecycleSettings
) -> tuple[LifecycleState, tuple[Effect, ...]]:
    """Take in `event` at `now` (monotonic seconds) and say what is to be done, in order."""
    turn = _Turn(state, now, settings)
    turn.take(event)
    turn.settle()
    return turn.state, tuple(turn.effects)


def deadline(state: LifecycleState) -> float | None:
    """When a `Tick` is due, in the seconds of `step`'s `now`; None while only events can change anything."""
    due = (
        state.pending_until,
        state.connect_until,
        state.grace_until,
        state.post_at if state.pending is None else None,
        state.probe_at,
        state.probe_until,
        state.stopping_until,
    )
    return min((moment for moment in due if moment is not None), default=None)


class _Turn:
    """One step: the state as it changes, and the effects in their order."""

    def __init__(self, state: LifecycleState, now: float, settings: LifecycleSettings) -> None:
        self.state = state
        self.now = now
        self.settings = settings
        self.effects: list[Effect] = []

    def take(self, event: Event) -> None:
        match event:
            case StartRequested():
                self._start(event.missing_hardware)
            case StopRequested():
                self._stop(event.reason)
            case WebhookAnswered():
                self._answered(event.attempt, event.status)
            case WebhookFailed():
                self._failed(event.attempt, event.kind, event.cause)
            case WebhookHeldBack():
                self._held_back(event)
            case StopWebhookDone():
                self._change(is_stop_reported=True)
            case SocketArrived():
                self._arrived(event.socket_id)
            case SocketClosed():
                self._closed(event.socket_id)
            case AuthenticationFailed():
                if self.state.phase is Phase.CONNECTING:
                    self._change(refusal=event.cause)
            case OwnershipReleased():
                if event.socket_id == self.state.socket_id:
                    self._change(is_released=True)
            case PhoneLost():
                self._phone_lost()
            case PhoneReturned():
                self._change(is_phone_here=True)
                if self.state.phase is Phase.DORMANT:
                    self._resurrect()
            case ServerProbed():
                if self.state.probe_until is not None:
                    self._probed(event.outcome)
            case ServerRegistered():
                self._registered()
            case ServerRecovered():
                self._post_by(self._next_post())
            case Tick():
                pass
            case _:
                assert_never(event)

    def settle(self) -> None:
        """Do what is due. Every deadline that fires is cleared or moved past `now`, so this ends."""
        before = None
        while before is not self.state:
            before = self.state
            if self._is_due(self.state.pending_until) and self.state.pending is not None:
                self._failed(self.state.pending, "timeout", "nothing was heard of the POST")
            if self._is_due(self.state.probe_until):
                self._probed(ProbeOutcome.UNKNOWN)
            if self.state.phase is Phase.STOPPING:
                self._finish_stop()
            if self._is_due(self.state.connect_until):
                self._no_socket()
            if self._is_due(self.state.grace_until):
                self._end_grace()
            if self._is_due(self.state.post_at) and self.state.pending is None:
                self._post()
            if self._is_due(self.state.probe_at):
                self._change(probe_at=None, probe_until=self.now + 2 * self.settings.probe_timeout_s)
                self.effects.append(ProbeServer())

    # -- starts and stops

    def _start(self, missing_hardware: str | None) -> None:
        phase = self.state.phase
        if phase in (Phase.STOPPED, Phase.STOPPING) and missing_hardware is not None:
            self.effects.append(StartFailed(Stage.HARDWARE_CHECK, missing_hardware))
        elif phase is Phase.STOPPED:
            self._begin()
        elif phase is Phase.STOPPING:
            self._change(is_start_wanted=True)
        elif phase is Phase.DORMANT:
            self._resurrect()
        elif phase is Phase.RESURRECTING:
            self._hasten()

    def _begin(self) -> None:
        # A POST of an earlier life may still be open: the webhook waits for it, the time limit does not.
        self._enter(Phase.CONNECTING, post_at=self.now, connect_until=self.now + self.settings.connect_s)

    def _stop(self, reason: str) -> None:
        state = self.state
        if state.phase is Phase.STOPPED:
            return
        if state.phase is Phase.STOPPING:
            self._change(is_start_wanted=False)
            return
        socket_id = state.socket_id
        is_silent = reason == SESSION_ENDED
        self._enter(
            Phase.STOPPING,
            closing_id=socket_id,
            stop_reason=reason,
            is_stop_reported=is_silent,
            stopping_until=self.now + self.settings.stopping_s,
        )
        if not is_silent:
            self.effects.append(PostStopWebhook(reason))
        if socket_id is not None:
            text = "User session ended" if is_silent else "App stopped"
            self.effects.append(SendAppStopped(socket_id, "system_stop" if is_silent else reason))
            self.effects.append(CloseSocket(socket_id, 1000, text))

    def _finish_stop(self) -> None:
        """End the stop once both sides know of it: a stop webhook under way would end the next session."""
        state = self.state
        is_known = state.closing_id is None and state.is_stop_reported
        if not is_known and not self._is_due(state.stopping_until):
            return
        if state.is_start_wanted:
            self._begin()
        else:
            self._enter(Phase.STOPPED)
            self.effects.append(Ended(state.stop_reason))

    # -- webhooks

    def _post(self) -> None:
        attempt = self.state.attempt + 1
        self._change(
            attempt=attempt,
            pending=attempt,
            pending_until=self.now + self.settings.webhook_timeout_s + self.settings.report_margin_s,
            awaited=attempt,
            is_posted=True,
            was_posted=self.state.is_posted,
            posted_at=self.now,
            connect_until=self.now + self.settings.connect_s,
            post_at=None,
            probe_at=None,
            probe_until=None,
        )
        self.effects.append(PostWebhook(attempt))

    def _answered(self, attempt: int, status: int) -> None:
        if self._is_judged(attempt) or 200 <= status < 300:
            return  # the SDK answers after it has connected; others at once: the socket is what counts
        cause = f"the webhook was answered with {status}"
        self._attempt_failed(Stage.WEBHOOK, cause, is_proxy=status in _UNAVAILABLE)

    def _failed(self, attempt: int, kind: str, cause: str) -> None:
        if self._is_judged(attempt):
            return
        stage = Stage.CONNECTION if kind in UNREACHED else Stage.WEBHOOK
        self._attempt_failed(stage, f"{kind}: {cause}", is_gone=kind == "refused")

    def _held_back(self, event: WebhookHeldBack) -> None:
        """Nothing went out, so nothing failed: wait as long as is said, or for the server's first answer."""
        if event.attempt == self.state.attempt:
            self._change(is_posted=self.state.is_posted and self.state.was_posted, posted_at=None)
        if self._is_judged(event.attempt):
            return
        self._change(awaited=None, connect_until=None)
        if self.state.phase is Phase.CONNECTING:
            # Somebody waits for this start: better an answer now than a start in a while.
            stage = Stage.CONNECTION if event.is_gone else Stage.WEBHOOK
            cause = f"its server is failing ({event.cause}); try again in {event.retry_after_s:.1f} s"
            self._give_up(stage, cause, retry_after_s=event.retry_after_s)
        elif not self.state.is_phone_here:
            self._enter(Phase.DORMANT)
        elif event.is_gone:
            self._change(
                failures=0, is_server_gone=True, probe_at=self.now + self._pause(self.settings.probe_s)
            )
        else:
            self._change(post_at=self.now + event.retry_after_s)

    def _is_judged(self, attempt: int) -> bool:
        """Note that the POST of `attempt` is over; whether its outcome no longer matters."""
        if attempt == self.state.pending:
            self._change(pending=None, pending_until=None)
        return attempt != self.state.awaited

    def _no_socket(self) -> None:
        cause = f"no socket {self.settings.connect_s:g} s after the webhook"
        if self.state.phase is Phase.RESURRECTING:
            self._attempt_failed(Stage.TIMEOUT, cause)
        elif self.state.refusal is not None:
            self._give_up(Stage.AUTHENTICATION, self.state.refusal)
        else:
            self._give_up(Stage.TIMEOUT, cause)

    def _attempt_failed(
        self, stage: Stage, cause: str, *, is_gone: bool = False, is_proxy: bool = False
    ) -> None:
        failures = self.state.failures + 1
        self._change(awaited=None, connect_until=None, failures=failures)
        if self.state.phase is Phase.CONNECTING:
            if failures < self.settings.start_attempts:
                self._change(post_at=self.now + self.settings.webhook_retry_s)
            else:
                self._give_up(stage, cause)
        elif not self.state.is_phone_here:
            self._enter(Phase.DORMANT)
        elif is_gone:
            self._change(
                failures=0, is_server_gone=True, probe_at=self.now + self._pause(self.settings.probe_s)
            )
        elif is_proxy:
            # A probe would only ever meet the proxy, so the webhook itself has to find out.
            self._change(failures=0, post_at=self.now + self._pause(self.settings.resurrect_backoff_s))
        elif failures < self.settings.resurrect_attempts:
            backoff_s = self.settings.resurrect_backoff_s * 2.0 ** min(failures - 1, 16)
            self._change(
                post_at=self.now + min(backoff_s, self.settings.resurrect_slowest_s),
                probe_at=self.now,
            )
        else:
            self._give_up(stage, cause)

    def _give_up(self, stage: Stage, cause: str, *, retry_after_s: float | None = None) -> None:
        self.effects.append(StartFailed(stage, cause, retry_after_s))
        self._enter(Phase.STOPPED)
        self.effects.append(Ended("error"))

    # -- sockets

    def _arrived(self, socket_id: str) -> None:
        state = self.state
        if state.phase in (Phase.STOPPING, Phase.STOPPED):
            message = "App not started for this session"
            self.effects.append(RefuseSocket(socket_id, 1008, "APP_NOT_STARTED", message))
            return
        self.effects.append(Adopt(socket_id, is_new_session=state.is_posted))
        if state.phase is not Phase.RUNNING:
            self._enter(Phase.RUNNING)
        elif state.socket_id is not None and state.socket_id != socket_id:
            # 1008: the SDK neither dials again nor ends the live session with it (protocol.md 3.5).
            self.effects.append(CloseSocket(state.socket_id, 1008, "Replaced by a newer connection"))
        self._change(socket_id=socket_id, is_released=False, is_posted=False)

    def _closed(self, socket_id: str) -> None:
        if socket_id == self.state.closing_id:
            self._change(closing_id=None)
        elif socket_id != self.state.socket_id:
            return  # superseded or refused: its end says nothing of the session
        elif self.state.is_released:
            self._enter(Phase.DORMANT)
        else:
            self._enter(
                Phase.GRACE,
                grace_until=self.now + self.settings.grace_s,
                lost_at=self.now,
                probe_at=self.now,
            )

    # -- bringing it back

    def _end_grace(self) -> None:
        if not self.state.is_phone_here:
            self._enter(Phase.DORMANT)
        elif self.state.is_server_gone:
            probe_at = self.now + self._pause(self.settings.probe_s)
            self._enter(Phase.RESURRECTING, is_server_gone=True, probe_at=probe_at)
        else:
            self._resurrect()

    def _resurrect(self) -> None:
        # Nothing is known against the server, so an outage, if there is one, counts from here.
        self._enter(Phase.RESURRECTING, lost_at=self.now, post_at=self.now)

    def _hasten(self) -> None:
        """Somebody waits for a resurrection that pauses: try now what it would try next."""
        if self.state.awaited is not None:
            return
        if not self.state.is_server_gone:
            self._change(post_at=self._next_post())
        elif self.state.probe_until is None:
            self._change(probe_at=self.now)

    def _probed(self, outcome: ProbeOutcome) -> None:
        self._change(probe_until=None, probe_at=self.now + self._pause(self.settings.probe_s))
        if outcome is ProbeOutcome.ANSWERS:
            if self.state.is_server_gone:
                self._change(is_server_gone=False, post_at=self._next_post())
        elif self.state.phase is not Phase.GRACE:
            self._change(is_server_gone=True, failures=0, post_at=None)
        elif outcome is ProbeOutcome.REFUSED:
            self._change(is_server_gone=True)
            self._end_grace()

    def _registered(self) -> None:
        """The server's process has just started: what it held is lost, and it answers."""
        if self.state.phase is Phase.GRACE:
            self._end_grace()
        elif self.state.phase is Phase.DORMANT and self.state.is_phone_here:
            self._resurrect()
        else:
            # Sooner than after a probe: a flapping server is probed often, but registers once a process.
            self._post_by(self._next_post(self.settings.registered_retry_s))

    def _post_by(self, moment: float) -> None:
        """End a pause between two webhooks: the next one goes out at `moment`."""
        if self.state.awaited is not None:
            return
        if self.state.phase is Phase.RESURRECTING:
            self._change(is_server_gone=False, failures=0, post_at=moment)
        elif self.state.phase is Phase.CONNECTING:
            self._change(post_at=moment)

    def _phone_lost(self) -> None:
        self._change(is_phone_here=False)
        if self.state.phase is Phase.RESURRECTING and self.state.awaited is None:
            self._enter(Phase.DORMANT)

    def _pause(self, shortest_s: float) -> float:
        """The wait before asking a silent server again: a fixed part of the outage, within bounds."""
        outage_s = 0.0 if self.state.lost_at is None else self.now - self.state.lost_at
        return max(shortest_s, min(outage_s * self.settings.probe_growth, self.settings.probe_slowest_s))

    def _next_post(self, pause_s: float | None = None) -> float:
        """Now, but no sooner than `pause_s` (`webhook_retry_s`) after the last one: a server may flap."""
        if self.state.posted_at is None:
            return self.now
        pause_s = self.settings.webhook_retry_s if pause_s is None else pause_s
        return max(self.now, self.state.posted_at + min(pause_s, self.settings.webhook_retry_s))

    # -- the state

    def _is_due(self, moment: float | None) -> bool:
        return moment is not None and self.now >= moment

    def _change(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)

    def _enter(self, phase: Phase, **changes: object) -> None:
        """Begin `phase` with none of the last one's business. A POST that is still open stays known."""
        fresh: dict[str, object] = {
            "socket_id": None,
            "awaited": None,
            "failures": 0,
            "connect_until": None,
            "grace_until": None,
            "post_at": None,
            "is_server_gone": False,
            "probe_at": None,
            "probe_until": None,
            "refusal": None,
            "stopping_until": None,
            "is_start_wanted": False,
        }
        self.state = replace(self.state, phase=phase, **(fresh | changes))
        self.effects.append(PhaseChanged(phase))
