"""What waits for a slow peer, lane by lane (DESIGN section 3).

The rest of a frame that is half on the wire comes first: nothing can be put inside a frame. Then protocol
frames (pong, ping: only the newest of each, RFC 6455 section 5.5.3 allows it), control, display, audio, and
at the very end the close frame. Within a lane the order is that of sending; between lanes a slow peer gets
the urgent first.
"""

from __future__ import annotations

from collections import deque

from actors.ports import Lane, Outgoing

from .frames import wire_of
from .handover import Unsent

_CLOSE = 0x08


class Lanes:
    """The outgoing messages of one connection that its transport has not taken yet."""

    __slots__ = (
        "_audio",
        "_audio_bytes",
        "_close",
        "_control",
        "_display",
        "_partial",
        "_protocol",
        "control_bytes",
        "queued_bytes",
    )

    def __init__(self) -> None:
        self._partial: memoryview | None = None
        self._protocol: dict[int, bytes] = {}
        self._control: deque[bytes] = deque()
        self._display: dict[str, bytes] = {}
        self._audio: deque[Outgoing] = deque()
        self._audio_bytes = 0  # of payload: the limit is a length of time
        self._close: bytes | None = None
        self.control_bytes = 0
        self.queued_bytes = 0

    def add(self, message: Outgoing, *, audio_limit_bytes: int) -> tuple[int, int]:
        """Queue by the rule of the message's lane.

        Returns:
          How many audio messages were dropped for it, and how many display messages it replaced.
        """
        wire = wire_of(message)
        size = len(wire)
        self.queued_bytes += size
        if message.lane is Lane.AUDIO:
            self._audio.append(message)
            self._audio_bytes += len(message.payload)
            return self._trim_audio(audio_limit_bytes), 0
        if message.lane is Lane.DISPLAY:
            replaced = self._display.get(message.key)
            self._display[message.key] = wire
            if replaced is None:
                return 0, 0
            self.queued_bytes -= len(replaced)
            return 0, 1
        self._control.append(wire)
        self.control_bytes += size
        return 0, 0

    def add_protocol(self, frame: bytes) -> None:
        """Queue a ping or pong, which replaces one of its kind that still waits, or the close frame."""
        opcode = frame[0] & 0x0F
        self.queued_bytes += len(frame)
        if opcode == _CLOSE:
            self._drop_audio()  # not worth waiting for any more
            self._close = frame
        else:
            self.queued_bytes -= len(self._protocol.get(opcode, b""))
            self._protocol[opcode] = frame

    def keep(self, rest: memoryview) -> None:
        """The transport took a part of what `pop` gave: `rest` comes first next time."""
        self._partial = rest
        self.queued_bytes += len(rest)

    def drop_messages(self) -> None:
        """Forget every whole message; what is half on the wire and protocol frames stay."""
        self._drop_audio()
        self.queued_bytes -= self.control_bytes + sum(map(len, self._display.values()))
        self._control.clear()
        self._display.clear()
        self.control_bytes = 0

    def pop(self) -> tuple[bytes | memoryview, bool] | None:
        """What goes to the wire next, and whether it begins a message; None when nothing waits."""
        data: bytes | memoryview
        is_message = False
        if self._partial is not None:
            data, self._partial = self._partial, None
        elif self._protocol:
            data = self._protocol.pop(next(iter(self._protocol)))
        elif self._control:
            data = self._control.popleft()
            self.control_bytes -= len(data)
            is_message = True
        elif self._display:
            data = self._display.pop(next(iter(self._display)))
            is_message = True
        elif self._audio:
            message = self._audio.popleft()
            self._audio_bytes -= len(message.payload)
            data = wire_of(message)
            is_message = True
        elif self._close is not None:
            data, self._close = self._close, None
        else:
            return None
        self.queued_bytes -= len(data)
        return data, is_message

    def unsent(self) -> Unsent:
        """All that waits, for another process. Nothing changes here."""
        return Unsent(
            partial=b"" if self._partial is None else bytes(self._partial),
            protocol=tuple(self._protocol.values()),
            control=tuple(self._control),
            display=tuple(self._display.items()),
            audio=tuple((message.is_text, message.payload) for message in self._audio),
        )

    @classmethod
    def of(cls, unsent: Unsent) -> Lanes:
        """Lanes in which that waits."""
        lanes = cls()
        if unsent.partial:
            lanes.keep(memoryview(unsent.partial))
        for frame in unsent.protocol:
            lanes.add_protocol(frame)
        lanes._control.extend(unsent.control)
        lanes.control_bytes = sum(map(len, unsent.control))
        lanes._display.update(unsent.display)
        lanes.queued_bytes += lanes.control_bytes + sum(map(len, lanes._display.values()))
        for is_text, payload in unsent.audio:
            message = Outgoing(payload, is_text=is_text, lane=Lane.AUDIO)
            lanes.queued_bytes += len(wire_of(message))
            lanes._audio.append(message)
            lanes._audio_bytes += len(payload)
        return lanes

    def _trim_audio(self, limit_bytes: int) -> int:
        dropped = 0
        while self._audio_bytes > limit_bytes and len(self._audio) > 1:
            self._drop_oldest_audio()
            dropped += 1
        return dropped

    def _drop_oldest_audio(self) -> None:
        message = self._audio.popleft()
        self._audio_bytes -= len(message.payload)
        self.queued_bytes -= len(wire_of(message))

    def _drop_audio(self) -> None:
        while self._audio:
            self._drop_oldest_audio()
