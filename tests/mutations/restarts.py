"""Bugs in who is restarted, how often, after how long, from what, and what it is told."""

from __future__ import annotations

from .mutation import Mutation, by

RESTARTS: dict[str, tuple[Mutation, ...]] = {
    "permanent is always restarted, transient after a failure, temporary never": (
        Mutation(
            "a transient child is restarted after a normal end",
            "_supervision.py",
            ' or (kind == "transient" and not reason.is_failure):',
            ":",
            by("test_supervision.py::test_who_is_restarted"),
        ),
        Mutation(
            "a transient child is not restarted after a crash",
            "_supervision.py",
            '(kind == "transient" and not reason.is_failure)',
            'kind == "transient"',
            by("test_supervision.py::test_who_is_restarted"),
        ),
        Mutation(
            "a permanent child is not restarted after a normal end",
            "_supervision.py",
            '(kind == "transient" and not reason.is_failure)',
            "not reason.is_failure",
            by("test_supervision.py::test_who_is_restarted"),
        ),
        Mutation(
            "a temporary child is restarted after a crash",
            "_supervision.py",
            'kind == "temporary" or (kind == "transient" and not reason.is_failure)',
            'kind != "permanent" and not reason.is_failure',
            by("test_supervision.py::test_who_is_restarted"),
        ),
    ),
    "More than `intensity` restarts within `period_s` escalate": (
        Mutation(
            "one restart too few",
            "_supervision.py",
            "if len(restarts) <= self._actor.intensity:",
            "if len(restarts) < self._actor.intensity:",
            by(
                "test_intensity_and_backoff.py"
                "::test_past_its_intensity_a_supervisor_ends_and_its_own_supervisor_decides",
            ),
        ),
        Mutation(
            "one restart too many",
            "_supervision.py",
            "if len(restarts) <= self._actor.intensity:",
            "if len(restarts) <= self._actor.intensity + 1:",
            by(
                "test_intensity_and_backoff.py"
                "::test_past_its_intensity_a_supervisor_ends_and_its_own_supervisor_decides",
            ),
        ),
        Mutation(
            "restarts are never too long ago to count",
            "_supervision.py",
            "while restarts and now - restarts[0] > self._actor.period_s:",
            "while False:",
            by("test_restart_info_and_ladder.py::test_crashes_far_apart_are_a_new_streak"),
        ),
        Mutation(
            "a restart exactly a period ago does not count",
            "_supervision.py",
            "now - restarts[0] > self._actor.period_s",
            "now - restarts[0] >= self._actor.period_s",
            by("test_intensity_and_backoff.py::test_a_restart_exactly_a_period_ago_counts"),
        ),
        Mutation(
            "a restarted supervisor has used up its intensity",
            "_supervision.py",
            "        self._restarts.clear()\n",
            "",
            by(
                "test_intensity_and_backoff.py::test_a_restarted_supervisor_has_its_whole_intensity_again",
            ),
        ),
        Mutation(
            "an escalation is a normal end",
            "_supervision.py",
            "cell.end(StopReason(StopKind.ESCALATED, reason.cause))",
            "cell.end(StopReason(StopKind.NORMAL, reason.cause))",
            by("test_intensity_and_backoff.py::test_a_transient_supervisor_that_escalates_is_restarted"),
        ),
        Mutation(
            "an escalation is not announced",
            "_supervision.py",
            "        cell.system.events.publish(Escalated(cell.path, child.path, reason.cause))\n",
            "",
            by(
                "test_restart_info_and_ladder.py"
                "::test_the_ladder_keeps_the_state_then_starts_clean_then_escalates",
            ),
        ),
        Mutation(
            "the root's end ends nothing",
            "_system.py",
            "            self.end_with(SystemFailed(self.name, reason.cause))",
            "            self.end_with(KeyboardInterrupt())",
            by("test_intensity_and_backoff.py::test_an_error_past_the_root_ends_the_block"),
        ),
    ),
    "Intensity per child harms nobody else": (
        Mutation(
            "intensity per child escalates",
            "_supervision.py",
            "if is_past and not is_per_child:",
            "if is_past:",
            by("test_supervision.py::test_intensity_per_child_harms_nobody_else"),
        ),
        Mutation(
            "children share one count",
            "_supervision.py",
            "        if is_per_child:\n            if child.restarts is None:",
            "        if is_per_child and child is None:\n            if child.restarts is None:",
            by("test_intensity_and_backoff.py::test_intensity_per_child_is_counted_for_each_alone"),
        ),
        Mutation(
            "one past its own intensity comes back at once",
            "_supervision.py",
            "delay_s = max(delay_s, (backoff or _PATIENT).longest_s)",
            "delay_s = max(delay_s, 0.0)",
            by("test_supervision.py::test_intensity_per_child_harms_nobody_else"),
        ),
        Mutation(
            "one past its own intensity keeps its state",
            "_supervision.py",
            "if failed_with_kept or is_past:",
            "if failed_with_kept:",
            by("test_intensity_and_backoff.py::test_one_past_its_own_intensity_starts_clean"),
        ),
        Mutation(
            "one past its own intensity once is past it for ever",
            "_supervision.py",
            "        if is_per_child:\n            restarts.clear()\n",
            "",
            by(
                "test_intensity_and_backoff.py::test_intensity_per_child_is_counted_anew_after_the_long_wait",
            ),
        ),
    ),
    "A restart waits out its backoff, with jitter": (
        Mutation(
            "the free restart waits too",
            "_spec.py",
            "if attempt <= self.free:",
            "if attempt < self.free:",
            by(
                "test_intensity_and_backoff.py::test_backoff_grows_with_jitter_and_stays_under_its_bound",
            ),
        ),
        Mutation(
            "the first wait is skipped",
            "_spec.py",
            "exponent = min(attempt - self.free - 1, 63)",
            "exponent = min(attempt - self.free, 63)",
            by(
                "test_intensity_and_backoff.py::test_backoff_grows_with_jitter_and_stays_under_its_bound",
            ),
        ),
        Mutation(
            "what failed together comes back together",
            "_spec.py",
            "(1 + self.jitter * (2 * chance.random() - 1))",
            "(1 + self.jitter * 0)",
            by(
                "test_intensity_and_backoff.py::test_backoff_grows_with_jitter_and_stays_under_its_bound",
            ),
        ),
        Mutation(
            "jitter passes the bound",
            "_spec.py",
            "return min(wait_s * (1 + self.jitter * (2 * chance.random() - 1)), self.longest_s)",
            "return wait_s * (1 + self.jitter * (2 * chance.random() - 1))",
            by("test_intensity_and_backoff.py::test_jitter_stays_under_the_bound_whatever_chance_says"),
        ),
        Mutation(
            "jitter only ever shortens the wait",
            "_spec.py",
            "(2 * chance.random() - 1)",
            "(chance.random() - 1)",
            by("test_intensity_and_backoff.py::test_jitter_stays_under_the_bound_whatever_chance_says"),
        ),
        Mutation(
            "a child does not wait",
            "_supervision.py",
            "        if delay_s <= 0:\n            child.order_start(info)",
            "        if True:\n            child.order_start(info)",
            by("test_mailbox.py::test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back"),
        ),
        Mutation(
            "a group does not wait",
            "_supervision.py",
            "        if self._delay_s > 0:",
            "        if False:",
            by("test_intensity_and_backoff.py::test_a_group_waits_out_the_backoff_together"),
        ),
        Mutation(
            "a child that waits is started beside its supervisor's restart",
            "_supervision.py",
            "            if cell.retry is not None:\n",
            "            if False:\n",
            by(
                "test_intensity_and_backoff.py"
                "::test_a_supervisor_that_crashes_during_a_childs_backoff_starts_it_once",
            ),
        ),
    ),
    "Who asks during a backoff is told when to come back": (
        Mutation(
            "a group says when it would be back if all of it were down already",
            "_supervision.py",
            "            for cell in self._line:\n                cell.restart_at = start_at\n",
            "",
            by("test_borders.py::test_retry_after_of_a_group_counts_from_when_all_of_it_is_down"),
        ),
        Mutation(
            "a child that waits for its restart does not say so",
            "_supervision.py",
            "        child.restart_at = system.clock.now() + delay_s\n",
            "        child.restart_at = system.clock.now()\n",
            by("test_mailbox.py::test_mail_waits_during_a_backoff_and_an_ask_is_told_when_to_come_back"),
        ),
    ),
    "Keep the state, start clean, escalate": (
        Mutation(
            "the first restart starts clean",
            "_supervision.py",
            "is_kept = child.attempt <= child.spec.clean_after",
            "is_kept = child.attempt < child.spec.clean_after - 1",
            by(
                "test_restart_info_and_ladder.py"
                "::test_the_ladder_keeps_the_state_then_starts_clean_then_escalates",
            ),
        ),
        Mutation(
            "a restart starts clean one crash too early",
            "_supervision.py",
            "is_kept = child.attempt <= child.spec.clean_after",
            "is_kept = child.attempt < child.spec.clean_after",
            by(
                "test_restart_info_and_ladder.py"
                "::test_the_ladder_keeps_the_state_then_starts_clean_then_escalates",
            ),
        ),
        Mutation(
            "no restart ever starts clean",
            "_supervision.py",
            "is_kept = child.attempt <= child.spec.clean_after",
            "is_kept = True",
            by(
                "test_restart_info_and_ladder.py"
                "::test_the_ladder_keeps_the_state_then_starts_clean_then_escalates",
            ),
        ),
        Mutation(
            "a slow start counts as life",
            "_cell.py",
            "deadlines.time if self.runner is None else clock.now()",
            "deadlines.time",
            by("test_restart_info_and_ladder.py::test_a_slow_start_is_no_long_life"),
        ),
        Mutation(
            "a streak never ends",
            "_supervision.py",
            "return 0 if is_over else child.attempt",
            "return child.attempt",
            by("test_restart_info_and_ladder.py::test_crashes_far_apart_are_a_new_streak"),
        ),
        Mutation(
            "a streak outlives the supervisor's restart",
            "_supervision.py",
            "            cell.attempt = 0\n",
            "",
            by("test_restart_info_and_ladder.py::test_a_restart_of_the_supervisor_begins_a_new_streak"),
        ),
        Mutation(
            "a state that cannot be started from is tried again",
            "_supervision.py",
            "if failed_with_kept or is_past:",
            "if is_past:",
            by(
                "test_restart_info_and_ladder.py"
                "::test_a_state_that_cannot_be_started_from_is_given_up_at_once",
            ),
        ),
        Mutation(
            "children keep their state when their supervisor is restarted",
            "_supervision.py",
            "RestartInfo(info.cause, info.attempt, info.since, False)",
            "RestartInfo(info.cause, info.attempt, info.since, True)",
            by(
                "test_restart_info_and_ladder.py"
                "::test_the_ladder_keeps_the_state_then_starts_clean_then_escalates",
            ),
        ),
    ),
    "A restarted actor is told why: cause, attempt, since": (
        Mutation(
            "the cause is the kind of the end only",
            "_supervision.py",
            "cause = reason.kind.value if reason.cause is None else reason.cause",
            "cause = reason.kind.value",
            by("test_restart_info_and_ladder.py::test_the_new_incarnation_is_told_why"),
        ),
        Mutation(
            "every restart is the first",
            "_supervision.py",
            "info = RestartInfo(cause, child.attempt, child.down_since, is_kept)",
            "info = RestartInfo(cause, 1, child.down_since, is_kept)",
            by(
                "test_restart_info_and_ladder.py"
                "::test_each_restart_of_a_streak_is_told_its_number_and_since_when",
            ),
        ),
        Mutation(
            "it is down since its tasks ended, not since it crashed",
            "_supervision.py",
            "info = RestartInfo(cause, child.attempt, child.down_since, is_kept)",
            "info = RestartInfo(cause, child.attempt, now, is_kept)",
            by(
                "test_restart_info_and_ladder.py"
                "::test_each_restart_of_a_streak_is_told_its_number_and_since_when",
            ),
        ),
        Mutation(
            "siblings of a group restart are not told",
            "_supervision.py",
            "self._infos = {cell: info if cell is child else sibling for cell in self._line}",
            "self._infos = {cell: info if cell is child else None for cell in self._line}",
            by("test_restart_info_and_ladder.py::test_everybody_in_a_group_restart_is_told_why"),
        ),
        Mutation(
            "children of a restarted supervisor are not told",
            "_supervision.py",
            "self._infos = {cell: info if cell.was_up else None for cell in self._line}",
            "self._infos = {cell: None for cell in self._line}",
            by("test_restart_info_and_ladder.py::test_children_of_a_restarted_supervisor_are_told_why"),
        ),
    ),
}
