"""Every message that was not handled, with the reason: counted, kept for a while, announced.

thespian drops messages without a word (its issue 91); here nothing is lost that is not counted by reason.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._events import Events

RECENT = 256


class DropReason(enum.Enum):
    """Why a message was not handled."""

    NO_SUCH_ACTOR = "no_such_actor"  # its actor never came to be: it did not start, or its name was taken
    STOPPED = "stopped"  # its actor had ended, or ended with the message waiting
    OVERFLOW = "overflow"  # the mailbox was full
    REPLACED = "replaced"  # a newer message with the same key came (policy latest)
    EXPIRED = "expired"  # an answer nobody waits for any more
    POISON = "poison"  # its handler raised
    UNHANDLED = "unhandled"  # its actor has no handler for it


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not handled by the actor at `path`."""

    path: str
    message: Any
    reason: DropReason
    error: BaseException | None = None


class DeadLetters:
    """Counts by reason, and the most recent ones. Each is also an event."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._counts = dict.fromkeys(DropReason, 0)
        self.recent: deque[DeadLetter] = deque(maxlen=RECENT)

    @property
    def total(self) -> int:
        """All of them, since the system began."""
        return sum(self._counts.values())

    @property
    def counts(self) -> Mapping[DropReason, int]:
        """How many by reason, since the system began."""
        return dict(self._counts)

    def add(self, letter: DeadLetter) -> None:
        """Count `letter` and announce it."""
        self._counts[letter.reason] += 1
        self.recent.append(letter)
        self._events.publish(letter)
