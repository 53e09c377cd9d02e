"""Bugs in what becomes of a query, in whose data a model sees, and in what is kept before it is told."""

from __future__ import annotations

from .mutation import Mutation, by

FLOW_TESTS = "tests/actors/assistant/test_assistant_flow.py"
FAILURES = "tests/actors/assistant/test_assistant_failures.py"
ACTOR_TESTS = "tests/actors/assistant/test_assistant_actor.py"
CRASHES = "tests/actors/assistant/test_assistant_crashes.py::test_a_crash_of_an_assistant_costs_one_message"
OTHERS = "tests/actors/assistant/test_nobody_elses_data.py"
ROUTES = "tests/adapters/http/test_assistant_routes.py"

FLOW = "actors/assistant/flow.py"
ACTOR = "actors/assistant/actor.py"
TOOLS = "actors/assistant/tools.py"
CONVERSATION = "actors/assistant/conversation.py"
SYNTHESIS = "actors/assistant/synthesis.py"
DECIDING = "actors/assistant/deciding.py"

ASSISTANTS: dict[str, tuple[Mutation, ...]] = {
    "A task goes from its query to one end": (
        Mutation(
            "an answer that nobody waits for counts",
            FLOW,
            "                if job == self.work.job > 0:\n                    self._answered(answer)",
            "                if self.work.job > 0:\n                    self._answered(answer)",
            by(f"{FAILURES}::test_a_task_in_synthesis_synthesizes_again"),
        ),
        Mutation(
            "the query is not behind what tools said",
            FLOW,
            'ModelMessage("user", self.work.task.query, results=results)',
            'ModelMessage("user", "", results=results)',
            by(f"{FLOW_TESTS}::test_the_query_is_verbatim_and_last_in_every_question_and_in_each_only_once"),
        ),
        Mutation(
            "the last round is not forced",
            FLOW,
            "is_last=len(work.rounds) // 2 + 1 >= settings.rounds",
            "is_last=len(work.rounds) // 2 + 1 > settings.rounds",
            by(f"{FLOW_TESTS}::test_the_fifth_question_can_only_be_answered_by_a_decision"),
        ),
        Mutation(
            "an agent without a goal is spawned",
            DECIDING,
            "        if not goal:\n            return None\n",
            "",
            by(f"{FLOW_TESTS}::test_what_is_no_decision_becomes_a_polite_answer"),
        ),
        Mutation(
            "the lens text of a decision is not cut",
            FLOW,
            "glasses_display=cut(decided.glasses_display)",
            "glasses_display=decided.glasses_display",
            by(f"{FLOW_TESTS}::test_both_texts_are_always_there_and_the_lens_text_is_cut"),
        ),
        Mutation(
            "an approval outlives its agent's question",
            FLOW,
            "            self._put_task(phase=phase, approval=None)",
            "            self._put_task(phase=phase)",
            by(f"{FLOW_TESTS}::test_a_wish_for_an_agent_goes_all_the_way"),
        ),
        Mutation(
            "the time before a restart does not count",
            FLOW,
            "self.settings.agent_s - max(0.0, (self.wall_ms - agent.created_at) / 1000)",
            "self.settings.agent_s",
            by(f"{FAILURES}::test_the_time_before_a_restart_counts"),
        ),
        Mutation(
            "an agent that takes too long is left alone",
            FLOW,
            "            self._kill_agent()\n            self._fail(NOT_STARTED",
            "            self._fail(NOT_STARTED",
            by(f"{FAILURES}::test_an_agent_that_takes_too_long_is_killed"),
        ),
    ),
    "A model that fails costs as little as it can": (
        Mutation(
            "a provider that says when is asked before",
            FLOW,
            "wait_s = max(failure.retry_after_s, settings.retry_s",
            "wait_s = max(0.0, settings.retry_s",
            by(f"{FAILURES}::test_a_passing_failure_is_tried_again_after_what_the_provider_asks_for"),
        ),
        Mutation(
            "a key that is refused is tried again",
            FLOW,
            'frozenset({"rate", "overloaded", "network", "timeout", "protocol"})',
            'frozenset({"rate", "overloaded", "network", "timeout", "protocol", "auth"})',
            by(f"{FAILURES}::test_a_failure_that_stays_is_not_tried_again"),
        ),
        Mutation(
            "a synthesis that no model writes fails the task",
            FLOW,
            "            self._complete_with(synthesis.fallback(work.ended))",
            "            self._fail(_SAID[failure.kind])",
            by(f"{FAILURES}::test_a_synthesis_that_fails_has_fixed_words_and_the_raw_result"),
        ),
        Mutation(
            "half a goal is good enough",
            SYNTHESIS,
            "return text if text and answer.is_complete and",
            "return text if text and",
            by(f"{FAILURES}::test_a_goal_that_will_not_do_is_the_one_that_was_decided"),
        ),
    ),
    "A model sees its own user's data and takes no orders from it": (
        Mutation(
            "tasks of everybody are listed",
            TOOLS,
            "self._store.list_documents(TASKS, self._user_id, wanted)\n"
            "        tasks = [_decoder.decode(one.document) for one in stored if one.user_id == self._user_id]",
            "self._store.list_documents(TASKS, None, wanted)\n"
            "        tasks = [_decoder.decode(one.document) for one in stored]",
            by(f"{OTHERS}::test_no_argument_reaches_another_users_data"),
        ),
        Mutation(
            "an agent of anybody is shown",
            TOOLS,
            "return agent.user_id == self._user_id",
            "return True",
            by(f"{OTHERS}::test_no_argument_reaches_another_users_data"),
        ),
        Mutation(
            "the question itself is a recent task",
            TOOLS,
            "if task.task_id != task_id and (status",
            "if (status",
            by(f"{OTHERS}::test_recent_tasks_are_as_many_as_asked_for_and_never_the_question_itself"),
        ),
        Mutation(
            "a result may close its fence",
            SYNTHESIS,
            '.replace(f"</{_FENCE}", _FENCE)',
            "",
            by(f"{OTHERS}::test_a_result_cannot_leave_its_fence"),
        ),
        Mutation(
            "another user's task is found",
            ACTOR,
            "is_ours = stored is not None and stored.user_id == self.user_id",
            "is_ours = stored is not None",
            by(f"{OTHERS}::test_another_users_task_cannot_be_found_or_given_up"),
        ),
        Mutation(
            "a question without an answer is shown",
            CONVERSATION,
            "        answer = answers.get(turn.task_id)\n",
            "        answer = answers.get(turn.task_id, turn)\n",
            by(f"{ACTOR_TESTS}::test_a_question_that_is_still_open_is_in_no_other_questions_way"),
        ),
    ),
    "Nothing is told before it is kept, and what is kept goes on": (
        Mutation(
            "a task is found as it will be",
            ACTOR,
            "            reply_to.tell(entry.kept)\n",
            "            reply_to.tell(entry.work.task)\n",
            by(f"{ACTOR_TESTS}::test_an_answer_that_cannot_be_kept_is_told_when_it_can"),
        ),
        Mutation(
            "a query that was not kept stays in the conversation",
            ACTOR,
            "            left = conversations.without(self.state.conversation, task_id)\n",
            "            left = self.state.conversation\n",
            by(f"{ACTOR_TESTS}::test_a_query_that_cannot_be_kept_is_refused_and_leaves_nothing"),
        ),
        Mutation(
            "a task that has ended is unfinished for ever",
            ACTOR,
            '                is_unfinished=task.status == "processing",',
            "                is_unfinished=True,",
            by(f"{ACTOR_TESTS}::test_old_tasks_are_removed_and_the_newest_listed_first"),
        ),
        Mutation(
            "agents are not asked for when the desktops are back",
            ACTOR,
            "        self._take_up()\n\n    def _agents_known",
            "\n    def _agents_known",
            by(f"{ACTOR_TESTS}::test_agents_are_asked_for_again_when_the_desktops_are_back"),
        ),
        Mutation(
            "what was to be killed is forgotten in a crash",
            ACTOR,
            "        for agent_id in self.state.to_kill:\n            self._kill(agent_id)\n",
            "",
            by(f"{CRASHES}[KillAgain]", f"{CRASHES}[CancelTask]"),
        ),
        Mutation(
            "what was being written is not written again after a crash",
            ACTOR,
            "            if entry.kept != entry.work.task:\n                self._write(task_id, is_again=True)\n",
            "",
            by(f"{CRASHES}[CommitDone]", f"{CRASHES}[ModelSaid]"),
        ),
        Mutation(
            "machines do not begin again after a crash",
            ACTOR,
            "                self._write(task_id, is_again=True)\n        self._take_up()\n",
            "                self._write(task_id, is_again=True)\n",
            by(f"{CRASHES}[ModelSaid]"),
        ),
    ),
    "Whose a request is is the token's": (
        Mutation(
            "a user in the body is believed",
            "adapters/http/assistant_routes.py",
            "        _must_be(user_id, named)\n        return body",
            "        return body",
            by(f"{ROUTES}::test_a_query_that_is_none_is_refused_with_a_code"),
        ),
        Mutation(
            "another user's task is shown",
            "adapters/http/assistant_routes.py",
            "        if stored.user_id != user_id:\n",
            "        if stored.user_id is None:\n",
            by(f"{ROUTES}::test_another_users_task_is_denied_and_an_unknown_one_not_found"),
        ),
    ),
}
