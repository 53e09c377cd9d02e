"""An open connection as a record: what another process of ours needs beside the socket to go on with it.

On a message boundary the parser remembers nothing, so the raw bytes since the last one are all there is of
the receiving side. (A ping between two fragments is among them and is answered twice; RFC 6455 section 5.5.3
allows a pong that nobody asked for.) Of the sending side it is what the transport has not taken, with the
rest of a frame that is half on the wire first. Bytes in the kernel's buffers go with the socket.
"""

from __future__ import annotations

import msgspec

from actors.ports import ConnectionHealth


class Unsent(msgspec.Struct, frozen=True, array_like=True):
    """What waits in the lanes of one connection, as frames.

    Attributes:
      partial: the rest of a frame whose beginning is on the wire.
      protocol: pings and pongs, in order.
      display: by key, in order.
      audio: payloads, and whether each is text.
    """

    partial: bytes = b""
    protocol: tuple[bytes, ...] = ()
    control: tuple[bytes, ...] = ()
    display: tuple[tuple[str, bytes], ...] = ()
    audio: tuple[tuple[bool, bytes], ...] = ()


class OpenConnection(msgspec.Struct, frozen=True, kw_only=True):
    """One open connection. Times are seconds of the giver's engine clock, which said `now`.

    Attributes:
      unread: raw bytes received since the last message boundary.
      pings: payloads of our pings that were not answered, and when each went out.
      ping_count: how many went out.
    """

    id: str
    now: float
    health: ConnectionHealth
    unread: bytes = b""
    unsent: Unsent | None = None
    pings: tuple[tuple[bytes, float], ...] = ()
    ping_count: int = 0


def moved(health: ConnectionHealth, by_s: float) -> ConnectionHealth:
    """The same counters on a clock that is `by_s` ahead."""
    return msgspec.structs.replace(
        health, opened_at=health.opened_at + by_s, last_activity_at=health.last_activity_at + by_s
    )
