"""A JSON document as MongoDB keeps it, and back, byte for byte.

What lies in the database is a document with the fields of the JSON, so that an operator's query and an index
find it. Where that would lose something (the JSON has other white space than ours, a number of more than 64
bits, a name that MongoDB does not take), or where it is to be sealed, its text lies in one field instead.
Beside it stand what it is looked up by and, in `_store`, what the store itself knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

STORE: Final = "_store"
"""The field of what is the store's own: userId, updatedAtMs, isUnfinished, key, and text or sealed."""

OWN_COLLECTIONS: Final = frozenset({"apps", "users", "sessions", "transcripts", "glasshouse"})

_DEEPEST: Final = 50
_BITS: Final = 63
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""MongoDB's operators begin with $ and its paths have dots; FerretDB 1.24 cannot read a name with \\ or "."""


def fields_of(text: bytes) -> dict[str, Any] | None:
    """The fields of a JSON object; None where the text could not be told from them again."""
    decoded = msgspec.json.decode(text)
    if not isinstance(decoded, dict) or not _is_kept(decoded, 0):
        return None
    if "_id" in decoded or STORE in decoded or msgspec.json.encode(decoded) != text:
        return None
    return decoded


def text_of(document: Mapping[str, Any]) -> bytes:
    """The JSON of a document that `fields_of` made."""
    fields = {name: content for name, content in document.items() if name not in ("_id", STORE)}
    return msgspec.json.encode(fields, enc_hook=int)  # bson's integers of 64 bits are not plain ones


def is_collection(name: str) -> bool:
    """Whether documents can lie in a collection of this name: MongoDB takes it, and it is none of ours."""
    is_legal = name.replace("_", "a").replace("-", "a").isalnum() and len(name.encode()) <= 120
    return is_legal and name not in OWN_COLLECTIONS


def _is_kept(content: Any, depth: int) -> bool:
    if depth > _DEEPEST:
        return False
    match content:
        case dict():
            are_plain = all(_NAME.fullmatch(name) for name in content)
            return are_plain and all(_is_kept(one, depth + 1) for one in content.values())
        case list():
            return all(_is_kept(one, depth + 1) for one in content)
        case bool():
            return True
        case int():
            return content.bit_length() <= _BITS
        case float():
            return str(content) != "-0.0"  # FerretDB takes none
    return True
