"""The keeper as a process, with a real server behind it: what is noticed at the port when something dies."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from adapters.listener.keeper import KeeperSettings, keeper_command

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "keeper_child.py"
PATIENCE_S = 20.0

# Servers that never serve: $1 is where the notes go.
NOTE = 'echo "start $(date +%s.%N) $$" >> "$1"; '
# $3 are the descriptors: the listening socket, the lifeline, the status pipe, the lock, the control socket.
SAY_READY = 's=${3#*,*,}; echo ready >"/proc/self/fd/${s%%,*}"; '
FAILING = {
    "dies": NOTE + "exit 3",
    "misconfigured": NOTE + "exit 78",
    "cannot begin": NOTE + "exit 74",
    "loses its store": NOTE + SAY_READY + "exit 74",
    "mute": NOTE + "exec sleep 1000",
}


class Keeper:
    """A keeper process and what it said."""

    def __init__(self, directory: Path, mode: str, **settings: Any) -> None:
        self.notes_path = directory / "notes"
        command: tuple[str, ...] = (sys.executable, str(CHILD), mode, str(self.notes_path))
        self.is_failing = mode in FAILING
        if self.is_failing:
            command = ("/bin/sh", "-c", FAILING[mode], "sh", str(self.notes_path))
        defaults = {"data": str(directory / "data"), "port": 0}
        self.settings = KeeperSettings(command, **{**defaults, **settings})
        self.process = subprocess.Popen(
            keeper_command(self.settings),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output: list[str] = []

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert ready, f"no line of output in {PATIENCE_S} s; notes: {self.notes()}"
        return self.process.stdout.readline().rstrip("\n")

    def address(self) -> tuple[str, int]:
        said = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)", self.line())
        assert said
        return "127.0.0.1", int(said[1])

    def notes(self) -> list[str]:
        return self.notes_path.read_text().splitlines() if self.notes_path.exists() else []

    def servers(self) -> list[int]:
        """The process ids of the servers that were ready, in order."""
        return [int(line.split()[1]) for line in self.notes() if line.startswith("ready ")]

    def started(self) -> list[int]:
        """The process ids of all servers, ready or not."""
        return [int(line.split()[2]) for line in self.notes() if line.startswith("start ")]

    def kill_failing_servers(self) -> None:
        """A shell script does not watch its lifeline; whatever does ends by itself."""
        for process in filter(is_alive, self.started() if self.is_failing else []):
            os.kill(process, signal.SIGKILL)

    def is_without_servers(self) -> bool:
        return not any(map(is_alive, self.started()))

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def complaint(self, text: str) -> str:
        """The next line on its standard error that has the text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}")

    def errors(self) -> str:
        """What it wrote to standard error; after its end."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Keeper]]:
    keepers: list[Keeper] = []

    def start_keeper(mode: str = "answer", **settings: Any) -> Keeper:
        keepers.append(Keeper(tmp_path, mode, **settings))
        return keepers[-1]

    yield start_keeper
    for keeper in keepers:
        if keeper.process.poll() is None:
            keeper.process.kill()
            keeper.process.wait()
        keeper.kill_failing_servers()
    for keeper in keepers:  # the servers hold the pipes, and the keepers share their notes
        keeper.process.communicate()
        wait_until(keeper.is_without_servers)


def wait_until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> float:
    """Poll what another process does; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "waited in vain"
        select.select([], [], [], 0.01)
    return time.monotonic() - began


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def read_answer(connection: socket.socket) -> int:
    with connection:
        connection.settimeout(PATIENCE_S)
        return int(connection.makefile().readline())


def ask(address: tuple[str, int]) -> int:
    return read_answer(socket.create_connection(address, PATIENCE_S))


def test_kill_of_the_server_refuses_no_dial_and_the_next_one_answers_all(
    start: Callable[..., Keeper],
) -> None:
    keeper = start()
    address = keeper.address()
    first = ask(address)

    os.kill(first, signal.SIGKILL)
    dials = [socket.create_connection(address, PATIENCE_S) for _ in range(50)]
    answers = {read_answer(dial) for dial in dials}

    (second,) = answers
    assert [first, second] == keeper.servers()
    assert 0 == keeper.end(signal.SIGTERM)
    assert "was ended by signal 9; next start in 0 s" in keeper.errors()


