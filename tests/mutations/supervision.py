"""Bugs in how children are started, grouped and ended."""

from __future__ import annotations

from .mutation import Mutation, by

SUPERVISION: dict[str, tuple[Mutation, ...]] = {
    "Children start in order and stop in reverse, depth first, each within its own time": (
        Mutation(
            "children start in reverse",
            "_supervision.py",
            "        self._line = list(self.children.values())\n        info = self._cell.restart_info",
            "        self._line = list(self.children.values())[::-1]\n        info = self._cell.restart_info",
            by("test_supervision.py::test_children_start_in_order_and_stop_in_reverse"),
        ),
        Mutation(
            "children stop in the order of their start",
            "_supervision.py",
            "            for cell in reversed(self._line):\n                if cell.status",
            "            for cell in self._line:\n                if cell.status",
            by("test_supervision.py::test_children_start_in_order_and_stop_in_reverse"),
        ),
        Mutation(
            "all children are told to stop at once",
            "_supervision.py",
            "                return\n            self._line_is_down()",
            "            if any(cell.actor is not None for cell in self._line):\n                return\n"
            "            self._line_is_down()",
            by("test_supervision.py::test_a_child_waits_for_the_slow_end_of_the_one_after_it"),
        ),
        Mutation(
            "a supervisor says its last words before its children do",
            "_cell.py",
            "            elif self.supervision is not None:\n                self.end(reason)\n"
            "            else:",
            "            else:",
            by("test_supervision.py::test_a_tree_stops_depth_first"),
        ),
        Mutation(
            "every child has the default time to end",
            "_cell.py",
            "self.system.clock.now() + self.spec.shutdown_s, call)",
            "self.system.clock.now() + 5.0, call)",
            by("test_supervision.py::test_each_child_has_a_time_of_its_own_to_end"),
        ),
        Mutation(
            "every TaskActor has the default time to end",
            "_runner.py",
            "cell.system.clock.now() + cell.spec.shutdown_s, call)",
            "cell.system.clock.now() + 5.0, call)",
            by(
                "test_task_actor.py"
                "::test_a_handler_over_its_shutdown_time_is_cancelled_and_its_message_is_a_dead_letter",
            ),
        ),
    ),
    "A start is whole or an error": (
        Mutation(
            "those started before a failed child are not stopped in order",
            "_cell.py",
            "        if self.supervision is not None:\n            self.supervision.halt()",
            "        if self.supervision is not None and reason.kind is not StopKind.START_FAILED:\n"
            "            self.supervision.halt()",
            by(
                "test_supervision.py"
                "::test_a_child_that_does_not_start_stops_those_before_it_and_fails_the_supervisor",
            ),
        ),
        Mutation(
            "a child is up before it is started",
            "_cell.py",
            "        failure = self._transact(actor.started, info)\n        if failure is not None:",
            "        failure = self._transact(actor.started, info)\n"
            "        if failure is not None and self.is_up():",
            by("test_supervision.py::test_a_start_that_fails_leaves_nothing"),
        ),
        Mutation(
            "a TaskActor may start for ever",
            "_runner.py",
            "trio.move_on_after(cell.spec.start_s)",
            "trio.move_on_after(cell.spec.start_s * 3)",
            by("test_task_actor.py::test_a_start_over_its_time_has_failed"),
        ),
        Mutation(
            "a child that never was up is restarted",
            "_supervision.py",
            'if not child.was_up or kind == "temporary"',
            'if kind == "temporary"',
            by("test_supervision.py::test_a_start_that_fails_leaves_nothing"),
        ),
    ),
    "A strategy restarts whom it names, in order, and a temporary child of the group does not come back": (
        Mutation(
            "one_for_all restarts the rest only",
            "_supervision.py",
            'first = 0 if self._actor.strategy == "one_for_all" else everyone.index(child)',
            "first = everyone.index(child)",
            by(
                "test_supervision.py::test_a_strategy_restarts_what_it_says",
                "test_supervisor_model.py::test_a_supervisor_does_what_the_model_does",
            ),
        ),
        Mutation(
            "rest_for_one restarts all",
            "_supervision.py",
            'first = 0 if self._actor.strategy == "one_for_all" else everyone.index(child)',
            "first = 0",
            by(
                "test_supervision.py::test_a_strategy_restarts_what_it_says",
                "test_supervisor_model.py::test_a_supervisor_does_what_the_model_does",
            ),
        ),
        Mutation(
            "rest_for_one restarts the child alone",
            "_supervision.py",
            'if actor.strategy == "one_for_one":',
            'if actor.strategy != "one_for_all":',
            by(
                "test_supervision.py::test_a_strategy_restarts_what_it_says",
                "test_supervisor_model.py::test_a_supervisor_does_what_the_model_does",
            ),
        ),
        Mutation(
            "one_for_one restarts the rest",
            "_supervision.py",
            'if actor.strategy == "one_for_one":',
            'if actor.strategy == "none":',
            by(
                "test_supervision.py::test_a_strategy_restarts_what_it_says",
                "test_supervisor_model.py::test_a_supervisor_does_what_the_model_does",
            ),
        ),
        Mutation(
            "a temporary sibling comes back",
            "_supervision.py",
            '            if cell.spec.restart == "temporary":\n'
            "                self._remove(cell, SHUTDOWN)\n",
            "            pass\n",
            by("test_supervision.py::test_a_temporary_child_ends_with_its_group_and_does_not_come_back"),
        ),
        Mutation(
            "siblings that a group restart left down are forgotten when another crashes",
            "_supervision.py",
            "if place >= first or cell in already]",
            "if place >= first]",
            by(
                "test_intensity_and_backoff.py"
                "::test_a_child_of_a_group_that_waits_is_not_forgotten_when_another_crashes",
            ),
        ),
        Mutation(
            "a child that crashed while its siblings started is left down",
            "_supervision.py",
            "                self._decide(cell, cell.ending)",
            "                pass",
            by(
                "test_supervision.py"
                "::test_a_child_that_crashes_while_its_siblings_start_is_restarted_after_them",
            ),
        ),
    ),
    "Children end before their parent is restarted": (
        Mutation(
            "a supervisor does not wait for its children's ends",
            "_supervision.py",
            "        for cell in reversed(self._line):\n            if cell.status",
            "        self._line = [cell for cell in self._line if not self._cell.ending.is_failure]\n"
            "        for cell in reversed(self._line):\n            if cell.status",
            by("test_supervision.py::test_children_end_completely_before_their_parent_is_restarted"),
        ),
    ),
    "A ref stays valid across restarts of its actor and of its supervisor": (
        Mutation(
            "a restarted supervisor gives its children new places",
            "_supervision.py",
            "cell = before.pop(spec.name, None) or type(self._cell)(",
            "cell = type(self._cell)(",
            by(
                "test_intensity_and_backoff.py"
                "::test_past_its_intensity_a_supervisor_ends_and_its_own_supervisor_decides",
            ),
        ),
        Mutation(
            "a child's ref from before its start is another",
            "_supervision.py",
            "cell = self._expected[name] = type(self._cell)(",
            "cell = type(self._cell)(",
            by("test_children.py::test_a_childs_ref_can_be_used_before_it_has_started"),
        ),
    ),
    "Dynamic children have a name of their own, wait for their supervisor and end with it": (
        Mutation(
            "a name is taken twice",
            "_supervision.py",
            "        there = self.children.get(child.name)\n",
            "        there = None\n",
            by("test_children.py::test_a_name_spawned_twice_in_one_handler_is_refused_the_second_time"),
        ),
        Mutation(
            "a child spawned while its supervisor is down is lost",
            "_supervision.py",
            "        for cell in waiting or ():\n            self.attach(cell)",
            "        for cell in waiting or ():\n            cell.terminate(SHUTDOWN)",
            by("test_supervision.py::test_a_child_spawned_while_its_supervisor_restarts_waits_for_it"),
        ),
        Mutation(
            "a ref to a child that nobody declared is given out",
            "_supervision.py",
            "        if stray:\n",
            "        if False:\n",
            by("test_children.py::test_a_child_nobody_declared_fails_the_start"),
        ),
        Mutation(
            "a static child's name may be a path",
            "_supervision.py",
            "            check_name(spec.name)\n",
            "",
            by("test_supervision.py::test_a_static_childs_name_is_one_part_of_a_path_too"),
        ),
        Mutation(
            "of the children that wait for their supervisor the last counts",
            "_supervision.py",
            "    if supervisor.pending_spawns is None:\n",
            "    if True:\n",
            by("test_supervision.py::test_all_children_that_wait_for_their_supervisor_are_started"),
        ),
        Mutation(
            "a child that waits for a supervisor that ends is forgotten",
            "_cell.py",
            "spawned.terminate(StopReason(StopKind.REFUSED, ActorStopped(self.path, reason)))",
            "spawned.terminate(StopReason(StopKind.START_FAILED))",
            by("test_supervision.py::test_a_child_that_waits_for_a_supervisor_that_ends_is_refused"),
        ),
        Mutation(
            "dynamic children come back with their supervisor",
            "_supervision.py",
            "        for cell in before.values():\n            cell.terminate(SHUTDOWN)",
            "        self.children.update(before)",
            by("test_children.py::test_a_static_child_that_is_not_declared_again_ends"),
        ),
        Mutation(
            "dynamic children stay when their supervisor is restarted",
            "_supervision.py",
            "if self._is_final() or child.name not in self._static:",
            "if self._is_final():",
            by("test_supervision.py::test_dynamic_children_are_gone_before_their_supervisor_is_back"),
        ),
    ),
    "A supervisor does what a model in plain Python does (random trees, crashes, stops, restarts)": (
        Mutation(
            "a group stops in the order of its start",
            "_supervision.py",
            "            for cell in reversed(self._line):\n                if cell.status",
            "            for cell in self._line:\n                if cell.status",
            by("test_supervisor_model.py::test_a_supervisor_does_what_the_model_does"),
        ),
        Mutation(
            "a group restart brings a temporary child back",
            "_supervision.py",
            '            if cell.spec.restart == "temporary":\n'
            "                self._remove(cell, SHUTDOWN)\n",
            "            pass\n",
            by("test_supervisor_model.py::test_a_supervisor_does_what_the_model_does"),
        ),
        Mutation(
            "the model counts one restart more",
            "_supervision.py",
            "if len(restarts) <= self._actor.intensity:",
            "if len(restarts) <= self._actor.intensity + 1:",
            by("test_supervisor_model.py::test_a_supervisor_does_what_the_model_does"),
        ),
        Mutation(
            "a failed start in a group restart ends the group's restart",
            "_supervision.py",
            "        elif was_leaving or (self._stage",
            "        elif was_leaving or child in self._line or (self._stage",
            by("test_supervision.py::test_a_crash_in_a_group_restart_starts_the_group_again"),
        ),
        Mutation(
            "who was up when a start was broken off is taken to be up in the next",
            "_supervision.py",
            '        self._begun = {}\n        self._stage = "start"\n        self._advance()\n        self._attach',
            '        self._stage = "start"\n        self._advance()\n        self._attach',
            by("test_supervisor_model.py::test_a_supervisor_does_what_the_model_does"),
        ),
        Mutation(
            "the model's supervisor has used up its intensity after an escalation",
            "_supervision.py",
            "        self._restarts.clear()\n",
            "",
            by("test_supervisor_model.py::test_a_supervisor_does_what_the_model_does"),
        ),
    ),
    "What does not end in its time is abandoned, counted, and its late result discarded": (
        Mutation(
            "abandoned tasks are not counted",
            "_cell.py",
            "        self.system.abandoned += 1\n",
            "",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_task_that_does_not_end_is_abandoned_counted_and_its_result_discarded",
            ),
        ),
        Mutation(
            "abandoned tasks are not announced",
            "_cell.py",
            "        self.system.events.publish(Abandoned(self.path, task_name))\n",
            "",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_task_that_does_not_end_is_abandoned_counted_and_its_result_discarded",
            ),
        ),
        Mutation(
            "the late result of a task arrives",
            "_tasks.py",
            "        if self.is_cancelled:\n            return False\n"
            "        return self.outlives_crash or self._incarnation == self._cell.incarnation",
            "        return True",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_task_that_does_not_end_is_abandoned_counted_and_its_result_discarded",
            ),
        ),
        Mutation(
            "a TaskActor that is stopped twice is abandoned after its end",
            "_runner.py",
            "        if self._stop_reason is not None or self._failure is not None:\n            return\n",
            "",
            by("test_task_actor.py::test_a_busy_task_actor_that_is_stopped_twice_is_stopped_once"),
        ),
        Mutation(
            "an abandoned handler commits on return",
            "_runner.py",
            "failure = None if self._is_abandoned else self._swap()",
            "failure = self._swap()",
            by("test_task_actor.py::test_an_abandoned_handler_that_returns_commits_nothing"),
        ),
        Mutation(
            "an abandoned handler commits in the middle",
            "_runner.py",
            "        if self._is_abandoned:\n            raise ActorStopped",
            "        if False:\n            raise ActorStopped",
            by(
                "test_task_actor.py::test_an_abandoned_handler_cannot_commit_while_its_tasks_are_awaited",
            ),
        ),
    ),
}
