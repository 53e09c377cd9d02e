"""The daemon's figures. All of them stand in its own file; none comes from the server."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
AtLeastOne = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class ReconnectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the daemon finds back to its server. It never gives up.

    Attributes:
      first_s, factor, longest_s: wait `first_s` before the second dial, each further wait is `factor` times
        longer, none is longer than `longest_s` (desktop.md 12.8).
      jitter: share of a wait that is random, so that daemons of one server do not come back together.
      steady_s: a connection that lasted so long starts the waits from the beginning.
      silence_s: a server that says nothing for so long is gone: it pings every 30 s.
      token_s: how often a daemon whose token was refused looks for another one.
    """

    first_s: Seconds = 1.0
    factor: Annotated[float, Meta(ge=1, le=100)] = 1.5
    longest_s: Seconds = 30.0
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    steady_s: Seconds = 10.0
    silence_s: Seconds = 75.0
    token_s: Seconds = 5.0


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How agents run.

    Attributes:
      most: at the same time; a further one is refused. A Claude CLI takes about 200 MiB.
      adapter: what runs a goal that does not say so; empty for claude where it is found, else bash.
      by_prefix: a goal may say its adapter: `python: print(1)`.
      timeout_s: how long one run may take, unless the server asks for less.
      approval_s: how long an approval is open; then it is denied.
      runs: an agent that was cut off so often is not started again.
      remembered: finished agents whose ids are kept, so that none runs twice.
      largest_goal: characters.
    """

    most: AtLeastOne = 3
    adapter: str = ""
    by_prefix: bool = True
    timeout_s: Seconds = 1800.0
    approval_s: Seconds = 600.0
    runs: AtLeastOne = 5
    remembered: AtLeastOne = 200
    largest_goal: AtLeastOne = 32_000


class ReportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told to the server, and how often.

    Attributes:
      status_s: least time between two reports of one agent's state; an approval does not wait for it.
      log_s: least time between two pieces of one agent's log.
      piece_characters: of one piece of a log.
      log_characters: of one agent's log that may wait; the oldest goes first.
      result_bytes: of a result that is kept, unless the server takes less (desktop.md 12.8).
      at_once: reports under way.
      first_s, longest_s: waits between attempts, each twice the one before.
    """

    status_s: Seconds = 0.5
    log_s: Seconds = 0.5
    piece_characters: AtLeastOne = 8_192
    log_characters: AtLeastOne = 65_536
    result_bytes: Annotated[int, Meta(ge=1024, le=16_777_216)] = 262_144
    at_once: AtLeastOne = 4
    first_s: Seconds = 1.0
    longest_s: Seconds = 30.0


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them."""

    reconnect: ReconnectSettings = ReconnectSettings()
    agents: AgentSettings = AgentSettings()
    reports: ReportSettings = ReportSettings()
