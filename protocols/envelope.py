"""What every JSON message has in common (protocol.md 0.4), and the codec of a table of messages.

Decisions. A field that may be missing is None and is left out when encoded; a field that must be on the
wire has no default. Objects that only pass through (layouts, settings, a phone's event) are `msgspec.Raw`:
re-encoding would drop unknown fields. Decoding never raises anything but `MalformedMessage` or `UnknownType`,
and once it succeeds the payload as it came is a complete JSON object in UTF-8: `msgspec.Raw(payload)` may be
forwarded.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, TypeVar, get_args

import msgspec

from protocols.errors import MalformedMessage, UnknownType

Timestamp = int | float | str | None
"""ISO text or epoch milliseconds; never required."""

Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float
"""A number that is forwarded as it came. Bounded: an integer of any size, added to a float, overflows."""

Scalar = str | int | float | bool | None
"""A field the server passes on and does not interpret."""

ABSENT = msgspec.Raw(b"")
"""The default of an optional pass-through field: it is left out when encoded. Compare with `is_present`."""

M = TypeVar("M")


class Message(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="", rename="camel", omit_defaults=True
):
    """The base of every message: `type`, and optionally `timestamp` and `sessionId`."""

    timestamp: Timestamp = None
    session_id: str | None = None


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a type the table does not have, as a lenient reader gets it."""

    type: str
    raw: msgspec.Raw


def is_present(raw: msgspec.Raw) -> bool:
    """Whether a pass-through field was sent, and not as null."""
    return bytes(raw) not in (b"", b"null")


def encode(message: msgspec.Struct) -> bytes:
    """The message, or any wire struct, as JSON. What is absent is left out."""
    return _encoder.encode(message)


class Codec(Generic[M]):
    """Decodes one table of messages, given as a union of `Message` classes.

    Args:
      union: the table; every class has its own tag.
    """

    def __init__(self, union: Any) -> None:
        self._decoder: msgspec.json.Decoder[M] = msgspec.json.Decoder(union)
        self.types: frozenset[str] = frozenset(_tag(member) for member in get_args(union))

    def decode(self, payload: bytes) -> M:
        """The message in `payload`.

        Raises:
          UnknownType: an object whose `type` is a string this table does not have.
          MalformedMessage: anything else.
        """
        try:
            if not payload.isascii():
                payload.decode()  # the JSON decoder does not look at the UTF-8 of fields it skips
            return self._decoder.decode(payload)
        except (ValueError, RecursionError) as error:
            if b"\\ud" in payload or b"\\uD" in payload:
                repaired = _replace_lone_surrogates(payload)
                if repaired != payload:
                    return self.decode(repaired)
            raise self._explain(payload, error) from error

    def decode_leniently(self, payload: bytes) -> M | Unknown:
        """Like `decode`, but a message of an unknown type comes back as `Unknown`."""
        try:
            return self.decode(payload)
        except UnknownType as error:
            return Unknown(type=error.type_name, raw=msgspec.Raw(payload))

    def _explain(self, payload: bytes, error: Exception) -> MalformedMessage:
        if isinstance(error, msgspec.ValidationError):
            try:
                type_name = _head_decoder.decode(payload).type
            except (ValueError, RecursionError):
                return MalformedMessage(str(error))
            if type_name not in self.types:
                return UnknownType(type_name)
        return MalformedMessage(str(error))


def decode_with(decoder: msgspec.json.Decoder[M], payload: bytes) -> M:
    """What `decoder` makes of a body that is no message of a table: a REST request's.

    Raises:
      MalformedMessage: it is no such JSON.
    """
    try:
        if not payload.isascii():
            payload.decode()  # the JSON decoder does not look at the UTF-8 of fields it skips
        return decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        if b"\\ud" in payload or b"\\uD" in payload:
            repaired = _replace_lone_surrogates(payload)
            if repaired != payload:
                return decode_with(decoder, repaired)
        raise MalformedMessage(str(error)) from error


class _Head(msgspec.Struct, frozen=True):
    type: str


_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(_Head)
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|\\."  # any other escape, an escaped backslash above all
)


def _replace_lone_surrogates(payload: bytes) -> bytes:
    """`payload` with U+FFFD for each half of a surrogate pair.

    JavaScript cuts strings between the halves of an emoji and writes the half as an escape. That is legal
    JSON (RFC 8259, section 8.2); msgspec 0.22 refuses it.
    """
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], payload)


def _tag(member: Any) -> str:
    return str(member.__struct_config__.tag)
