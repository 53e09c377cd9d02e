"""In-process publish and subscribe: what the runtime does, for logs, metrics, tests and actors.

Publishing never waits. A subscriber that does not read loses the oldest events past its bound, counted; an
actor that subscribes gets events in its mailbox under its own policy. Applications may publish events of
their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from ._ref import Ref
    from ._spec import StopReason

Event = Any


@dataclass(frozen=True, slots=True)
class Spawned:
    """An actor is up for the first time."""

    path: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """An actor has ended for good."""

    path: str
    reason: StopReason


@dataclass(frozen=True, slots=True)
class CrashReport:
    """An incarnation ended by an error.

    Attributes:
      message: what it was handling; None when it was no message (a task, a plain call, its start).
      state: the last committed state, which stands.
      attempt: crashes in this streak, this one included.
      recent: the last messages before, where `system.trace_messages` is on.
    """

    path: str
    error: BaseException
    message: Any
    state: Any
    attempt: int
    recent: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """What a supervisor does about a child that ended: restart, remove, or escalate."""

    path: str
    decision: str
    delay_s: float
    state_kept: bool


@dataclass(frozen=True, slots=True)
class Restarted:
    """An actor is up again, `downtime_s` after the crash."""

    path: str
    attempt: int
    downtime_s: float
    state_kept: bool


@dataclass(frozen=True, slots=True)
class Escalated:
    """A supervisor passed its intensity and ends, for its own supervisor to decide."""

    path: str
    child: str
    cause: BaseException | None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A task, or a TaskActor's handler, did not end within `shutdown_s`. It may still run; nobody listens."""

    path: str
    task: str


@dataclass(frozen=True, slots=True)
class Held:
    """A handler held the loop for `held_s`. `message` is what was handled last."""

    path: str
    message: Any
    held_s: float


@dataclass(frozen=True, slots=True)
class HighWater:
    """A mailbox has been filled to its limit; said once until it has been half empty."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Joined:
    """An actor joined a group."""

    group: str
    ref: Ref[Any]


@dataclass(frozen=True, slots=True)
class Left:
    """An actor left a group, or ended."""

    group: str
    ref: Ref[Any]


class Subscription:
    """A bounded queue of events. Iterate over it, or `drain` it; it ends with its `with` block.

    `dropped` counts the oldest events that were pushed out. Cancelling an iteration loses nothing.
    """

    def __init__(self, events: Events, kinds: tuple[type, ...], size: int) -> None:
        self.dropped = 0
        self._events = events
        self._kinds = kinds
        self._queue: deque[Event] = deque(maxlen=size)
        self._arrived = trio.Event()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            self._arrived = trio.Event()
            await self._arrived.wait()
        return self._queue.popleft()

    def close(self) -> None:
        """Hear no more. What was queued can still be drained, or iterated over, which then waits for ever."""
        self._events.unsubscribe(self.offer)

    def drain(self) -> list[Event]:
        """Everything queued, oldest first."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def offer(self, event: Event) -> None:
        """Queue `event` if it is of a kind that was asked for."""
        if self._kinds and not isinstance(event, self._kinds):
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(event)
        self._arrived.set()


class Events:
    """Who hears of what. Listeners are called in the order they came."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], object]] = []
        self.failures = 0  # listeners that raised; the event went on to the others

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens; publishers of costly events may ask first."""
        return bool(self._listeners)

    def subscribe(self, *kinds: type, size: int = 1024) -> Subscription:
        """Queue events of these kinds (all kinds when none is named), the last `size` of them."""
        subscription = Subscription(self, kinds, size)
        self._listeners.append(subscription.offer)
        return subscription

    def tell(self, ref: Ref[Any], *kinds: type) -> None:
        """Send events of these kinds, all where none is named, to `ref` for as long as it lives.

        Not those about itself: a dead letter of a full mailbox would make another.
        """

        def forward(event: Event) -> None:
            if not ref.is_alive:
                self.unsubscribe(forward)
            elif (not kinds or isinstance(event, kinds)) and getattr(event, "path", None) != ref.path:
                ref.put(event)

        self._listeners.append(forward)

    def listen(self, listener: Callable[[Event], object]) -> None:
        """Call `listener` with every event, at once. It must be quick; if it raises, that is counted only."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Event], object]) -> None:
        """Forget `listener`; no error when it is not there."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def publish(self, event: Event) -> None:
        """Tell everybody who asked for it, at once, also inside a handler."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                self.failures += 1
