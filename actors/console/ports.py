"""What the console needs from outside."""

from __future__ import annotations

from typing import Protocol

import msgspec


class OneTimeLink(msgspec.Struct, frozen=True):
    """What a link of `glasshouse user console` says.

    Attributes:
      until: epoch seconds.
    """

    link_id: str
    user_id: str
    until: float


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
