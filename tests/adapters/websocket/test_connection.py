"""The connection core alone, over a wire that a test scripts."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from actors.ports import CloseInfo, Lane, Outgoing
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.websocket import EngineSettings, ServerConnection
from adapters.websocket.frames import FrameWalk, wire_of
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    EchoHandler,
    RecordedHandler,
    close_payload,
    frame,
)


class ScriptedWire:
    """A transport that takes as many bytes as the test says, and breaks when it says so."""

    def __init__(self) -> None:
        self.room_bytes = 1 << 40
        self.sent = bytearray()
        self.calls: list[str] = []
        self.is_read_wanted = True
        self.is_write_wanted = False
        self.deadline: float | None = None
        self.ended_calls = 0

    def try_send(self, data: bytes | memoryview, /) -> int:
        if self.room_bytes < 0:
            raise ConnectionResetError("scripted")
        taken = data[: self.room_bytes]
        self.room_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def want(self, *, read: bool, write: bool) -> None:
        assert not self.is_released, "never touched after it was closed"
        self.is_read_wanted, self.is_write_wanted = read, write

    def expire_at(self, deadline: float | None) -> None:
        self.deadline = deadline

    def ended(self) -> None:
        self.ended_calls += 1

    def finish(self) -> None:
        assert not self.is_released
        self.calls.append("finish")

    def close(self) -> None:
        self.calls.append("close")

    def reset(self) -> None:
        self.calls.append("reset")

    @property
    def is_released(self) -> bool:
        return bool({"close", "reset"} & set(self.calls))

    def take(self) -> bytes:
        sent = bytes(self.sent)
        self.sent.clear()
        return sent


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A connection with all that it was given."""

    def __init__(
        self, handler: RecordedHandler | None = None, settings: EngineSettings | None = None
    ) -> None:
        self.wire = ScriptedWire()
        self.handler = handler or RecordedHandler()
        self.clock = Clock()
        self.telemetry = RecordingTelemetry()
        self.settings = settings or EngineSettings()
        self.connection = ServerConnection(
            self.wire,
            self.handler,
            id="connection-1",
            peer="peer",
            settings=self.settings,
            clock=self.clock,
            telemetry=self.telemetry,
        )

    def open(self) -> Rig:
        self.receive(REQUEST)
        assert self.wire.take().startswith(b"HTTP/1.1 101 ")
        return self

    def receive(self, data: bytes) -> None:
        """All of it, over as many turns as it takes."""
        self.connection.receive(data, self.clock.now)
        while self.connection.has_backlog:
            self.connection.work()

    def messages(self) -> list[tuple[str, object]]:
        return [item for item in self.handler.heard if item[0] in ("text", "binary")]


# Parsing: the same messages as the reference parser, however the bytes are cut


def _reference(data: bytes, max_size: int = 2**20) -> tuple[list[tuple[str, bytes]], int | None]:
    """What websockets' parser makes of `data` after the handshake: messages, and the close code it sends."""
    protocol = ServerProtocol(state=OPEN, max_size=max_size)
    protocol.receive_data(data)
    messages: list[tuple[str, bytes]] = []
    kind, parts = "", b""
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            kind, parts = event.opcode.name.lower(), b""
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            parts += event.data
            if event.fin:
                messages.append((kind, parts))
    return messages, None if protocol.close_sent is None else int(protocol.close_sent.code)


_payloads = st.one_of(st.binary(max_size=140), st.integers(120, 700).map(lambda n: b"\x5a" * n))
_masks = st.binary(min_size=4, max_size=4)


