"""Simple storage: what an app keeps for a user, texts by key (protocol.md 1.3). One document each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .preferences import TooLargeError
from .settings import CabinetSettings

COLLECTION: Final = "simple storage"

Values = Mapping[str, str]


def key_of(user_id: str, package_name: str) -> str:
    """The document's key: a package name has no blank in it."""
    return f"{package_name} {user_id}"


class PutValues(msgspec.Struct, frozen=True):
    """Put these beside what is there."""

    values: Values


class RemoveValue(msgspec.Struct, frozen=True):
    key: str


class ClearValues(msgspec.Struct, frozen=True):
    """Remove all of them."""


StorageEdit = PutValues | RemoveValue | ClearValues


def edited(before: Values, edit: StorageEdit, limits: CabinetSettings) -> Values:
    """The values after `edit`; equal to `before` where nothing changes.

    Raises:
      TooLargeError: a key, a value or all together would be larger than they may be.
    """
    match edit:
        case ClearValues():
            return {}
        case RemoveValue(key):
            return {name: value for name, value in before.items() if name != key}
        case PutValues(values):
            for key, value in values.items():
                if not 0 < len(key) <= limits.key_characters:
                    raise TooLargeError(f"a key has 1 to {limits.key_characters} characters, not {len(key)}")
                if (size := _size(value)) > limits.value_bytes:
                    raise TooLargeError(f"a value may have {limits.value_bytes} bytes, not {size}")
            after = {**before, **values}
            total = sum(_size(key) + _size(value) for key, value in after.items())
            if total > limits.storage_bytes:
                raise TooLargeError(f"all values may have {limits.storage_bytes} bytes, not {total}")
            return after


def _size(text: str) -> int:
    """Bytes of it; half of an emoji, which JavaScript cuts off, has three."""
    return len(text.encode("utf-8", "surrogatepass"))
