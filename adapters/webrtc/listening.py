"""RTP packets in, PCM out, in the order it was spoken and with what was lost concealed.

Nothing plays here, so nothing waits for smoothness: a packet whose turn it is is decoded at once, and only
those after a gap wait, for what is missing to come after all (`protocols.sequence`, with the rules of our
datagrams: 20 ms or ten packets). What then is still missing is taken from the FEC of the packet after it, and
the rest is concealed. aiortc's own jitter buffer holds every packet back by 80 ms, and leaves holes.

Times are the sender's: a pause in its timestamps, with or without loss, is filled up to one second; a longer
one only moves the position. And nobody is heard for longer than time has passed, but for three seconds:
timestamps are free, and each could ask for a second of silence.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Protocol

from protocols import sequence
from protocols.sequence import Heard, Lost, SequenceState

RATE_HZ: Final = 16_000
FRAME_BYTES: Final = 640  # 20 ms
MOST_FILLED: Final = RATE_HZ  # samples
AHEAD_S: Final = 3.0
_TIMESTAMPS: Final = 1 << 32
_STAMP: Final = struct.Struct("<I")


class DamagedPacketError(Exception):
    """A packet that its codec cannot read."""


class Decoder(Protocol):
    """What one stream is decoded by, to s16le, 16 kHz, mono. All but `conceal` may raise DamagedPacketError.

    Attributes:
      clock_hz: of the timestamps.
    """

    @property
    def clock_hz(self) -> int: ...
    def samples(self, packet: bytes) -> int:
        """The length of a packet, in samples of 16 kHz."""

    def decode(self, packet: bytes) -> bytes: ...
    def conceal(self, samples: int) -> bytes:
        """So much of what may have been heard instead of what is lost."""

    def recover(self, following: bytes, samples: int) -> bytes | None:
        """So much of what came just before a packet, if that carries it once more; it is decoded next."""


class Piece(NamedTuple):
    """Whole frames of 20 ms; `position` and `concealed` in samples."""

    pcm: bytes
    position: int
    concealed: int


class Listening:
    """One stream of packets.

    Args:
      position: where its first sample stands.

    Attributes:
      packets, bytes_in: taken, of the payloads.
      recovered: lost packets that FEC gave back.
      damaged: packets that could not be decoded; they are concealed.
      refused: packets that came faster than anybody speaks.
    """

    def __init__(self, decoder: Decoder, *, now: float, position: int = 0) -> None:
        self.packets = 0
        self.bytes_in = 0
        self.recovered = 0
        self.damaged = 0
        self.refused = 0
        self._began = now
        self._made = 0  # samples
        self._most = AHEAD_S * RATE_HZ  # of them by now
        self._decoder = decoder
        self._order = SequenceState()
        self._expected: int | None = None  # timestamp
        self._position = position  # of the first sample of `_rest`
        self._rest = b""
        self._concealed = 0  # of `_rest`

    @property
    def end(self) -> int:
        """The position after everything heard."""
        return self._position + len(self._rest) // 2

    @property
    def waiting(self) -> int:
        """Packets that wait for an earlier one."""
        return len(self._order.waiting)

    @property
    def lost(self) -> int:
        """Packets that never came in time."""
        return self._order.lost

    @property
    def due_at(self) -> float | None:
        """When `overdue` is to be asked."""
        return sequence.due_at(self._order)

    def take(self, number: int, timestamp: int, payload: bytes, now: float) -> list[Piece]:
        """A packet came; what can be heard by it."""
        self.packets += 1
        self.bytes_in += len(payload)
        self._most = (now - self._began + AHEAD_S) * RATE_HZ
        if self._made > self._most:
            self.refused += 1
            return []
        stamped = _STAMP.pack(timestamp % _TIMESTAMPS) + payload
        self._order, heard = sequence.arrived(self._order, number, stamped, now)
        return self._hear(heard)

    def overdue(self, now: float) -> list[Piece]:
        """What is no longer waited for."""
        self._order, heard = sequence.overdue(self._order, now)
        return self._hear(heard)

    def _hear(self, heard: Heard) -> list[Piece]:
        pieces: list[Piece] = []
        lost = 0
        for item in heard:
            if isinstance(item, Lost):
                lost = item.packets
                continue
            (timestamp,) = _STAMP.unpack_from(item)
            pieces += self._one(timestamp, item[_STAMP.size :], lost)
            lost = 0
        return pieces

    def _one(self, timestamp: int, packet: bytes, lost: int) -> list[Piece]:
        pieces: list[Piece] = []
        clock = self._decoder.clock_hz
        gap = 0 if self._expected is None else _signed(timestamp - self._expected) * RATE_HZ // clock
        if gap > MOST_FILLED or (gap > 0 and self._made + gap > self._most):
            pieces = self._move(gap)
        elif gap > 0:
            pieces = self._fill(packet, gap, lost)
        samples = self._samples(packet)
        if not samples:
            self.damaged += 1
            return pieces  # its time is filled when the next one comes
        self._expected = (timestamp + samples * clock // RATE_HZ) % _TIMESTAMPS
        try:
            return pieces + self._add(self._decoder.decode(packet), 0)
        except DamagedPacketError:
            self.damaged += 1
            return pieces + self._conceal(samples, is_lost=True)

    def _fill(self, following: bytes, gap: int, lost: int) -> list[Piece]:
        """The time between two packets: concealed, and the last of it from FEC where that is there."""
        if not lost:
            return self._conceal(gap, is_lost=False)
        length = min(gap, self._samples(following))
        pieces = self._conceal(gap - length, is_lost=True)
        if not length:
            return pieces
        try:
            restored = self._decoder.recover(following, length)
        except DamagedPacketError:
            restored = None
        if restored is None:
            return pieces + self._conceal(length, is_lost=True)
        self.recovered += 1
        return pieces + self._add(restored, 0)

    def _samples(self, packet: bytes) -> int:
        try:
            return self._decoder.samples(packet)
        except DamagedPacketError:
            return 0

    def _conceal(self, samples: int, *, is_lost: bool) -> list[Piece]:
        pcm = self._decoder.conceal(samples) if samples > 0 else b""
        return self._add(pcm, len(pcm) // 2 if is_lost else 0)

    def _move(self, gap: int) -> list[Piece]:
        """Let the position jump; what was not yet a whole frame becomes one."""
        pieces = []
        if self._rest:
            pieces = self._add(bytes(FRAME_BYTES - len(self._rest)), 0)
        self._position += gap
        return pieces

    def _add(self, pcm: bytes, concealed: int) -> list[Piece]:
        self._rest += pcm
        self._made += len(pcm) // 2
        self._concealed += concealed
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        if not whole:
            return []
        told = min(self._concealed, whole // 2)
        piece = Piece(self._rest[:whole], self._position, told)
        self._rest = self._rest[whole:]
        self._position += whole // 2
        self._concealed -= told
        return [piece]


def _signed(difference: int) -> int:
    """A difference of timestamps, the short way round."""
    difference %= _TIMESTAMPS
    return difference - _TIMESTAMPS if difference >= _TIMESTAMPS // 2 else difference
