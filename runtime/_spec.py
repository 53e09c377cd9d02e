"""What is said about actors: how a child is kept alive, why one ended, why one came back.

The words are OTP's (`supervisor.erl`): permanent, transient, temporary; intensity and period; shutdown.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from ._actor import Actor, TaskActor
    from ._ref import Ref

M = TypeVar("M")

Restart = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


class StopKind(enum.Enum):
    """How an actor ended."""

    NORMAL = "normal"  # it called stop()
    SHUTDOWN = "shutdown"  # its supervisor, or the system, stopped it
    SIBLING = "sibling"  # stopped only to be restarted together with a sibling that crashed
    CRASHED = "crashed"  # it raised
    ESCALATED = "escalated"  # a supervisor past its intensity
    START_FAILED = "start_failed"  # it never was up
    REFUSED = "refused"  # its name was taken, or its supervisor had ended


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why an actor ended. `cause` is the error behind it, where there is one."""

    kind: StopKind
    cause: BaseException | None = None

    @property
    def is_failure(self) -> bool:
        """Whether a transient child is restarted after it."""
        return self.kind not in (StopKind.NORMAL, StopKind.SHUTDOWN, StopKind.SIBLING)

    def __str__(self) -> str:
        return self.kind.value if self.cause is None else f"{self.kind.value}: {self.cause!r}"


NORMAL = StopReason(StopKind.NORMAL)
SHUTDOWN = StopReason(StopKind.SHUTDOWN)
SIBLING = StopReason(StopKind.SIBLING)


@dataclass(frozen=True, slots=True)
class RestartInfo:
    """Why this incarnation exists.

    Attributes:
      cause: what ended the one before: its error, or the kind of its end (`normal`, `sibling`).
      attempt: 1 for the first restart of a streak; a child that was up for the supervisor's `period_s`
        begins anew.
      since: the system clock's time of that end; `now - since` is how long nobody answered.
      state_kept: `self.state` is the last committed state, not the factory's.
    """

    cause: BaseException | str
    attempt: int
    since: float
    state_kept: bool


@dataclass(frozen=True, slots=True)
class Terminated:
    """The watched actor has ended for good. Delivered to `receive` exactly once a watch."""

    ref: Ref[Any]
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a supervisor waits before a restart.

    Attributes:
      first_s: wait before the first delayed restart of a streak.
      factor: each further wait is so many times longer.
      longest_s: never more than this.
      jitter: share of the wait that is random, 0 to 1; 0.2 spreads it over 80 % to 120 %, so that what failed
        together does not come back together.
      free: restarts of a streak that do not wait at all. OTP never waits; one free restart keeps its speed
        for the lone crash.
    """

    first_s: float = 0.1
    factor: float = 2.0
    longest_s: float = 30.0
    jitter: float = 0.2
    free: int = 1

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """The wait before restart number `attempt` (1 is the first of the streak)."""
        if attempt <= self.free:
            return 0.0
        exponent = min(attempt - self.free - 1, 63)
        wait_s = min(self.first_s * self.factor**exponent, self.longest_s)
        return min(wait_s * (1 + self.jitter * (2 * chance.random() - 1)), self.longest_s)


class ChildSpec(NamedTuple, Generic[M]):
    """How a supervisor makes a child and keeps it.

    A tuple, since one is made for every spawn: that costs 0.4 us, a frozen dataclass 1.1.

    Attributes:
      name: unique among its siblings; no slash. The path is the parent's, a slash and the name.
      factory: makes a fresh actor, for the first start and for every restart.
      restart: permanent is always restarted, transient only after a failure, temporary never.
      start_s: how long a TaskActor's `started` may take before the start has failed.
      shutdown_s: how long its tasks, and a TaskActor's running handler, may take to end once it stops. What
        has not ended then is abandoned and counted, its late result discarded. 5 s is OTP's default for
        workers.
      clean_after: restarts of a streak that are handed the last committed state; the next one starts clean.
    """

    name: str
    factory: Callable[[], Actor[M] | TaskActor[M]]
    restart: Restart = "permanent"
    start_s: float = 5.0
    shutdown_s: float = 5.0
    clean_after: int = 2
