"""The keeper: a small parent that holds the port while servers come and go.

`glasshouse serve` becomes this process. It binds the listening socket, takes the data lock and starts the
server by exec, with the socket as an inherited descriptor. When the server crashes or is killed the next
one is started at once; dials wait in the backlog of the socket meanwhile and are not refused. When it is
told to stop it tells the server and waits for it. When the keeper itself dies, the server sees its lifeline
close (`child`) and ends within 5 seconds; whoever starts the next keeper need not wait for that, because
the next keeper does.

A reload (`door`, `replacement`) puts another server in the place of the one that serves, which hands every
connection over.

Why so plain: what watches over crashes must not crash itself. It imports the standard library only, runs no
thread and waits in one place (`Signals.wait`).

The agreement with the server: its command gets one more pair of arguments, `--inherited L,F,S,D,C`: the
descriptors of the listening socket, of the lifeline's reading end, of the status pipe's writing end, of the
data lock, and of a socket on which it is told to hand over. It writes `ready` and a line feed to the status
pipe once it serves. A sixth descriptor is the socket from which it is to take over: it first writes
`standing`, and `ready` when it has everything. SIGTERM tells it to end in order. Ending with status 78
(EX_CONFIG of sysexits.h) says that another try is pointless, and the keeper ends with it. Status 74
(EX_IOERR) says, after a sentence on standard error, that it could not begin. That ends the keeper (with
status 1) unless a server of its had been ready before: what worked once is tried again, for a disk may come
back. Neither ends it where it comes of a server that was to take over.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from adapters.listener.door import Door, tell
from adapters.listener.lock import lock_holder, take_data_lock
from adapters.listener.replacement import Patience, replace
from adapters.listener.servers import READY, Server, Signals, StopTold, how_it_ended, reap_one

BACKLOG = 4096
EX_CONFIG = 78
"""A server that ends with this is not started again: its settings are wrong."""
EX_IOERR = 74
"""A server that ends with this could not begin, and said why: its store cannot be opened."""

_POLL_S = 0.05  # for the port and the lock of a predecessor: neither announces that it is free


class KeeperSettings(NamedTuple):
    """What to keep, and for how long to wait.

    Attributes:
      command: the server's, without the descriptors; its first word is looked up in PATH.
      data: the data directory to lock.
      port: 0 takes any free one.
      predecessor_s: seconds to wait for the port and the lock of a predecessor that is ending. A server whose
        keeper died has 5 s to end.
      start_s: seconds a server has to report ready before it is killed and counts as failed.
      stop_s: seconds a server has to end in order before it is killed.
      settled_s: a server that was ready for so long is no failed start, whatever ends it afterwards.
      max_delay_s: the longest pause between two starts.
      hand_over_s: seconds that a reload's hand-over from one server to the next may take.
    """

    command: tuple[str, ...]
    data: str
    host: str = "127.0.0.1"
    port: int = 8002
    predecessor_s: float = 10.0
    start_s: float = 60.0
    stop_s: float = 15.0
    settled_s: float = 2.0
    max_delay_s: float = 10.0
    hand_over_s: float = 30.0


class KeeperError(Exception):
    """The keeper could not begin. Subclasses: CannotListen, DataInUse."""


class CannotListen(KeeperError):  # noqa: N818 - says what happened
    """The port cannot be had. `cause` is the system's."""

    def __init__(self, host: str, port: int, cause: OSError, waited_s: float) -> None:
        if cause.errno == errno.EADDRINUSE:
            hint = f" after {waited_s:.0f} s; stop who listens there or pass another --port"
        elif cause.errno == errno.EACCES:
            hint = "; ports below 1024 are the system's: pass another --port"
        elif isinstance(cause, socket.gaierror) or cause.errno == errno.EADDRNOTAVAIL:
            hint = "; pass an address of this machine as --host"
        else:
            hint = ""
        super().__init__(f"cannot listen on {host} port {port}: {cause.strerror}{hint}")
        self.host = host
        self.port = port
        self.cause = cause


class DataInUse(KeeperError):  # noqa: N818
    """Another server works on the data directory; `holder` is its process id where it is known."""

    def __init__(self, data: str, holder: int | None, waited_s: float) -> None:
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(
            f"data directory {data} is in use by {who} after {waited_s:.0f} s; stop it or pass another --data"
        )
        self.data = data
        self.holder = holder


def restart_delay_s(failures: int, max_delay_s: float) -> float:
    """The pause before the next start after `failures` in a row: none, then 0.25 s, doubling up to the
    limit."""
    return 0.0 if failures <= 1 else min(max_delay_s, 0.25 * 2.0 ** min(failures - 2, 30))


