"""What goes from one server to the next in a reload, as msgpack. The sessions inside are `actors.handover`'s.

The taker says which version it speaks, then hears everything, says that it has it, and hears that it is the
taker's. Before that last word the giver can go on itself: it has only passed copies of its sockets, and the
taker has touched none of them. After it, the giver ends.
"""

from __future__ import annotations

import msgspec

from adapters.listener.handing import HandingError, HandingSocket
from adapters.websocket.handover import OpenConnection


class Hello(msgspec.Struct, frozen=True, tag=True):
    """From the taker: what it understands."""

    version: int


class SocketGiven(msgspec.Struct, frozen=True, tag=True):
    """An open WebSocket; its socket comes along.

    Attributes:
      said: what an app's socket said that no session has yet; None of one that a session has.
    """

    connection: OpenConnection
    said: tuple[bytes, ...] | None = None


class SessionGiven(msgspec.Struct, frozen=True, tag=True):
    """A session: an encoded `actors.handover.HandedSession`."""

    record: bytes


class DialGiven(msgspec.Struct, frozen=True, tag=True):
    """A connection from which nobody has read yet; its socket comes along."""


class AllGiven(msgspec.Struct, frozen=True, tag=True):
    """That was everything. `frozen_at`: since when nothing is read, on the machine's monotonic clock."""

    frozen_at: float

    sockets: int
    sessions: int
    dials: int


class AllTaken(msgspec.Struct, frozen=True, tag=True):
    """From the taker: everything is here and understood."""


class NotTaken(msgspec.Struct, frozen=True, tag=True):
    """From the taker: it will not do."""

    reason: str


class Yours(msgspec.Struct, frozen=True, tag=True):
    """The giver has let go."""


Word = Hello | SocketGiven | SessionGiven | DialGiven | AllGiven | AllTaken | NotTaken | Yours

encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Word)


def decode(payload: bytes) -> Word:
    """Read what `encode` made.

    Raises:
      HandingError: it is none of these.
    """
    try:
        word: Word = _decoder.decode(payload)
    except (ValueError, RecursionError) as error:
        raise HandingError(f"the other server says what cannot be understood: {error}") from error
    return word


def hear(handing: HandingSocket) -> Word:
    """The next word, which brings no socket. Raises HandingError."""
    payload, passed = handing.receive()
    if passed is not None:
        passed.close()
    return decode(payload)
