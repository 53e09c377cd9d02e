"""A desktop daemon in a world without sockets, disks and processes: its whole tree, on the virtual clock.

`Desktop` is the computer, which outlives a daemon that is killed; `ScriptedServer` is the other end, with a
memory of what it was told and faults to choose from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import trio

from actors.desktop_daemon.parts import DaemonParts
from actors.desktop_daemon.ports import (
    AgentOrder,
    DialError,
    Emit,
    Link,
    LinkClosed,
    NeedsApproval,
    Place,
    PlaceError,
    ReportAnswer,
    ReportError,
    StateError,
)
from actors.desktop_daemon.server_time import ServerTime
from actors.desktop_daemon.settings import DaemonSettings
from actors.desktop_daemon.tree import daemon_spec
from adapters.simulated.telemetry import RecordingTelemetry
from protocols.desktop import frames
from protocols.desktop.documents import Approval, Decision, Option
from protocols.desktop.reports import CompleteReport, Heartbeat, LogReport, StatusReport
from runtime import ActorSystem
from runtime.testing import World, simulate

SERVER_MS = 1_800_000_000_000


class Process:
    """One life of the daemon. What is dead neither writes nor speaks."""

    def __init__(self) -> None:
        self.is_dead = False


class MemoryFolder:
    """The state folder of one process on a disk that outlives it."""

    def __init__(self, desktop: Desktop, process: Process) -> None:
        self._desktop = desktop
        self._process = process

    async def load(self) -> dict[str, bytes]:
        await trio.lowlevel.checkpoint()
        return dict(self._desktop.disk)

    async def put(self, key: str, body: bytes) -> None:
        await self._write(key)
        self._desktop.disk[key] = body

    async def remove(self, key: str) -> None:
        await self._write(key)
        self._desktop.disk.pop(key, None)

    async def _write(self, key: str) -> None:
        await trio.sleep(self._desktop.write_s)
        if self._process.is_dead:
            await trio.sleep_forever()
        if self._desktop.is_full:
            raise StateError("no space left on device")


class ScriptedRun:
    """One run of a terminal agent, which does what the test says."""

    def __init__(self, order: AgentOrder) -> None:
        self.order = order
        self.has_started = trio.Event()
        self.was_killed = False
        self.is_over = False
        self.answers: list[tuple[str, Decision, str | None, str | None]] = []
        self.inputs: list[str] = []
        self.kill_s = 0.0
        self._over = trio.Event()
        self._error: Exception | None = None
        self._emit: Emit | None = None

    async def run(self, emit: Emit) -> None:
        self._emit = emit
        self.has_started.set()
        try:
            await self._over.wait()
        except trio.Cancelled:
            self.was_killed = True
            with trio.CancelScope(shield=True):
                await trio.sleep(self.kill_s)
            raise
        finally:
            self.is_over = True
        if self._error is not None:
            raise self._error

    def emit(self, *events: object) -> None:
        """Say these."""
        assert self._emit is not None
        assert not self.is_over, "a program that has ended says nothing"
        for event in events:
            self._emit(event)  # type: ignore[arg-type]

    def end(self, error: Exception | None = None) -> None:
        """The process is over."""
        self._error = error
        self._over.set()

    def answer(self, approval_id: str, decision: Decision, choice: str | None, message: str | None) -> bool:
        self.answers.append((approval_id, decision, choice, message))
        return True

    def send_input(self, text: str) -> None:
        self.inputs.append(text)

    def interrupt(self) -> None:
        raise NotImplementedError


class ScriptedTerminals:
    """Terminal agents of a computer, with every run that there was."""

    names: tuple[str, ...] = ("claude", "bash")

    def __init__(self) -> None:
        self.runs: dict[str, list[ScriptedRun]] = {}

    def can_resume(self, adapter: str) -> bool:
        return adapter == "claude"

    def open(self, order: AgentOrder) -> ScriptedRun:
        run = ScriptedRun(order)
        self.runs.setdefault(order.agent_id, []).append(run)
        return run


class ScriptedPlaces:
    """One directory, and one that is refused."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self.allowed = allowed

    async def find(self, working_directory: str | None) -> Place:
        await trio.lowlevel.checkpoint()
        if working_directory == "/etc":
            raise PlaceError("/etc is not a directory that agents may work in")
        return Place(working_directory or "/srv/ada/project", self.allowed)


