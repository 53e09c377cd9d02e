"""What the console needs from outside."""

from __future__ import annotations

from typing import Protocol

import msgspec


class OneTimeLink(msgspec.Struct, frozen=True):
    """What a link of `glasshouse user console` says.

    Attributes:
      until: epoch seconds.
      is_operator: who logs in with it sees everything.
    """

    link_id: str
    user_id: str
    until: float
    is_operator: bool = False


class KeptLog(msgspec.Struct, frozen=True):
    """The end of one session's log.

    Attributes:
      count: lines that there were, those that are not kept any more among them.
      lines: the last of them, the newest last.
    """

    count: int = 0
    lines: tuple[str, ...] = ()


class ErrorRates(msgspec.Struct, frozen=True):
    """What went wrong lately.

    Attributes:
      errors, warnings: for each minute, the oldest first, the present one last.
      events: what it was, and how often over all these minutes; the most frequent first.
    """

    errors: tuple[int, ...]
    warnings: tuple[int, ...]
    events: tuple[tuple[str, int], ...]


class SessionLogs(Protocol):
    """What the log said lately, by session and by app. No call blocks."""

    def log_of(self, user_id: str) -> KeptLog:
        """The last lines that concern a user."""

    def rates(self, package_name: str | None = None) -> ErrorRates:
        """Of the whole server, or of what concerns one app."""


class ConsoleKeys(Protocol):
    """Signs, and checks what is said to be signed. Nothing signed for one purpose passes for another."""

    def cookie(self, session_id: str) -> str:
        """The value of a session's cookie."""

    def session_of(self, cookie: str) -> str | None:
        """The session id in a cookie; None if we did not sign it."""

    def form_mark(self, session_id: str) -> str:
        """What a page of that session sends along with everything that changes something."""

    def is_form_mark(self, session_id: str, mark: str) -> bool:
        """Whether `mark` is the one of that session; compared in constant time."""

    def mint_link(self, link: OneTimeLink) -> str:
        """The code of a one-time link."""

    def read_link(self, code: str) -> OneTimeLink | None:
        """What a code says; None if we did not make it. Its time and its use are not looked at."""
