"""Which core tokens are taken back before they expire: one by its id, or all of a user from before a moment.

The store has them, `glasshouse user revoke` writes them, and a server has a copy in memory, since every
request asks. The copy follows the store within a second (`token_check_s`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from actors.document_ports import PutDocument, StoredDocument

COLLECTION: Final = "revoked_tokens"
MOST: Final = 100_000
"""Read from the store, the newest first. A line is some 150 bytes."""


class Revocation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line. Either `token_id` is said, or `before_s`.

    Attributes:
      token_id: the `jti` of one token.
      user_id: whose tokens.
      before_s: those issued before then, epoch seconds, and those that do not say when they were.
      revoked_at_s: epoch seconds.
    """

    token_id: str = ""
    user_id: str = ""
    before_s: float = 0.0
    revoked_at_s: float = 0.0

    @property
    def document(self) -> PutDocument:
        """As it is stored; a user's later line replaces the earlier one."""
        return PutDocument(
            collection=COLLECTION,
            key=f"token:{self.token_id}" if self.token_id else f"user:{self.user_id}",
            user_id=self.user_id,
            document=msgspec.json.encode(self),
            updated_at_ms=round(self.revoked_at_s * 1000),
        )


def of_user(user_id: str, now: float) -> Revocation:
    """All tokens that a user has at `now`.

    Tokens say when they were issued in whole seconds, so the line holds from the next whole second on: one
    that is made before it is taken back too.
    """
    return Revocation(user_id=user_id, before_s=math.floor(now) + 1.0, revoked_at_s=now)


def of_token(token_id: str, now: float) -> Revocation:
    """One token."""
    return Revocation(token_id=token_id, revoked_at_s=now)


class Revocations:
    """The copy in memory. Empty at first: nothing is taken back."""

    def __init__(self) -> None:
        self._tokens: frozenset[str] = frozenset()
        self._users: Mapping[str, float] = {}

    def replace(self, documents: Iterable[StoredDocument]) -> frozenset[str]:
        """Take what the store has in the place of what was known.

        Returns:
          The users whose tokens are taken back since the last call.
        """
        lines = [msgspec.json.decode(one.document, type=Revocation) for one in documents]
        users = {one.user_id: one.before_s for one in lines if not one.token_id}
        news = frozenset(user for user, before in users.items() if before > self._users.get(user, 0.0))
        self._tokens = frozenset(one.token_id for one in lines if one.token_id)
        self._users = users
        return news

    def has_token(self, token_id: str) -> bool:
        """Whether the token of that id is taken back."""
        return token_id in self._tokens

    def why(self, user_id: str, token_id: str | None, issued_s: float | None) -> str | None:
        """Why a token is taken back, for the log; None if it is not."""
        if token_id is not None and self.has_token(token_id):
            return "it was revoked"
        before = self._users.get(user_id)
        if before is not None and (issued_s is None or issued_s < before):
            return "all tokens of its user were revoked"
        return None
