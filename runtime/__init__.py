"""An actor runtime on trio: Erlang/OTP's supervision, typed handles, transactional handlers, seeded runs.

It knows nothing of what it runs. Start with `Actor` and `open_system`; `docs/runtime.md` has the concepts
and the promises. Everything public is exported here; modules with an underscore are private.
"""

from __future__ import annotations

from ._actor import Actor, DynamicSupervisor, Supervisor, SupervisorMessage, TaskActor
from ._clock import Clock, CountingIds, Ids, RandomIds, TrioClock, VirtualClock
from ._dead_letters import DeadLetter, DeadLetters, DropReason
from ._errors import (
    ActorFailed,
    ActorRestarting,
    ActorStopped,
    AlreadyRegistered,
    AlreadyStarted,
    AskCycle,
    AskTimeout,
    MailboxFull,
    OutsideHandler,
    RuntimeFailure,
    StartFailed,
    StashFull,
    SystemFailed,
)
from ._events import (
    Abandoned,
    CrashReport,
    Decided,
    Escalated,
    Events,
    Held,
    HighWater,
    Joined,
    Left,
    Restarted,
    Spawned,
    Stopped,
    Subscription,
)
from ._faults import fault_point
from ._mailbox import Overflow, latest
from ._ref import Recipient, Ref
from ._registry import Group, Key, Registry
from ._reply import ReplyTo
from ._spec import Backoff, ChildSpec, Restart, RestartInfo, StopKind, StopReason, Strategy, Terminated
from ._system import ActorSystem, open_system
from ._tasks import TaskHandle
from ._trace import Spent
from ._tree import TreeNode
from ._turn import current_actor
from ._watchdog import Watchdog

__all__ = [
    "Abandoned",
    "Actor",
    "ActorFailed",
    "ActorRestarting",
    "ActorStopped",
    "ActorSystem",
    "AlreadyRegistered",
    "AlreadyStarted",
    "AskCycle",
    "AskTimeout",
    "Backoff",
    "ChildSpec",
    "Clock",
    "CountingIds",
    "CrashReport",
    "DeadLetter",
    "DeadLetters",
    "Decided",
    "DropReason",
    "DynamicSupervisor",
    "Escalated",
    "Events",
    "Group",
    "Held",
    "HighWater",
    "Ids",
    "Joined",
    "Key",
    "Left",
    "MailboxFull",
    "OutsideHandler",
    "Overflow",
    "RandomIds",
    "Recipient",
    "Ref",
    "Registry",
    "ReplyTo",
    "Restart",
    "RestartInfo",
    "Restarted",
    "RuntimeFailure",
    "Spawned",
    "Spent",
    "StartFailed",
    "StashFull",
    "StopKind",
    "StopReason",
    "Stopped",
    "Strategy",
    "Subscription",
    "Supervisor",
    "SupervisorMessage",
    "SystemFailed",
    "TaskActor",
    "TaskHandle",
    "Terminated",
    "TreeNode",
    "TrioClock",
    "VirtualClock",
    "Watchdog",
    "current_actor",
    "fault_point",
    "latest",
    "open_system",
]
