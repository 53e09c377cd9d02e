"""The public names are pinned: adding or losing one is a decision."""

from __future__ import annotations

import runtime

PUBLIC = """
Abandoned Actor ActorFailed ActorRestarting ActorStopped ActorSystem AlreadyRegistered AlreadyStarted
AskCycle AskTimeout Backoff ChildSpec Clock CountingIds CrashReport DeadLetter DeadLetters Decided
DropReason DynamicSupervisor Escalated Events Group Held HighWater Ids Joined Key Left MailboxFull
OutsideHandler Overflow RandomIds Recipient Ref Registry ReplyTo Restart RestartInfo Restarted
RuntimeFailure Spawned Spent StartFailed StashFull StopKind StopReason Stopped Strategy Subscription
Supervisor SupervisorMessage SystemFailed TaskActor TaskHandle Terminated TreeNode TrioClock VirtualClock
Watchdog current_actor fault_point latest open_system
"""


def test_the_public_names_are_these() -> None:
    assert sorted(PUBLIC.split()) == sorted(runtime.__all__)


def test_every_public_name_is_there() -> None:
    assert all(hasattr(runtime, name) for name in runtime.__all__)
