"""What waits when a peer reads slowly, and what leaves first."""

from __future__ import annotations

from actors.ports import CloseInfo, Lane, Outgoing
from adapters.websocket import EngineSettings
from tests.adapters.websocket.peers import (
    CLOSE,
    PING,
    PONG,
    REQUEST,
    TEXT,
    EchoHandler,
    close_payload,
    frame,
)
from tests.adapters.websocket.rig import Rig

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
