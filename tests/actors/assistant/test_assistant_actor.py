"""The assistant as an actor: tasks side by side, durable before they are told, taken up after every end."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.assistant.messages import TooManyQueriesError
from actors.assistant.settings import AssistantSettings
from actors.desktop.messages import DesktopsBack, IsIdle, StopListening
from actors.language_ports import ModelRequest
from actors.ports import StorageError
from adapters.simulated.language_model import Reply, calls, decides, fails, sums_up
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import Approval, Conversation, Option, Task
from tests.actors.assistant.desk import LAPTOP, TOWER, Desk, by_shape, open_desk, spawns
from tests.actors.world import ADA


async def conversation_of(desk: Desk) -> Conversation:
    (stored,) = await desk.world.store.list_documents("conversations", ADA, 10)
    return msgspec.json.decode(stored.document, type=Conversation)


async def test_a_query_is_answered_at_once_and_its_answer_is_found_later(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=3.0) as desk:
        task = await desk.ask("What is React?")
        assert ("processing", "What is React?", ADA) == (task.status, task.query, task.user_id)

        await trio.sleep(4.0)

        found = await desk.find(task)
        assert ("completed", 3000) == (found.status, found.processing_time_ms)
        assert found.result is not None
        assert "For the lens." == found.result.glasses_display


async def test_a_task_lies_in_the_store_before_it_is_told_of(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=3.0) as desk:
        task = await desk.ask()

        stored = await desk.world.store.find_document("tasks", task.task_id)
        assert stored is not None
        assert task == msgspec.json.decode(stored.document, type=Task)
        assert 1 == len((await conversation_of(desk)).turns)


async def test_what_listeners_hear_is_kept_and_ends_with_the_end(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns), delay_s=1.0) as desk:
        ear = await desk.listen()
        task = await desk.ask("Fix it in login.ts")
        await trio.sleep(3.0)
        option = Option(id="1", label="Yes")
        approval = Approval(approval_id="approval_1", title="Run npm test?", options=(option,))
        desk.desktops.move("agent_1", "needs_approval", approval=approval)
        await desk.settle()
        desk.desktops.move("agent_1", "completed", result="12 tests pass")
        await trio.sleep(2.0)

        phases = list(dict.fromkeys(heard.phase for heard in ear.heard))
        way = ["deciding", "formulating", "spawning", "running", "needs_approval", "synthesizing", None]
        assert [phase for phase in way if phase in phases] == phases
        assert {"deciding", "formulating", "running", "needs_approval", "synthesizing", None} <= set(phases)
        assert [approval] == [heard.approval for heard in ear.heard if heard.phase == "needs_approval"]
        assert "completed" == ear.heard[-1].status
        assert ear.heard[-1] == await desk.find(task)


async def test_nobody_listens_any_more_after_saying_so(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        ear = await desk.listen()
        desk.assistant.tell(StopListening(ear.ref))
        await desk.answered()

        assert [] == ear.heard


async def test_a_listener_that_ends_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        ear = await desk.listen()
        desk.world.system.stop_child(ear.ref)
        await desk.settle()

        assert {"listeners": 0}.items() <= desk.facts().items()


async def test_twenty_tasks_run_side_by_side_and_each_ends_as_its_own(autojump_clock: MockClock) -> None:
    def decide(request: ModelRequest) -> Reply:
        number = int(request.messages[-1].text.split()[-1])
        if number % 4 == 0:
            return fails("auth")
        if number % 2:
            return decides("spawn_agent", goal=f"goal {number}")
        return decides("direct_response")

    def synthesize(request: ModelRequest) -> Reply:
        return sums_up(request.messages[-1].text.split()[-1], "page")

    async with open_desk(by_shape(decide, lambda _: fails("auth"), synthesize), delay_s=2.0) as desk:
        tasks = [await desk.ask(f"do {number}") for number in range(20)]
        await trio.sleep(1.0)
        assert 20 == desk.model.running
        await trio.sleep(4.0)
        for agent_id, agent in reversed(tuple(desk.desktops.agents.items())):
            desk.desktops.move(agent_id, "completed", result=agent.goal)
        await trio.sleep(4.0)

        ends = [await desk.find(task) for task in tasks]
        for number, end in enumerate(ends):
            assert f"do {number}" == end.query
            if number % 4 == 0:
                assert "failed" == end.status
            else:
                assert end.result is not None
                assert ("completed", bool(number % 2)) == (end.status, end.agent_spawned)
                if number % 2:
                    assert str(number) == end.result.glasses_display
                    assert end.result.agent_result is not None
                    assert f"goal {number}" == end.result.agent_result.result
        assert 20 == len({end.task_id for end in ends})


async def test_a_failed_task_harms_no_other(autojump_clock: MockClock) -> None:
    answers: Iterator[Reply] = iter([fails("auth"), fails("auth"), decides("direct_response")])
    async with open_desk(by_shape(lambda _: next(answers))) as desk:
        assert ["failed", "failed", "completed"] == [(await desk.answered()).status for _ in range(3)]


# -- the conversation


async def test_the_next_question_comes_after_the_last_answer(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        await desk.answered("What is React?")
        await desk.answered("And Vue?")

        said = [(message.role, message.text) for message in desk.model.requests[-1].messages]
        assert [("user", "What is React?"), ("assistant", "For the page."), ("user", "And Vue?")] == said


async def test_a_failed_task_is_told_to_the_model_and_hangs_nowhere(autojump_clock: MockClock) -> None:
    answers: Iterator[Reply] = iter([fails("auth"), decides("direct_response")])
    async with open_desk(by_shape(lambda _: next(answers))) as desk:
        failed = await desk.answered("What is React?")
        await desk.answered("Try again")

        roles = [message.role for message in desk.model.requests[-1].messages]
        assert ["user", "assistant", "user"] == roles
        assert failed.error == desk.model.requests[-1].messages[1].text


async def test_a_question_that_is_still_open_is_in_no_other_questions_way(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=5.0) as desk:
        await desk.ask("The first")
        await trio.sleep(1.0)
        await desk.ask("The second")
        await trio.sleep(1.0)

        assert ["The second"] == [message.text for message in desk.model.requests[-1].messages]


async def test_twenty_turns_are_remembered(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        for number in range(15):
            await desk.answered(f"Question {number}")

        turns = (await conversation_of(desk)).turns
        assert 20 == len(turns)
        assert ("user", "Question 5") == (turns[0].role, turns[0].content)
        assert 20 - 1 == len(desk.model.requests[-1].messages), "19 before are 9 pairs; the last is the query"


async def test_after_a_long_silence_a_new_conversation_begins(autojump_clock: MockClock) -> None:
    assert 4 * 3600 == AssistantSettings().conversation_s
    async with open_desk(settings=AssistantSettings(conversation_s=60)) as desk:
        first = await desk.answered("What is React?")
        await trio.sleep(59)
        second = await desk.answered("And Vue?")
        await trio.sleep(61)
        third = await desk.answered("And Svelte?")

        assert first.conversation_id == second.conversation_id != third.conversation_id
        assert first.conversation_id.startswith(f"conv_{ADA}_")
        assert ["And Svelte?"] == [message.text for message in desk.model.requests[-1].messages]


# -- tools


async def test_tools_run_and_the_model_goes_on_from_what_they_say(autojump_clock: MockClock) -> None:
    def decide(request: ModelRequest) -> Reply:
        results = request.messages[-1].results
        if not results:
            return calls(("get_daemon_status", {}), ("get_recent_tasks", {"limit": 1}), ("rm_rf", {}))
        return decides("direct_response", page=" ".join(result.content for result in results))

    async with open_desk(by_shape(decide)) as desk:
        await desk.answered("Are you there?")
        task = await desk.answered("Is my laptop on?")

        assert task.result is not None
        daemon, recent, unknown = desk.model.requests[-1].messages[-1].results
        assert {"online": True, "daemonId": "daemon_1"}.items() <= msgspec.json.decode(daemon.content).items()
        assert ["Are you there?"] == [one["query"] for one in msgspec.json.decode(recent.content)["tasks"]]
        assert unknown.is_error
        assert [False, False] == [daemon.is_error, recent.is_error]


async def test_a_tool_that_fails_is_an_error_result_and_the_task_goes_on(autojump_clock: MockClock) -> None:
    def decide(request: ModelRequest) -> Reply:
        if request.messages[-1].results:
            return decides("direct_response")
        desk.world.store.outage = "the disk is full"
        return calls(("get_recent_tasks", {}))

    async with open_desk(by_shape(decide)) as desk:
        task = await desk.ask()
        await trio.sleep(0.5)
        assert desk.model.requests[-1].messages[-1].results[0].is_error
        desk.world.store.outage = None
        await trio.sleep(2.0)

        assert "completed" == (await desk.find(task)).status


# -- agents


async def test_the_agent_is_asked_for_once_with_all_it_needs(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        desk.desktops.daemons = (TOWER, LAPTOP)
        task = await desk.answered("Fix it on my LAPTOP, please", working_directory="/srv/app")

        (spawn,) = desk.desktops.spawns
        assert (task.task_id, "the goal", "/srv/app", "laptop") == (
            spawn.task_id,
            spawn.goal,
            spawn.working_directory,
            spawn.daemon_hint,
        )
        assert ("running", "agent_1") == (task.phase, task.agent_id)


async def test_a_computer_is_hinted_at_by_its_whole_name_only(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        desk.desktops.daemons = (LAPTOP, TOWER)
        for query in ("Run it on the big tower!", "Run it on the laptops", "Run it"):
            await desk.answered(query)

        assert ["Big Tower", None, None] == [spawn.daemon_hint for spawn in desk.desktops.spawns]


async def test_a_desktop_that_refuses_is_a_failed_task_with_its_words(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        desk.desktops.refusal = "No computer is online."
        task = await desk.answered("Fix it in a.py")

        assert ("failed", "No computer is online.", None) == (task.status, task.error, task.result)


async def test_an_agent_past_its_time_is_killed_and_the_task_says_so(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns), settings=AssistantSettings(agent_s=60.0)) as desk:
        task = await desk.ask("Fix it in a.py")
        await trio.sleep(61.0)

        assert ["agent_1"] == desk.desktops.kills
        assert "failed" == (await desk.find(task)).status


async def test_a_task_that_is_given_up_kills_its_agent_and_is_told_when_it_is_kept(
    autojump_clock: MockClock,
) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        task = await desk.answered("Fix it in a.py")

        cancelled = await desk.cancel(task.task_id)

        assert cancelled is not None
        assert ("failed", True) == (cancelled.status, cancelled.is_cancelled)
        assert ["agent_1"] == desk.desktops.kills
        assert cancelled == await desk.find(task)
        assert cancelled == await desk.cancel(task.task_id)
        assert await desk.cancel("task_0_nobody") is None


async def test_an_agent_that_comes_when_its_task_is_over_is_ended(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        desk.desktops.is_silent = True
        task = await desk.answered("Fix it in a.py")
        await desk.cancel(task.task_id)
        desk.desktops.is_silent = False
        desk.desktops._spawn(desk.desktops.spawns[0])
        await desk.settle()

        assert ["agent_1"] == desk.desktops.kills


# -- limits


async def test_more_queries_than_a_minute_allows_are_refused_with_a_time(autojump_clock: MockClock) -> None:
    async with open_desk(settings=AssistantSettings(queries=3)) as desk:
        for _ in range(3):
            await desk.answered()
        await trio.sleep(20.0)
        with pytest.raises(TooManyQueriesError) as refused:
            await desk.ask()
        assert 39 < refused.value.retry_after_s < 41

        await trio.sleep(refused.value.retry_after_s)
        assert "completed" == (await desk.answered()).status


async def test_more_tasks_at_once_than_allowed_are_refused(autojump_clock: MockClock) -> None:
    async with open_desk(settings=AssistantSettings(tasks_at_once=2), delay_s=5.0) as desk:
        await desk.ask()
        await desk.ask()
        with pytest.raises(TooManyQueriesError):
            await desk.ask()


async def test_old_tasks_are_removed_and_the_newest_listed_first(autojump_clock: MockClock) -> None:
    async with open_desk(settings=AssistantSettings(tasks_kept=3)) as desk:
        tasks = []
        for number in range(5):
            tasks.append(await desk.answered(f"Question {number}"))
            await trio.sleep(1.0)

        listed = await desk.listed()
        assert tasks[:1:-1] == list(listed)


# -- the store


async def test_a_query_that_cannot_be_kept_is_refused_and_leaves_nothing(autojump_clock: MockClock) -> None:
    async with open_desk() as desk:
        desk.world.store.outage = "the disk is full"
        with pytest.raises(StorageError):
            await desk.ask("Remember this")
        desk.world.store.outage = None

        await desk.answered("And this?")
        assert ["And this?"] == [message.text for message in desk.model.requests[-1].messages]
        assert 1 == len(desk.model.requests)
        assert 2 == len((await conversation_of(desk)).turns)


async def test_an_answer_that_cannot_be_kept_is_told_when_it_can(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=2.0) as desk:
        ear = await desk.listen()
        task = await desk.ask()
        desk.world.store.outage = "the disk is full"
        await trio.sleep(5.0)
        assert ["processing"] == [heard.status for heard in ear.heard]
        assert "processing" == (await desk.find(task)).status

        desk.world.store.outage = None
        await trio.sleep(2.0)
        assert "completed" == (await desk.find(task)).status
        assert "completed" == ear.heard[-1].status


async def test_a_store_that_is_out_at_the_beginning_is_said_and_asked_again(
    autojump_clock: MockClock,
) -> None:
    async with open_desk(outage="the disk is not there yet") as desk:
        with pytest.raises(StorageError):
            await desk.ask()
        desk.world.store.outage = None
        await trio.sleep(2.0)

        assert "completed" == (await desk.answered()).status


# -- ends and new beginnings


async def test_a_process_that_is_killed_leaves_tasks_that_the_next_one_answers(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with open_desk(delay_s=60.0, documents=documents) as desk:
        task = await desk.ask("What is React?")
        await desk.world.die()
    async with open_desk(documents=documents) as desk:
        await desk.settle()

        found = await desk.find(task)
        assert ("completed", 1) == (found.status, len(desk.model.requests))
        assert [("user", "What is React?"), ("assistant", "For the page.")] == [
            (turn.role, turn.content) for turn in (await conversation_of(desk)).turns
        ]


async def test_a_killed_process_leaves_agents_that_the_next_one_waits_for(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desk(by_shape(spawns), documents=documents) as desk:
        task = await desk.answered("Fix it in a.py")
        agent = desk.desktops.agents["agent_1"]
        await desk.world.die()
    async with open_desk(by_shape(spawns), documents=documents, agents=[agent]) as desk:
        assert "running" == (await desk.find(task)).phase
        assert 0 == len(desk.model.requests)

        desk.desktops.move("agent_1", "completed", result="12 tests pass")
        await desk.settle()
        assert "completed" == (await desk.find(task)).status
        assert 1 == len(desk.desktops.agents)


async def test_a_task_that_was_killed_in_synthesis_synthesizes_again(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desk(by_shape(spawns, synthesis=lambda _: None), documents=documents) as desk:
        task = await desk.answered("Fix it in a.py")
        desk.desktops.move("agent_1", "completed", result="12 tests pass")
        await desk.settle()
        assert "synthesizing" == (await desk.find(task)).phase
        agent = desk.desktops.agents["agent_1"]
        await desk.world.die()
    async with open_desk(by_shape(spawns), documents=documents, agents=[agent]) as desk:
        assert "completed" == (await desk.find(task)).status
        assert "12 tests pass" in desk.model.requests[0].messages[-1].text


async def test_the_conversation_outlives_the_process(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with open_desk(documents=documents) as desk:
        await desk.answered("What is React?")
        await desk.world.die()
    async with open_desk(documents=documents) as desk:
        await trio.sleep(1.0)  # the same seed at the same moment would make the same id
        await desk.answered("And Vue?")

        assert 3 == len(desk.model.requests[0].messages)


async def test_a_crash_of_the_actor_costs_nothing_but_a_question_twice(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns), delay_s=2.0) as desk:
        task = await desk.ask("Fix it in a.py")
        await trio.sleep(1.0)
        desk.assistant.crash(RuntimeError("planned"))
        await trio.sleep(5.0)
        assert "running" == (await desk.find(task)).phase
        desk.assistant.crash(RuntimeError("planned"))
        await trio.sleep(0.5)
        desk.desktops.move("agent_1", "completed", result="x")
        await trio.sleep(3.0)

        assert "completed" == (await desk.find(task)).status
        assert 4 == len(desk.model.requests)
        assert 1 == len(desk.desktops.agents)


# -- with its desk


async def test_agents_are_asked_for_again_when_the_desktops_are_back(autojump_clock: MockClock) -> None:
    async with open_desk(by_shape(spawns)) as desk:
        task = await desk.answered("Fix it in a.py")
        agent = desk.desktops.agents["agent_1"]
        desk.desktops.agents["agent_1"] = msgspec.structs.replace(agent, status="completed", result="x")
        await desk.settle()
        assert "running" == (await desk.find(task)).phase

        desk.assistant.tell(DesktopsBack())
        await desk.settle()

        assert "completed" == (await desk.find(task)).status
        assert 1 == len(desk.desktops.agents)


async def test_desktops_that_come_back_make_no_model_think_twice(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=2.0) as desk:
        task = await desk.ask()
        await trio.sleep(1.0)
        desk.assistant.tell(DesktopsBack())
        await trio.sleep(2.0)

        assert ("completed", 1) == ((await desk.find(task)).status, len(desk.model.requests))


async def test_a_desk_may_end_when_nothing_is_under_way_and_nobody_listens(autojump_clock: MockClock) -> None:
    async with open_desk(delay_s=2.0) as desk:
        assert await desk.assistant.ask(IsIdle)
        await desk.ask()
        assert not await desk.assistant.ask(IsIdle)
        await trio.sleep(3.0)
        assert await desk.assistant.ask(IsIdle)
        await desk.listen()
        assert not await desk.assistant.ask(IsIdle)