def keep(
    settings: KeeperSettings,
    *,
    announce: Callable[[str], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> int:
    """Hold the port and keep a server behind it until SIGTERM or SIGINT; returns the exit status of this
    process.

    Runs in the main thread of a process of its own: it takes over the signals and reaps every child.

    Args:
      announce: gets `listening on http://HOST:PORT` once, when the first server is ready; default: standard
        output.
      report: gets a line about each server that ended unasked; default: standard error.

    Returns: 0 when the server ended in order, 1 when it had to be killed or the first one could not begin, 78
      when it said its settings are wrong.

    Raises:
      CannotListen, DataInUse: before any server was started.
      OSError: the data directory cannot be used.
    """
    with Signals() as signals:
        return _Keeper(settings, signals, announce or _line_to(1), report or _line_to(2)).run()


class _Keeper:
    def __init__(
        self,
        settings: KeeperSettings,
        signals: Signals,
        announce: Callable[[str], None],
        report: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._announce = announce
        self._report = report
        self._is_announced = False
        self._listening: socket.socket | None = None
        self._lock = -1
        self._door: Door | None = None
        self._server: Server | None = None  # the one that serves, or was started to
        self._alive: dict[int, Server] = {}  # servers that have not been reaped, by process id
        # Its writing end stays with us alone and is never written: it closes when we end, however we end.
        self._lifeline, self._lifeline_end = os.pipe()

    def run(self) -> int:
        failures = 0
        try:
            self._take_lock_and_port()
            self._open_door()
            while True:
                status, has_settled = self._serve_once()
                if os.WIFEXITED(status) and os.WEXITSTATUS(status) == EX_CONFIG:
                    return EX_CONFIG
                could_not_begin = os.WIFEXITED(status) and os.WEXITSTATUS(status) == EX_IOERR
                if could_not_begin and not self._is_announced:
                    return 1
                failures = 1 if has_settled else failures + 1
                delay_s = restart_delay_s(failures, self._settings.max_delay_s)
                self._report(f"keeper: server {how_it_ended(status)}; next start in {delay_s:g} s")
                self._pause(delay_s)
        except StopTold:
            return self._end_in_order()
        finally:
            self._release()

    def _open_door(self) -> None:
        try:
            self._door = Door(self._settings.data)
        except OSError as error:  # a folder without sockets is no reason not to serve
            self._report(f"keeper: no reload here: {error.strerror}")

    def _take_lock_and_port(self) -> None:
        """Wait for both while a predecessor is ending."""
        settings = self._settings
        began = time.monotonic()
        waits_for = ""
        lock: int | None = None
        while True:
            waited_s = time.monotonic() - began
            is_late = waited_s >= settings.predecessor_s
            if lock is None:
                lock = take_data_lock(settings.data)
            if lock is None and is_late:
                raise DataInUse(settings.data, lock_holder(settings.data), waited_s)
            if lock is not None:
                self._lock = lock
                try:
                    self._listening = open_listening_socket(settings.host, settings.port)
                    return
                except OSError as error:
                    if error.errno != errno.EADDRINUSE or is_late:
                        raise CannotListen(settings.host, settings.port, error, waited_s) from error
            held = f"port {settings.port}" if lock is not None else f"data directory {settings.data}"
            if held != waits_for:
                waits_for = held
                patience_s = settings.predecessor_s
                self._report(f"keeper: {held} is in use; waiting up to {patience_s:g} s for whoever has it")
            self._pause(_POLL_S)

    def _serve_once(self) -> tuple[int, bool]:
        """Start a server and watch it, and those that replace it, to the end.

        Returns: the wait status of the last one, and whether it had been ready for `settled_s`.
        """
        try:
            server = self._server = self._start()
        except OSError as error:
            self._report(f"keeper: cannot start {self._settings.command[0]}: {error.strerror}")
            return 127 << 8, False  # as a shell reports a command it cannot run
        self._await_ready(server)
        while server.status is None:
            watched = [] if self._door is None or server.ready_at is None else [self._door.fileno()]
            if self._wait(None, watched) and server.status is None:
                server = self._server = self._reload(server)
        is_settled = server.ready_at is not None and (
            time.monotonic() - server.ready_at >= self._settings.settled_s
        )
        return server.status, is_settled

    def _start(self, taking: int | None = None) -> Server:
        """Start a server; one that is to take over is given the descriptor `taking`."""
        assert self._listening is not None
        status_pipe, status_end = os.pipe()
        control, control_end = socket.socketpair()
        passed = [self._listening.fileno(), self._lifeline, status_end, self._lock, control_end.fileno()]
        if taking is not None:
            passed.append(taking)
        for descriptor in passed:
            os.set_inheritable(descriptor, True)
        command = [*self._settings.command, "--inherited", ",".join(map(str, passed))]
        try:
            process = os.posix_spawnp(
                command[0],
                command,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
                setpgroup=0,  # Ctrl-C reaches the keeper alone, which tells the server
                setsigdef=(signal.SIGINT, signal.SIGTERM),
            )
        except OSError:
            os.close(status_pipe)
            control.close()
            raise
        finally:
            os.close(status_end)
            control_end.close()
        server = self._alive[process] = Server(process, status_pipe, control)
        return server

    def _await_ready(self, server: Server) -> None:
        """Wait until the server has reported ready or has ended; one that takes too long is ended."""
        deadline = time.monotonic() + self._settings.start_s
        while True:
            if server.has_said(READY):
                server.ready_at = time.monotonic()
                server.hush()
                self._announce_once()
                return
            if server.status is not None:
                return
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._report(f"keeper: server not ready after {self._settings.start_s:g} s: killed")
                server.kill()
                return
            self._wait(left_s, [] if server.status_pipe is None else [server.status_pipe])

    def _reload(self, present: Server) -> Server:
        """Answer who asks for a reload; the server from here on."""
        asker = None if self._door is None else self._door.asked()
        if asker is None:
            return present
        began = time.monotonic()
        patience = Patience(self._settings.start_s, self._settings.hand_over_s, self._settings.stop_s)
        with asker:
            server, problem = replace(present, start=self._start, wait=self._wait_refusing, patience=patience)
            took_s = time.monotonic() - began
            if problem:
                self._report(f"keeper: reload failed after {took_s:.1f} s: {problem}")
                tell(asker, f"failed {problem}")
            else:
                self._report(
                    f"keeper: server {present.process} handed over to {server.process} in {took_s:.1f} s"
                )
                server.hush()
                tell(asker, f"done {server.process}")
        return server

    def _wait_refusing(self, timeout_s: float | None, readable: Sequence[int]) -> None:
        """`_wait` during a reload: whoever asks for another one is refused."""
        assert self._door is not None
        if self._door.fileno() in self._wait(timeout_s, [*readable, self._door.fileno()]):
            self._door.refuse_all("a reload is under way")

    def _announce_once(self) -> None:
        if not self._is_announced and self._listening is not None:
            self._is_announced = True
            host, port = self._listening.getsockname()[:2]
            self._announce(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")

    def _end_in_order(self) -> int:
        """Tell the server to end and wait for it; a second signal or the deadline kills it.

        In the middle of a reload there are two, and both are told.
        """
        if self._listening is not None:
            self._listening.close()  # with the server's copy the port is gone, and dials are refused at once
        if not self._alive:
            return 0
        for process in self._alive:
            os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + self._settings.stop_s
        try:
            while self._alive and (left_s := deadline - time.monotonic()) > 0:
                self._wait(left_s)
        except StopTold:
            pass
        for process in self._alive:
            self._report(f"keeper: server {process} did not end in order: killed")
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)  # the kernel ends this wait: nothing outlives SIGKILL
        if self._alive:
            return 1
        # SIGTERM ends a server that has not installed its handler yet.
        return 0 if self._server is None or self._server.status in (0, signal.SIGTERM) else 1

    def _pause(self, duration_s: float) -> None:
        deadline = time.monotonic() + duration_s
        while (left_s := deadline - time.monotonic()) > 0:
            self._wait(left_s)

    def _wait(self, timeout_s: float | None, readable: Sequence[int] = ()) -> list[int]:
        """Wait for a signal, `readable` or the time; reap who ended; those of `readable` that are."""
        ready = self._signals.wait(timeout_s, readable)
        while (reaped := reap_one()) is not None:  # not ours alone: process 1 inherits every orphan
            process, status = reaped
            server = self._alive.pop(process, None)
            if server is not None:
                server.status = status
                server.close()
        return ready

    def _release(self) -> None:
        if self._door is not None:
            self._door.close()
        if self._listening is not None:
            self._listening.close()
        if self._lock >= 0:
            os.close(self._lock)
        os.close(self._lifeline)
        os.close(self._lifeline_end)


def open_listening_socket(host: str, port: int) -> socket.socket:
    """Bind and listen; the socket is not inheritable. Raises OSError, for a host without an address too."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _line_to(descriptor: int) -> Callable[[str], None]:
    def write(line: str) -> None:
        try:
            os.write(descriptor, f"{line}\n".encode())
        except OSError:  # nobody reads it any more: no reason to stop
            return

    return write


def keeper_command(settings: KeeperSettings) -> list[str]:
    """The command that becomes this keeper by exec: a process without the command line's imports."""
    options = [f"{name}={value}" for name, value in settings._asdict().items() if name != "command"]
    return [sys.executable, "-m", "adapters.listener.keeper", *options, "--", *settings.command]


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the keeper of a `keeper_command`."""
    split = arguments.index("--")
    given = dict(option.split("=", 1) for option in arguments[:split])
    defaults = KeeperSettings._field_defaults
    options = {name: type(defaults.get(name, ""))(value) for name, value in given.items()}
    try:
        status = keep(KeeperSettings(command=tuple(arguments[split + 1 :]), **options))
    except (KeeperError, OSError) as error:
        _line_to(2)(f"glasshouse serve: {error}")
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
