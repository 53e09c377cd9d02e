"""Who somebody is: core tokens (protocol.md 3.1, 13.1), and identity providers where users log in."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class TokenError(Exception):
    """The token is not good. `message` is the wire's text; `cause` says why, for the log."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(f"{message}: {cause}")
        self.message = message
        self.cause = cause


class AppClaims(NamedTuple):
    """What an app's token says (protocol.md 3.3)."""

    package_name: str
    api_key: str


class Tokens(Protocol):
    """The server's own tokens."""

    def verify(self, token: str) -> str:
        """The lower-cased user id of a good core token. Raises TokenError."""

    def mint(self, email: str, *, expires_s: float | None) -> str: ...

    def read_app(self, token: str) -> AppClaims:
        """What a good token of an app says; its key is still to be compared. Raises TokenError."""

    def has_revoked(self, user_id: str, since_s: float) -> bool:
        """Whether what a user was given at `since_s`, epoch seconds, for a token is taken back since."""


class ProviderAway(Exception):  # noqa: N818 - says what happened
    """An identity provider cannot be asked now. `retry_after_s` says when it is worth asking again."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Identity(Protocol):
    """Who logs users in elsewhere."""

    async def email_of(self, provider: str, token: str) -> str:
        """The lower-cased address that a provider's token names. Raises TokenError or ProviderAway."""
