"""Bugs in names, events, what can be seen of a running system, its run queue and its end."""

from __future__ import annotations

from .mutation import Mutation, by

INSPECTION: dict[str, tuple[Mutation, ...]] = {
    "Names free themselves; joining and leaving are announced": (
        Mutation(
            "a dead actor keeps its key",
            "_registry.py",
            "        for key in keys:\n            del self._keys[key]\n",
            "",
            by("test_names_events_and_inspection.py::test_a_key_finds_its_actor_until_that_ends"),
        ),
        Mutation(
            "a restart frees the key",
            "_cell.py",
            "        self.actor = None\n        if self.parent is None:",
            "        self.actor = None\n        self.system.registry.release(self)\n"
            "        if self.parent is None:",
            by("test_names_events_and_inspection.py::test_a_key_is_kept_while_its_actor_is_down"),
        ),
        Mutation(
            "a second actor takes the key over",
            "_registry.py",
            "if holder is not None and holder is not cell:",
            "if False:",
            by("test_names_events_and_inspection.py::test_a_key_is_held_by_one"),
        ),
        Mutation(
            "a dead actor stays in its groups",
            "_registry.py",
            "        for group in groups:\n            self._leave(group, cell)\n",
            "",
            by(
                "test_names_events_and_inspection.py::test_groups_are_in_the_order_of_joining_and_announced",
            ),
        ),
        Mutation(
            "joining is not announced",
            "_registry.py",
            "            self._events.publish(Joined(group.name, cell.ref))\n",
            "",
            by(
                "test_names_events_and_inspection.py::test_groups_are_in_the_order_of_joining_and_announced",
            ),
        ),
        Mutation(
            "leaving is not announced",
            "_registry.py",
            "        self._events.publish(Left(group, cell.ref))\n",
            "",
            by(
                "test_names_events_and_inspection.py::test_groups_are_in_the_order_of_joining_and_announced",
            ),
        ),
        Mutation(
            "joining twice is announced twice",
            "_registry.py",
            "        if cell not in members:\n",
            "        if True:\n",
            by(
                "test_names_events_and_inspection.py::test_groups_are_in_the_order_of_joining_and_announced",
            ),
        ),
    ),
    "Events reach bounded subscribers; one that fails or does not read harms nobody": (
        Mutation(
            "a subscriber's queue has no bound",
            "_events.py",
            "deque(maxlen=size)",
            "deque()",
            by(
                "test_names_events_and_inspection.py"
                "::test_a_subscriber_that_does_not_read_loses_the_oldest_counted",
            ),
        ),
        Mutation(
            "events pushed out are not counted",
            "_events.py",
            "            self.dropped += 1\n",
            "            pass\n",
            by(
                "test_names_events_and_inspection.py"
                "::test_a_subscriber_that_does_not_read_loses_the_oldest_counted",
            ),
        ),
        Mutation(
            "a listener that raises stops the publisher",
            "_events.py",
            "            except Exception:\n                self.failures += 1",
            "            except KeyError:\n                self.failures += 1",
            by("test_names_events_and_inspection.py::test_a_listener_that_raises_harms_nobody"),
        ),
        Mutation(
            "a dead subscriber is told for ever",
            "_events.py",
            "            if not ref.is_alive:\n                self.unsubscribe(forward)\n            elif",
            "            if",
            by("test_names_events_and_inspection.py::test_an_actor_hears_events_as_mail_while_it_lives"),
        ),
        Mutation(
            "an actor hears that it could not be told, and cannot be told that",
            "_events.py",
            ' and getattr(event, "path", None) != ref.path:',
            ":",
            by(
                "test_names_events_and_inspection.py::test_an_actor_does_not_hear_of_its_own_full_mailbox",
            ),
        ),
    ),
    "One crash is one report (path, message, state, attempt) and one decision": (
        Mutation(
            "a report without the message",
            "_cell.py",
            "shown = None if message is NO_MESSAGE else message",
            "shown = None",
            by("test_children.py::test_a_crash_is_one_structured_report_and_one_decision"),
        ),
        Mutation(
            "a report with the state that was lost",
            "_cell.py",
            "CrashReport(self.path, error, shown, self.state,",
            "CrashReport(self.path, error, shown, getattr(self.actor, 'state', None),",
            by("test_children.py::test_a_report_has_the_state_that_stands"),
        ),
        Mutation(
            "a report goes on counting a streak that is over",
            "_cell.py",
            "return parent.supervision.streak_of(self, self.system.clock.now())",
            "return self.attempt",
            by("test_restart_info_and_ladder.py::test_a_crash_report_counts_as_the_supervisor_does"),
        ),
        Mutation(
            "a report counts from nought",
            "_cell.py",
            "self._streak() + 1, recent)",
            "self._streak(), recent)",
            by("test_children.py::test_a_crash_is_one_structured_report_and_one_decision"),
        ),
        Mutation(
            "a decision is not announced",
            "_supervision.py",
            "            events.publish(Decided(child.path, decision, delay_s, state_kept))",
            "            pass",
            by("test_children.py::test_a_crash_is_one_structured_report_and_one_decision"),
        ),
        Mutation(
            "an escalation is no decision",
            "_supervision.py",
            '        self._announce(child, "escalate", 0.0, state_kept=False)\n',
            "",
            by("test_children.py::test_each_decision_of_a_supervisor_is_announced"),
        ),
        Mutation(
            "a removal is no decision",
            "_supervision.py",
            '            self._announce(child, "remove", 0.0, state_kept=False)\n',
            "",
            by("test_children.py::test_each_decision_of_a_supervisor_is_announced"),
        ),
    ),
    "The last messages and the time of each message type are recorded where switched on": (
        Mutation(
            "only the last message is recorded",
            "_trace.py",
            "deque(maxlen=RECENT)",
            "deque(maxlen=1)",
            by(
                "test_names_events_and_inspection.py"
                "::test_tracing_records_messages_and_the_time_of_each_type",
            ),
        ),
        Mutation(
            "all messages are recorded for ever",
            "_trace.py",
            "deque(maxlen=RECENT)",
            "deque()",
            by("test_names_events_and_inspection.py::test_a_trace_is_bounded"),
        ),
        Mutation(
            "what is below is not traced",
            "_system.py",
            "            todo.extend(children_of(cell))\n\n    async def _order",
            "\n    async def _order",
            by(
                "test_names_events_and_inspection.py"
                "::test_tracing_records_messages_and_the_time_of_each_type",
            ),
        ),
        Mutation(
            "tracing cannot be switched off",
            "_system.py",
            "cell.trace = (cell.trace or Trace()) if on else None",
            "cell.trace = cell.trace or Trace()",
            by(
                "test_names_events_and_inspection.py"
                "::test_tracing_records_messages_and_the_time_of_each_type",
            ),
        ),
        Mutation(
            "a TaskActor is not traced",
            "_runner.py",
            "        if cell.trace is not None:\n",
            "        if False:\n",
            by(
                "test_names_events_and_inspection.py"
                "::test_tracing_records_messages_and_the_time_of_each_type",
            ),
        ),
        Mutation(
            "time is not added up",
            "_trace.py",
            "        spent.total_s += took_s\n",
            "        spent.total_s = took_s\n",
            by(
                "test_names_events_and_inspection.py"
                "::test_the_time_of_a_message_type_is_its_sum_and_its_longest",
            ),
        ),
        Mutation(
            "the longest time is the last",
            "_trace.py",
            "max(spent.longest_s, took_s)",
            "took_s",
            by(
                "test_names_events_and_inspection.py"
                "::test_the_time_of_a_message_type_is_its_sum_and_its_longest",
            ),
        ),
    ),
    "An actor adds its own facts to the tree, and one that fails to harms nobody": (
        Mutation(
            "an actor's facts are not asked for",
            "_tree.py",
            "facts={} if cell.actor is None else _facts_of(cell.actor),",
            "facts={},",
            by("test_names_events_and_inspection.py::test_an_actor_adds_its_facts_to_the_tree"),
        ),
        Mutation(
            "facts that fail end the look at the tree",
            "_tree.py",
            '        return {"error": repr(error)}\n',
            "        raise\n",
            by("test_names_events_and_inspection.py::test_an_actor_adds_its_facts_to_the_tree"),
        ),
    ),
    "The whole tree is data": (
        Mutation(
            "restarts are not counted",
            "_cell.py",
            "            self.restarts_total += 1\n",
            "            pass\n",
            by("test_names_events_and_inspection.py::test_the_tree_is_data"),
        ),
        Mutation(
            "handled messages are not counted",
            "_cell.py",
            "            self.handled += done\n",
            "",
            by("test_names_events_and_inspection.py::test_the_tree_is_data"),
        ),
        Mutation(
            "a TaskActor's handled messages are not counted",
            "_runner.py",
            "        cell.handled += 1\n",
            "",
            by("test_names_events_and_inspection.py::test_the_tree_is_data"),
        ),
        Mutation(
            "the last error is forgotten",
            "_cell.py",
            "        self.last_error = error\n",
            "",
            by("test_names_events_and_inspection.py::test_the_tree_is_data"),
        ),
        Mutation(
            "age is counted from the first start",
            "_cell.py",
            "now = self.up_since = deadlines.time if self.runner is None else clock.now()",
            "now = clock.now()\n        self.up_since = now if self.up_since is None else self.up_since",
            by("test_names_events_and_inspection.py::test_the_tree_is_data"),
        ),
    ),
    "Suspend, read, replace, resume": (
        Mutation(
            "a suspended actor takes mail",
            "_cell.py",
            "        self.is_suspended = True\n        self.takes_mail = False\n",
            "        self.is_suspended = True\n",
            by("test_names_events_and_inspection.py::test_suspend_read_replace_resume"),
        ),
        Mutation(
            "a suspended TaskActor takes mail",
            "_runner.py",
            "return bool(self._cell.mailbox.mail) and not self._cell.is_suspended",
            "return bool(self._cell.mailbox.mail)",
            by("test_names_events_and_inspection.py::test_suspend_read_replace_resume"),
        ),
        Mutation(
            "a crash resumes a suspended actor",
            "_cell.py",
            "            self.takes_mail = not self.is_suspended",
            "            self.takes_mail = True",
            by(
                "test_names_events_and_inspection.py::test_a_suspended_actor_that_crashes_stays_suspended",
            ),
        ),
        Mutation(
            "a replaced state is not the actor's",
            "_system.py",
            "                cell.actor.state = state\n",
            "                pass\n",
            by("test_names_events_and_inspection.py::test_suspend_read_replace_resume"),
        ),
        Mutation(
            "a replacement that fails is not said",
            "_system.py",
            "                waiter.resolve(error=error)\n",
            "                waiter.resolve(error)\n",
            by("test_names_events_and_inspection.py::test_a_replacement_that_fails_leaves_the_state"),
        ),
        Mutation(
            "a state is replaced in the middle of a handler",
            "_system.py",
            "if runner is not None and runner.is_busy:",
            "if False:",
            by("test_task_actor.py::test_suspend_and_replace_wait_for_the_running_handler"),
        ),
        Mutation(
            "an actor is suspended in the middle of its handler",
            "_cell.py",
            "if self.runner is not None and self.runner.is_busy:",
            "if False:",
            by("test_task_actor.py::test_suspend_and_replace_wait_for_the_running_handler"),
        ),
    ),
    "The run queue is fair (64 messages, 2 ms), and names who holds it": (
        Mutation(
            "a busy actor is run to the end of its mail",
            "_scheduler.py",
            "            cell.run(BATCH)",
            "            cell.run(1_000_000)",
            by("test_run_queue.py::test_one_busy_actor_does_not_keep_others_waiting"),
        ),
        Mutation(
            "a batch is one longer",
            "_scheduler.py",
            "BATCH = 64",
            "BATCH = 65",
            by("test_run_queue.py::test_one_busy_actor_does_not_keep_others_waiting"),
        ),
        Mutation(
            "the queue never goes back to trio",
            "_scheduler.py",
            "            if at > limit:",
            "            if not ready:",
            by("test_run_queue.py::test_a_turn_of_the_run_queue_is_two_milliseconds"),
        ),
        Mutation(
            "a turn takes 4 ms",
            "_scheduler.py",
            "TURN_S = 0.002",
            "TURN_S = 0.004",
            by("test_run_queue.py::test_a_turn_of_the_run_queue_is_two_milliseconds"),
        ),
        Mutation(
            "who holds the loop is not named",
            "_scheduler.py",
            "                if took_s > self._slow_s:\n                    self._held(cell, took_s)\n",
            "",
            by("test_run_queue.py::test_a_handler_that_holds_the_loop_is_named"),
        ),
        Mutation(
            "TaskActors that never wait starve the loop",
            "_runner.py",
            "            if handled % _MESSAGES_A_TURN == 0:",
            "            if handled % 1_000_000 == 0:",
            by("test_task_actor.py::test_a_task_actor_that_never_waits_gives_way_every_32_messages"),
        ),
    ),
    "However the block ends, everything in it ends first": (
        Mutation(
            "a cancelled block is not waited for",
            "_system.py",
            "        with trio.CancelScope(shield=True):\n            await system.end()",
            "        with trio.CancelScope():\n            await system.end()",
            by("test_supervision.py::test_a_cancelled_block_stops_the_whole_tree_too"),
        ),
        Mutation(
            "the block's error is swallowed",
            "_system.py",
            "    if error is not None:\n        raise error\n",
            "",
            by("test_supervision.py::test_leaving_the_block_stops_the_whole_tree"),
        ),
        Mutation(
            "an exit in a handler is a crash",
            "_cell.py",
            "                self.system.end_with(error)\n",
            "                pass\n",
            by("test_system_ends.py::test_an_exit_in_an_actor_ends_the_block_in_order"),
        ),
        Mutation(
            "an exit in a task is lost",
            "_tasks.py",
            "            self._cell.system.end_with(caught)\n",
            "            pass\n",
            by("test_system_ends.py::test_an_exit_in_an_actor_ends_the_block_in_order"),
        ),
    ),
    "Memory and tasks stay flat; overload is bounded and counted": (
        Mutation(
            "a stopped child is remembered",
            "_supervision.py",
            "        child.terminate(reason)\n\n    def _drop_alarm",
            "        child.terminate(reason)\n        self._infos[child] = None\n\n    def _drop_alarm",
            by(
                "test_leaks_and_overload.py::test_asks_spawns_crashes_and_timers_leave_memory_and_tasks_flat",
            ),
        ),
        Mutation(
            "a crashed actor's timers stay on the heap",
            "_timers.py",
            "        if not self.is_dead:\n            self.cell.system.deadlines.drop(self)",
            "        return",
            by(
                "test_leaks_and_overload.py::test_asks_spawns_crashes_and_timers_leave_memory_and_tasks_flat",
            ),
        ),
        Mutation(
            "who once took a group's name is remembered",
            "_registry.py",
            "        held = self._held.pop(cell, None)",
            "        held = self._held.get(cell, None)",
            by("test_leaks_and_overload.py::test_names_leave_nothing_behind"),
        ),
    ),
    "A held loop ends the process with a name and a stack": (
        Mutation(
            "the watchdog only barks",
            "_watchdog.py",
            "        os._exit(self._exit_code)",
            "        os.write(2, b'held')",
            by(
                "tests/system/test_runtime_watchdog.py"
                "::test_a_handler_that_never_returns_ends_the_process_with_its_name_and_stack",
            ),
        ),
        Mutation(
            "the watchdog names nobody",
            "_watchdog.py",
            "if turn.effects is not None and turn.cell is not None:",
            "if False:",
            by(
                "tests/system/test_runtime_watchdog.py"
                "::test_a_handler_that_never_returns_ends_the_process_with_its_name_and_stack",
            ),
        ),
        Mutation(
            "the watchdog bites the honest",
            "_watchdog.py",
            "await trio.sleep(self._limit_s / 4)",
            "await trio.sleep(self._limit_s * 1.3)",
            by("tests/system/test_runtime_watchdog.py::test_an_honest_process_is_left_alone"),
        ),
    ),
    "A wrong message is a type error": (
        Mutation(
            "a ref takes anything",
            "_ref.py",
            'message: M_contra, /) -> bool:\n        """Send `message`; never blocks, never raises.\n',
            'message: object, /) -> bool:\n        """Send `message`; never blocks, never raises.\n',
            by("tests/system/test_runtime_types.py::test_what_is_wrong_is_a_type_error"),
        ),
    ),
}
