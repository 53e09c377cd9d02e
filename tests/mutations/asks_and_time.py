"""Bugs in questions, timers, tasks and watches: what comes back, and what must not any more."""

from __future__ import annotations

from .mutation import Mutation, by

ASKS_AND_TIME: dict[str, tuple[Mutation, ...]] = {
    "An ask has one outcome in time, with errors that differ": (
        Mutation(
            "a refused ask waits for its deadline",
            "_cell.py",
            "            pending.finish(Failed(self.mailbox.full()))",
            "            pass",
            by("test_ask.py::test_an_ask_the_mailbox_refuses_fails_at_once"),
        ),
        Mutation(
            "an ask whose actor ends waits for its deadline",
            "_cell.py",
            "        for pending in tuple(self.asks or ()):\n"
            "            pending.finish(Failed(ActorStopped(self.path, reason)))\n",
            "",
            by("test_ask.py::test_an_ask_ends_when_its_actor_stops_before_the_answer"),
        ),
        Mutation(
            "an ask of a dead actor waits for its deadline",
            "_cell.py",
            "            pending.finish(Failed(ActorStopped(self.path, self.end_reason())))",
            "            pass",
            by("test_ask.py::test_an_ask_of_a_stopped_actor_fails_at_once"),
        ),
        Mutation(
            "an ask of a dead actor does not say how it ended",
            "_cell.py",
            "        return NORMAL if self.ending is None else self.ending",
            "        return NORMAL",
            by("test_ask.py::test_an_ask_of_a_stopped_actor_fails_at_once"),
        ),
        Mutation(
            "an ask that killed its actor waits for its deadline",
            "_cell.py",
            "            pending.finish(Failed(ActorFailed(self.path, error)))",
            "            pass",
            by("test_ask.py::test_a_handler_that_raises_after_its_answer_has_not_answered"),
        ),
        Mutation(
            "an ask of a restarting actor waits in its mailbox",
            "_ask.py",
            "if target.restart_at is not None:",
            "if False:",
            by("test_mailbox.py::test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back"),
        ),
        Mutation(
            "a restarting actor says to come back at once",
            "_ask.py",
            "retry_after_s = max(0.0, target.restart_at - system.clock.now())",
            "retry_after_s = 0.0",
            by("test_mailbox.py::test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back"),
        ),
        Mutation(
            "an ask waits twice as long as it said",
            "_ask.py",
            "system.deadlines.add(system.clock.now() + self.timeout_s, self)",
            "system.deadlines.add(system.clock.now() + 2 * self.timeout_s, self)",
            by("test_ask.py::test_no_answer_in_time"),
        ),
        Mutation(
            "the last answer counts",
            "_ask.py",
            "        if self.is_dead:\n            value =",
            "        if self.is_dead and not self.result:\n            value =",
            by("test_ask.py::test_only_the_first_answer_counts"),
        ),
        Mutation(
            "an answer that is an error is returned",
            "_ask.py",
            "        if isinstance(self.result, Failed):\n            raise self.result.error\n",
            "",
            by("test_ask.py::test_an_answer_can_be_an_error"),
        ),
        Mutation(
            "a replaced request waits for its deadline",
            "_cell.py",
            "        elif reason is not DropReason.UNHANDLED:",
            "        elif reason is DropReason.OVERFLOW:",
            by("test_ask.py::test_an_ask_whose_request_is_replaced_fails"),
        ),
    ),
    "Who was refused hears why": (
        Mutation(
            "a dead actor calls itself full",
            "_actor.py",
            "mailbox.full() if mailbox.is_open else ActorStopped(target.path, target.end_reason())",
            "mailbox.full()",
            by("test_borders.py::test_a_tell_that_a_dead_actor_refuses_says_that_it_is_dead"),
        ),
        Mutation(
            "a refused tell says nothing",
            "_actor.py",
            "        sender.mailbox.put_envelope(_Refusal(refused, error))",
            "        pass",
            by(
                "test_handler_is_a_transaction.py"
                "::test_a_refused_tell_comes_back_as_a_message_where_it_was_asked_for"
            ),
        ),
    ),
    "An ask that is over leaves nothing behind": (
        Mutation(
            "an ask is known to its target for ever",
            "_ask.py",
            "            target.asks.pop(self, None)",
            "            pass",
            by("test_ask.py::test_asks_that_are_over_are_known_nowhere"),
        ),
        Mutation(
            "an ask is known to the system for ever",
            "_ask.py",
            "            del asks[id(self.message)]",
            "            pass",
            by("test_ask.py::test_asks_that_are_over_are_known_nowhere"),
        ),
        Mutation(
            "a timed out ask is known for ever",
            "_ask.py",
            "    def due(self) -> None:\n        self._forget()\n",
            "    def due(self) -> None:\n",
            by(
                "test_leaks_and_overload.py::test_asks_spawns_crashes_and_timers_leave_memory_and_tasks_flat",
            ),
        ),
        Mutation(
            "a cancelled ask is known for ever",
            "_ask.py",
            "        self.abandon()\n        return trio.lowlevel.Abort.SUCCEEDED",
            "        return trio.lowlevel.Abort.SUCCEEDED",
            by("test_ask.py::test_a_cancelled_ask_leaves_nothing_and_its_answer_is_dropped"),
        ),
        Mutation(
            "deadlines of answered asks stay on the heap",
            "_deadlines.py",
            "if self._dead * 2 > len(self._heap) > _SMALL:",
            "if False:",
            by("test_ask.py::test_asks_that_are_over_are_known_nowhere"),
        ),
        Mutation(
            "the ask of an incarnation that is gone goes on",
            "_cell.py",
            "                pending.abandon()\n",
            "                pass\n",
            by("test_ask.py::test_the_asks_of_an_incarnation_end_with_it"),
        ),
    ),
    "An actor's own ask comes back as a message, to the incarnation that asked": (
        Mutation(
            "the next incarnation gets the answer",
            "_ask.py",
            "if self.incarnation != self.asker.incarnation:",
            "if False:",
            by("test_ask.py::test_an_answer_that_waits_when_its_incarnation_ends_does_not_arrive"),
        ),
        Mutation(
            "a failed ask comes back as an answer",
            "_ask.py",
            "        if isinstance(self.result, Failed):\n            return self.failed(self.result.error)",
            "        if isinstance(self.result, Failed):\n            return self.then(self.result.error)",
            by("test_ask.py::test_an_actor_hears_of_a_failed_ask_by_a_message"),
        ),
    ),
    "A TaskActor that asks itself fails at once": (
        Mutation(
            "a TaskActor that asks itself waits",
            "_ref.py",
            "            raise AskCycle(target.path)",
            "            pass",
            by("test_task_actor.py::test_asking_itself_fails_at_once"),
        ),
        Mutation(
            "a TaskActor may ask nobody",
            "_ref.py",
            "if turn is not None and turn.effects is not None and turn.cell is target:",
            "if turn is not None and turn.effects is not None:",
            by("test_task_actor.py::test_a_task_actor_may_ask_another_in_the_middle_of_a_handler"),
        ),
    ),
    "A cancelled or replaced timer's message never arrives; a timer may set itself again": (
        Mutation(
            "a cancelled timer's message that waits arrives",
            "_timers.py",
            "        if self.is_cancelled:\n            return SKIP\n",
            "",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_cancelled_timer_does_not_arrive_even_if_it_waits_already",
            ),
        ),
        Mutation(
            "a replaced timer's message arrives",
            "_timers.py",
            "            before.cancel()\n",
            "            pass\n",
            by("test_timers_tasks_and_watches.py::test_a_timer_set_again_replaces_the_one_before"),
        ),
        Mutation(
            "cancelling does nothing",
            "_actor.py",
            "    if timer is not None:\n        timer.cancel()",
            "    pass",
            by(
                "test_timers_tasks_and_watches.py::test_cancelling_a_timer_that_is_not_there_does_nothing",
            ),
        ),
        Mutation(
            "timers outlive their incarnation",
            "_cell.py",
            "                timer.cancel()\n            self.timers = None",
            "                pass\n            self.timers = None",
            by("test_timers_tasks_and_watches.py::test_timers_die_with_the_incarnation"),
        ),
        Mutation(
            "a timer that sets itself again cancels what it set",
            "_timers.py",
            "        cell.timers[self.key] = self\n",
            "        cell.timers[self.key] = self\n"
            "        self.is_cancelled = cell.turn.message is self.message\n",
            by("test_timers_tasks_and_watches.py::test_a_timer_may_set_itself_again"),
        ),
        Mutation(
            "a timer that has come is still set",
            "_timers.py",
            "            del self.cell.timers[self.key]",
            "            pass",
            by("test_timers_tasks_and_watches.py::test_a_timer_that_has_come_is_set_no_more"),
        ),
    ),
    "Deadlines are one heap: in order, equal ones as they were set, the earliest wakes the queue": (
        Mutation(
            "an earlier deadline does not wake the queue",
            "_deadlines.py",
            "if at < self._armed and self._parked is not None:",
            "if False:",
            by("test_run_queue.py::test_deadlines_that_come_earlier_than_those_set_before_are_kept"),
        ),
        Mutation(
            "of equal deadlines the last comes first",
            "_deadlines.py",
            "heapq.heappush(self._heap, (at, next(self._order), item))",
            "heapq.heappush(self._heap, (at, -next(self._order), item))",
            by(
                "test_timers_tasks_and_watches.py::test_timers_of_one_moment_come_in_the_order_they_were_set",
            ),
        ),
        Mutation(
            "a dropped deadline is due",
            "_deadlines.py",
            "            if item.is_dead:\n",
            "            if False:\n",
            by("test_ask.py::test_an_ask_answered_in_time_does_not_time_out_later"),
        ),
    ),
    "`every` keeps its pace and never buries a slow actor": (
        Mutation(
            "ticks drift by what they were late",
            "_timers.py",
            "        self.at += self.period_s * (missed + 1)",
            "        self.at = self.cell.system.deadlines.time + self.period_s",
            by("test_timers_tasks_and_watches.py::test_a_late_tick_does_not_shift_those_behind_it"),
        ),
        Mutation(
            "ticks pile up",
            "_timers.py",
            "        if not self.is_waiting:",
            "        if True:",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_slow_actor_misses_ticks_instead_of_being_buried_in_them",
            ),
        ),
        Mutation(
            "every ticks once",
            "_timers.py",
            "        self.is_waiting = False\n        if self.is_cancelled:",
            "        if self.is_cancelled:",
            by("test_timers_tasks_and_watches.py::test_every_ticks_until_cancelled_without_drift"),
        ),
    ),
    "Tasks report by message and end with their incarnation": (
        Mutation(
            "a cancelled task reports",
            "_tasks.py",
            "        if self.is_cancelled:\n            return False\n        return",
            "        return",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_task_cancelled_while_its_outcome_waits_reports_nothing",
            ),
        ),
        Mutation(
            "a failed task fails nobody",
            "_tasks.py",
            "            cell.crash(error)\n",
            "            pass\n",
            by(
                "test_timers_tasks_and_watches.py"
                "::test_a_tasks_failure_crashes_the_actor_where_nothing_is_declared",
            ),
        ),
        Mutation(
            "a failed task crashes although its failure is declared",
            "_tasks.py",
            "        elif self._failed is not None:",
            "        elif self._failed is not None and cell is None:",
            by("test_timers_tasks_and_watches.py::test_a_tasks_failure_is_a_message_where_declared"),
        ),
        Mutation(
            "tasks go on after their incarnation",
            "_cell.py",
            "                for task in doomed:\n                    task.cancel()\n",
            "",
            by("test_timers_tasks_and_watches.py::test_tasks_die_with_the_incarnation_and_are_awaited"),
        ),
        Mutation(
            "a restart does not wait for the tasks",
            "_cell.py",
            "                self.shutdown_alarm = self._alarm_at_shutdown(self._abandon_tasks)\n"
            "                return\n",
            "                self.waits_for = None\n",
            by("test_timers_tasks_and_watches.py::test_tasks_die_with_the_incarnation_and_are_awaited"),
        ),
        Mutation(
            "a task that was declared to outlive a crash does not",
            "_cell.py",
            "if all_of_them or not task.outlives_crash}",
            "}",
            by("test_timers_tasks_and_watches.py::test_a_declared_task_outlives_a_crash"),
        ),
        Mutation(
            "a task outlives its actor",
            "_cell.py",
            "        for task in tuple(self.tasks or ()):\n            task.cancel()\n",
            "",
            by("test_timers_tasks_and_watches.py::test_a_declared_task_does_not_outlive_the_actor"),
        ),
        Mutation(
            "a task that is over is listed for ever",
            "_cell.py",
            "            self.tasks.pop(task, None)\n            if not self.tasks:",
            "            if not self.tasks:",
            by("test_timers_tasks_and_watches.py::test_a_task_that_is_over_is_listed_no_more"),
        ),
        Mutation(
            "what a task tells waits for a handler",
            "_tasks.py",
            "        CURRENT.set(None)\n",
            "",
            by("test_task_actor.py::test_what_a_task_tells_does_not_wait_for_the_handler_that_runs"),
        ),
    ),
    "A watch tells of an end exactly once, also of one that was before": (
        Mutation(
            "a watch of a dead actor never tells",
            "_watch.py",
            "        watcher.mailbox.put_envelope(Down(watcher, target, target.end_reason()))\n",
            "",
            by("test_timers_tasks_and_watches.py::test_a_watch_of_a_dead_actor_tells_at_once"),
        ),
        Mutation(
            "the news of an end arrives although it is unwatched",
            "_watch.py",
            "        if watching is None or self.target not in watching:\n            return SKIP\n"
            "        del watching[self.target]",
            "        if watching is not None:\n            watching.pop(self.target, None)",
            by(
                "test_timers_tasks_and_watches.py::test_unwatched_means_no_news_even_if_it_waits_already",
            ),
        ),
        Mutation(
            "an actor that was heard of is watched for ever",
            "_watch.py",
            "        del watching[self.target]\n",
            "",
            by("test_timers_tasks_and_watches.py::test_an_end_that_was_heard_of_can_be_watched_again"),
        ),
        Mutation(
            "a restart is told as an end",
            "_cell.py",
            "        self.actor = None\n        if self.parent is None:",
            "        self.actor = None\n        for watcher in self.watchers or ():\n"
            "            watcher.mailbox.put_envelope(Down(watcher, self, self.ending))\n"
            "        if self.parent is None:",
            by("test_timers_tasks_and_watches.py::test_a_restart_is_no_end"),
        ),
        Mutation(
            "a clean start remembers the watches",
            "_cell.py",
            "            forget_watches(self)\n        try:",
            "            pass\n        try:",
            by(
                "test_timers_tasks_and_watches.py::test_a_watch_outlives_a_restart_that_keeps_the_state_only",
            ),
        ),
        Mutation(
            "a restart forgets the watches",
            "_cell.py",
            "if self.watching is not None and (info is None or not info.state_kept):",
            "if self.watching is not None:",
            by(
                "test_timers_tasks_and_watches.py::test_a_watch_outlives_a_restart_that_keeps_the_state_only",
            ),
        ),
    ),
}
