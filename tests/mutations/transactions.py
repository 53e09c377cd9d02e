"""Bugs in what a handler may do, and when it takes effect."""

from __future__ import annotations

from .mutation import Mutation, by

TRANSACTIONS: dict[str, tuple[Mutation, ...]] = {
    "A handler that raises leaves the old state and no trace outside": (
        Mutation(
            "a crash swaps the state all the same",
            "_cell.py",
            "turn.effects = None\n                    self.crashed(error, message)\n                    break\n"
            "                except Base",
            "turn.effects = None\n                    self.state = actor.state\n"
            "                    self.crashed(error, message)\n                    break\n                except Base",
            by("test_handler_is_a_transaction.py::test_a_handler_that_raises_leaves_the_old_state"),
        ),
        Mutation(
            "a crash delivers what was buffered",
            "_cell.py",
            "turn.effects = None\n                    self.crashed(error, message)\n                    break\n"
            "                except Base",
            "turn.effects = None\n                    self.commit(effects)\n"
            "                    self.crashed(error, message)\n                    break\n                except Base",
            by("test_handler_is_a_transaction.py::test_a_handler_that_raises_leaves_no_trace_outside"),
        ),
        Mutation(
            "a TaskActor's crash commits",
            "_runner.py",
            "            self._failure = self._failure or error\n        else:",
            "            self._failure = self._failure or error\n            self._swap()\n        else:",
            by("test_handler_is_a_transaction.py::test_a_handler_that_raises_leaves_the_old_state"),
        ),
        Mutation(
            "a start that fails commits",
            "_cell.py",
            "        except Exception as error:\n            return error\n        finally:",
            "        except Exception as error:\n            self.commit(effects)\n"
            "            return error\n        finally:",
            by("test_handler_is_a_transaction.py::test_started_is_a_transaction_too"),
        ),
        Mutation(
            "tell leaves before the commit",
            "_ref.py",
            "if turn is None or turn.effects is None:",
            "if True:",
            by("test_handler_is_a_transaction.py::test_a_handler_that_raises_leaves_no_trace_outside"),
        ),
        Mutation(
            "an answer leaves before the commit",
            "_reply.py",
            "if turn is None or turn.effects is None:",
            "if True:",
            by("test_ask.py::test_a_handler_that_raises_after_its_answer_has_not_answered"),
        ),
        Mutation(
            "a child is attached before the commit",
            "_actor.py",
            "        effects.append((None, partial(attach, ",
            "        (lambda pair: pair[1]())((None, partial(attach, ",
            by("test_handler_is_a_transaction.py::test_a_handler_that_raises_leaves_no_trace_outside"),
        ),
        Mutation(
            "an ask leaves before the commit",
            "_actor.py",
            "effects.append((None, partial(pending.begin, message)))",
            "pending.begin(message)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
        Mutation(
            "a watch is set before the commit",
            "_actor.py",
            "self._effects().append((None, partial(watch, self._place(), ref.cell)))",
            "watch(self._place(), ref.cell)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
        Mutation(
            "a group is joined before the commit",
            "_actor.py",
            "self._effects().append((None, partial(cell.system.registry.join, group, cell)))",
            "cell.system.registry.join(group, cell)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
        Mutation(
            "a child is stopped before the commit",
            "_actor.py",
            "self._effects().append((None, partial(order_stop_child, ref.cell)))",
            "order_stop_child(ref.cell)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
        Mutation(
            "a watch is given up before the commit",
            "_actor.py",
            "self._effects().append((None, partial(unwatch, self._place(), ref.cell)))",
            "unwatch(self._place(), ref.cell)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
        Mutation(
            "a group is left before the commit",
            "_actor.py",
            "self._effects().append((None, partial(cell.system.registry.leave, group, cell)))",
            "cell.system.registry.leave(group, cell)",
            by("test_handler_is_a_transaction.py::test_nothing_a_crashing_handler_asked_for_happens"),
        ),
    ),
    "Effects happen in order after the swap; a failing call does not stop the others": (
        Mutation(
            "effects happen before the swap",
            "_cell.py",
            "                self.state = actor.state\n                if effects:\n"
            "                    target, what",
            "                if not effects:\n                    self.state = actor.state\n"
            "                if effects:\n                    target, what",
            by("test_handler_is_a_transaction.py::test_effects_happen_in_their_order_after_the_swap"),
        ),
        Mutation(
            "a TaskActor's effects happen before the swap",
            "_runner.py",
            "        self._cell.state = self._actor.state\n"
            "        return self._cell.commit(effects) if effects else None",
            "        failure = self._cell.commit(effects) if effects else None\n"
            "        self._cell.state = self._actor.state\n        return failure",
            by("test_handler_is_a_transaction.py::test_effects_happen_in_their_order_after_the_swap"),
        ),
        Mutation(
            "effects happen in reverse",
            "_cell.py",
            "for target, what in effects:",
            "for target, what in reversed(effects):",
            by("test_handler_is_a_transaction.py::test_effects_happen_in_their_order_after_the_swap"),
        ),
        Mutation(
            "a failing call stops the effects behind it",
            "_cell.py",
            "                if failure is None:\n                    failure = error",
            "                return error\n                if failure is None:\n"
            "                    failure = error",
            by(
                "test_handler_is_a_transaction.py"
                "::test_a_call_that_raises_at_commit_crashes_with_the_new_state_and_the_rest_is_delivered",
            ),
        ),
        Mutation(
            "a failing call crashes nobody",
            "_cell.py",
            "                        if failure is not None:\n"
            "                            self.crashed(failure)\n                            break",
            "                        if failure is not None:\n"
            "                            self.report(failure, NO_MESSAGE)",
            by(
                "test_handler_is_a_transaction.py"
                "::test_a_call_that_raises_at_commit_crashes_with_the_new_state_and_the_rest_is_delivered",
            ),
        ),
        Mutation(
            "a second failing call is not reported",
            "_cell.py",
            "                else:\n                    self.report(error, NO_MESSAGE)\n        if failure",
            "        if failure",
            by(
                "test_handler_is_a_transaction.py::test_two_failing_calls_are_both_reported_and_crash_once",
            ),
        ),
    ),
    "A stop that is committed goes on, whatever fails beside it": (
        Mutation(
            "a failing call takes the stop back",
            "_cell.py",
            "        if failure is not None and self.ends_itself:",
            "        if False:",
            by(
                "test_handler_is_a_transaction.py"
                "::test_a_stop_that_is_committed_goes_on_when_the_same_commit_fails"
            ),
        ),
        Mutation(
            "a crash before the order is obeyed takes the stop back",
            "_cell.py",
            "self.end(NORMAL if self.ends_itself else StopReason(StopKind.CRASHED, error))",
            "self.end(StopReason(StopKind.CRASHED, error))",
            by(
                "test_handler_is_a_transaction.py"
                "::test_a_stop_that_is_committed_goes_on_when_a_crash_comes_between"
            ),
        ),
        Mutation(
            "who ended itself and is restarted ends at its next crash",
            "_cell.py",
            "        if self.ends_itself:\n            self.ends_itself = False\n",
            "",
            by("test_handler_is_a_transaction.py::test_a_restarted_actor_no_longer_ends_itself"),
        ),
    ),
    "An effect is asked for in the actor's own handler and nowhere else": (
        Mutation(
            "an effect outside of any handler is swallowed",
            "_actor.py",
            "        raise OutsideHandler(self)\n\n    # -",
            "        return []\n\n    # -",
            by("test_handler_is_a_transaction.py::test_an_effect_outside_the_handler_is_an_error"),
        ),
        Mutation(
            "a handler may write into another actor's transaction",
            "_actor.py",
            "turn.effects is not None and turn.cell is self._cell",
            "turn.effects is not None",
            by(
                "test_handler_is_a_transaction.py::test_an_actor_cannot_write_into_another_actors_transaction"
            ),
        ),
        Mutation(
            "a TaskActor's own task joins the handler that waits",
            "_actor.py",
            "if is_open and (self._cell.runner is None or CURRENT.get() is turn):",
            "if is_open:",
            by("test_borders.py::test_an_actors_own_task_is_no_part_of_the_handler_that_waits_meanwhile"),
        ),
    ),
    "What a TaskActor committed stands, the rest is undone": (
        Mutation(
            "commit does nothing yet",
            "_runner.py",
            "        failure = self._swap()\n        self.turn.effects = []",
            "        failure = None",
            by("test_task_actor.py::test_what_was_committed_stands_and_what_was_not_is_undone"),
        ),
        Mutation(
            "what was committed happens again on return",
            "_runner.py",
            "        failure = self._swap()\n        self.turn.effects = []",
            "        done = self.turn.effects\n        failure = self._swap()\n"
            "        self.turn.effects = done",
            by("test_task_actor.py::test_what_was_committed_happens_once"),
        ),
        Mutation(
            "a call that fails at a commit is not raised there",
            "_runner.py",
            "        if failure is not None:\n            raise failure",
            "        self._failure = failure",
            by("test_task_actor.py::test_a_call_that_raises_at_a_commit_is_raised_there"),
        ),
    ),
    "The message that killed is a dead letter with its error": (
        Mutation(
            "the message that killed is forgotten",
            "_cell.py",
            "        if message is not NO_MESSAGE:\n"
            "            self.dropped(message, DropReason.POISON, error)",
            "        if message is NO_MESSAGE:\n            pass",
            by(
                "test_handler_is_a_transaction.py"
                "::test_the_message_that_killed_is_a_dead_letter_with_its_error",
            ),
        ),
        Mutation(
            "the message that killed is kept without its error",
            "_cell.py",
            "self.dropped(message, DropReason.POISON, error)",
            "self.dropped(message, DropReason.POISON)",
            by(
                "test_handler_is_a_transaction.py"
                "::test_the_message_that_killed_is_a_dead_letter_with_its_error",
            ),
        ),
        Mutation(
            "the message that killed comes again",
            "_cell.py",
            "            self.dropped(message, DropReason.POISON, error)\n",
            "            self.dropped(message, DropReason.POISON, error)\n"
            "            self.mailbox.put_back([message])\n",
            by("test_mailbox.py::test_restart_keeps_queued_mail"),
        ),
    ),
    "A restart makes a new object: what is transient starts clean": (
        Mutation(
            "a restart takes the old object again",
            "_cell.py",
            "            actor = self.spec.factory()\n",
            "            actor = self.__dict__.setdefault('same', None) or self.spec.factory()\n"
            "            self.same = actor\n",
            by("test_restart_info_and_ladder.py::test_what_is_not_in_the_state_starts_clean"),
        ),
        Mutation(
            "a strict run overlooks hidden state",
            "testing/_crashes.py",
            "if name not in free and",
            "if name in free and",
            by("test_simulation.py::test_a_strict_run_finds_state_that_a_crash_would_lose"),
        ),
    ),
    "Both kinds of actor keep one contract: the same tests run over both": (
        Mutation(
            "the suite runs over one kind only",
            "tests/runtime/conftest.py",
            '@pytest.fixture(params=[Scripted, ScriptedTask], ids=["actor", "task_actor"])',
            '@pytest.fixture(params=[Scripted], ids=["actor"])',
            by("test_both_kinds.py::test_the_suite_runs_over_both_kinds"),
        ),
        Mutation(
            "the suite runs over the same kind twice",
            "tests/runtime/conftest.py",
            '@pytest.fixture(params=[Scripted, ScriptedTask], ids=["actor", "task_actor"])',
            '@pytest.fixture(params=[Scripted, Scripted], ids=["actor", "task_actor"])',
            by("test_both_kinds.py::test_a_kind_is_what_it_says"),
        ),
    ),
}