def test_dials_before_the_first_server_is_ready_wait_for_it(start: Callable[..., Keeper]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    keeper = start(port=port)
    dials: list[socket.socket] = []

    def dialled() -> bool:
        try:
            dials.append(socket.create_connection(("127.0.0.1", port)))
        except ConnectionRefusedError:
            return False
        return True

    wait_until(dialled)

    assert [] == keeper.servers()
    assert read_answer(dials[0]) in keeper.servers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_both_in_order(start: Callable[..., Keeper], number: int) -> None:
    keeper = start()
    address = keeper.address()
    server = ask(address)

    status = keeper.end(number)

    assert 0 == status
    assert ["told to end", "flushed"] == keeper.notes()[-2:]
    assert not is_alive(server)
    with pytest.raises(ConnectionRefusedError):
        ask(address)


def test_server_that_does_not_end_in_order_is_killed_at_the_deadline(start: Callable[..., Keeper]) -> None:
    keeper = start("stuck", stop_s=0.3)
    keeper.address()

    status = keeper.end(signal.SIGTERM)

    assert 1 == status
    assert not is_alive(keeper.servers()[0])
    assert "did not end in order: killed" in keeper.errors()


def test_second_signal_does_not_wait_for_the_deadline(start: Callable[..., Keeper]) -> None:
    keeper = start("stuck", stop_s=1000)
    keeper.address()

    keeper.process.send_signal(signal.SIGINT)
    wait_until(lambda: "told to end" in keeper.notes())

    assert 1 == keeper.end(signal.SIGINT)
    assert not is_alive(keeper.servers()[0])


def test_dials_are_refused_as_soon_as_the_server_ends(start: Callable[..., Keeper]) -> None:
    keeper = start("stuck", stop_s=1000)
    address = keeper.address()

    keeper.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "told to end" in keeper.notes())

    with pytest.raises(ConnectionRefusedError):
        ask(address)


def test_ctrl_c_in_a_terminal_reaches_the_keeper_alone(start: Callable[..., Keeper]) -> None:
    """A terminal signals a whole process group; the server is told by its keeper."""
    keeper = start()
    server = ask(keeper.address())

    assert server == os.getpgid(server) != os.getpgid(keeper.process.pid)


def test_signal_before_the_server_is_ready_ends_both(start: Callable[..., Keeper]) -> None:
    keeper = start("mute")
    wait_until(lambda: len(keeper.notes()) == 1)

    assert 0 == keeper.end(signal.SIGTERM)


def test_signal_during_a_pause_between_starts_ends_at_once(start: Callable[..., Keeper]) -> None:
    keeper = start("dies", max_delay_s=1000)
    keeper.complaint("next start in 2 s")

    assert 0 == keeper.end(signal.SIGTERM)


def test_server_of_a_killed_keeper_flushes_and_ends_within_five_seconds(start: Callable[..., Keeper]) -> None:
    keeper = start()
    server = ask(keeper.address())

    keeper.process.kill()

    assert wait_until(lambda: not is_alive(server)) < 5.0
    assert ["keeper gone", "flushed"] == keeper.notes()[-2:]


def test_server_with_a_stuck_loop_ends_with_its_keeper_too(start: Callable[..., Keeper]) -> None:
    keeper = start("stuck")
    keeper.address()

    keeper.process.kill()

    assert wait_until(lambda: not is_alive(keeper.servers()[0])) < 5.0


def test_next_keeper_waits_for_the_port_of_a_dying_predecessor(
    start: Callable[..., Keeper], tmp_path: Path
) -> None:
    before = start("stuck")  # holds the port for half a second after its keeper's death
    address = before.address()
    after = start(port=address[1], data=str(tmp_path / "other"))

    before.process.kill()

    assert address == after.address()
    assert ask(address) in after.servers()


def test_next_keeper_waits_for_the_data_of_a_server_that_still_flushes(
    start: Callable[..., Keeper],
) -> None:
    before = start("stuck")
    before.address()
    (server,) = before.servers()
    after = start("mute")

    before.process.kill()
    wait_until(lambda: len(after.notes()) == 3)

    assert not is_alive(server)


def test_data_in_use_is_named_with_its_holder(start: Callable[..., Keeper]) -> None:
    holder = start()
    holder.address()

    other = start(predecessor_s=0.2)

    assert 1 == other.process.wait(PATIENCE_S)
    waiting, ending = other.errors().splitlines()
    assert "waiting up to 0.2 s for whoever has it" in waiting
    assert f"is in use by process {holder.process.pid} after 0 s; stop it or pass another --data" in ending


