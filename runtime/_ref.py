"""The only handle on an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ._ask import TaskPending, send
from ._errors import AskCycle
from ._reply import ReplyTo
from ._turn import CURRENT

if TYPE_CHECKING:
    from ._cell import Cell
    from ._mailbox import Mailbox

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Recipient(Protocol[M_contra]):
    """Whatever a message can be told to: a Ref or a ReplyTo."""

    def tell(self, message: M_contra, /) -> bool:
        """Send `message`; never blocks, never raises."""


class Ref(Generic[M_contra]):
    """A handle on an actor that stays valid across its restarts. Equal only to itself.

    Messages from one sender to one actor arrive in the order they were told.

    Attributes:
      path: the actor's place, the names from below the root on: `/users/ada/session`.
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
        """Send `message` at once, also inside a handler: it stays sent if the handler raises.

        Returns whether the mailbox took it.
        """
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
        turn = CURRENT.get()
        target = self._mailbox.cell
        if turn is not None and turn.effects is not None and turn.cell is target:
            raise AskCycle(target.path)
        pending = TaskPending(target, timeout_s)
        result: R = await pending.outcome_of(make(ReplyTo(pending)))
        return result

    async def send(self, message: M_contra, *, timeout_s: float) -> None:
        """Wait for room in the mailbox and send `message`. Senders are let in in their order.

        Inside a TaskActor's handler it leaves at once, before what the handler has buffered.

        Args:
          timeout_s: seconds to wait for room.

        Raises:
          MailboxFull: no room within `timeout_s`.
          ActorStopped: the actor has ended.

        Cancellation: the message was not sent.
        """
        await send(self._mailbox, message, timeout_s)

    def crash(self, error: BaseException, /) -> None:
        """End the actor's present incarnation as if a handler had raised `error`; its supervisor decides.

        For plain calls that run in somebody else's task, like an audio frame in the engine's. At once, also
        inside a handler; no effect on an actor that is not up.
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
