"""One connection without its socket: bytes in, messages out to a handler, messages in, bytes out to a `Wire`.

Handshake, frames, control frames and closing are websockets' `ServerProtocol`. Added here: fragments joined,
UTF-8 checked, the outgoing lanes, liveness counters, and a bound on every wait and every buffer. The pump's
sockets and the simulated engine's streams drive the same class, so a seeded run meets the code that
production runs.

Three decisions. Bytes are fed to the parser frame by frame (4 percent dearer than a whole read at once): that
bounds the work of a turn and keeps the raw bytes since the last message boundary, where another process can
take over. A send goes straight to the wire while nothing waits; only what does not fit is queued, by lane.
And a handler never hears of the end from inside its own `send`: `closed` is always called from the engine's
turn.
"""

from __future__ import annotations

import enum
import logging
import struct
from collections.abc import Callable
from typing import Protocol

from websockets.exceptions import ProtocolError

# `frames` has the C function where it was built, else the one in Python, and does not list it in __all__.
from websockets.frames import Close, CloseCode, Frame, Opcode, apply_mask  # type: ignore[attr-defined]
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from actors.ports import CloseInfo, ConnectionHandler, ConnectionHealth, Lane, Outgoing, Telemetry

from .frames import FrameWalk, find_plain_frame, wire_of
from .handover import OpenConnection, moved
from .lanes import Lanes
from .settings import EngineSettings

_MAX_HEAD_BYTES = 65_536
_FRAGMENT_HEADS_BYTES = 65_536  # beside as much as the message may have: empty fragments must end somewhere
_PINGS_REMEMBERED = 8

# The protocol's own log would carry a peer's text. What matters of it goes to telemetry, from here.
_SILENT = logging.getLogger("glasshouse.websockets")
_SILENT.setLevel(logging.CRITICAL + 1)
_SILENT.propagate = False


class Wire(Protocol):
    """The transport under one connection. No call waits, and none calls the connection back."""

    def try_send(self, data: bytes | memoryview, /) -> int:
        """How many bytes the transport took now; 0 when it is full. Raises OSError when it is broken."""

    def want(self, *, read: bool, write: bool) -> None:
        """Which of the connection's `receive` and `writable` to call when the transport is ready."""

    def expire_at(self, deadline: float | None) -> None:
        """Call `expired` at this time of the engine's clock; it replaces the deadline set before."""

    def ended(self) -> None:
        """Call `settle` soon, never from inside this call. Allowed after `close`."""

    def finish(self) -> None:
        """End the sending side; the peer's bytes are still read."""

    def close(self) -> None:
        """Release the transport. `want`, `try_send` and `finish` are not called any more."""

    def reset(self) -> None:
        """Release it at once; what the peer has not read is lost."""


class _Phase(enum.IntEnum):
    OPENING = 0  # the request head is awaited
    OPEN = 1
    CLOSING = 2  # we sent a close frame, the peer's is awaited
    ENDED = 3  # the outcome is known; the last bytes leave and the peer's end of the socket is awaited
    GONE = 4  # the transport is released