def test_port_in_use_is_named(start: Callable[..., Keeper]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        keeper = start(port=port, predecessor_s=0.2)

        assert 1 == keeper.process.wait(PATIENCE_S)
    waiting, ending = keeper.errors().splitlines()
    assert f"keeper: port {port} is in use; waiting up to 0.2 s for whoever has it" == waiting
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in ending
    assert "pass another --port" in ending


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_host_that_is_not_ours_is_named_at_once(start: Callable[..., Keeper], host: str) -> None:
    keeper = start(host=host, predecessor_s=1000)

    assert 1 == keeper.process.wait(PATIENCE_S)
    (line,) = keeper.errors().splitlines()
    assert f"cannot listen on {host} port 0: " in line
    assert line.endswith("; pass an address of this machine as --host")


def test_server_that_dies_at_once_is_restarted_with_growing_pauses(start: Callable[..., Keeper]) -> None:
    keeper = start("dies", max_delay_s=1.0)

    wait_until(lambda: len(keeper.notes()) >= 5)
    starts = [float(line.split()[1]) for line in keeper.notes()]
    pauses = [round(after - before, 1) for before, after in pairwise(starts)]
    keeper.end(signal.SIGTERM)

    errors = keeper.errors()
    assert ["0", "0.25", "0.5", "1"] == re.findall(r"ended with status 3; next start in (\S+) s", errors)[:4]
    assert pauses[1] >= 0.25
    assert pauses[2] >= 0.5
    assert pauses[3] >= 1.0


def test_server_that_served_for_a_while_is_restarted_without_a_pause(start: Callable[..., Keeper]) -> None:
    keeper = start(settled_s=0.0)
    address = keeper.address()

    for _ in range(3):
        os.kill(ask(address), signal.SIGKILL)

    ask(address)
    keeper.end(signal.SIGTERM)
    assert 3 == keeper.errors().count("was ended by signal 9; next start in 0 s")


def test_server_that_never_reports_ready_is_killed_and_counts_as_failed(start: Callable[..., Keeper]) -> None:
    keeper = start("mute", start_s=0.1)

    assert keeper.process.stderr is not None
    lines = [keeper.process.stderr.readline() for _ in range(4)]
    keeper.end(signal.SIGTERM)

    assert "keeper: server not ready after 0.1 s: killed\n" == lines[0] == lines[2]
    assert "keeper: server was ended by signal 9; next start in 0.25 s\n" == lines[3]


def test_server_whose_settings_are_wrong_is_not_started_again(start: Callable[..., Keeper]) -> None:
    keeper = start("misconfigured")

    assert 78 == keeper.process.wait(PATIENCE_S)
    assert 1 == len(keeper.notes())


def test_first_server_that_cannot_begin_ends_its_keeper(start: Callable[..., Keeper]) -> None:
    keeper = start("cannot begin")

    assert 1 == keeper.process.wait(PATIENCE_S)
    assert 1 == len(keeper.notes())


def test_server_that_cannot_begin_where_one_served_before_is_tried_again(
    start: Callable[..., Keeper],
) -> None:
    keeper = start("loses its store")

    wait_until(lambda: len(keeper.notes()) >= 3)

    assert 0 == keeper.end(signal.SIGTERM)
    assert "ended with status 74; next start in 0.25 s" in keeper.errors()


def test_command_that_cannot_be_run_is_reported_and_retried(tmp_path: Path) -> None:
    settings = KeeperSettings(("no-such-command-here",), str(tmp_path / "data"), port=0)
    keeper = subprocess.Popen(
        keeper_command(settings), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with keeper:
        assert keeper.stderr is not None
        lines = [keeper.stderr.readline() for _ in range(4)]
        keeper.terminate()

    assert "keeper: cannot start no-such-command-here: No such file or directory\n" == lines[0]
    assert lines[3].endswith("next start in 0.25 s\n")
    assert 0 == keeper.returncode


def test_keeper_outlives_whoever_read_its_output(start: Callable[..., Keeper]) -> None:
    keeper = start()
    address = keeper.address()
    assert keeper.process.stderr is not None
    keeper.process.stderr.close()

    os.kill(ask(address), signal.SIGKILL)

    assert ask(address) in keeper.servers()
    assert 0 == keeper.end(signal.SIGTERM)
    keeper.process.stderr = None


def test_listening_is_announced_once(start: Callable[..., Keeper]) -> None:
    keeper = start()
    os.kill(ask(keeper.address()), signal.SIGKILL)
    wait_until(lambda: len(keeper.servers()) == 2)
    keeper.end(signal.SIGTERM)

    assert keeper.process.stdout is not None
    assert "" == keeper.process.stdout.read()


def test_keeper_imports_nothing_heavy_and_is_small(start: Callable[..., Keeper]) -> None:
    keeper = start()
    keeper.address()
    status = Path(f"/proc/{keeper.process.pid}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    maps = Path(f"/proc/{keeper.process.pid}/maps").read_text()
    listed = subprocess.run(
        [sys.executable, "-c", "import adapters.listener.keeper, sys; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert resident
    assert int(resident[1]) < 16_000  # measured 12,200
    assert "msgspec" not in maps
    assert {"trio", "msgspec", "h11", "actors", "click"}.isdisjoint(listed.stdout.split())
