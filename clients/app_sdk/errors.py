"""What the cloud says when it does not do what an app asked."""

from __future__ import annotations


class CloudError(Exception):
    """The cloud said that something is wrong, or sent what no app understands.

    Attributes:
      code: one of docs/apps.md, section 7, where the cloud named one.
    """

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message if code is None else f"{code}: {message}")
        self.code = code
