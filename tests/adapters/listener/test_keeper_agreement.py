"""What keeper and server agree on, without processes; tests/system/test_keeper.py has the processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import trio
import trio.testing

from adapters.listener.child import Inherited, inherit, lifeline_closed, say_ready
from adapters.listener.keeper import KeeperSettings, keeper_command, open_listening_socket, restart_delay_s


def test_pauses_between_starts_double_up_to_their_limit() -> None:
    delays = [restart_delay_s(failures, 10.0) for failures in range(10)]

    assert [0, 0, 0.25, 0.5, 1, 2, 4, 8, 10, 10] == delays
    assert 10.0 == restart_delay_s(10_000, 10.0)


def test_command_of_the_keeper_carries_every_setting(tmp_path: Path) -> None:
    settings = KeeperSettings(("server", "--quiet", "--"), "/data with = and space", port=9)

    words = keeper_command(settings)[3:]

    assert ["--", "server", "--quiet", "--"] == words[words.index("--") :]
    assert "data=/data with = and space" in words
    assert "port=9" in words


def inherited_pipes() -> tuple[Inherited, int, int]:
    """What a server inherits, with the keeper's ends of lifeline and status pipe."""
    listening = socket.create_server(("127.0.0.1", 0))
    lifeline, lifeline_end = os.pipe()
    status_pipe, status = os.pipe()
    lock = os.open(os.devnull, os.O_RDONLY)
    control, control_end = socket.socketpair()
    control_end.close()
    passed = (listening.detach(), lifeline, status, lock, control.detach())
    for descriptor in passed:
        os.set_inheritable(descriptor, True)
    return inherit(",".join(map(str, passed))), lifeline_end, status_pipe


async def test_server_takes_over_what_it_inherits_and_says_ready() -> None:
    inherited, lifeline_end, status_pipe = inherited_pipes()
    closed = trio.Event()

    async def watch() -> None:
        await lifeline_closed(inherited.lifeline)
        closed.set()

    with inherited.listening, inherited.control:
        say_ready(inherited)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not closed.is_set()
            os.close(lifeline_end)

        assert inherited.listening.getsockname()[1] > 0
        for descriptor in (inherited.listening.fileno(), inherited.lifeline, inherited.lock):
            assert not os.get_inheritable(descriptor)
    assert b"ready\n" == os.read(status_pipe, 100)
    assert b"" == os.read(status_pipe, 100)
    for descriptor in (inherited.lifeline, inherited.lock, status_pipe):
        os.close(descriptor)


def test_ready_to_a_keeper_that_died_is_no_error() -> None:
    inherited, lifeline_end, status_pipe = inherited_pipes()
    os.close(status_pipe)

    say_ready(inherited)

    inherited.listening.close()
    inherited.control.close()
    for descriptor in (inherited.lifeline, inherited.lock, lifeline_end):
        os.close(descriptor)


@pytest.mark.parametrize("text", ["", "3,4,5,6", "3,4,5,6,7,8,9", "a,b,c,d,e"])
def test_inheritance_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        inherit(text)


def test_port_of_a_listening_socket_can_be_taken_again_at_once() -> None:
    """Connections of the old server in TIME_WAIT do not hold the port."""
    with open_listening_socket("127.0.0.1", 0) as first:
        address = first.getsockname()
        with socket.create_connection(address), first.accept()[0] as accepted:
            accepted.shutdown(socket.SHUT_RDWR)

    with open_listening_socket(*address) as second:
        assert address == second.getsockname()