class Desktop:
    """The computer.

    Attributes:
      disk: what is on it. is_full: it takes no more. write_s: how long a write takes.
      wall_jump_s: how far its calendar is off.
      marks_handlers: the actors of its daemons can be crashed at their `handler_point`s.
    """

    def __init__(self, world: World, server: ScriptedServer, settings: DaemonSettings | None = None) -> None:
        self.world = world
        self.server = server
        self.settings = settings or DaemonSettings()
        self.disk: dict[str, bytes] = {}
        self.is_full = False
        self.write_s = 0.001
        self.wall_jump_s = 0.0
        self.terminals = ScriptedTerminals()
        self.allowed: tuple[str, ...] = ()
        self.token = "first"
        self.marks_handlers = False
        self.telemetry = RecordingTelemetry()
        self._process: Process | None = None
        self._lives = 0

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[ActorSystem]:
        """One life of the daemon, ended in order with the block unless it was killed before."""
        process = self._process = Process()
        self._lives += 1
        async with self.world.open_system(f"daemon-{self._lives}") as system:
            if self.marks_handlers:
                self.world.mark_handlers(system)
            await system.spawn(daemon_spec(self.parts(system, process)))
            yield system
        self.server.hang_up(process)

    def kill(self) -> None:
        """kill -9: from here on this life writes nothing and says nothing; leave its block then."""
        assert self._process is not None
        self._process.is_dead = True
        self.server.hang_up(self._process)

    def parts(self, system: ActorSystem, process: Process) -> DaemonParts:
        clock = system.clock
        jump_s = self.wall_jump_s

        class Wrong:
            now = staticmethod(clock.now)

            @staticmethod
            def wall() -> float:
                return clock.wall() + jump_s

        return DaemonParts(
            settings=self.settings,
            terminals=self.terminals,
            places=ScriptedPlaces(self.allowed),
            folder=MemoryFolder(self, process),
            dialler=ScriptedDialler(self, process),
            reports=ScriptedReports(self.server, process),
            telemetry=self.telemetry,
            time=ServerTime(Wrong()),
            name="ada's laptop",
            version="0",
        )

    def run_of(self, agent_id: str) -> ScriptedRun:
        """The newest run of the agent."""
        return self.terminals.runs[agent_id][-1]

    async def started(self, agent_id: str) -> ScriptedRun:
        """The agent's run, once it is there."""
        await until(lambda: agent_id in self.terminals.runs)
        run = self.run_of(agent_id)
        await run.has_started.wait()
        return run


class ScriptedDialler:
    def __init__(self, desktop: Desktop, process: Process) -> None:
        self._desktop = desktop
        self._process = process
        self._dialled_with = ""

    async def dial(self, opened: Callable[[Link], None], heard: Callable[[bytes], None]) -> LinkClosed:
        await trio.sleep(0.01)
        self._dialled_with = self._desktop.token
        return await self._desktop.server.serve(self._process, self._dialled_with, opened, heard)

    def has_other_token(self) -> bool:
        return self._desktop.token != self._dialled_with


class ServerLink:
    """A connection, seen from the daemon; the server says things with `say`."""

    def __init__(self, server: ScriptedServer, process: Process, heard: Callable[[bytes], None]) -> None:
        self.server = server
        self.process = process
        self.heard = heard
        self.over = trio.Event()
        self.info = LinkClosed(1006)

    def send(self, frame: bytes) -> bool:
        if self.over.is_set() or self.process.is_dead or self.server.is_cut:
            return False
        self.server.take(self, frames.read_from_daemon(frame))
        return True

    def close(self, code: int, reason: str = "") -> None:
        self.end(LinkClosed(code, reason))

    def end(self, info: LinkClosed) -> None:
        self.info = info
        self.over.set()


