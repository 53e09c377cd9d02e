"""Encryption of private values at rest: what a copy of the file, or of its backup, must not give away.

A sealed value is one byte 1, four bytes that name the key, a nonce of 12 bytes and the AES-256-GCM box. No
JSON begins with a byte 1, so plain and sealed values lie in one column and each says what it is. Every row
has an AES key of its own, derived from the operator's by HMAC-SHA256 over the row's name (the expand step of
RFC 5869). So a value that somebody moves to another row does not open, and no key comes near the 2^32
messages up to which random nonces are sound (NIST SP 800-38D, 8.3): with a snapshot a second that takes 136
years.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK: Final = 1
_ID: Final = slice(1, 5)
_NONCE: Final = slice(5, 17)
_BOX: Final = slice(17, None)


class SealError(Exception):
    """A sealed value does not open: its key is not there, or it is damaged or belongs to another row."""


class Seal:
    """Seals and opens values.

    Args:
      key: what values are sealed with from now on, 32 bytes or more; empty leaves them plain.
      former: keys that sealed values earlier and still open them.

    Attributes:
      current: the id of the key that values are sealed with; empty when they are left plain.
    """

    def __init__(self, key: str = "", former: Sequence[str] = ()) -> None:
        self._secrets = {_key_id(secret): secret.encode() for secret in (*former, key) if secret}
        self.current = _key_id(key) if key else b""

    def seal(self, row: str, value: bytes) -> bytes:
        """`value` as it is stored in `row`, a name like `snapshot ann@example.org`."""
        if not self.current:
            return value
        nonce = os.urandom(12)
        return (
            bytes([_MARK]) + self.current + nonce + self._box(self.current, row).encrypt(nonce, value, None)
        )

    def open(self, row: str, stored: bytes) -> bytes:
        """What was sealed in `row`; a plain value as it is.

        Raises:
          SealError
        """
        key_id = key_of(stored)
        if not key_id:
            return stored
        if key_id not in self._secrets:
            raise SealError(f"the key {key_id.hex()} is not configured")
        try:
            return self._box(key_id, row).decrypt(stored[_NONCE], stored[_BOX], None)
        except (InvalidTag, ValueError) as error:  # a short nonce is a ValueError
            raise SealError("the value is damaged, or belongs to another row") from error

    def knows(self, key_id: bytes) -> bool:
        """Whether values under this key can be opened; the empty id is that of plain ones."""
        return not key_id or key_id in self._secrets

    def _box(self, key_id: bytes, row: str) -> AESGCM:
        return AESGCM(hmac.digest(self._secrets[key_id], b"glasshouse row " + row.encode(), "sha256"))


def snapshot_row(user_id: str) -> str:
    """The name of the row of a user's snapshot; the same in every store, so that a value may move."""
    return f"snapshot {user_id}"


def transcript_row(user_id: str, result_id: str) -> str:
    """The name of the row of a piece of what was said."""
    return f"transcript {user_id} {result_id}"


def document_row(collection: str, key: str) -> str:
    """The name of the row of a document of a collection."""
    return f"document {collection} {key}"


def key_of(stored: bytes) -> bytes:
    """The id of the key that sealed a value; empty for a plain one."""
    return stored[_ID] if stored[:1] == bytes([_MARK]) and len(stored) >= _ID.stop else b""


def missing_keys(used: Iterable[bytes], seal: Seal) -> str:
    """What to say when some of the `used` keys are not configured; empty when all are."""
    missing = sorted({key_id.hex() for key_id in used if not seal.knows(key_id)})
    names = ", ".join(missing)
    return f"it holds values sealed with keys that are not configured: {names}" if missing else ""


def _key_id(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"glasshouse key id", "sha256")[:4]
