"""What two servers say to each other in a hand-over: payloads, each with a socket or without one.

A frame is its length, whether a descriptor belongs to it (passed with SCM_RIGHTS beside the head), and its
payload. The calls block, with a limit: while a server hands over nothing of it is to run, and while another
one takes over nothing of it has to.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Final

_HEAD: Final = struct.Struct("!I?")
MAX_PAYLOAD_BYTES: Final = 64 * 2**20
"""Twice the longest message and then some: what an unfinished one may be with all that waits."""


class HandingError(Exception):
    """The other process is gone, or silent, or says what cannot be."""


class HandingSocket:
    """One end. Closing it before the end is how either says that it will not go on.

    Args:
      within_s: how long all that is said from here on may take.
    """

    def __init__(self, sock: socket.socket, *, within_s: float) -> None:
        self._sock = sock
        self._ends_at = time.monotonic() + within_s

    def send(self, payload: bytes, passed: socket.socket | None = None) -> None:
        """Say something, and pass a copy of a socket with it.

        Raises:
          HandingError
        """
        head = _HEAD.pack(len(payload), passed is not None)
        try:
            self._limit()
            if passed is None:
                self._sock.sendall(head + payload)
                return
            # Nothing of five bytes is ever sent in part by a blocking socket of this kind.
            socket.send_fds(self._sock, [head], [passed.fileno()])
            self._sock.sendall(payload)
        except OSError as error:
            raise HandingError(f"the other server does not listen: {error!r}") from error

    def receive(self) -> tuple[bytes, socket.socket | None]:
        """What the other one says next. The socket is the caller's.

        Raises:
          HandingError
        """
        passed: socket.socket | None = None
        try:
            head = b""
            while len(head) < _HEAD.size:
                self._limit()
                data, descriptors, flags, _ = socket.recv_fds(self._sock, _HEAD.size - len(head), 1)
                if descriptors:
                    os.set_inheritable(descriptors[0], False)  # recvmsg leaves that out
                    passed = socket.socket(fileno=descriptors[0])
                if flags & socket.MSG_CTRUNC:
                    raise HandingError("no room for another open file: raise the limit")
                if not data:
                    raise HandingError("the other server is gone")
                head += data
            size, has_socket = _HEAD.unpack(head)
            if size > MAX_PAYLOAD_BYTES or has_socket is not (passed is not None):
                raise HandingError("the other server says what cannot be")
            payload = bytearray()
            while len(payload) < size:
                self._limit()
                chunk = self._sock.recv(min(size - len(payload), 2**20))
                if not chunk:
                    raise HandingError("the other server is gone")
                payload += chunk
        except (OSError, HandingError) as error:
            if passed is not None:
                passed.close()
            if isinstance(error, HandingError):
                raise
            raise HandingError(f"the other server says nothing: {error!r}") from error
        return bytes(payload), passed

    def close(self) -> None:
        self._sock.close()

    def _limit(self) -> None:
        self._sock.settimeout(max(0.001, self._ends_at - time.monotonic()))
