"""A task's way, from query to end: what is asked when, and what every failure comes to."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.assistant import flow
from actors.assistant.settings import AssistantSettings
from actors.language_ports import ModelAnswer, ModelMessage, ToolResult
from adapters.simulated.language_model import calls, decides, says, sums_up
from protocols.desktop.documents import FINAL
from tests.actors.assistant.flows import APPROVAL, START_MS, Machine, agent, running, spawning, synthesizing

# -- the ways


def test_a_direct_answer_needs_one_question_to_the_fast_model() -> None:
    machine = Machine("What is React?").begin()
    asked = machine.the(flow.Ask)

    machine.answer(decides("direct_response", "A UI library.", "# React\nA UI library."), after_s=1.5)

    assert ("claude-haiku-4-5", "any", "") == (
        asked.request.model,
        asked.request.choice,
        asked.request.forced,
    )
    assert 30.0 == asked.within_s
    task = machine.task
    assert ("completed", None, 1500) == (task.status, task.phase, task.processing_time_ms)
    assert START_MS + 1500 == task.completed_at
    assert task.result is not None
    assert ("direct_response", "A UI library.", "# React\nA UI library.") == (
        task.result.type,
        task.result.glasses_display,
        task.result.webview_content,
    )
    assert (False, None, None) == (task.agent_spawned, task.agent_id, task.error)


def test_a_vague_wish_is_asked_back() -> None:
    machine = Machine("Fix the bug").begin().answer(decides("clarifying_question", "Which bug?", "Which?"))

    assert machine.task.result is not None
    assert ("clarifying_question", "Which bug?") == (
        machine.task.result.type,
        machine.task.result.glasses_display,
    )


def test_a_wish_for_an_agent_goes_all_the_way() -> None:
    machine = Machine().begin().answer(decides("spawn_agent", goal="the draft", working_directory="/srv/app"))
    goal = machine.the(flow.Ask)
    assert ("formulating", "claude-sonnet-4-6", 60.0) == (
        machine.task.phase,
        goal.request.model,
        goal.within_s,
    )

    machine.answer(says("Fix the password check in login.ts."))
    assert flow.Start("Fix the password check in login.ts.", "/srv/app") == machine.the(flow.Start)
    assert "spawning" == machine.task.phase

    machine.take(flow.Spawned(agent("initializing")))
    assert ("running", "agent_1", True) == (
        machine.task.phase,
        machine.task.agent_id,
        machine.task.agent_spawned,
    )
    machine.take(flow.AgentMoved(agent("needs_approval", approval=APPROVAL)))
    assert ("needs_approval", APPROVAL) == (machine.task.phase, machine.task.approval)
    machine.take(flow.AgentMoved(agent("running")))
    assert ("running", None) == (machine.task.phase, machine.task.approval)

    machine.take(flow.AgentMoved(agent("completed", result="Fixed, 12 tests pass.", execution_time_ms=45)))
    synthesis = machine.the(flow.Ask)
    assert ("synthesizing", "claude-sonnet-4-6") == (machine.task.phase, synthesis.request.model)
    assert "Fixed, 12 tests pass." in synthesis.request.messages[-1].text

    machine.answer(sums_up("Fixed auth bug. Tests pass.", "# Auth bug fix"))
    result = machine.task.result
    assert result is not None
    assert ("agent_result", "Fixed auth bug. Tests pass.", "# Auth bug fix", "agent_1") == (
        result.type,
        result.glasses_display,
        result.webview_content,
        result.agent_id,
    )
    assert result.agent_result is not None
    assert ("completed", "Fixed, 12 tests pass.", 45) == (
        result.agent_result.status,
        result.agent_result.result,
        result.agent_result.execution_time_ms,
    )


def test_a_failed_agent_is_a_completed_task_that_says_so() -> None:
    machine = synthesizing("failed", error="exit status 1")
    assert "exit status 1" in machine.the(flow.Ask).request.messages[-1].text

    machine.answer(sums_up("The tests fail.", "They fail."))

    assert "completed" == machine.task.status
    assert machine.task.result is not None
    assert machine.task.result.agent_result is not None
    assert ("failed", "exit status 1") == (
        machine.task.result.agent_result.status,
        machine.task.result.agent_result.error,
    )


def test_an_agent_that_was_stopped_needs_no_model_to_say_so() -> None:
    machine = synthesizing("cancelled")

    assert [] == machine.all(flow.Ask)
    assert machine.task.result is not None
    assert "The agent was stopped." == machine.task.result.glasses_display


def test_an_agent_that_has_ended_when_it_is_told_of_is_not_waited_for() -> None:
    machine = spawning().take(flow.Spawned(agent("failed", error="no such directory")))

    assert "synthesizing" == machine.task.phase


def test_the_directory_of_whoever_asked_goes_before_the_models() -> None:
    machine = Machine(working_directory="/srv/ada").begin()

    machine.answer(decides("spawn_agent", goal="g", working_directory="/etc")).answer(says("Go."))

    assert "/srv/ada" == machine.the(flow.Start).working_directory


# -- what the models see


HISTORY = (ModelMessage("user", "Hello"), ModelMessage("assistant", "Hello."))


def test_the_query_is_verbatim_and_last_in_every_question_and_in_each_only_once() -> None:
    query = "  Fix <b>it</b>\nin {login}.ts “now” "
    machine = Machine(query, history=HISTORY).begin()
    questions = [machine.the(flow.Ask).request]
    machine.answer(calls(("get_recent_tasks", {})))
    machine.take(flow.ToolsRan(machine.work.job, (ToolResult("toolu_1", '{"count":0}'),)))
    questions.append(machine.the(flow.Ask).request)
    machine.answer(decides("spawn_agent", goal="the draft"))
    questions.append(machine.the(flow.Ask).request)
    machine.answer(says("Go.")).take(flow.Spawned(agent("completed", result="Done.")))
    questions.append(machine.the(flow.Ask).request)

    for request in questions:
        last = request.messages[-1]
        assert "user" == last.role
        assert last.text.endswith(query)
        assert query not in request.system
    decision, second, goal, synthesis = questions
    for request in (decision, goal, synthesis):
        assert 1 == sum(query in message.text for message in request.messages)
    assert HISTORY == decision.messages[:2] == second.messages[:2] == goal.messages[:2]
    assert '{"count":0}' == second.messages[-1].results[0].content


def test_roles_alternate_whatever_tools_were_called() -> None:
    machine = Machine(history=HISTORY).begin()
    for _ in range(3):
        machine.answer(calls(("get_daemon_status", {}), ("get_recent_tasks", {"limit": 3})))
        results = tuple(ToolResult(call.id, "{}") for call in machine.the(flow.RunTools).calls)
        machine.take(flow.ToolsRan(machine.work.job, results))

    roles = [message.role for message in machine.the(flow.Ask).request.messages]
    assert ["user", "assistant"] * (len(roles) // 2) + ["user"] == roles


def test_the_fifth_question_can_only_be_answered_by_a_decision() -> None:
    machine = Machine().begin()
    for number in range(1, 5):
        assert ("any", "") == (machine.the(flow.Ask).request.choice, machine.the(flow.Ask).request.forced)
        machine.answer(calls(("get_running_agents", {})))
        machine.take(flow.ToolsRan(machine.work.job, (ToolResult("toolu_1", f"{number}"),)))

    assert "decide" == machine.the(flow.Ask).request.forced
    machine.answer(calls(("get_running_agents", {})))

    assert [] == machine.all(flow.RunTools)
    assert machine.task.result is not None
    assert "direct_response" == machine.task.result.type


def test_a_decision_beside_other_calls_counts_and_they_do_not() -> None:
    answer = calls(
        ("get_recent_tasks", {}),
        ("decide", {"decision": "direct_response", "glasses_display": "Yes.", "webview_content": "Yes."}),
    )
    machine = Machine().begin().answer(answer)

    assert [] == machine.all(flow.RunTools)
    assert "completed" == machine.task.status


@pytest.mark.parametrize(
    "answer",
    [
        decides("erase_everything"),
        decides("spawn_agent"),
        decides("spawn_agent", goal="   "),
        decides("direct_response", "", ""),
        calls(("decide", {})),
        calls(("decide", {"decision": 7, "glasses_display": ["no"]})),
        says(""),
        says("{not json"),
        says("<html>a proxy's</html>"),
        says("Half an ans", is_complete=False),
    ],
)
def test_what_is_no_decision_becomes_a_polite_answer(answer: ModelAnswer) -> None:
    machine = Machine().begin().answer(answer)

    assert "completed" == machine.task.status
    assert machine.task.result is not None
    assert "direct_response" == machine.task.result.type
    assert machine.task.result.glasses_display.startswith("Sorry")
    assert machine.task.result.webview_content


def test_both_texts_are_always_there_and_the_lens_text_is_cut() -> None:
    long = "One two three four five six seven eight nine ten " * 4
    answered = {
        "page only": decides("direct_response", "", f"# Title\n\n- **{long}**"),
        "lens only": decides("clarifying_question", long, ""),
        "both": decides("direct_response", long, long),
    }
    for name, answer in answered.items():
        result = Machine().begin().answer(answer).task.result
        assert result is not None, name
        assert 0 < len(result.glasses_display) <= 100, name
        assert result.glasses_display.endswith("…"), name
        assert result.webview_content, name
        assert "*" not in result.glasses_display, name
    result = synthesizing().answer(sums_up(long, long)).task.result
    assert result is not None
    assert len(result.glasses_display) <= 100


# -- what it cost


def test_tokens_and_cost_are_counted_by_model() -> None:
    machine = synthesizing("completed", result="Done").answer(sums_up("Done.", "Done."))

    by_model = {use.model: use for use in machine.task.usage}
    fast, smart = by_model["claude-haiku-4-5"], by_model["claude-sonnet-4-6"]
    assert (1, 1_000, 100, 0.0015) == (fast.calls, fast.input_tokens, fast.output_tokens, fast.cost_usd)
    assert (2, 2_000, 200, 0.009) == (smart.calls, smart.input_tokens, smart.output_tokens, smart.cost_usd)
    assert 0.0105 == machine.task.cost_usd


# -- whatever comes, in any order


EVENTS = st.one_of(
    st.builds(flow.Began, st.one_of(st.none(), st.sampled_from([agent("running"), agent("completed")]))),
    st.builds(
        flow.Answered,
        st.integers(0, 4),
        st.sampled_from(
            [
                decides("direct_response"),
                decides("spawn_agent", goal="g"),
                decides("nonsense"),
                calls(("get_recent_tasks", {})),
                says("words"),
                sums_up("a", "b"),
            ]
        ),
    ),
    st.builds(
        flow.NotAnswered,
        st.integers(0, 4),
        st.sampled_from(["rate", "auth", "request", "timeout"]),
        st.just("cause"),
        st.floats(0, 40),
    ),
    st.builds(flow.ToolsRan, st.integers(0, 4), st.just((ToolResult("toolu_1", "{}"),))),
    st.builds(
        flow.Spawned,
        st.sampled_from([agent("initializing"), agent("failed"), agent(agent_id="b")]),
    ),
    st.builds(flow.NotSpawned, st.just("Nobody is online.")),
    st.builds(
        flow.AgentMoved,
        st.sampled_from(
            [
                agent("running"),
                agent("needs_approval", approval=APPROVAL),
                agent("completed", result="x"),
                agent("cancelled"),
            ]
        ),
    ),
    st.just(flow.Cancelled()),
    st.just(flow.Looked()),
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 100)), max_size=30))
def test_whatever_comes_a_task_ends_once_and_never_waits_for_nothing(
    events: list[tuple[flow.FlowEvent, float]],
) -> None:
    machine = Machine().begin()
    for event, after_s in events:
        before = machine.task
        was_over = machine.work.is_over
        machine.take(event, after_s=after_s)
        task, work = machine.task, machine.work
        if was_over:
            assert before == task
        if task.status == "completed":
            assert task.result is not None
            assert task.result.glasses_display
            assert task.result.webview_content
        elif task.status == "failed":
            assert task.error
            assert task.result is None
        else:
            assert task.phase is not None
            is_timed = bool(machine.all(flow.LookAgain)) if work.again_at or work.due_at else False
            assert work.job or is_timed, "nothing would ever move it again"
        assert (task.status == "processing") is (task.completed_at is None)
        assert (task.phase == "needs_approval") is (
            task.approval is not None
        ) or task.phase == "needs_approval"


def test_final_states_of_agents_are_those_that_are_summed_up() -> None:
    for status in (
        "pending",
        "initializing",
        "running",
        "needs_approval",
        "completed",
        "failed",
        "cancelled",
    ):
        machine = running().take(flow.AgentMoved(agent(status)))
        is_summed_up = machine.task.phase == "synthesizing" or machine.work.is_over
        assert (status in FINAL) is is_summed_up


def test_settings_are_bounds() -> None:
    machine = Machine(settings=AssistantSettings(rounds=1)).begin()

    assert "decide" == machine.the(flow.Ask).request.forced