class ScriptedServer:
    """The server's end.

    Attributes:
      is_down: nobody answers. is_cut: what is sent gets lost, both ways, and nobody notices.
      refusals: HTTP statuses that the next reports are answered with.
      takes_bytes: a larger complete report is answered 413.
      tokens: that are good.
      waits_for: agents it believes in; `lost` of a welcome are those of a hello that are not in it.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.is_cut = False
        self.refusals: list[int] = []
        self.takes_bytes = 1_000_000
        self.tokens = {"first"}
        self.ended: set[str] = set()
        self.result_bytes = 262_144
        self.heartbeat_ms = 30_000
        self.link: ServerLink | None = None
        self.dials = 0
        self.hellos: list[frames.Hello] = []
        self.acks: list[frames.AgentAck] = []
        self.pongs = 0
        self.statuses: dict[str, list[StatusReport]] = {}
        self.status_at: dict[str, list[float]] = {}
        self.logs: dict[str, list[LogReport]] = {}
        self.completes: dict[str, list[CompleteReport]] = {}
        self.heartbeats: list[Heartbeat] = []
        self.posts = 0

    # -- the socket

    async def serve(
        self,
        process: Process,
        token: str,
        opened: Callable[[Link], None],
        heard: Callable[[bytes], None],
    ) -> LinkClosed:
        self.dials += 1
        if self.is_down or self.is_cut:
            raise DialError("nobody answers")
        if token not in self.tokens:
            raise DialError("refused", status=401)
        if self.link is not None:
            self.link.end(LinkClosed(frames.REPLACED))
        link = self.link = ServerLink(self, process, heard)
        opened(link)
        try:
            while not link.over.is_set():
                with trio.move_on_after(frames.PING_S):
                    await link.over.wait()
                    break
                if not self.is_cut and not process.is_dead:
                    link.heard(frames.encode(frames.Ping()))
        finally:
            if self.link is link:
                self.link = None
        return link.info

    def take(self, link: ServerLink, frame: frames.FromDaemon) -> None:
        match frame:
            case frames.Hello():
                self.hellos.append(frame)
                lost = tuple(agent.agent_id for agent in frame.agents if agent.agent_id in self.ended)
                self.say(
                    frames.Welcome(
                        server_time=SERVER_MS + round(trio.current_time() * 1000),
                        lost=lost,
                        max_result_bytes=self.result_bytes,
                        heartbeat_ms=self.heartbeat_ms,
                    )
                )
            case frames.AgentAck():
                self.acks.append(frame)
            case frames.Pong():
                self.pongs += 1

    def say(self, frame: frames.ToDaemon) -> None:
        """Send a frame, if it can arrive."""
        if self.link is not None and not self.is_cut and not self.link.process.is_dead:
            self.link.heard(frames.encode(frame))

    def spawn(self, agent_id: str, goal: str = "mend the test", **more: object) -> None:
        self.say(frames.SpawnAgent(agent_id=agent_id, goal=goal, **more))  # type: ignore[arg-type]

    def hang_up(self, process: Process) -> None:
        if self.link is not None and self.link.process is process:
            self.link.end(LinkClosed(1006))

    def close(self, code: int) -> None:
        assert self.link is not None
        self.link.end(LinkClosed(code))

    # -- the reports

    async def post(self, process: Process, route: str, body: bytes) -> ReportAnswer:
        await trio.sleep(0.005)
        if process.is_dead:
            await trio.sleep_forever()
        self.posts += 1
        if self.is_cut:
            await trio.sleep(30)  # lost on its way: nobody says so
        if self.is_down or self.is_cut:
            raise ReportError("nobody answers")
        if self.refusals:
            return ReportAnswer(self.refusals.pop(0))
        kind = route.rpartition("/")[2]
        if kind == "heartbeat":
            self.heartbeats.append(msgspec.json.decode(body, type=Heartbeat))
            return ReportAnswer(200)
        agent_id = route.split("/")[1]
        if kind == "status":
            self.statuses.setdefault(agent_id, []).append(msgspec.json.decode(body, type=StatusReport))
            self.status_at.setdefault(agent_id, []).append(trio.current_time())
        elif kind == "log":
            self.logs.setdefault(agent_id, []).append(msgspec.json.decode(body, type=LogReport))
        else:
            if len(body) > self.takes_bytes:
                return ReportAnswer(413)
            self.completes.setdefault(agent_id, []).append(msgspec.json.decode(body, type=CompleteReport))
            self.ended.add(agent_id)
        return ReportAnswer(200)

    # -- what it knows

    async def online(self) -> None:
        """Once the daemon has said hello on the connection that is open."""
        await until(lambda: self.link is not None and bool(self.hellos))

    async def ack(self, agent_id: str) -> frames.AgentAck:
        await until(lambda: any(ack.agent_id == agent_id for ack in self.acks))
        return next(ack for ack in reversed(self.acks) if ack.agent_id == agent_id)

    async def status(self, agent_id: str, status: str) -> StatusReport:
        """The newest report of the agent, once it says so."""
        await until(lambda: self.newest(agent_id) is not None and self.newest(agent_id).status == status)  # type: ignore[union-attr]
        newest = self.newest(agent_id)
        assert newest is not None
        return newest

    def newest(self, agent_id: str) -> StatusReport | None:
        reports = self.statuses.get(agent_id)
        return max(reports, key=lambda report: report.seq or 0) if reports else None

    async def complete(self, agent_id: str) -> CompleteReport:
        await until(lambda: bool(self.completes.get(agent_id)))
        return self.completes[agent_id][-1]


class ScriptedReports:
    def __init__(self, server: ScriptedServer, process: Process) -> None:
        self._server = server
        self._process = process

    async def post(self, route: str, body: bytes) -> ReportAnswer:
        return await self._server.post(self._process, route, body)


async def until(is_so: Callable[[], bool], *, within_s: float = 600.0) -> None:
    """Let virtual time pass until it is so."""
    with trio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - of the virtual clock
            await trio.sleep(0.05)


Scenario = Callable[[World, ScriptedServer, Desktop], Awaitable[None]]


def play(scenario: Scenario, settings: DaemonSettings | None = None) -> None:
    """Run it with a server and a desktop, under the virtual clock."""

    async def main(world: World) -> None:
        server = ScriptedServer()
        await scenario(world, server, Desktop(world, server, settings))

    simulate(scenario.__qualname__, main, is_strict=True)


def asking(approval_id: str = "a1") -> NeedsApproval:
    """A terminal agent's wish to run something."""
    yes = Option(id="yes", label="Yes")
    return NeedsApproval(Approval(approval_id=approval_id, title="Run it?", options=(yes,), tool="Bash"))
