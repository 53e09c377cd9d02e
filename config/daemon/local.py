"""A server for one goal, in this terminal: `glasshouse daemon test GOAL`, without a server or a login.

The whole daemon runs as it does behind a server, its limits and its allow-list included; what would be told
to the server is told here, and what would be asked on the lens is asked here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import trio

from actors.desktop_daemon.ports import Link, LinkClosed, ReportAnswer
from protocols.desktop import frames
from protocols.desktop.documents import Approval
from protocols.desktop.reports import CompleteReport, LogReport, StatusReport

AGENT_ID = "agent_test"


class LocalServer:
    """Implements `Dialler` and `Reports` of the daemon.

    Args:
      tell: shows a line.
      ask: shows an approval and waits for its answer, in a thread.
    """

    def __init__(
        self,
        goal: str,
        working_directory: str | None,
        *,
        tell: Callable[[str], None],
        ask: Callable[[Approval], frames.ApproveAgent],
    ) -> None:
        self._spawn = frames.SpawnAgent(agent_id=AGENT_ID, goal=goal, working_directory=working_directory)
        self._tell = tell
        self._ask = ask
        self._heard: Callable[[bytes], None] = lambda _: None
        self._over = trio.Event()
        self._asked: set[str] = set()
        self._step = ""
        self._send, self._approvals = trio.open_memory_channel[Approval](16)
        self.outcome = CompleteReport(status="failed", error="it did not begin")

    async def wait(self) -> CompleteReport:
        """Answer what is asked until the agent has ended; its outcome."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer_all)
            await self._over.wait()
            nursery.cancel_scope.cancel()
        return self.outcome

    async def dial(self, opened: Callable[[Link], None], heard: Callable[[bytes], None]) -> LinkClosed:
        """See `Dialler`."""
        self._heard = heard
        opened(self)
        await trio.sleep_forever()
        raise AssertionError("slept for ever")

    def has_other_token(self) -> bool:
        return False

    def send(self, frame: bytes) -> bool:
        """A frame of the daemon."""
        said = frames.read_from_daemon(frame)
        if isinstance(said, frames.Hello):
            self._say(frames.Welcome(server_time=round(time.time() * 1000)))
            self._say(self._spawn)
        elif isinstance(said, frames.AgentAck) and said.status == "error":
            self._end(CompleteReport(status="failed", error=said.error))
        return True

    def close(self, code: int, reason: str = "") -> None:
        pass

    async def post(self, route: str, body: bytes) -> ReportAnswer:
        """A report of the daemon."""
        await trio.lowlevel.checkpoint()
        match route.rpartition("/")[2]:
            case "status":
                self._status(msgspec.json.decode(body, type=StatusReport))
            case "log":
                self._tell(msgspec.json.decode(body, type=LogReport).content.rstrip("\n"))
            case "complete":
                self._end(msgspec.json.decode(body, type=CompleteReport))
        return ReportAnswer(200)

    def _status(self, report: StatusReport) -> None:
        if report.current_step and report.current_step != self._step:
            self._step = report.current_step
            self._tell(f"[{report.status}] {report.current_step}")
        approval = report.approval
        if approval is not None and approval.approval_id not in self._asked:
            self._asked.add(approval.approval_id)
            self._send.send_nowait(approval)

    async def _answer_all(self) -> None:
        async for approval in self._approvals:
            self._say(await trio.to_thread.run_sync(self._ask, approval, abandon_on_cancel=True))

    def _say(self, frame: frames.ToDaemon) -> None:
        self._heard(frames.encode(frame))

    def _end(self, outcome: CompleteReport) -> None:
        self.outcome = outcome
        self._over.set()
