"""The socket of the microphone's datagrams, as a service: whatever comes goes to the door, which decides.

A port that is taken is tried again: in a reload the process before holds it until it ends. Nobody is offered
UDP meanwhile.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Final

import trio

from actors.audio.udp import UdpDoor
from actors.ports import Telemetry

_READ_BYTES: Final = 2_048  # what is longer is cut, and malformed
_DATAGRAMS_A_TURN: Final = 64
_WAITING_BYTES: Final = 1024 * 1024  # asked of the kernel: what comes while the server is busy
_BIND_AGAIN_S: Final = 0.2


class UdpListener:
    """One socket.

    Args:
      host: the address to listen on; a name is looked up.
      public_host: what phones are told.
    """

    def __init__(self, door: UdpDoor, *, host: str, public_host: str, telemetry: Telemetry) -> None:
        self._door = door
        self._host = host
        self._public_host = public_host
        self._telemetry = telemetry

    async def run(self) -> None:
        """Listen until cancelled."""
        door = self._door
        with await self._bound() as sock:
            door.address = (self._public_host, sock.getsockname()[1])
            try:
                while True:
                    due = door.due_at()
                    with trio.move_on_at(float("inf") if due is None else due):
                        await trio.lowlevel.wait_readable(sock)
                        self._receive(sock)
                    door.flush(trio.current_time())
            finally:
                door.address = None

    def _receive(self, sock: socket.socket) -> None:
        """What waits, up to a turn's share: waking once for many costs a third of waking for each."""
        now = trio.current_time()
        with contextlib.suppress(BlockingIOError):
            for _ in range(_DATAGRAMS_A_TURN):
                data, source = sock.recvfrom(_READ_BYTES)
                self._door.receive(data, source[:2], now)

    async def _bound(self) -> socket.socket:
        is_told = False
        while True:  # ends when the port is free, or with the server
            try:
                return await self._bind()
            except OSError as error:
                if not is_told:
                    self._telemetry.warning("udp_port_taken", port=self._door.settings.port, cause=str(error))
                is_told = True
                await trio.sleep(_BIND_AGAIN_S)

    async def _bind(self) -> socket.socket:
        host, port = self._host.strip("[]"), self._door.settings.port
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, _, _, address = found[0]
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING_BYTES)
            sock.bind(address)
        except BaseException:
            sock.close()
            raise
        return sock
