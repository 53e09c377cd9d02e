"""A whole desk: the real server, the real daemon, the real Claude Code CLI, a scripted model on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.messages_loopback import Asked, MessagesLoopback, Reply, ToolUse, open_messages_loopback
from tests.system.claude_program import KEY, install_claude
from tests.system.desktop import Desk, all_gone
from tests.system.server import Server


@pytest.fixture(scope="module")
def claude() -> str:
    return install_claude()


def _bash(command: str) -> ToolUse:
    return ToolUse("Bash", {"command": command, "description": "A step"})


async def test_claude_goes_on_after_its_daemon_was_killed_while_it_asked(claude: str, tmp_path: Path) -> None:
    replies: list[Reply] = [
        ["First.", _bash("touch first.txt")],
        ["Second.", _bash("touch second.txt")],
        ["Second, again.", _bash("touch second.txt")],
        "Both files are there.",
    ]
    loopback = MessagesLoopback(
        lambda asked: (replies.pop(0) if replies else "Nothing more.") if asked.tools else "Fine."
    )
    async with open_messages_loopback(loopback):
        variables = {
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": loopback.url,
            "CLAUDE_CODE_MAX_RETRIES": "1",
        }
        (tmp_path / "server").mkdir()
        with (
            Server.start(tmp_path / "server", "desktop.test_endpoints=true") as server,
            Desk(tmp_path, server, claude=claude, variables=variables) as desk,
        ):
            await desk.register()
            desk.start()
            await desk.online()
            agent_id = await desk.spawn("Make two files.", ".")
            first = await desk.agent(agent_id, "needs_approval")
            assert "touch first.txt" in first["approval"]["detail"]
            assert not (desk.root / "first.txt").exists()
            await desk.answer(agent_id, first, "approve")
            second = await desk.agent(agent_id, "needs_approval", after=first)
            assert (desk.root / "first.txt").exists()

            below = desk.below()
            desk.kill()
            await all_gone(below)
            desk.start()
            again = await desk.agent(agent_id, "needs_approval", after=second)
            assert "touch second.txt" in again["approval"]["detail"]
            await desk.answer(agent_id, again, "approve")
            done = await desk.agent(agent_id, "completed", "failed")

    assert ("completed", "Both files are there.") == (done["status"], done["result"])
    assert (desk.root / "second.txt").exists()
    assert 3 == len({view["approval"]["approvalId"] for view in (first, second, again)})
    assert _is_told_to_go_on(loopback.asked)
    assert KEY not in desk.log()


def _is_told_to_go_on(asked: list[Asked]) -> bool:
    """The last conversation has the first one's history: it is the same session."""
    return "Make two files." in str(asked[-1].body["messages"])
