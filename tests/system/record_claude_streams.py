"""Records what the real Claude Code CLI says without a terminal, for `tests/actors/desktop_daemon/streams`.

    python -m tests.system.record_claude_streams

Each file holds the lines of one run, as they came. Only paths of the machine are put in as `/data`, and the
lists of commands and models in the first reply, which nobody reads, are emptied.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec
import trio

from actors.desktop_daemon.claude_stream import Overlong
from actors.desktop_daemon.ports import NeedsApproval
from actors.desktop_daemon.terminal_facts import LineHeard
from adapters.terminal.pipes import LinePipes
from clients.messages_loopback import Fault, Reply, ToolUse
from protocols.desktop.documents import Decision
from tests.adapters.terminal.scene import Run
from tests.system.claude_program import Desk, bash, install_claude, open_desk, scripted
from tests.system.server import eventually

FOLDER: Final = Path(__file__).parents[1] / "actors" / "desktop_daemon" / "streams"

_OPTIONS: Final = [
    {"label": "SQLite", "description": "One file"},
    {"label": "PostgreSQL", "description": "A server"},
]
_QUESTIONS: Final = [
    {"question": "Which database?", "header": "Database", "multiSelect": False, "options": _OPTIONS},
    {"question": "Which name?", "header": "Name", "multiSelect": False, "options": _OPTIONS},
]
_BEHIND: Final = {"command": "sleep 1; touch late.txt", "description": "Waits", "run_in_background": True}
_WAITING: Final = bash("touch begun.txt; python3 -c 'import signal; signal.pause()'")

Acts = Callable[[Run, Desk], Awaitable[None]]


async def _approves(run: Run, desk: Desk) -> None:
    assert run.approve(await run.question())


async def _approves_both(run: Run, desk: Desk) -> None:
    await _approves(run, desk)
    assert run.approve(await run.question(2))


async def _approves_and_denies(run: Run, desk: Desk) -> None:
    await _approves(run, desk)
    _answer(run, await run.question(2), "deny", None)


async def _chooses_twice(run: Run, desk: Desk) -> None:
    _answer(run, await run.question(), "choose", "2")
    _answer(run, await run.question(2), "choose", "1")


async def _interrupts(run: Run, desk: Desk) -> None:
    await run.question()
    run.agent.interrupt()
    await run.question(2)
    run.agent.send_input("Do the other thing.")


async def _interrupts_a_tool(run: Run, desk: Desk) -> None:
    await _approves(run, desk)
    await eventually((desk.project / "begun.txt").exists)
    await _interrupts(run, desk)


async def _waits(run: Run, desk: Desk) -> None:
    await run.outcome()


def _answer(run: Run, asked: NeedsApproval, decision: Decision, choice: str | None) -> None:
    assert run.agent.answer(asked.approval.approval_id, decision, choice, "Not that one.")


RUNS: Final[dict[str, tuple[Sequence[Reply], Acts]]] = {
    "asks_twice": (
        [
            ["I look.", bash("echo hello | tee made.txt")],
            ["And now.", bash("touch refused.txt")],
            "Made one.",
        ],
        _approves_and_denies,
    ),
    "two_at_once": ([["Both.", bash("touch a.txt"), bash("touch b.txt")], "Done."], _approves_both),
    "questions": (
        [["I ask.", ToolUse("AskUserQuestion", {"questions": _QUESTIONS})], "Thanks."],
        _chooses_twice,
    ),
    "interrupted_while_asking": ([["First.", bash("touch a.txt")], "Did the other."], _interrupts),
    "interrupted_in_a_tool": ([["First.", _WAITING], "Did the other."], _interrupts_a_tool),
    "in_the_background": (
        [["I start it.", ToolUse("Bash", _BEHIND)], "It runs.", "It has ended."],
        _approves,
    ),
    "a_tool_fails": ([["I try.", bash("touch a.txt; ls /nowhere")], "It failed."], _approves),
    "refused_by_the_api": ([Fault(status=400, message="It was planned.")] * 12, _waits),
    "overloaded_api": ([Fault(status=529, message="Overloaded")] * 12, _waits),
}
"""What the model says, and what its user does."""


async def record(name: str, program: str) -> list[bytes]:
    """The lines of one run."""
    replies, acts = RUNS[name]
    lines: list[bytes] = []

    class Recorded(LinePipes):
        def __init__(self, folder: Path, tell: Callable[[LineHeard], None]) -> None:
            def keep(fact: LineHeard) -> None:
                assert not isinstance(fact.line, Overlong)
                lines.append(fact.line)
                tell(fact)

            super().__init__(folder, keep)

    with tempfile.TemporaryDirectory() as folder:
        with patch("adapters.terminal.claude.LinePipes", Recorded):
            async with (
                open_desk(Path(folder), program, scripted(*replies), "stream") as desk,
                desk.run(desk.order("Do it.")) as run,
            ):
                await acts(run, desk)
                await run.outcome()
        return [_clean(line, folder) for line in lines]


def _clean(line: bytes, folder: str) -> bytes:
    text = line.decode().replace(folder, "/data").replace(folder.replace("/", "-"), "-data")
    said: dict[str, Any] = json.loads(
        re.sub(re.escape(tempfile.gettempdir()) + r"/[\w-]+", "/data/tmp", text)
    )
    reply = said.get("response", {}).get("response", {})
    for key in reply.keys() & {"commands", "agents", "models", "available_output_styles"}:
        reply[key] = []
    return msgspec.json.encode(said)


async def _main() -> None:
    program = await trio.to_thread.run_sync(install_claude)
    FOLDER.mkdir(exist_ok=True)
    for name in RUNS:
        lines = await record(name, program)
        (FOLDER / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        print(name, len(lines), "lines")


if __name__ == "__main__":
    trio.run(_main)