@st.composite
def _valid_messages(draw: st.DrawFn) -> bytes:
    """One message as a client may send it: whole or in fragments, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(_payloads)
    if opcode == TEXT:
        payload = payload.hex().encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    edges = [0, *cuts, len(payload)]
    wire = b""
    for i, (start, end) in enumerate(itertools.pairwise(edges)):
        is_last = i == len(edges) - 2
        wire += frame(0 if i else opcode, payload[start:end], fin=is_last, mask=draw(_masks))
        if draw(st.booleans()):
            wire += frame(
                draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=20)), mask=draw(_masks)
            )
    return wire


def _chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a != b]


@settings(deadline=None)
@given(st.lists(_valid_messages(), min_size=1, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_of_valid_frames_gives_the_messages_of_the_reference(
    wires: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(wires)
    rig = Rig().open()

    for chunk in _chunks(data, cuts):
        rig.receive(chunk)

    expected, _ = _reference(data)
    assert expected == rig.messages()
    assert b"" == rig.connection.unread
    assert len(REQUEST) + len(data) == rig.connection.health.bytes_in


@settings(deadline=None)
@given(
    st.lists(_valid_messages(), max_size=2),
    st.binary(min_size=1, max_size=60),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_garbage_gives_the_verdict_of_the_reference(
    wires: list[bytes], garbage: bytes, cuts: list[int]
) -> None:
    data = b"".join(wires) + garbage
    rig = Rig(settings=EngineSettings(max_message_bytes=2**20)).open()

    for chunk in _chunks(data, cuts):
        rig.receive(chunk)

    messages, code = _reference(data)
    sent = rig.wire.take()
    assert messages[: len(rig.messages())] == rig.messages()  # text that is not UTF-8 ends it earlier
    if code is not None and len(messages) == len(rig.messages()):
        assert frame(CLOSE, close_payload(code), mask=None)[2:4] in sent
    rig.connection.receive_eof()
    rig.connection.settle()
    assert 1 == len(rig.handler.all("closed"))


@settings(deadline=None)
@given(
    st.lists(_valid_messages(), min_size=1, max_size=4),
    st.lists(st.integers(0, 10_000), max_size=4),
    st.integers(0, 10_000),
)
def test_unread_bytes_are_what_another_process_needs_to_go_on(
    wires: list[bytes], cuts: list[int], handed_over_at: int
) -> None:
    data = b"".join(wires)
    cut = handed_over_at % (len(data) + 1)
    rig = Rig().open()

    for chunk in _chunks(data[:cut], cuts):
        rig.receive(chunk)
    rest, _ = _reference(rig.connection.unread + data[cut:])

    expected, _ = _reference(data)
    assert expected == rig.messages() + rest


@given(st.lists(st.tuples(_payloads, st.booleans()), min_size=1, max_size=5), st.lists(st.integers(0, 9999)))
def test_walk_finds_the_end_of_every_frame(frames: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    walk = FrameWalk()
    wires = [frame(BINARY, payload, mask=b"mask" if masked else None) for payload, masked in frames]
    ends: list[int] = []
    position = 0

    for chunk in _chunks(b"".join(wires), cuts):
        offset = 0
        while offset < len(chunk):
            end = walk.advance(chunk, offset)
            position += end - offset
            offset = end
            if walk.is_between_frames:
                ends.append(position)

    assert [sum(map(len, wires[: i + 1])) for i in range(len(wires))] == ends


def test_walk_reads_a_long_length_byte_by_byte() -> None:
    walk = FrameWalk()
    data = frame(BINARY, bytes(70_000))

    ends = [walk.advance(data[i : i + 1], 0) for i in range(13)]
    in_the_head = walk.is_between_frames
    end = walk.advance(data + b"next", 13)

    assert ([1] * 13, False) == (ends, in_the_head)
    assert (len(data), True) == (end, walk.is_between_frames)


@given(st.sampled_from([0, 1, 125, 126, 65_535, 65_536, 70_000]), st.booleans())
def test_wire_form_is_the_reference_frame(size: int, is_text: bool) -> None:
    message = Outgoing(b"x" * size, is_text=is_text)

    opcode = Opcode.TEXT if is_text else Opcode.BINARY
    assert Frame(opcode, b"x" * size).serialize(mask=False) == wire_of(message)


def test_message_of_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    rig = Rig(settings=EngineSettings(max_message_bytes=300)).open()

    rig.receive(frame(BINARY, b"x" * 300))
    rig.receive(frame(BINARY, b"x" * 301))

    assert [("binary", b"x" * 300)] == rig.messages()
    assert frame(CLOSE, b"\x03\xf1", mask=None)[2:] == rig.wire.take()[2:4]  # 1009


# Turns


def test_turn_takes_so_many_frames_and_says_what_waits_behind() -> None:
    waiting: list[int] = []

    class Watching(RecordedHandler):
        def binary(self, connection: object, payload: bytes) -> None:
            waiting.append(rig.connection.waiting_bytes)

    rig = Rig(Watching(), EngineSettings(frames_per_turn=3)).open()
    one = frame(BINARY, b"x" * 94)  # 100 bytes

    rig.connection.receive(one * 5, 100.0)
    after_a_turn = list(waiting), rig.connection.has_backlog, len(rig.connection.unread)
    rig.connection.receive(one, 100.0)  # more arrives before the next turn

    assert ([400, 300, 200], True, 200) == after_a_turn
    assert [400, 300, 200, 200, 100, 0] == waiting
    assert not rig.connection.has_backlog


def test_messages_behind_our_close_are_not_heard() -> None:
    class Closing(RecordedHandler):
        def text(self, connection: object, payload: bytes) -> None:
            super().text(rig.connection, payload)
            rig.connection.close(1000)

    rig = Rig(Closing()).open()

    rig.receive(frame(TEXT, b"first") + frame(TEXT, b"second") + frame(0x9, b"p"))

    assert [("text", b"first")] == rig.messages()
    assert frame(CLOSE, close_payload(1000), mask=None) + frame(PONG, b"p", mask=None) == rig.wire.take()


def test_messages_behind_an_abort_are_not_heard_and_the_wire_is_left_alone() -> None:
    class Aborting(RecordedHandler):
        def text(self, connection: object, payload: bytes) -> None:
            super().text(rig.connection, payload)
            rig.connection.abort()

    rig = Rig(Aborting()).open()

    rig.receive(frame(TEXT, b"first") + frame(TEXT, b"second") + frame(PING))
    rig.connection.close(1000)
    rig.connection.ping()
    rig.connection.writable()

    assert [("text", b"first")] == rig.messages()
    assert b"" == rig.wire.take()
    assert ["reset"] == rig.wire.calls
    assert [] == rig.handler.all("closed")  # not from inside its own call
    rig.connection.settle()
    rig.connection.settle()
    assert [CloseInfo(1006, by_us=True)] == rig.handler.all("closed")


# A transport that breaks


def test_wire_that_breaks_in_a_send_is_a_reset_told_later() -> None:
    rig = Rig().open()
    rig.wire.room_bytes = -1

    taken = rig.connection.send(Outgoing(b"x"))
    heard_at_once = rig.handler.all("closed")
    rig.connection.settle()

    assert not taken
    assert [] == heard_at_once
    assert [CloseInfo(1006, was_reset=True)] == rig.handler.all("closed")
    assert (["close"], 1) == (rig.wire.calls, rig.wire.ended_calls)


def test_wire_that_breaks_while_the_queue_leaves_is_a_reset() -> None:
    rig = Rig().open()
    rig.wire.room_bytes = 0
    rig.connection.send(Outgoing(b"x"))
    rig.wire.room_bytes = -1

    rig.connection.writable()
    rig.connection.settle()

    assert [CloseInfo(1006, was_reset=True)] == rig.handler.all("closed")
    assert 0 == rig.connection.health.queued_bytes


def test_wire_that_breaks_under_the_close_frame_keeps_the_peers_code() -> None:
    rig = Rig().open()
    rig.wire.room_bytes = -1

    rig.receive(frame(CLOSE, close_payload(4000, "bye")))
    rig.connection.settle()

    assert [CloseInfo(4000, "bye", was_reset=True)] == rig.handler.all("closed")
    assert ["close"] == rig.wire.calls


def test_wire_that_breaks_under_the_handshake_is_heard_by_nobody() -> None:
    rig = Rig()
    rig.wire.room_bytes = -1

    rig.receive(REQUEST)
    rig.connection.settle()

    assert [] == rig.handler.heard
    assert ["close"] == rig.wire.calls


# The opening


def test_head_that_never_comes_ends_by_its_deadline() -> None:
    rig = Rig(settings=EngineSettings(handshake_timeout_s=7))
    rig.receive(REQUEST[:30])
    deadline = rig.wire.deadline

    rig.connection.expired()
    rig.connection.settle()

    assert 107 == deadline
    assert ["reset"] == rig.wire.calls
    assert [] == rig.handler.heard


def test_head_without_an_end_is_refused() -> None:
    rig = Rig()

    rig.receive(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12_000)

    assert rig.wire.take().startswith(b"HTTP/1.1 431 ")
    assert ["finish"] == rig.wire.calls


def test_what_is_no_http_gets_no_answer() -> None:
    rig = Rig()

    rig.receive(b"\x16\x03\x01 hello\r\n\r\n")
    rig.connection.receive_eof()

    assert b"" == rig.wire.take()
    assert ["finish", "close"] == rig.wire.calls
    assert [] == rig.handler.heard


def test_eof_while_opening_is_heard_by_nobody() -> None:
    rig = Rig()

    rig.connection.receive_eof()
    rig.connection.settle()

    assert (["close"], []) == (rig.wire.calls, rig.handler.heard)


def test_answer_to_the_upgrade_may_leave_in_pieces() -> None:
    rig = Rig()
    rig.wire.room_bytes = 10

    rig.receive(REQUEST)
    rig.connection.send(Outgoing(b"hello"))
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    sent = rig.wire.take()
    assert sent.startswith(b"HTTP/1.1 101 ")
    assert sent.endswith(b"\r\n\r\n\x81\x05hello")


# The lanes


def _blocked(settings: EngineSettings | None = None) -> Rig:
    rig = Rig(settings=settings).open()
    rig.wire.room_bytes = 0
    return rig


def test_half_a_frame_leaves_before_anything_else() -> None:
    rig = Rig().open()
    rig.wire.room_bytes = 3

    rig.connection.send(Outgoing(b"first"))
    rig.connection.ping()
    rig.connection.send(Outgoing(b"second"))
    waiting = rig.connection.health.queued_bytes
    wanted = rig.wire.is_write_wanted
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    assert b"\x81\x05first" + b"\x89\x08" + (1).to_bytes(8, "big") + b"\x81\x06second" == rig.wire.take()
    assert (4 + 10 + 8, True) == (waiting, wanted)
    assert (0, False) == (rig.connection.health.queued_bytes, rig.wire.is_write_wanted)
    assert 2 == rig.connection.health.messages_out


def test_trickle_of_room_gives_the_same_bytes() -> None:
    rig = _blocked()
    for i in range(4):
        rig.connection.send(Outgoing(b"control %d" % i))
    rig.connection.send(Outgoing(b"audio", is_text=False, lane=Lane.AUDIO))

    while rig.connection.health.queued_bytes:
        rig.wire.room_bytes = 3
        rig.connection.writable()

    expected = b"".join(b"\x81\x09control %d" % i for i in range(4)) + b"\x82\x05audio"
    assert expected == rig.wire.take()
    assert 5 == rig.connection.health.messages_out


def test_only_the_newest_pong_waits() -> None:
    rig = _blocked()

    rig.receive(frame(PING, b"old") + frame(PING, b"newer") + frame(PING, b"new"))
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    assert frame(PONG, b"new", mask=None) == rig.wire.take()


def test_audio_keeps_one_frame_however_long() -> None:
    rig = _blocked()

    rig.connection.send(Outgoing(b"a" * 50_000, is_text=False, lane=Lane.AUDIO))
    rig.connection.send(Outgoing(b"b" * 50_000, is_text=False, lane=Lane.AUDIO))
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    assert b"b" * 50_000 == rig.wire.take()[4:]
    assert 1 == rig.connection.health.audio_dropped


def test_one_control_message_may_be_longer_than_the_limit() -> None:
    rig = _blocked(EngineSettings(control_limit_bytes=100))

    first = rig.connection.send(Outgoing(b"x" * 500))
    is_open = rig.connection.is_open
    second = rig.connection.send(Outgoing(b"y"))

    assert (True, True, False) == (first, is_open, second)
    assert not rig.connection.is_open


def test_control_that_waits_leaves_before_the_close_frame_and_audio_does_not() -> None:
    rig = _blocked()
    rig.connection.send(Outgoing(b"control"))
    rig.connection.send(Outgoing(b"display", lane=Lane.DISPLAY))
    rig.connection.send(Outgoing(b"audio", is_text=False, lane=Lane.AUDIO))

    rig.connection.close(1000)
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    assert b"\x81\x07control\x81\x07display" + frame(CLOSE, close_payload(1000), mask=None) == rig.wire.take()


def test_peer_that_closes_while_it_is_slow_gets_the_rest_of_a_frame_and_the_answer() -> None:
    rig = Rig().open()
    rig.wire.room_bytes = 4
    rig.connection.send(Outgoing(b"first"))
    rig.connection.send(Outgoing(b"second"))

    rig.receive(frame(CLOSE, close_payload(1000)))
    rig.connection.receive_eof()
    interest = rig.wire.is_read_wanted, rig.wire.is_write_wanted
    calls_before = list(rig.wire.calls)
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    assert b"\x81\x05first" + frame(CLOSE, close_payload(1000), mask=None) == rig.wire.take()
    assert ((False, True), []) == (interest, calls_before)
    assert ["close"] == rig.wire.calls


def test_over_the_hard_limit_reading_stops_until_it_has_drained() -> None:
    rig = _blocked(EngineSettings(hard_limit_bytes=1000, hard_limit_s=3))

    rig.connection.send(Outgoing(b"x" * 1001))
    over = rig.wire.is_read_wanted, rig.wire.deadline
    rig.wire.room_bytes = 10
    rig.connection.writable()
    back = rig.wire.is_read_wanted, rig.wire.deadline

    assert ((False, 103.0), (True, None)) == (over, back)


def test_over_the_hard_limit_for_too_long_closes_with_1013_and_reads_the_answer() -> None:
    rig = Rig(settings=EngineSettings(hard_limit_bytes=1000, close_timeout_s=5)).open()
    rig.wire.room_bytes = 2
    rig.connection.send(Outgoing(b"x" * 100))
    rig.connection.send(Outgoing(b"y" * 1001))

    rig.connection.expired()
    state = rig.connection.is_open, rig.wire.is_read_wanted, rig.wire.deadline
    rig.wire.room_bytes = 1 << 40
    rig.connection.writable()

    sent = rig.wire.take()
    assert (False, True, 105.0) == state
    assert b"\x81\x64" + b"x" * 100 == sent[:102]
    assert (0x88, 1013) == (sent[102], int.from_bytes(sent[104:106], "big"))


def test_slow_peer_that_never_answers_the_close_is_known_by_its_reason() -> None:
    rig = _blocked(EngineSettings(control_limit_bytes=100))
    for _ in range(2):
        rig.connection.send(Outgoing(b"x" * 101))

    rig.connection.expired()
    rig.connection.settle()

    assert ("closed", CloseInfo(1006, "control messages pile up", by_us=True)) == rig.handler.heard[-1]


def test_echo_of_the_first_bytes_goes_out_after_the_answer() -> None:
    rig = Rig(EchoHandler())

    rig.receive(REQUEST + frame(TEXT, b"early bird"))

    assert rig.wire.take().endswith(b"\r\n\r\n\x81\x0aearly bird")
