"""What a daemon posts under `/daemon-api` (desktop.md section 3).

All but `type` and the required fields of each have defaults, so that a daemon of the original is understood.
`seq` rises with each report about an agent; a report without one is never stale.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.desktop.documents import AgentStatus, Approval


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The base. `timestamp` in epoch milliseconds on the daemon's clock."""

    timestamp: int | float | None = None


class Heartbeat(Report, frozen=True, kw_only=True):
    active_agents: int
    agent_ids: tuple[str, ...] = ()


class StatusReport(Report, frozen=True, kw_only=True):
    """An agent's state.

    Attributes:
      approval: goes with needs_approval.
      can_resume: another agent can go on with this one's session, once it has ended.
    """

    status: AgentStatus
    current_step: str | None = None
    notes: tuple[str, ...] = ()
    approval: Approval | None = None
    seq: int | None = None
    can_resume: bool = False


class CompleteReport(Report, frozen=True, kw_only=True):
    """An agent's end. `can_resume` as in StatusReport."""

    status: Literal["completed", "failed", "cancelled"]
    result: str | None = None
    error: str | None = None
    execution_time_ms: int | float = 0
    seq: int | None = None
    can_resume: bool = False


class LogReport(Report, frozen=True, kw_only=True):
    """Something an agent's terminal printed, or its daemon has to say of it."""

    type: Literal["stdout", "stderr", "status", "note"]
    content: str
