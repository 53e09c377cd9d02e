"""What every failure on a task's way comes to: of models, of agents, of the process."""

from __future__ import annotations

from typing import get_args

import pytest

from actors.assistant import flow
from actors.assistant.settings import AssistantSettings
from actors.language_ports import ErrorKind
from adapters.simulated.language_model import decides, says, sums_up
from tests.actors.assistant.flows import APPROVAL, Machine, agent, running, spawning, synthesizing

# -- failures of models


def test_a_passing_failure_is_tried_again_after_what_the_provider_asks_for() -> None:
    machine = Machine().begin().fail("rate", retry_after_s=7.0)
    assert [] == machine.all(flow.Ask)
    assert 7.0 == machine.the(flow.LookAgain).after_s

    machine.look(after_s=7.0)
    assert 23.0 == machine.the(flow.Ask).within_s
    machine.answer(decides("direct_response"))

    assert "completed" == machine.task.status


@pytest.mark.parametrize("kind", ["rate", "overloaded", "network", "protocol"])
def test_a_decision_that_keeps_failing_is_a_failed_task_in_plain_words(kind: ErrorKind) -> None:
    machine = Machine().begin()
    waits = []
    for _ in range(2):
        machine.fail(kind)
        waits.append(machine.the(flow.LookAgain).after_s)
        machine.look(after_s=waits[-1])
        assert machine.all(flow.Ask)
    machine.fail(kind)

    assert [0.5, 1.0] == waits
    task = machine.task
    assert ("failed", None, None) == (task.status, task.phase, task.result)
    assert task.error is not None
    assert task.error.startswith("The assistant")
    assert len(task.error) <= 100
    assert f"the cause of {kind}" == task.error_detail


@pytest.mark.parametrize("kind", ["auth", "quota", "model"])
def test_a_failure_that_stays_is_not_tried_again(kind: ErrorKind) -> None:
    machine = Machine().begin().fail(kind)

    assert [] == machine.all(flow.Ask)
    assert "failed" == machine.task.status


def test_a_provider_that_asks_for_more_than_there_is_time_for_has_failed() -> None:
    assert "failed" == Machine().begin().fail("rate", retry_after_s=29.0, after_s=2.0).task.status
    assert "failed" == Machine().begin().fail("overloaded", retry_after_s=31.0).task.status
    assert "failed" == Machine().begin().fail("timeout", after_s=30.0).task.status


def test_a_model_that_refuses_to_be_told_its_tool_is_asked_in_words() -> None:
    machine = Machine().begin().fail("request")
    again = machine.the(flow.Ask).request
    assert ("auto", "") == (again.choice, again.forced)

    machine.answer(says("React is a UI library."))

    assert machine.task.result is not None
    assert "React is a UI library." == machine.task.result.glasses_display
    assert "failed" == Machine().begin().fail("request").fail("request").task.status


def test_a_goal_that_no_model_writes_is_the_one_that_was_decided() -> None:
    machine = Machine().begin().answer(decides("spawn_agent", goal="the draft"))
    machine.fail("auth")

    assert "the draft" == machine.the(flow.Start).goal


@pytest.mark.parametrize("answer", [says(""), says("Half of it", is_complete=False), says("x" * 9000)])
def test_a_goal_that_will_not_do_is_the_one_that_was_decided(answer: object) -> None:
    machine = Machine().begin().answer(decides("spawn_agent", goal="the draft"))
    machine.answer(answer)  # type: ignore[arg-type]

    assert "the draft" == machine.the(flow.Start).goal


@pytest.mark.parametrize(
    "answer", [says("no json"), says("{}"), says('{"glasses_display": 1, "webview_content": "x"}'), None]
)
def test_a_synthesis_that_fails_has_fixed_words_and_the_raw_result(answer: object) -> None:
    machine = synthesizing("completed", result="12 tests pass")
    if answer is None:
        machine.fail("auth")
    else:
        machine.answer(answer)  # type: ignore[arg-type]

    result = machine.task.result
    assert result is not None
    assert ("completed", "Task completed successfully.") == (machine.task.status, result.glasses_display)
    assert "12 tests pass" in result.webview_content


def test_a_synthesis_that_fails_says_the_agents_error() -> None:
    result = synthesizing("failed", error="exit status 1").fail("auth").task.result

    assert result is not None
    assert "Task failed. exit status 1" == result.glasses_display


# -- the agent


def test_no_agent_is_a_failed_task() -> None:
    task = spawning().take(flow.NotSpawned("None of your computers is online.")).task

    assert ("failed", "None of your computers is online.") == (task.status, task.error)
    assert (None, False, None) == (task.result, task.agent_spawned, task.agent_id)


