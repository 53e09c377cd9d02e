"""What is known of one app server: whether it is up and since when, what it said, and its breaker.

Nothing of it is stored: a restarted Glasshouse learns it again from the first probe, webhook or heartbeat.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ..ports import ProbeOutcome
from .breaker import BreakerState, Mode
from .line import Line


class Registration(msgspec.Struct, frozen=True):
    """What an app server said of itself when it started.

    Attributes:
      at: wall clock, epoch seconds.
    """

    id: str
    at: float
    webhook_url: str = ""
    server_urls: tuple[str, ...] = ()


class AppServer(msgspec.Struct, frozen=True, kw_only=True):
    """One app's server. Times are wall clock, epoch seconds; None for what never happened.

    Attributes:
      line: sessions that wait for their turn to post a webhook.
      is_up: by the last probe, webhook or call; None before the first.
      since: when `is_up` became so.
      silent_at: when it last did not answer a probe, on the system's monotonic clock.
      silence: what that probe said.
    """

    breaker: BreakerState = BreakerState()
    line: Line = Line()
    is_up: bool | None = None
    since: float | None = None
    registration: Registration | None = None
    heartbeat_at: float | None = None
    probed_at: float | None = None
    silent_at: float | None = None
    silence: ProbeOutcome = ProbeOutcome.UNKNOWN


class ServerReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An `AppServer` for people; `sessions` counts the app's sessions, of all users. Times are epoch seconds.

    Attributes:
      held_back_s: seconds until the next webhook may go; 0 while they all may.
      failures: webhooks that failed in a row.
      last_failure: the cause of the last one that failed; empty when none did.
    """

    package_name: str
    public_url: str
    sessions: int
    is_up: bool | None
    since: float | None
    breaker: Mode
    held_back_s: float
    failures: int
    last_failure: str
    registered_at: float | None
    registration_id: str | None
    webhook_url: str
    server_urls: tuple[str, ...]
    heartbeat_at: float | None
    probed_at: float | None


def seen(server: AppServer, *, is_up: bool, wall: float) -> AppServer:
    """`server` after it answered, or did not, at `wall`."""
    return server if server.is_up is is_up else replace(server, is_up=is_up, since=wall)


def report(
    package_name: str, public_url: str, server: AppServer, *, sessions: int, now: float
) -> ServerReport:
    """What is known, for people."""
    breaker, registration = server.breaker, server.registration
    until = breaker.retry_at if breaker.mode is Mode.OPEN else breaker.trial_until
    return ServerReport(
        package_name=package_name,
        public_url=public_url,
        sessions=sessions,
        is_up=server.is_up,
        since=server.since,
        breaker=breaker.mode,
        held_back_s=0.0 if until is None else round(max(0.0, until - now), 3),
        failures=breaker.failures,
        last_failure=breaker.cause,
        registered_at=None if registration is None else registration.at,
        registration_id=None if registration is None else registration.id,
        webhook_url="" if registration is None else registration.webhook_url,
        server_urls=() if registration is None else registration.server_urls,
        heartbeat_at=server.heartbeat_at,
        probed_at=server.probed_at,
    )
