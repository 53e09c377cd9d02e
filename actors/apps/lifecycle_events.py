"""What the app lifecycle hears and what it asks for: phases, events, effects, settings.

The machine itself is `actors.apps.lifecycle`. All of it speaks of ONE app session of one user.
"""

from __future__ import annotations

import enum

import msgspec

from ..ports import ProbeOutcome


class Phase(enum.Enum):
    """Where an app session stands (protocol.md 4.6)."""

    CONNECTING = "connecting"  # a start: its webhook is out, its socket is awaited
    RUNNING = "running"  # it has a current socket
    GRACE = "grace"  # the socket is lost; the app's own retries are awaited
    RESURRECTING = "resurrecting"  # the app is brought back by webhook, as soon as its server answers
    DORMANT = "dormant"  # without a socket, and nobody to bring it back for before the phone returns
    STOPPING = "stopping"  # told to stop; its socket is closing
    STOPPED = "stopped"

    @property
    def is_listed(self) -> bool:
        """Whether the wearer's running list has the app: a lost socket is no reason to take it off."""
        return self in _LISTED


_LISTED = frozenset({Phase.RUNNING, Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT})


class Stage(enum.Enum):
    """Where a start failed (protocol.md 4.4)."""

    WEBHOOK = "WEBHOOK"  # the app server answered badly, or not in time
    CONNECTION = "CONNECTION"  # the app server could not be reached
    AUTHENTICATION = "AUTHENTICATION"  # somebody dialled with a wrong key, nobody with the right one
    TIMEOUT = "TIMEOUT"  # nobody dialled in time
    HARDWARE_CHECK = "HARDWARE_CHECK"


class LifecycleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every duration of the machine, with its default and source.

    Attributes:
      connect_s: a webhook is out this long before its missing socket is a failure (protocol.md 4.1).
      start_attempts: webhooks of one start, `webhook_retry_s` apart (protocol.md 1.4).
      registered_retry_s: a registration shortens that pause to this, so that the app is back within a second.
      webhook_timeout_s: the caller's limit for one POST. An attempt that reports nothing until
        `report_margin_s` later is taken for lost: its task died with the caller.
      grace_s: how long the SDK's own retries (1, 2, 4 s and their connects) are awaited (DESIGN section 6).
      returning_s: how long those retries are awaited for an app that had no socket when our process ended:
        the longest of their pauses and the dial. The snapshot may be a second older than a socket.
      probe_s: time between two probes of a lost app's server at first; it grows to `probe_growth` of the
        outage, so that the wait adds 2 % to it, and no further than `probe_slowest_s`.
      probe_timeout_s: the caller's limit for one probe; see `webhook_timeout_s`.
      resurrect_attempts: failed webhooks to a server that answers before the app is given up. A server that
        is down, that cannot be reached, or whose proxy answers 502 to 504 for it, is awaited without end.
      resurrect_backoff_s: pause after the first failed resurrection; it doubles up to `resurrect_slowest_s`.
      doubt_s: when a new process of the app server registers, a socket that does not answer a ping within so
        long is taken for one of the old process: the app is to be back within a second.
      stopping_s: a stop is over after this long even if the app's server or socket does not end it.
    """

    connect_s: float = 5.0
    start_attempts: int = 2
    webhook_retry_s: float = 1.0
    registered_retry_s: float = 0.5
    webhook_timeout_s: float = 10.0
    report_margin_s: float = 2.0
    grace_s: float = 10.0
    returning_s: float = 5.0
    probe_s: float = 0.2
    probe_growth: float = 0.02
    probe_slowest_s: float = 5.0
    probe_timeout_s: float = 2.0
    resurrect_attempts: int = 6
    resurrect_backoff_s: float = 1.0
    resurrect_slowest_s: float = 5.0
    doubt_s: float = 0.5
    stopping_s: float = 2.0


# ---------------------------------------------------------------------------------------------------------
# Events


class StartRequested(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants the app to run.

    Attributes:
      missing_hardware: what the glasses lack for it; None when nothing is in the way.
    """

    missing_hardware: str | None = None