def test_a_desktop_that_says_nothing_has_failed_and_what_comes_late_is_ended() -> None:
    machine = spawning()
    assert 30.0 == machine.the(flow.LookAgain).after_s

    machine.look(after_s=30.0)
    assert ("failed", flow.NOT_STARTED) == (machine.task.status, machine.task.error)

    machine.take(flow.Spawned(agent("running")))
    assert flow.Kill("agent_1") == machine.the(flow.Kill)


def test_an_agent_that_takes_too_long_is_killed() -> None:
    machine = running()
    assert 1800.0 == machine.the(flow.LookAgain).after_s
    machine.take(flow.AgentMoved(agent("needs_approval", approval=APPROVAL)), after_s=1000.0)
    assert 800.0 == machine.the(flow.LookAgain).after_s

    machine.look(after_s=800.0)

    assert flow.Kill("agent_1") == machine.the(flow.Kill)
    assert ("failed", flow.TOO_LONG, None) == (
        machine.task.status,
        machine.task.error,
        machine.task.approval,
    )


def test_a_calendar_that_jumps_ends_no_agent() -> None:
    machine = running()

    machine.wall_offset_ms = 86_400_000
    machine.take(flow.AgentMoved(agent("running")), after_s=10.0)

    assert [] == machine.all(flow.Kill)
    assert 1790.0 == machine.the(flow.LookAgain).after_s


def test_the_time_before_a_restart_counts() -> None:
    machine = Machine(agent_id="agent_1", agent_spawned=True, phase="running")
    machine.now = 1000.0

    machine.take(flow.Began(agent("running")))

    assert 800.0 == machine.the(flow.LookAgain).after_s


def test_news_of_another_agent_changes_nothing() -> None:
    machine = running()
    before = machine.work

    machine.take(flow.AgentMoved(agent("completed", agent_id="agent_2")))

    assert before == machine.work


def test_news_that_changes_nothing_outside_is_no_new_document() -> None:
    machine = running()
    before = machine.task

    machine.take(flow.AgentMoved(agent("running", current_step="reading")), after_s=5.0)

    assert before == machine.task


# -- giving up


def test_a_task_that_is_given_up_takes_its_agent_along() -> None:
    machine = running().take(flow.Cancelled())

    assert flow.Kill("agent_1") == machine.the(flow.Kill)
    assert ("failed", True, flow.CANCELLED) == (
        machine.task.status,
        machine.task.is_cancelled,
        machine.task.error,
    )


def test_a_question_that_is_given_up_is_dropped() -> None:
    machine = Machine().begin()
    job = machine.work.job

    machine.take(flow.Cancelled())
    assert flow.Drop(job) == machine.the(flow.Drop)
    assert [] == machine.all(flow.Kill)

    assert machine.task == machine.take(flow.Answered(job, decides("direct_response"))).task


# -- going on after a crash


def test_a_task_without_an_agent_is_answered_again_from_its_query() -> None:
    machine = Machine(phase="formulating").take(flow.Began())

    assert "deciding" == machine.task.phase
    assert machine.the(flow.Ask).request.tools


def test_a_task_with_a_living_agent_goes_on_waiting() -> None:
    machine = Machine(phase="spawning").take(flow.Began(agent("running")))

    assert flow.Start("Fix it.", None) == machine.the(flow.Start)  # so that the desktop tells of it
    assert ("running", "agent_1") == (machine.task.phase, machine.task.agent_id)


def test_a_task_whose_agent_has_ended_meanwhile_is_summed_up() -> None:
    machine = Machine(phase="running", agent_id="agent_1").take(flow.Began(agent("completed", result="Done")))

    assert "Done" in machine.the(flow.Ask).request.messages[-1].text
    assert [] == machine.all(flow.Start)


def test_a_task_in_synthesis_synthesizes_again() -> None:
    machine = synthesizing("completed", result="Done")
    first = machine.work.job

    machine.take(flow.Began(agent("completed", result="Done")))
    assert first != machine.work.job
    machine.take(flow.Answered(first, sums_up("Old.", "Old.")))
    assert "synthesizing" == machine.task.phase
    machine.answer(sums_up("New.", "New."))

    assert machine.task.result is not None
    assert "New." == machine.task.result.glasses_display


def test_a_task_whose_agent_is_gone_fails_plainly() -> None:
    task = Machine(phase="running", agent_id="agent_1").take(flow.Began()).task

    assert ("failed", flow.AGENT_GONE) == (task.status, task.error)


def test_a_crash_between_goal_and_agent_asks_for_the_same_agent() -> None:
    machine = spawning()
    goal = machine.the(flow.Start)

    assert goal == machine.take(flow.Began()).the(flow.Start)


def test_every_failure_of_a_model_has_words_for_the_lens() -> None:
    for kind in get_args(ErrorKind):
        task = Machine(settings=AssistantSettings(attempts=1)).begin().fail(kind).fail(kind).task
        assert task.error is not None
        assert not task.error.endswith("…")
