"""What decoding can raise.

    ProtocolError
    ├── MalformedMessage      a payload is not a message of this table
    │   └── UnknownType       it is one, of a type this table does not have
    ├── InvalidStream         an entry of a subscription list names no stream
    └── InvalidSessionId      an app session id does not belong to the package

The texts carry what the peer sent: whoever logs them escapes them.
"""

from __future__ import annotations

_SHOWN_CHARACTERS = 200


class ProtocolError(Exception):
    """A peer's input does not follow the protocol. Never a reason to end anybody else's session."""


class MalformedMessage(ProtocolError):  # noqa: N818 - named for what came, as a message is
    """The payload is no message. `cause` says why in one line (at most 200 characters of it are kept)."""

    def __init__(self, cause: str) -> None:
        self.cause = shorten(cause)
        super().__init__(f"malformed message: {self.cause}")


class UnknownType(MalformedMessage):
    """The payload is an object whose `type` is not in the table. `type_name` is cut at 200 characters."""

    def __init__(self, type_name: str) -> None:
        self.type_name = shorten(type_name)
        super().__init__(f"unknown type {self.type_name!r}")


class InvalidStream(ProtocolError):  # noqa: N818
    """A subscription entry is no stream. `stream` is what was asked for, `cause` what was expected."""

    def __init__(self, stream: str, cause: str) -> None:
        self.stream = shorten(stream)
        self.cause = cause
        super().__init__(f"invalid stream {self.stream!r}: {cause}")


class InvalidSessionId(ProtocolError):  # noqa: N818
    """An app session id does not end in `-<package_name>`, or has nothing before it."""

    def __init__(self, session_id: str, package_name: str) -> None:
        self.session_id = shorten(session_id)
        self.package_name = shorten(package_name)
        super().__init__(f"session id {self.session_id!r} is not '<user>-{self.package_name}'")


def shorten(text: str) -> str:
    """`text`, cut at 200 characters: a peer may send 16 MiB of it."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
