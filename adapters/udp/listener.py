"""The socket of the microphone's datagrams, as a service: whatever comes goes to the door, which decides.

A port that is taken is tried again: in a reload the process before holds it until it ends. Nobody is offered
UDP meanwhile.
"""

from __future__ import annotations

import ipaddress
from socket import AF_INET, AF_INET6, SOCK_DGRAM, AddressFamily
from typing import Final

import trio

from actors.audio.udp import UdpDoor
from actors.ports import Telemetry

_READ_BYTES: Final = 2_048  # what is longer is cut, and malformed
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
                        data, source = await sock.recvfrom(_READ_BYTES)
                        door.receive(data, source[:2], trio.current_time())
                    door.flush(trio.current_time())
            finally:
                door.address = None

    async def _bound(self) -> trio.socket.SocketType:
        is_told = False
        while True:  # ends when the port is free, or with the server
            sock = trio.socket.socket(_family(self._host), SOCK_DGRAM)
            try:
                await sock.bind((self._host, self._door.settings.port))
            except OSError as error:
                sock.close()
                if not is_told:
                    self._telemetry.warning("udp_port_taken", port=self._door.settings.port, cause=str(error))
                is_told = True
                await trio.sleep(_BIND_AGAIN_S)
            else:
                return sock


def _family(host: str) -> AddressFamily:
    try:
        is_six = ipaddress.ip_address(host.strip("[]")).version == 6
    except ValueError:  # a name
        is_six = False
    return AF_INET6 if is_six else AF_INET
