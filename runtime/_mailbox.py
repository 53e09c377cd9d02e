"""A bounded mailbox with two lanes and a named policy for when it is full.

The user lane holds messages and envelopes. An envelope is something the actor itself asked for: a timer's
message, a task's outcome, an answer, a Terminated. There is at most one for each thing asked, so envelopes
are bounded by construction, are never refused and do not count against `mailbox_size`; they keep their
place in the order of arrival (a grace that ran out does not overtake the message that ended it).

The system lane holds the supervisor's orders. It is handled before the next user message.

The lanes are made on first use: an empty deque alone is 760 bytes. The age of the oldest message comes from
marks set once a batch, not from a stamp on every message; it is exact to one batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ._dead_letters import DropReason
from ._errors import MailboxFull
from ._events import HighWater

if TYPE_CHECKING:
    from ._cell import Cell
    from ._scheduler import Scheduler

SKIP = object()  # what an envelope opens to when its message must not arrive any more


class latest:  # noqa: N801 - reads as a policy beside the literal names: overflow = latest(key)
    """Overflow policy: of the waiting messages with the same key only the newest counts, in the oldest's
    place.

    Args:
      key: the message's key; None for a message that is never replaced. What does not fit is refused, what
        is replaced is a dead letter (`replaced`), and so is a message whose key raises (`poison`).
    """

    __slots__ = ("key",)

    def __init__(self, key: Callable[[Any], Hashable | None]) -> None:
        self.key = key


Overflow = Literal["reject", "drop_oldest", "drop_newest", "block"] | latest


class Source(Protocol):
    """What an envelope stands for."""

    def open(self) -> Any:
        """The message, or SKIP. May raise, which crashes the actor like a handler that raised."""


class Envelope:
    """A place in the user lane for something the actor asked for."""

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source


class _Replaceable:
    """A message of a `latest` mailbox; a newer one takes its place."""

    __slots__ = ("key", "message", "waiting")

    def __init__(self, key: Hashable, message: Any, waiting: dict[Hashable, _Replaceable]) -> None:
        self.key = key
        self.message = message
        self.waiting = waiting

    def open(self) -> Any:
        del self.waiting[self.key]
        return self.message


class Sender(Protocol):
    """Somebody who waits for room."""

    message: Any

    def admitted(self) -> None: ...

    def refused(self, error: Exception) -> None: ...


class Mailbox:
    """Both lanes of one actor. It outlives every incarnation."""

    __slots__ = (
        "__dict__",
        "_waiting_since",
        "cell",
        "envelopes",
        "high_water",
        "is_idle",
        "is_open",
        "is_pressed",
        "is_queued",
        "limit",
        "mail",
        "scheduler",
        "system",
        "taken",
        "waker",
    )

    # Read from the class until they are set.
    size = 1024
    overflow: Overflow = "reject"
    senders: deque[Sender] | None = None
    _replaceable: dict[Hashable, _Replaceable] | None = None
    _marks: deque[tuple[int, float]] | None = None

    def __init__(self, cell: Cell, scheduler: Scheduler) -> None:
        self.cell = cell
        self.scheduler = scheduler
        self.mail: deque[Any] | None = None
        self.system: list[Any] | None = None
        self.is_idle = False  # would be run for a user message, and is not queued
        self.is_queued = False
        self.is_pressed = False  # it was full, or somebody waits for room: look after every batch
        self.is_open = True
        self.waker: Callable[[], None] | None = None  # how a TaskActor is woken; None: the run queue runs it
        self.limit = 0  # up to this length `put` needs no second look; 0 while there is no lane
        self.envelopes = 0  # how many of `mail` are envelopes
        self.high_water = 0
        self.taken = 0
        self._waiting_since = 0.0

    def configure(self, size: int, overflow: Overflow) -> None:
        """Set the class's settings. What waits already stays, even beyond `size`."""
        if size != self.size:
            self.size = size
        if overflow != self.overflow:
            self.overflow = overflow
        self.limit = size if self.mail is not None and not isinstance(overflow, latest) else 0

    def put(self, message: Any) -> bool:
        """Take `message` into the user lane, or say why not by a dead letter and return False."""
        mail = self.mail
        if mail is None or len(mail) >= self.limit:
            return self._put_with_care(message)
        mail.append(message)
        if self.is_idle:
            if self.waker is not None:
                self._work_arrived()
                return True
            self.is_idle = False  # as in _work_arrived, without the calls
            self.is_queued = True
            scheduler = self.scheduler
            scheduler.ready.append(self.cell)
            if scheduler.is_parked:
                scheduler.wake()
            self._waiting_since = scheduler.deadlines.time
        elif len(mail) == 1:
            self._first_arrived()
        return True

    def put_envelope(self, source: Source) -> None:
        """Take what the actor asked for; never refused. An actor that has ended asks for nothing."""
        if not self.is_open:
            return
        self.envelopes += 1
        self._arrived(Envelope(source))

    def put_system(self, order: Any) -> None:
        """Take an order; it is handled before the next user message."""
        if self.system is None:
            self.system = [order]
        else:
            self.system.append(order)
        if not self.is_queued:
            self.is_queued = True
            self.is_idle = False
            self.scheduler.enqueue(self.cell)

    def put_back(self, messages: list[Any]) -> None:
        """Put `messages` before everything that waits, in their order, of an actor that is run or not up."""
        lane = self._lane()
        for message in reversed(messages):
            lane.appendleft(message)
        self.taken -= len(messages)

    def has_room(self) -> bool:
        """Whether a user message would be taken without dropping another."""
        return self.is_open and (self.mail is None or len(self.mail) - self.envelopes < self.size)

    def wait_for_room(self, sender: Sender) -> None:
        """Remember `sender` until there is room."""
        if self.senders is None:
            self.senders = deque()
        self.senders.append(sender)
        self.is_pressed = True

    def relieve(self) -> None:
        """After a batch: let waiting senders in, in their order, while there is room."""
        senders = self.senders
        if senders is not None:
            while senders and self.has_room():
                sender = senders.popleft()
                self._lane().append(sender.message)
                sender.admitted()
            if senders:
                return
            self.senders = None
        if self.depth() * 2 <= self.size:
            self.is_pressed = False

    def depth(self) -> int:
        """How many messages wait."""
        return 0 if self.mail is None else len(self.mail)

    def mark(self, handled: int) -> None:
        """After a batch of `handled` that left mail behind: note when, for the age of what is left."""
        self.taken += handled
        if self._marks is None:
            self._marks = deque()
        marks = self._marks
        while marks and marks[0][0] <= self.taken:
            self._waiting_since = marks.popleft()[1]
        marks.append((self.taken + self.depth(), self.cell.system.clock.now()))

    def waiting_since(self) -> float | None:
        """When the oldest message arrived, at the latest; None when none waits."""
        return self._waiting_since if self.mail else None

    def close(self) -> tuple[list[Any], list[Sender]]:
        """Take nothing any more. Returns the messages that waited, opened, and the senders."""
        left = list(self.mail or ())
        senders = list(self.senders or ())
        self.is_open = self.is_idle = False
        self.mail = None
        if self.senders is not None:
            self.senders = None
        self.limit = self.envelopes = 0
        messages = [message for message in left if message.__class__ is not Envelope]
        messages += [
            envelope.source.message
            for envelope in left
            if envelope.__class__ is Envelope and isinstance(envelope.source, _Replaceable)
        ]
        self._replaceable = None
        return messages, senders

    def _arrived(self, item: Any) -> None:
        lane = self._lane()
        lane.append(item)
        if self.is_idle:
            self._work_arrived()
        elif len(lane) == 1:
            self._first_arrived()

    def _first_arrived(self) -> None:
        """Note when the oldest message came to an actor that is busy, suspended or down."""
        scheduler = self.scheduler
        # While the run queue sleeps, the time it has last read is old.
        self._waiting_since = (
            self.cell.system.clock.now() if scheduler.is_parked else scheduler.deadlines.time
        )

    def _work_arrived(self) -> None:
        self.is_idle = False
        self._first_arrived()
        if self.waker is not None:
            self.waker()
        else:
            self.is_queued = True
            self.scheduler.enqueue(self.cell)

    def _lane(self) -> deque[Any]:
        if self.mail is None:
            self.mail = deque()
            self.limit = 0 if isinstance(self.overflow, latest) else self.size
        return self.mail

    def _put_with_care(self, message: Any) -> bool:
        if not self.is_open:
            self.cell.dropped(message, self.cell.drop_reason())
            return False
        lane = self._lane()
        overflow = self.overflow
        if isinstance(overflow, latest):
            return self._put_latest(message, overflow)
        if len(lane) - self.envelopes >= self.size:
            self._is_full(len(lane))
            if overflow != "drop_oldest":
                self.cell.dropped(message, DropReason.OVERFLOW)
                return False
            self._drop_oldest(lane)
        self._arrived(message)
        return True

    def _drop_oldest(self, lane: deque[Any]) -> None:
        for place, message in enumerate(lane):
            if message.__class__ is not Envelope:
                del lane[place]
                self.taken += 1
                self.cell.dropped(message, DropReason.OVERFLOW)
                return

    def _put_latest(self, message: Any, policy: latest) -> bool:
        lane = self._lane()
        try:
            key = policy.key(message)
        except Exception as error:
            self.cell.dropped(message, DropReason.POISON, error)
            return False
        waiting = self._replaceable
        if waiting is None:
            waiting = self._replaceable = {}
        if key is not None and key in waiting:
            slot = waiting[key]
            slot.message, replaced = message, slot.message
            self.cell.dropped(replaced, DropReason.REPLACED)
            return True
        if len(lane) - self.envelopes + len(waiting) >= self.size:
            self._is_full(len(lane))
            self.cell.dropped(message, DropReason.OVERFLOW)
            return False
        if key is None:
            self._arrived(message)
        else:
            waiting[key] = slot = _Replaceable(key, message, waiting)
            self.envelopes += 1
            self._arrived(Envelope(slot))
        return True

    def _is_full(self, depth: int) -> None:
        self.high_water = max(self.high_water, depth)
        if not self.is_pressed:
            self.is_pressed = True
            self.cell.system.events.publish(HighWater(self.cell.path, self.size))

    def full(self) -> MailboxFull:
        """The error for a sender that was refused."""
        policy = "latest" if isinstance(self.overflow, latest) else self.overflow
        return MailboxFull(self.cell.path, self.size, policy)