class ServerConnection:
    """One WebSocket of the server; implements `actors.ports.Connection`."""

    __slots__ = (
        "_backlog",
        "_clock",
        "_fragments",
        "_handler",
        "_info",
        "_is_over_hard_limit",
        "_is_peer_finished",
        "_is_text",
        "_is_told",
        "_lanes",
        "_phase",
        "_ping_count",
        "_pings",
        "_protocol",
        "_raw",
        "_settings",
        "_telemetry",
        "_try_send",
        "_walk",
        "_wire",
        "health",
        "id",
        "peer",
        "waiting_bytes",
    )

    def __init__(
        self,
        wire: Wire,
        handler: ConnectionHandler,
        *,
        id: str,
        peer: str,
        settings: EngineSettings,
        clock: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        now = clock()
        self.id = id
        self.peer = peer
        self.health = ConnectionHealth(opened_at=now, last_activity_at=now)
        self.waiting_bytes = 0  # received behind the message that is being handed over: how old it is
        self._wire = wire
        self._try_send = wire.try_send
        self._handler = handler
        self._settings = settings
        self._clock = clock
        self._telemetry = telemetry
        self._protocol = ServerProtocol(max_size=settings.max_message_bytes, logger=_SILENT)
        self._walk = FrameWalk()
        self._phase = _Phase.OPENING
        self._raw = bytearray()  # the request head, then what came since the last message boundary
        self._backlog = b""  # whole frames beyond this turn's share
        self._fragments: list[bytes] = []  # of the message under way
        self._is_text = False
        self._lanes: Lanes | None = None  # None while nothing waits
        self._is_over_hard_limit = False
        self._is_peer_finished = False
        self._pings: dict[bytes, float] = {}
        self._ping_count = 0
        self._info: CloseInfo | None = None
        self._is_told = False
        wire.expire_at(now + settings.handshake_timeout_s)

    # What actors call: actors.ports.Connection

    @property
    def handler(self) -> ConnectionHandler:
        return self._handler

    @property
    def is_open(self) -> bool:
        return self._phase is _Phase.OPEN

    def send(self, message: Outgoing) -> bool:
        """Send or queue; False when the connection is closed, or when this message was the one too many."""
        if self._phase is not _Phase.OPEN:
            return False
        if self._lanes is not None:
            return self._queue(message)
        wire = message.wire or wire_of(message)
        try:
            sent = self._try_send(wire)
        except OSError:
            self.lost()
            return False
        health = self.health
        if sent == len(wire):
            health.messages_out += 1
            health.bytes_out += sent
            return True
        if sent == 0:
            self._begin_waiting(Lanes())
            return self._queue(message)
        health.messages_out += 1
        self._keep_rest(wire, sent)
        return True

    def ping(self) -> None:
        if self._phase is not _Phase.OPEN:
            return
        if self._pings:
            self.health.missed_pongs += 1
            if len(self._pings) >= _PINGS_REMEMBERED:
                del self._pings[next(iter(self._pings))]
        self._ping_count += 1
        payload = struct.pack("!Q", self._ping_count)
        self._pings[payload] = self._clock()
        self._protocol.send_ping(payload)
        self._transmit(self._protocol.data_to_send())

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake. Control and display that wait go out first, audio is dropped.

        Args:
          code: one that may be on the wire (RFC 6455 section 7.4); any other is sent as 1011.
          reason: cut to the 123 bytes that fit.
        """
        if self._phase is not _Phase.OPEN:
            return
        self._phase = _Phase.CLOSING
        self._is_over_hard_limit = False  # its close frame must be read
        self._update_interest()
        self._wire.expire_at(self._clock() + self._settings.close_timeout_s)
        try:
            Close(code, "").check()
        except ProtocolError:
            code = CloseCode.INTERNAL_ERROR
        self._protocol.send_close(code, reason.encode()[:123].decode(errors="ignore"))
        self._transmit(self._protocol.data_to_send())

    def abort(self) -> None:
        if self._phase is not _Phase.GONE:
            self._end(by_us=True)
            self._release(reset=True)

    def bind(self, handler: ConnectionHandler) -> None:
        """From now on `handler` hears of this connection; of its end too when that is past."""
        self._handler = handler
        if self._is_told:
            self._is_told = False
            self._wire.ended()

    # What the engine calls

    @property
    def has_backlog(self) -> bool:
        """Received frames are left for the next turn: call `work`, and do not read meanwhile."""
        return bool(self._backlog)

    @property
    def unread(self) -> bytes:
        """The received bytes since the last message boundary: what another process needs to take over."""
        return bytes(self._raw) + self._backlog

    def record(self, now: float) -> OpenConnection:
        """What another process needs to go on with this open connection. Nothing changes here."""
        return OpenConnection(
            id=self.id,
            now=now,
            health=self.health,
            unread=self.unread,
            unsent=None if self._lanes is None else self._lanes.unsent(),
            pings=tuple(self._pings.items()),
            ping_count=self._ping_count,
        )

    def resume(self, record: OpenConnection, now: float) -> None:
        """Go on where another process stood, instead of awaiting a request. Then `work` has its say."""
        by_s = now - record.now
        self._protocol = ServerProtocol(
            state=State.OPEN, max_size=self._settings.max_message_bytes, logger=_SILENT
        )
        self._phase = _Phase.OPEN
        self.health = moved(record.health, by_s)
        self._backlog = record.unread
        self._pings = {payload: sent_at + by_s for payload, sent_at in record.pings}
        self._ping_count = record.ping_count
        self._wire.expire_at(None)
        if record.unsent is not None:
            self._begin_waiting(Lanes.of(record.unsent))

    def receive(self, data: bytes, now: float) -> None:
        """Bytes came from the peer; they are not empty."""
        health = self.health
        health.last_activity_at = now
        health.bytes_in += len(data)
        if self._phase is _Phase.OPENING:
            self._receive_head(data, now)
        elif self._phase is not _Phase.ENDED:
            self._parse(data)

    def work(self) -> None:
        """Go on with the backlog."""
        self._parse(b"")

    def receive_eof(self) -> None:
        """The peer ended its sending side."""
        if self._phase is _Phase.ENDED and self._lanes is not None:
            self._is_peer_finished = True  # it may still read our close frame
            self._update_interest()
            return
        self._end(by_us=self._phase is _Phase.CLOSING)
        self._release()

    def lost(self) -> None:
        """The transport broke: a reset, or an error of the socket."""
        self._end(by_us=self._phase is _Phase.CLOSING, was_reset=True)
        self._release()

    def writable(self) -> None:
        """The transport takes bytes again: send what waits."""
        lanes = self._lanes
        if lanes is None:
            return
        while (item := lanes.pop()) is not None:
            data, is_message = item
            try:
                sent = self._try_send(data)
            except OSError:
                self.lost()
                return
            self.health.bytes_out += sent
            self.health.messages_out += is_message
            if sent < len(data):
                lanes.keep(memoryview(data)[sent:])
                self._note_queued(lanes)
                return
        self._lanes = None
        self._note_queued(lanes)
        self._update_interest()
        if self._phase is _Phase.ENDED:
            self._finish()

    def expired(self) -> None:
        """The deadline of `Wire.expire_at` has come."""
        if self._phase is _Phase.OPEN:
            self._close_slow_peer("more waits for you than one connection may hold")
            return
        self._end(by_us=True)
        self._release(reset=True)

    def settle(self) -> None:
        """Tell the handler that it is over, once."""
        if self._info is not None and not self._is_told:
            self._is_told = True
            handler = self._handler
            try:
                handler.closed(self, self._info)
            except Exception as error:
                self._report(handler, error)

    # Receiving

    def _receive_head(self, data: bytes, now: float) -> None:
        raw = self._raw
        raw += data
        head_bytes = raw.find(b"\r\n\r\n") + 4
        if head_bytes < 4:
            if len(raw) < _MAX_HEAD_BYTES:
                return
            head_bytes = len(raw)  # the parser refuses it, with the right status
        head, rest = bytes(raw[:head_bytes]), bytes(raw[head_bytes:])
        raw.clear()
        protocol = self._protocol
        protocol.receive_data(head)
        for event in protocol.events_received():
            assert isinstance(event, Request)
            protocol.send_response(protocol.accept(event))
        self._wire.expire_at(None)
        if protocol.handshake_exc is not None:
            cause = repr(protocol.handshake_exc)
            self._telemetry.warning(
                "websocket.handshake_failed", connection=self.id, peer=self.peer, cause=cause
            )
        self._transmit(protocol.data_to_send())
        if self._phase is _Phase.OPENING:
            self._phase = _Phase.OPEN
            self.health.opened_at = now
            handler = self._handler
            try:
                handler.opened(self)
            except Exception as error:
                self._report(handler, error)
            if rest:
                self.receive(rest, now)

    def _parse(self, data: bytes) -> None:
        if self._backlog:
            data = self._backlog + data
            self._backlog = b""
        raw = self._raw
        max_bytes = self._settings.max_message_bytes
        size = len(data)
        offset = 0
        for _ in range(self._settings.frames_per_turn):
            plain = find_plain_frame(data, offset, size) if not raw else None
            if plain is not None and plain[2] - plain[1] <= max_bytes:
                is_text, start, offset = plain
                self.waiting_bytes = size - offset
                self._deliver(is_text, apply_mask(data[start:offset], data[start - 4 : start]))
            else:
                end = self._walk.advance(data, offset)
                self.waiting_bytes = size - end
                self._feed(data[offset:end])
                offset = end
            if offset == size or self._phase >= _Phase.ENDED:
                return
        self._backlog = data[offset:]

    def _feed(self, piece: bytes) -> None:
        """Give the protocol one frame, or a part of one."""
        protocol = self._protocol
        protocol.receive_data(piece)
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            self._handle(event)
        if self._walk.is_between_frames and not self._fragments:
            self._raw.clear()
        else:
            self._raw += piece
            if len(self._raw) > 2 * self._settings.max_message_bytes + _FRAGMENT_HEADS_BYTES:
                protocol.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        self._transmit(protocol.data_to_send())

    def _handle(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.PONG:
            self._handle_pong(bytes(frame.data))
        if opcode >= Opcode.CLOSE:
            return  # the protocol answers pings and closes
        if opcode is not Opcode.CONT:
            self._fragments = []
            self._is_text = opcode is Opcode.TEXT
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            payload = b"".join(self._fragments)
            self._fragments = []
            self._deliver(self._is_text, payload)

    def _deliver(self, is_text: bool, payload: bytes) -> None:
        if self._phase is not _Phase.OPEN:
            return  # after our close frame nobody wants messages
        handler = self._handler
        self.health.messages_in += 1
        try:
            if not is_text:
                handler.binary(self, payload)
            elif payload.isascii() or _is_utf8(payload):
                handler.text(self, payload)
            else:
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                self._transmit(self._protocol.data_to_send())
        except Exception as error:
            self._report(handler, error)

    def _handle_pong(self, payload: bytes) -> None:
        if payload not in self._pings:
            return
        health = self.health
        health.round_trip_s = self._clock() - self._pings[payload]
        health.has_shown_pongs = True
        health.missed_pongs = 0
        for earlier in list(self._pings):
            del self._pings[earlier]
            if earlier == payload:
                break

    def _report(self, handler: ConnectionHandler, error: Exception) -> None:
        try:
            handler.failed(self, error)
        except Exception as second:
            self._telemetry.error("websocket.handler_failed", connection=self.id, cause=repr(second))

    # Sending

    def _transmit(self, writes: list[bytes]) -> None:
        """Send what the protocol wrote: the answer to the handshake, control frames, the end."""
        for frame in writes:
            if not frame:
                self._conclude()
            elif self._lanes is not None:
                self._lanes.add_protocol(frame)
                self._note_queued(self._lanes)
            else:
                try:
                    sent = self._try_send(frame)
                except OSError:
                    self.lost()
                    return
                if sent == len(frame):
                    self.health.bytes_out += sent
                elif sent == 0 and self._phase is not _Phase.OPENING:
                    lanes = Lanes()
                    lanes.add_protocol(frame)
                    self._begin_waiting(lanes)
                else:
                    self._keep_rest(frame, sent)

    def _keep_rest(self, frame: bytes, sent: int) -> None:
        self.health.bytes_out += sent
        lanes = Lanes()
        lanes.keep(memoryview(frame)[sent:])
        self._begin_waiting(lanes)

    def _begin_waiting(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._update_interest()
        self._note_queued(lanes)

    def _queue(self, message: Outgoing) -> bool:
        lanes = self._lanes
        assert lanes is not None
        settings = self._settings
        if message.lane is Lane.CONTROL:
            waiting = lanes.control_bytes
            if waiting and waiting + len(message.payload) > settings.control_limit_bytes:
                self._close_slow_peer("control messages pile up")
                return False
        elif self._is_over_hard_limit:
            self.health.audio_dropped += message.lane is Lane.AUDIO
            return False
        dropped, replaced = lanes.add(message, audio_limit_bytes=settings.audio_limit_bytes)
        self.health.audio_dropped += dropped
        self.health.display_replaced += replaced
        self._note_queued(lanes)
        return True

    def _note_queued(self, lanes: Lanes) -> None:
        """Keep the health and the hard limit up to date with what waits."""
        queued_bytes = self.health.queued_bytes = lanes.queued_bytes
        is_over = queued_bytes > self._settings.hard_limit_bytes
        if is_over is not self._is_over_hard_limit and self._phase is _Phase.OPEN:
            self._is_over_hard_limit = is_over
            self._update_interest()
            self._wire.expire_at(self._clock() + self._settings.hard_limit_s if is_over else None)

    def _update_interest(self) -> None:
        is_read = not self._is_over_hard_limit and not self._is_peer_finished
        self._wire.want(read=is_read, write=self._lanes is not None)

    # Ending

    def _close_slow_peer(self, reason: str) -> None:
        self._telemetry.warning(
            "websocket.peer_too_slow",
            connection=self.id,
            peer=self.peer,
            queued_bytes=self.health.queued_bytes,
            cause=reason,
        )
        assert self._lanes is not None
        self._lanes.drop_messages()
        self.close(CloseCode.TRY_AGAIN_LATER, reason)

    def _conclude(self) -> None:
        """The protocol has nothing more to say: let the last bytes leave, then wait for the peer's end."""
        assert self._phase < _Phase.ENDED
        protocol = self._protocol
        sent = protocol.close_sent
        if sent is not None and protocol.close_rcvd is None:
            cause = repr(protocol.parser_exc or sent.reason)
            self._telemetry.warning(
                "websocket.failed", connection=self.id, peer=self.peer, code=int(sent.code), cause=cause
            )
        self._end(by_us=not protocol.close_rcvd_then_sent)
        self._phase = _Phase.ENDED
        self._wire.expire_at(self._clock() + self._settings.close_timeout_s)
        if self._lanes is None:
            self._finish()
        else:
            self._lanes.drop_messages()
            self._note_queued(self._lanes)

    def _finish(self) -> None:
        if self._is_peer_finished:
            self._release()
        else:
            self._wire.finish()

    def _end(self, *, by_us: bool, was_reset: bool = False) -> None:
        """Settle how it ended, the first time; the handler hears of it in the engine's turn."""
        if self._phase is not _Phase.OPEN and self._phase is not _Phase.CLOSING:
            return
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        if received is not None:
            code, reason = received.code, received.reason
        else:  # a peer that reads nothing leaves our own reason as the only one there is
            code, reason = 1006, "" if sent is None else sent.reason
        self._info = CloseInfo(code=int(code), reason=reason, by_us=by_us, was_reset=was_reset)
        self._wire.ended()

    def _release(self, *, reset: bool = False) -> None:
        if self._phase is _Phase.GONE:
            return
        self._phase = _Phase.GONE
        self._lanes = None
        self._backlog = b""
        self.health.queued_bytes = 0
        if reset:
            self._wire.reset()
        else:
            self._wire.close()


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
