"""The phone's microphone over UDP, as generation C has it (protocol.md 7.1).

The phone registers over its WebSocket, probes three times 200 ms apart, and stays with the WebSocket when
nothing answers within 2 s. It goes on asking, so a network that stops letting datagrams through costs a few
seconds of audio, and one that begins to is used.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from protocols import udp
from protocols.to_phone import ConnectionAck
from protocols.udp import Datagram

PROBES: Final = 3
PROBE_S: Final = 0.2
GIVE_UP_S: Final = 2.0
ASK_AGAIN_S: Final = 5.0


class DatagramSocket(Protocol):
    """A way for datagrams to one address."""

    def send(self, data: bytes, /) -> Awaitable[object]: ...
    def close(self) -> None: ...


OpenUdp = Callable[[str, int], Awaitable[DatagramSocket]]


async def open_udp(host: str, port: int) -> DatagramSocket:
    """A real socket.

    Raises:
      OSError: the host is not known, or not to be reached.
    """
    family, kind, _, _, address = (await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM))[0]
    sock = trio.socket.socket(family, kind)
    try:
        await sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class Datagrams:
    """What one connection's microphone sends over UDP.

    Attributes:
      is_answered: the last probes were answered: audio goes this way.
      user_hash: what the phone registers with.
    """

    def __init__(self, ack: ConnectionAck, socket: DatagramSocket) -> None:
        self.is_answered = False
        self.user_hash = udp.user_hash(ack.user_session.user_id)
        self._socket = socket
        self._key = None if ack.udp_encryption is None else b64decode(ack.udp_encryption.key)
        self._number = 0
        self._answer = trio.Event()

    def answered(self) -> None:
        """The cloud has answered a probe, over the WebSocket."""
        self._answer.set()

    async def probe(self) -> None:
        """Ask whether datagrams arrive; `is_answered` says it afterwards."""
        self._answer = trio.Event()
        with trio.move_on_after(GIVE_UP_S):
            for _ in range(PROBES):
                await self._send(udp.PING)
                with trio.move_on_after(PROBE_S):
                    await self._answer.wait()
                    break
            await self._answer.wait()
        self.is_answered = self._answer.is_set()

    async def send(self, audio: bytes, piece_bytes: int) -> None:
        """Send audio in pieces that are whole frames of `piece_bytes`."""
        size = udp.LARGEST_PAYLOAD // piece_bytes * piece_bytes
        for start in range(0, len(audio), size):
            await self._send(audio[start : start + size])
            self._number += 1

    async def _send(self, payload: bytes) -> None:
        if self._key is not None:
            from nacl.secret import SecretBox

            payload = bytes(SecretBox(self._key).encrypt(payload))
        try:
            await self._socket.send(udp.encode(Datagram(self.user_hash, self._number, payload)))
        except OSError:
            self.is_answered = False  # a port that nobody listens on says so
