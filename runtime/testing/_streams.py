"""Byte streams in memory that fail like TCP connections do: late, lost, cut, half open, reset."""

from __future__ import annotations

import operator
import random
from collections import deque

import trio


class _Pipe:
    """One direction."""

    def __init__(self, link: Link, capacity: int) -> None:
        self.link = link
        self.capacity = capacity
        self.flying: deque[tuple[float, bytes]] = deque()
        self.flying_bytes = 0
        self.arrived = bytearray()
        self.is_ended = False  # the sender has sent its last
        self.is_losing = False
        self.is_held = False
        self.is_deaf = False  # the receiver has closed
        self.moved = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        self.moved.unpark_all()

    def land(self) -> None:
        """Take in what has arrived by now."""
        now = trio.current_time()
        while self.flying and not self.is_held and self.flying[0][0] <= now:
            data = self.flying.popleft()[1]
            self.flying_bytes -= len(data)
            self.arrived += data

    def room(self) -> int:
        return self.capacity - len(self.arrived) - self.flying_bytes

    async def wait(self) -> None:
        """Until something moves, or the next bytes land."""
        at = self.flying[0][0] if self.flying and not self.is_held else float("inf")
        with trio.move_on_at(at):
            await self.moved.park()


class SimulatedStream(trio.abc.HalfCloseableStream):
    """One end of a Link."""

    def __init__(self, link: Link, out: _Pipe, into: _Pipe) -> None:
        self._link = link
        self._out = out
        self._in = into
        self._is_closed = False
        self._is_sending = False
        self._is_receiving = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand over all bytes; waits while the other end does not read."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint()
            view = memoryview(bytes(data))
            self._check_can_send()
            while view:
                room = self._out.room()
                if self._out.is_losing:
                    return
                if room <= 0:
                    await self._out.wait()
                    self._out.land()
                    self._check_can_send()
                    continue
                part = bytes(view[:room])
                view = view[room:]
                self._out.flying.append((trio.current_time() + self._link.delay_s, part))
                self._out.flying_bytes += len(part)
                self._out.wake()
        finally:
            self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint()
            if self._is_closed:
                raise trio.ClosedResourceError
            while self._out.room() <= 0 and not self._out.is_deaf and not self._link.is_reset:
                await self._out.wait()
                self._out.land()
                if self._is_closed:
                    raise trio.ClosedResourceError
        finally:
            self._is_sending = False

    async def send_eof(self) -> None:
        """No more bytes will follow."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint()
            if self._is_closed:
                raise trio.ClosedResourceError
            self._end_sending()
        finally:
            self._is_sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Some bytes; nothing at the end."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes must be at least 1, not {max_bytes}")
        if self._is_receiving:
            raise trio.BusyResourceError("another task is receiving")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self._is_closed:
                    raise trio.ClosedResourceError
                if self._link.is_reset:
                    raise trio.BrokenResourceError("connection reset")
                self._in.land()
                if self._in.arrived:
                    return self._take(max_bytes)
                if self._in.is_ended and not self._in.flying and not self._in.is_losing:
                    return b""
                await self._in.wait()
        finally:
            self._is_receiving = False

    async def aclose(self) -> None:
        """Close both directions; the other end reads what was sent, then the end."""
        if not self._is_closed:
            self._is_closed = True
            self._end_sending()
            self._in.is_deaf = True
            self._in.wake()
        await trio.lowlevel.checkpoint()

    def _take(self, max_bytes: int | None) -> bytes:
        limit = len(self._in.arrived) if max_bytes is None else min(max_bytes, len(self._in.arrived))
        if self._link.chance is not None and limit > 1 and self._link.chance.random() < 0.5:
            limit = self._link.chance.randrange(1, limit)
        data = bytes(self._in.arrived[:limit])
        del self._in.arrived[:limit]
        self._in.wake()
        return data

    def _begin_sending(self) -> None:
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending")
        self._is_sending = True

    def _check_can_send(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError
        if self._link.is_reset:
            raise trio.BrokenResourceError("connection reset")
        if self._out.is_ended:
            raise trio.ClosedResourceError("sent after the end")
        if self._out.is_deaf and not self._out.is_losing:
            raise trio.BrokenResourceError("the other end is closed")

    def _end_sending(self) -> None:
        self._out.is_ended = True
        self._out.wake()


class Link:
    """A connection between `near` and `far`, and what can go wrong with it.

    Attributes:
      delay_s: how long bytes sent from now on are under way; it may be changed at any time.
      near, far: the two ends.
    """

    def __init__(
        self, *, delay_s: float = 0.0, capacity: int = 65_536, chance: random.Random | None = None
    ) -> None:
        self.delay_s = delay_s
        self.chance = chance
        self.is_reset = False
        self._there = _Pipe(self, capacity)
        self._back = _Pipe(self, capacity)
        self.near = SimulatedStream(self, self._there, self._back)
        self.far = SimulatedStream(self, self._back, self._there)

    def hold(self) -> None:
        """Let nothing arrive until `release`: a network that is gone for a while. TCP loses nothing."""
        for pipe in (self._there, self._back):
            pipe.is_held = True
            pipe.wake()

    def release(self) -> None:
        """Let arrive what was held."""
        for pipe in (self._there, self._back):
            pipe.is_held = False
            pipe.wake()

    def lose(self, *, from_near: bool = True, from_far: bool = True) -> None:
        """From now on bytes, and the end, of these directions vanish without a word."""
        for pipe, is_meant in ((self._there, from_near), (self._back, from_far)):
            if is_meant:
                pipe.is_losing = True
                pipe.flying.clear()
                pipe.flying_bytes = 0
                pipe.wake()

    def half_open(self) -> None:
        """`far` is gone and `near` is not told: what it sends vanishes, and nothing comes, not even an
        end.
        """
        self.lose()

    def cut(self) -> None:
        """Both ends read the end; what was under way is lost."""
        for pipe in (self._there, self._back):
            pipe.flying.clear()
            pipe.flying_bytes = 0
            pipe.is_ended = pipe.is_deaf = True
            pipe.wake()

    def reset(self) -> None:
        """Both ends fail at once, as by a reset packet."""
        self.is_reset = True
        for pipe in (self._there, self._back):
            pipe.flying.clear()
            pipe.arrived.clear()
            pipe.wake()
