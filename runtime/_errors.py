"""The runtime's errors: one tree, with fields instead of text to parse.

RuntimeFailure
├── AskTimeout            no reply in time; the request may still be handled
├── ActorStopped          the actor has ended for good; carries its reason
├── ActorFailed           the request made the actor crash; carries the cause
├── MailboxFull           the mailbox refused the message
├── ActorRestarting       the actor waits for its restart; carries when to come back
├── AskCycle              a task actor asked itself, which could only time out
├── StartFailed           the actor did not start; nothing of it is left
├── AlreadyStarted        its supervisor has a child of that name; carries its ref
├── AlreadyRegistered     another actor holds that key; carries its ref
├── StashFull             more was put aside than the mailbox may hold
├── OutsideHandler        an effect was asked for when no handler of that actor runs
└── SystemFailed          the root supervisor gave up; carries the cause
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._ref import Ref
    from ._spec import StopReason


class RuntimeFailure(Exception):  # noqa: N818 - a failure of the runtime; the leaves say which
    """Anything the runtime raises by itself. `actor_path` names the actor it is about."""

    def __init__(self, text: str, *, actor_path: str = "") -> None:
        super().__init__(text)
        self.actor_path = actor_path


class AskTimeout(RuntimeFailure):
    """No reply within `timeout_s`. A late reply is dropped and counted as an expired dead letter."""

    def __init__(self, actor_path: str, timeout_s: float) -> None:
        super().__init__(f"{actor_path} did not reply within {timeout_s:g} s", actor_path=actor_path)
        self.timeout_s = timeout_s


class ActorStopped(RuntimeFailure):
    """The actor has ended and will not come back. `reason` says how it ended."""

    def __init__(self, actor_path: str, reason: StopReason) -> None:
        super().__init__(f"{actor_path} has stopped: {reason}", actor_path=actor_path)
        self.reason = reason


class ActorFailed(RuntimeFailure):
    """The actor crashed on this very request, which is now a dead letter. `cause` is what it raised."""

    def __init__(self, actor_path: str, cause: BaseException) -> None:
        super().__init__(f"{actor_path} crashed on the request: {cause!r}", actor_path=actor_path)
        self.cause = cause


class MailboxFull(RuntimeFailure):
    """The mailbox refused or dropped the message by its policy."""

    def __init__(self, actor_path: str, size: int, policy: str) -> None:
        super().__init__(
            f"mailbox of {actor_path} is full ({size} of {size}, policy={policy}); "
            "raise mailbox_size, choose another policy or wait with send",
            actor_path=actor_path,
        )
        self.size = size
        self.policy = policy


class ActorRestarting(RuntimeFailure):
    """The actor crashed and waits out its backoff. Ask again after `retry_after_s`."""

    def __init__(self, actor_path: str, retry_after_s: float) -> None:
        super().__init__(f"{actor_path} restarts in {retry_after_s:.3g} s", actor_path=actor_path)
        self.retry_after_s = retry_after_s


class AskCycle(RuntimeFailure):
    """A task actor awaits an answer that only it could give."""

    def __init__(self, actor_path: str) -> None:
        super().__init__(f"{actor_path} asks itself and could never answer", actor_path=actor_path)


class StartFailed(RuntimeFailure):
    """The actor did not start: its factory or `started` raised, took too long, or a child did not start."""

    def __init__(self, actor_path: str, cause: BaseException | str) -> None:
        super().__init__(f"{actor_path} did not start: {cause!r}", actor_path=actor_path)
        self.cause = cause


class AlreadyStarted(RuntimeFailure):
    """The supervisor has a child of that name: `ref`."""

    def __init__(self, ref: Ref[Any]) -> None:
        super().__init__(f"{ref.path} is already started", actor_path=ref.path)
        self.ref = ref


class AlreadyRegistered(RuntimeFailure):
    """Another live actor, `ref`, holds the key."""

    def __init__(self, key: str, ref: Ref[Any]) -> None:
        super().__init__(f"key {key!r} is held by {ref.path}", actor_path=ref.path)
        self.key = key
        self.ref = ref


class StashFull(RuntimeFailure):
    """An actor put aside more messages than its mailbox may hold."""

    def __init__(self, actor_path: str, size: int) -> None:
        super().__init__(f"{actor_path} has {size} messages stashed, its mailbox_size", actor_path=actor_path)
        self.size = size


class OutsideHandler(RuntimeFailure):
    """An effect was asked for while no handler of that actor was running, so nothing could commit it."""

    def __init__(self, actor: object) -> None:
        super().__init__(
            f"{type(actor).__name__} used outside its own handler; tell its ref a message instead",
        )


class SystemFailed(RuntimeFailure):
    """The root supervisor passed its intensity and gave up."""

    def __init__(self, name: str, cause: BaseException | None) -> None:
        super().__init__(f"actor system {name} failed: {cause!r}", actor_path="/")
        self.cause = cause
