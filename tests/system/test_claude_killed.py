"""The real Claude Code CLI, killed with -9 while it waits to be allowed something: it goes on by itself."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from actors.desktop_daemon.ports import Done, Output, Withdrawn
from adapters.terminal import ClaudeMode
from tests.adapters.terminal.scene import left_over
from tests.system.claude_program import KEY, bash, install_claude, open_desk, scripted


@pytest.fixture(scope="module")
def claude() -> str:
    return install_claude()


@pytest.mark.parametrize("mode", ["terminal", "stream"])
async def test_a_cli_that_is_killed_while_it_asks_is_resumed_and_asks_again(
    claude: str, mode: ClaudeMode, tmp_path: Path
) -> None:
    reply = scripted(
        ["First.", bash("touch first.txt")],
        ["Second.", bash("touch second.txt")],
        ["Third.", bash("touch third.txt")],
        ["Third, again.", bash("touch third.txt")],
        "First and third are there.",
    )
    async with open_desk(tmp_path, claude, reply, mode) as desk:
        ordered = desk.order("Make three files.")
        async with desk.run(ordered) as run:
            assert run.approve(await run.question())
            second = await run.question(2)
            assert run.agent.answer(second.approval.approval_id, "deny", None, "Not that one.")
            third = await run.question(3)
            words = [word for process in left_over(ordered) for word in process.cmdline()]
            _kill(left_over(ordered), claude)
            again = await run.question(4)
            assert not run.approve(third)
            assert run.approve(again)
            outcome = await run.outcome()

    assert Done("First and third are there.") == outcome
    assert ["first.txt", "third.txt"] == sorted(path.name for path in desk.project.iterdir())
    assert Withdrawn(third.approval.approval_id) in run.events
    assert ["Run touch third.txt"] * 2 == [asked.approval.title for asked in (third, again)]
    notes = [event.content for event in run.events if isinstance(event, Output) and event.type == "note"]
    assert [
        "Claude Code has ended: signal SIGKILL. It is started again and goes on in its session.\n"
    ] == notes
    told = json.dumps(desk.loopback.asked[-1].body["messages"])
    assert '"First."' in told
    assert "You were cut off while you did this." in told
    assert KEY not in " ".join(words)
    assert (mode == "stream") == ("stream-json" in words)
    assert set() == left_over(ordered)


def _kill(processes: set[psutil.Process], program: str) -> None:
    """kill -9 for the program alone; what it runs has to be found by who started it."""
    (cli,) = (process for process in processes if process.exe() == str(Path(program).resolve()))
    cli.kill()
