"""Patience and bounds of desktop daemons and their agents."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from protocols.desktop.frames import PING_S, SILENCE_S


class DesktopSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long the server waits for a wearer's computers, and how much it keeps of what they say.

    Attributes:
      grace_s: a daemon that is gone has so long to come back before its agents have failed.
      ping_s: a daemon is asked so often whether it is there.
      silence_s: a daemon that has said nothing for so long is gone, whatever its socket says.
      start_s: a daemon has so long to say that it has started an agent.
      missing_s: an agent that its returned daemon does not know has so long to be reported after all.
      idle_s: a desk that nobody uses ends after so long; the store has everything.
      retry_s: the store is asked again after so long where it could not answer a desk that begins.
      log_flush_s: what agents print is kept at most so late.
      log_bytes: the newest of an agent's log is kept, so much of it.
      agents_kept: a user's newest finished agents are kept.
      daemons_per_user: a user may register so many daemons.
      frame_bytes: the largest frame that a daemon may send.
      max_result_bytes: the largest result that a daemon may report.
      login_s: a login's code is good for so long.
      login_interval_s: a daemon asks so often whether its code was allowed.
      logins_waiting: codes that may wait at a time, everybody's.
      logins_a_minute: codes that may be made in a minute, everybody's.
      login_guesses: codes that a user may mistype in ten minutes.
      test_endpoints: serve `/daemon-api/test/...`; they still ask for a daemon's token.
      legacy_email_auth: let daemons of the original in, which are believed to be who they say. Only for a
        server on loopback.
    """

    grace_s: float = 300.0
    ping_s: Annotated[float, Meta(ge=0.1)] = PING_S
    silence_s: Annotated[float, Meta(gt=0)] = SILENCE_S
    start_s: Annotated[float, Meta(gt=0)] = 30.0
    missing_s: float = 10.0
    idle_s: Annotated[float, Meta(ge=0.1)] = 600.0
    retry_s: Annotated[float, Meta(ge=0.1)] = 1.0
    log_flush_s: Annotated[float, Meta(ge=0.1)] = 5.0
    log_bytes: Annotated[int, Meta(ge=1_024, le=2**24)] = 65_536
    agents_kept: Annotated[int, Meta(ge=1, le=100_000)] = 200
    daemons_per_user: Annotated[int, Meta(ge=1, le=1_000)] = 20
    frame_bytes: Annotated[int, Meta(ge=1_024, le=2**24)] = 65_536
    max_result_bytes: Annotated[int, Meta(ge=1_024, le=2**20)] = 262_144
    login_s: Annotated[float, Meta(gt=0)] = 600.0
    login_interval_s: float = 2.0
    logins_waiting: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    logins_a_minute: Annotated[int, Meta(ge=1, le=100_000)] = 60
    login_guesses: Annotated[int, Meta(ge=1, le=1_000)] = 10
    test_endpoints: bool = False
    legacy_email_auth: bool = False
