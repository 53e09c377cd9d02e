"""A server without a key: what is asked plainly works, and what cannot be told is not invented."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from trio.testing import MockClock

from actors.assistant import synthesis
from actors.assistant.deciding import request_of
from actors.assistant.rules import RulesModel
from actors.desktop.messages import DaemonView
from actors.language_ports import ModelMessage, ToolCall, ToolResult
from protocols.desktop.documents import AgentResult
from tests.actors.assistant.desk import LAPTOP, TOWER, open_desk


async def decided(query: str, *rounds: ModelMessage) -> ToolCall:
    request = request_of(query, (), rounds, model="any", most_tokens=100, is_last=False, may_force=True)
    (call,) = (await RulesModel().answer(request, timeout_s=1)).calls
    return call


@pytest.mark.parametrize(
    ("query", "goal"),
    [
        ("run the tests", "run the tests"),
        ("Run ls -la", "ls -la"),
        ("please execute pytest -q", "pytest -q"),
        ("bash: ls -la", "bash: ls -la"),
        ("run bash: ls", "bash: ls"),
        ("Run npm test", "npm test"),
        ("Hey, can you fix the failing test in my project?", "fix the failing test in my project?"),
        ("Please refactor login.ts", "refactor login.ts"),
        ("fix the auth bug in login.ts", "fix the auth bug in login.ts"),
        ("Could you please list the files in my home directory", "list the files in my home directory"),
        ("test the parser on my laptop", "test the parser on my laptop"),
        ("commit what I changed", "commit what I changed"),
    ],
)
async def test_a_plain_wish_is_an_agents_goal(query: str, goal: str) -> None:
    call = await decided(query)

    assert ("decide", "spawn_agent", goal) == (call.name, call.arguments["decision"], call.arguments["goal"])


@pytest.mark.parametrize("query", ["Fix the bug", "fix it", "Please test this", "run", "debug the problem!"])
async def test_a_wish_that_names_nothing_is_asked_back(query: str) -> None:
    call = await decided(query)

    assert "clarifying_question" == call.arguments["decision"]
    assert str(call.arguments["glasses_display"]).endswith("what, and where?")


@pytest.mark.parametrize(
    ("query", "tool", "arguments"),
    [
        ("What are my agents doing?", "get_running_agents", {}),
        ("Is anything running?", "get_running_agents", {}),
        ("status of my agents", "get_running_agents", {}),
        ("Is my computer online?", "get_daemon_status", {}),
        ("Which desktops are connected", "get_daemon_status", {}),
        ("What tasks did I give you?", "get_recent_tasks", {}),
        ("show my recent tasks", "get_recent_tasks", {}),
        ("What did we talk about?", "get_conversation_summary", {}),
        ("How is agent_17_abc123 doing?", "get_agent_status", {"agentId": "agent_17_abc123"}),
    ],
)
async def test_a_question_that_a_tool_answers_asks_that_tool(
    query: str, tool: str, arguments: dict[str, object]
) -> None:
    call = await decided(query)

    assert (tool, arguments) == (call.name, call.arguments)


@pytest.mark.parametrize("query", ["What is React?", "Why is the sky blue", "Wie spät ist es?", "🤷"])
async def test_what_it_does_not_know_it_says(query: str) -> None:
    call = await decided(query)

    assert "direct_response" == call.arguments["decision"]
    assert "without a language model" in str(call.arguments["glasses_display"])
    assert "ANTHROPIC_API_KEY" in str(call.arguments["webview_content"])


@pytest.mark.parametrize(("query", "said"), [("Hello!", "Hello"), ("What can you do?", "I run things")])
async def test_it_is_polite(query: str, said: str) -> None:
    assert str((await decided(query)).arguments["glasses_display"]).startswith(said)


async def test_the_goal_is_the_wish_and_the_result_is_told_as_it_came() -> None:
    model = RulesModel()
    goal = synthesis.goal_request("Fix a.py", "fix a.py\nnow", (), model="any", most_tokens=9)
    assert "fix a.py\nnow" == (await model.answer(goal, timeout_s=1)).text

    def sums_up(**fields: object) -> synthesis.Texts:
        result = AgentResult(agent_id="agent_1", **fields)  # type: ignore[arg-type]
        return synthesis.Texts(*msgspec.json.decode(asked(result), type=tuple[str, str]))

    def asked(result: AgentResult) -> bytes:
        request = synthesis.result_request("Fix a.py", result, model="any", most_tokens=9, characters=500)
        answer = model._of(request)
        texts = synthesis.texts_of(answer)
        assert texts is not None
        return msgspec.json.encode((texts.glasses_display, texts.webview_content))

    completed = sums_up(status="completed", result="## 12 tests pass\nin 3 s")
    assert "12 tests pass" == completed.glasses_display
    assert "## 12 tests pass\nin 3 s" in completed.webview_content
    failed = sums_up(status="failed", error="exit status 1")
    assert "Task failed. exit status 1" == failed.glasses_display
    assert "Task completed successfully." == sums_up(status="completed").glasses_display


@dataclass(frozen=True)
class Said:
    lens: str
    page: str


async def answer_to(query: str, *daemons: DaemonView) -> Said:
    """What a wearer without a key reads."""
    async with open_desk(other_model=RulesModel()) as desk:
        desk.desktops.daemons = daemons
        desk.desktops.made("agent_1_x", "task_0", "count the files", "running")
        await desk.answered("Hello")
        task = await desk.answered(query)
        assert task.result is not None, task.error
        assert [("rules", 0.0)] == [(use.model, use.cost_usd) for use in task.usage]
        return Said(task.result.glasses_display, task.result.webview_content)


async def test_the_tools_answers_are_put_into_words(autojump_clock: MockClock) -> None:
    assert "1 agent running: count the files" == (await answer_to("What are my agents doing?")).lens
    assert "Online: laptop, Big Tower." == (await answer_to("Is my computer on?", LAPTOP, TOWER)).lens
    assert "No computer is registered." == (await answer_to("Is my computer online?")).lens
    assert "Last: Hello (completed)." == (await answer_to("What tasks did I give you?")).lens
    assert "You last said: Hello" == (await answer_to("What did we talk about?")).lens
    agent = await answer_to("How is agent_1_x doing?")
    assert ("The agent is running: count the files", True) == (agent.lens, "count the files" in agent.page)
    assert "I can't tell: there is no agent agent_9" == (await answer_to("How is agent_9 doing?")).lens


async def test_a_wish_becomes_an_agent_and_its_result_an_answer(autojump_clock: MockClock) -> None:
    async with open_desk(other_model=RulesModel()) as desk:
        task = await desk.answered("Please run the tests in my project")
        assert ["run the tests in my project"] == [spawn.goal for spawn in desk.desktops.spawns]
        desk.desktops.move("agent_1", "completed", result="12 tests pass")
        await desk.settle()

        result = (await desk.find(task)).result
        assert result is not None
        assert ("agent_result", "12 tests pass") == (result.type, result.glasses_display)


async def test_a_tool_that_says_nothing_readable_is_no_crash() -> None:
    rounds = (
        ModelMessage("assistant", "", calls=(ToolCall("rules", "get_daemon_status", {}),)),
        ModelMessage("user", "Is it on?", results=(ToolResult("rules", "no json", is_error=True),)),
    )
    assert "I can't tell" in str((await decided("Is it on?", *rounds)).arguments["glasses_display"])
