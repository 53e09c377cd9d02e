"""The streams of events that are open, by user and login: how many there may be, and whom a logout ends."""

from __future__ import annotations

from typing import Protocol


class OpenPage(Protocol):
    """One of them."""

    def end(self) -> None:
        """Tell it nothing more."""


class OpenPages:
    """Args:
    most: of one user.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pages: dict[str, dict[OpenPage, str]] = {}

    def add(self, user_id: str, session_id: str, page: OpenPage) -> bool:
        """Whether the user may have one more."""
        own = self._pages.setdefault(user_id, {})
        if len(own) >= self._most:
            return False
        own[page] = session_id
        return True

    def remove(self, user_id: str, page: OpenPage) -> None:
        own = self._pages.get(user_id, {})
        own.pop(page, None)
        if not own:
            self._pages.pop(user_id, None)

    def logged_out(self, session_id: str) -> None:
        """End the streams of a login."""
        for own in self._pages.values():
            for page, one in own.items():
                if one == session_id:
                    page.end()
