"""The connection core alone, over a wire that a test scripts."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from actors.ports import CloseInfo, Outgoing
from adapters.websocket import EngineSettings
from adapters.websocket.frames import FrameWalk, wire_of
from tests.adapters.websocket.peers import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    RecordedHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.rig import Rig

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
