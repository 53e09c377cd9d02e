"""The only handle on an actor, and the one-shot handle for an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._turn import CURRENT

if TYPE_CHECKING:
    from ._ask import Pending
    from ._cell import Cell
    from ._mailbox import Mailbox

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)


class Recipient(Protocol[M_contra]):
    """Whatever a message can be told to: a Ref or a ReplyTo."""

    def tell(self, message: M_contra, /) -> bool: ...


class Ref(Generic[M_contra]):
    """A handle on an actor that stays valid across its restarts. Equal only to itself.

    Messages from one sender to one actor arrive in the order they were told.
    """

    __slots__ = ("_mailbox", "path")

    def __init__(self, mailbox: Mailbox, path: str) -> None:
        self._mailbox = mailbox
        self.path = path

    def tell(self, message: M_contra, /) -> bool:
        """Send `message`; never blocks, never raises.

        Returns whether the mailbox took it. Inside a handler it is sent at commit and the answer is always
        True; what is refused then is a dead letter.
        """
        turn = CURRENT.get()
        if turn is None or turn.effects is None:
            return self._mailbox.put(message)
        turn.effects.append((self._mailbox, message))
        return True

    def put(self, message: M_contra, /) -> bool:
        """Send `message` at once, also inside a handler: it stays sent if the handler raises."""
        return self._mailbox.put(message)

    async def ask(self, make: Callable[[ReplyTo[R]], M_contra], *, timeout_s: float = 5.0) -> R:
        """Send the message that `make` builds around a ReplyTo, and wait for the reply.

        For tasks and HTTP handlers. Inside a TaskActor's handler the request leaves at once, before what the
        handler has buffered.

        Args:
          timeout_s: seconds to wait; 5 s is OTP's gen_server:call default.

        Raises:
          AskTimeout: no reply in time. A late reply is dropped and counted.
          ActorStopped: the actor has ended, or ended first; carries its reason.
          ActorFailed: the actor crashed on this request.
          MailboxFull: the mailbox refused the request.
          ActorRestarting: the actor waits for its restart; carries when to come back.
          AskCycle: a TaskActor asked itself.
          Exception: whatever the actor passed to `ReplyTo.fail`.

        Cancellation: the request may still be handled; its reply is dropped.
        """
        from ._ask import ask

        return await ask(self._mailbox.cell, make, timeout_s)

    async def send(self, message: M_contra, *, timeout_s: float) -> None:
        """Wait for room in the mailbox and send `message`. Senders are let in in their order.

        Raises:
          MailboxFull: no room within `timeout_s`.
          ActorStopped: the actor has ended.

        Cancellation: the message was not sent.
        """
        from ._ask import send

        await send(self._mailbox, message, timeout_s)

    def crash(self, error: BaseException, /) -> None:
        """End the actor's present incarnation as if a handler had raised `error`; its supervisor decides.

        For plain calls that run in somebody else's task, like an audio frame in the engine's.
        """
        self._mailbox.cell.crash(error)

    @property
    def is_alive(self) -> bool:
        """False once the actor has ended for good; True while it starts, runs or waits for a restart."""
        return self._mailbox.is_open

    @property
    def cell(self) -> Cell:
        """The runtime's side of the actor, for the runtime and its test kit."""
        return self._mailbox.cell

    def __repr__(self) -> str:
        return f"<Ref {self.path}>"


class ReplyTo(Generic[R_contra]):
    """Where one answer goes. The first `tell` or `fail` counts; a further one is an expired dead letter."""

    __slots__ = ("_pending",)

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def tell(self, reply: R_contra, /) -> bool:
        """Answer. Returns whether somebody still waits; inside a handler it is sent at commit, and True."""
        return self._send(reply)

    def fail(self, error: Exception, /) -> bool:
        """Answer with an error, which is raised where the reply is awaited."""
        return self._send(Failed(error))

    def _send(self, outcome: Any) -> bool:
        turn = CURRENT.get()
        if turn is None or turn.effects is None:
            return self._pending.put(outcome)
        turn.effects.append((self._pending, outcome))
        return True


class Failed:
    """An answer that is an error."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error
