"""Wait for the head of the first request on a connection without taking a byte of it.

`recv(MSG_PEEK)` leaves the bytes where they are, so whoever gets the connection reads it from its first
byte. The price is that an incomplete head stays readable, and a loop over "readable" would spin.
`SO_RCVLOWAT` set to one byte more than was seen makes the kernel wake us for news only (Linux: epoll
honours it for TCP).
"""

from __future__ import annotations

import select
import socket
from typing import Final

import trio

from adapters.listener.head import MAX_HEAD_BYTES, BadHead, Head, read_head

# Woken without a new byte: the kernel is short of memory, or the socket knows no low-water mark.
_NO_NEWS_PAUSE_S: Final = 0.05


def peek_head(sock: socket.socket) -> Head | BadHead | None:
    """The head that has come with the dial, as with most; None when it is to be waited for.

    Args:
      sock: connected, non-blocking. Its bytes stay unread.
    """
    try:
        return read_head(sock.recv(MAX_HEAD_BYTES, socket.MSG_PEEK))
    except OSError:  # nothing there yet, or a reset
        return None


async def await_head(sock: socket.socket) -> Head | BadHead | None:
    """The head waiting in `sock`, or None when the peer ended before it was complete.

    Args:
      sock: connected, non-blocking. Its bytes stay unread and its low-water mark is 1 again afterwards.

    Cancellation: leaves the socket as it was. Who calls this sets the deadline.
    """
    seen_bytes = 0
    try:
        while True:
            try:
                data = sock.recv(MAX_HEAD_BYTES, socket.MSG_PEEK)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(sock)
                continue
            except OSError:  # a reset
                return None
            verdict = read_head(data)
            if verdict is not None:
                return verdict
            if len(data) > seen_bytes:
                seen_bytes = len(data)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, seen_bytes + 1)
            elif _has_ended(sock):
                return None
            else:
                await trio.sleep(_NO_NEWS_PAUSE_S)
            await trio.lowlevel.wait_readable(sock)
    finally:
        if seen_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _has_ended(sock: socket.socket) -> bool:
    """Whether the peer will send no more: its end stands behind bytes that we did not take, so recv cannot
    say."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))
