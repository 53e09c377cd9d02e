"""What a program has printed, bounded: its beginning and its end, and a ration of it for the log."""

from __future__ import annotations

from collections import deque
from typing import Final

HEAD_CHARACTERS: Final = 64 * 1024
TAIL_CHARACTERS: Final = 192 * 1024
LOG_S: Final = 0.25
"""The log gets a piece this often at most."""

LOG_CHARACTERS: Final = 16 * 1024
"""And no more at once: 64 KiB in a second of a flood."""


class KeptText:
    """The beginning and the end of a text.

    Args:
      head, tail: characters of each that are kept.
    """

    def __init__(self, head: int = HEAD_CHARACTERS, tail: int = TAIL_CHARACTERS) -> None:
        self._head_room = head
        self._most_tail = tail
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0

    def add(self, text: str) -> None:
        """It printed this."""
        if self._head_room:
            begin, text = text[: self._head_room], text[self._head_room :]
            self._head.append(begin)
            self._head_room -= len(begin)
        if text:
            self._tail.append(text)
            self._tail_size += len(text)
            self._shorten()

    def skip(self, count: int) -> None:
        """It printed so much that nobody has read. What comes later does not follow the beginning."""
        self._head_room = 0
        self._left_out += count + self._tail_size
        self._tail.clear()
        self._tail_size = 0

    def take(self) -> str:
        """The beginning, how much is missing, and the end; then it is empty, and keeps only ends."""
        middle = f"\n[... {self._left_out} characters left out ...]\n" if self._left_out else ""
        text = "".join(self._head) + middle + "".join(self._tail)
        self._head.clear()
        self._tail.clear()
        self._tail_size = self._left_out = 0
        return text

    def _shorten(self) -> None:
        while self._tail_size > self._most_tail:
            first = self._tail.popleft()
            excess = min(len(first), self._tail_size - self._most_tail)
            if excess < len(first):
                self._tail.appendleft(first[excess:])
            self._tail_size -= excess
            self._left_out += excess


class Log:
    """Pieces of a text for the log of an agent, not more often than it can be read.

    `due_at` is when the next piece may go; None when there is none.
    """

    def __init__(self) -> None:
        self._waiting = KeptText(head=0, tail=LOG_CHARACTERS)
        self._told_at = float("-inf")
        self.due_at: float | None = None

    def add(self, text: str, now: float) -> None:
        """It printed this."""
        self._waiting.add(text)
        self.due_at = max(now, self._told_at + LOG_S)

    def skip(self, count: int) -> None:
        """It printed so much that nobody has read."""
        self._waiting.skip(count)

    def take(self, now: float) -> str:
        """The next piece; call it when it is due, or at the end."""
        self._told_at, self.due_at = now, None
        return self._waiting.take()