class StopRequested(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants the app to stop.

    Attributes:
      reason: user_disabled, system_stop or error, as the wire has them; or session_ended, when the wearer's
        whole session ends (no stop webhook then; the close says "User session ended").
    """

    reason: str


class WebhookAnswered(msgspec.Struct, frozen=True, tag=True):
    """The POST of `attempt` was answered."""

    attempt: int
    status: int


class WebhookFailed(msgspec.Struct, frozen=True, tag=True):
    """The POST of `attempt` got no answer; `kind` as in `ports.WebhookError`."""

    attempt: int
    kind: str
    cause: str


class WebhookHeldBack(msgspec.Struct, frozen=True, tag=True):
    """The webhook of `attempt` was not posted: the app server is failing, or nobody waits for it any more.

    Attributes:
      retry_after_s: when it is worth trying again.
      is_gone: the server was seen to be down, and its first answer to a probe ends the waiting.
    """

    attempt: int
    retry_after_s: float
    cause: str
    is_gone: bool = False


class StopWebhookDone(msgspec.Struct, frozen=True, tag=True):
    """The POST of the stop webhook is over, whatever came of it."""


class SocketArrived(msgspec.Struct, frozen=True, tag=True):
    """A socket sent an init with the right key. Answered by exactly one `Adopt` or `RefuseSocket`."""

    socket_id: str


class SocketClosed(msgspec.Struct, frozen=True, tag=True):
    """A socket ended, by whomever."""

    socket_id: str
    code: int


class AuthenticationFailed(msgspec.Struct, frozen=True, tag=True):
    """A socket for this app was refused for its key. Never ends anything; a start that fails names it."""

    cause: str


class OwnershipReleased(msgspec.Struct, frozen=True, tag=True):
    """The app said on this socket that it will not be missed when the socket closes."""

    socket_id: str
    reason: str


class PhoneLost(msgspec.Struct, frozen=True, tag=True):
    """The wearer's phone is away."""


class PhoneReturned(msgspec.Struct, frozen=True, tag=True):
    """The wearer's phone is there again, or dialled anew."""


class ServerProbed(msgspec.Struct, frozen=True, tag=True):
    """The outcome of `ProbeServer`; UNKNOWN also when the probe could not be made."""

    outcome: ProbeOutcome


class ServerRegistered(msgspec.Struct, frozen=True, tag=True):
    """The app server announced that it has just started: whatever it knew is gone."""


class ServerRecovered(msgspec.Struct, frozen=True, tag=True):
    """The app server answers again, as others found out: no pause before the next webhook is needed."""


class Tick(msgspec.Struct, frozen=True, tag=True):
    """`deadline(state)` has come."""


Event = (
    StartRequested
    | StopRequested
    | WebhookAnswered
    | WebhookFailed
    | WebhookHeldBack
    | StopWebhookDone
    | SocketArrived
    | SocketClosed
    | AuthenticationFailed
    | OwnershipReleased
    | PhoneLost
    | PhoneReturned
    | ServerProbed
    | ServerRegistered
    | ServerRecovered
    | Tick
)

# ---------------------------------------------------------------------------------------------------------
# Effects


class PostWebhook(msgspec.Struct, frozen=True, tag=True):
    """POST a session_request and report with `WebhookAnswered` or `WebhookFailed` of this attempt."""

    attempt: int


class PostStopWebhook(msgspec.Struct, frozen=True, tag=True):
    """POST a stop_request once, and report with `StopWebhookDone` in any case."""

    reason: str


class ProbeServer(msgspec.Struct, frozen=True, tag=True):
    """Ask the app server's /health and report with `ServerProbed`. Sessions of a server can share one."""


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """This socket is the current one from now on: bind it and send the ack.

    Attributes:
      is_new_session: it answers a webhook, and the SDK runs `onSession`; False when it came by itself.
    """

    socket_id: str
    is_new_session: bool


class RefuseSocket(msgspec.Struct, frozen=True, tag=True):
    """Send `tpa_connection_error {code: error_code, message}` on this socket and close it with `code`."""

    socket_id: str
    code: int
    error_code: str
    message: str


class CloseSocket(msgspec.Struct, frozen=True, tag=True):
    socket_id: str
    code: int
    reason: str


class SendAppStopped(msgspec.Struct, frozen=True, tag=True):
    """Send `app_stopped {reason}` on this socket."""

    socket_id: str
    reason: str


class PhaseChanged(msgspec.Struct, frozen=True, tag=True):
    """The session's running list follows this (`Phase.is_listed`)."""

    phase: Phase


class StartFailed(msgspec.Struct, frozen=True, tag=True):
    """A start, or a resurrection after all its retries, was given up.

    Attributes:
      retry_after_s: when the next start is worth trying; None where nothing is known of that.
    """

    stage: Stage
    cause: str
    retry_after_s: float | None = None


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The app session is over: the last effect of every way into STOPPED. `reason` as in `StopRequested`."""

    reason: str


Effect = (
    PostWebhook
    | PostStopWebhook
    | ProbeServer
    | Adopt
    | RefuseSocket
    | CloseSocket
    | SendAppStopped
    | PhaseChanged
    | StartFailed
    | Ended
)
