"""The console's times and limits."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The pages under `/console`.

    Attributes:
      enabled: without it there is no such page.
      session_s: how long a login lasts, whatever is done with it. Eight hours are a working day.
      sessions_per_user: logins of one user at a time; one more ends the oldest.
      link_s: how long a link of `glasshouse user console` can be used, once.
      login_attempts: failed logins from one address before it has to wait.
      login_wait_s: after so long it may fail once more.
      streams_per_user: open pages of one user that are told what happens.
      keep_alive_s: how often a page is sent something, so that nothing between it and the server takes the
        silence for an end. A login that is over is noticed as often.
      pending_pieces: how many tasks, agents and the like may wait to be told to a page that reads slowly;
        past it the page is told to load anew.
      pending_log: characters of agents' logs that may wait for it; older ones are left out, and it says so.
      operators: mail addresses of those who see everybody's sessions and all apps. A link of
        `glasshouse user console --operator` makes somebody one for a login.
      look_s: how often a page that is open looks at the actors.
      log_lines: lines of the log that are kept in memory for each session, for its page.
      log_sessions: of so many sessions, those that were heard of last.
    """

    enabled: bool = True
    session_s: Annotated[float, Meta(ge=60)] = 28_800.0
    sessions_per_user: Annotated[int, Meta(ge=1, le=1_000)] = 16
    link_s: Annotated[float, Meta(ge=10, le=86_400)] = 600.0
    login_attempts: Annotated[int, Meta(ge=1, le=10_000)] = 10
    login_wait_s: Annotated[float, Meta(gt=0)] = 6.0
    streams_per_user: Annotated[int, Meta(ge=1, le=1_000)] = 16
    keep_alive_s: Annotated[float, Meta(ge=0.1, le=300)] = 15.0
    pending_pieces: Annotated[int, Meta(ge=10)] = 500
    pending_log: Annotated[int, Meta(ge=1_024)] = 65_536
    operators: tuple[str, ...] = ()
    look_s: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    log_lines: Annotated[int, Meta(ge=1, le=10_000)] = 50
    log_sessions: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
