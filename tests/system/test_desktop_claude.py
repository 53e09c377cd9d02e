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


async def test_claude_goes_on_after_its_daemon_was_killed_and_again_after_its_end(
    claude: str, tmp_path: Path
) -> None:
    replies: list[Reply] = [
        ["First.", _bash("touch first.txt")],
        ["Second.", _bash("touch second.txt")],
        ["Second, again.", _bash("touch second.txt")],
        "Both files are there.",
        ["A third one.", _bash("touch third.txt")],
        "Now there are three.",
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

            ask = {"query": "And one more, please.", "resumes": agent_id}
            asked = await desk.ask("POST", "/api/master-agent/query", ask)
            task = await desk.task(asked["taskId"], "needs_approval")
            third = task["agentId"]
            await desk.answer(third, await desk.agent(third, "needs_approval"), "approve")
            beyond = await desk.task(asked["taskId"], None)

    assert ("completed", "Both files are there.") == (done["status"], done["result"])
    assert (desk.root / "second.txt").exists()
    assert 3 == len({view["approval"]["approvalId"] for view in (first, second, again)})
    assert "completed" == beyond["status"]
    assert "Now there are three." == beyond["result"]["agentResult"]["result"]
    assert (desk.root / "third.txt").exists()
    told = _prompts(loopback.asked)
    assert ["Make two files.", "And one more, please."] == [told[0], told[-1]]
    assert "You were cut off while you did this." in told[1]
    assert "Both files are there." in str(loopback.asked[-1].body["messages"])
    assert KEY not in desk.log()


def _prompts(asked: list[Asked]) -> list[str]:
    """What the program was told, as the last conversation with its model has it: one session."""
    last = next(one for one in reversed(asked) if one.tools)
    texts = []
    for message in last.body["messages"]:
        blocks = message["content"]
        if message["role"] == "user":
            plain = [blocks] if isinstance(blocks, str) else [one.get("text", "") for one in blocks]
            texts += [text for text in plain if text and not text.startswith("<")]
    return texts
