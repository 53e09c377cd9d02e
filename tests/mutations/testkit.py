"""Bugs in time and chance, and in the kit that replays, breaks and cuts."""

from __future__ import annotations

from .mutation import Mutation, by

TESTKIT: dict[str, tuple[Mutation, ...]] = {
    "Time, chance and ids come from the system alone": (
        Mutation(
            "an actor's now is the computer's",
            "_actor.py",
            "        return self._place().system.clock.now()\n",
            "        import time\n\n        return time.monotonic()\n",
            by("test_timers_tasks_and_watches.py::test_every_ticks_until_cancelled_without_drift"),
        ),
        Mutation(
            "a seeded calendar is the computer's",
            "_clock.py",
            "        return self._offset_s + self.now()",
            "        return time.time()",
            by("test_names_events_and_inspection.py::test_a_seed_makes_the_calendar_up"),
        ),
        Mutation(
            "chance is not the seed's",
            "_system.py",
            "self.random = random.Random(seed)",
            "self.random = random.Random()",
            by(
                "test_simulation.py"
                "::test_the_same_seed_gives_the_same_run_in_processes_with_different_hash_seeds",
            ),
        ),
        Mutation(
            "ids are random under a seed",
            "_system.py",
            "(RandomIds(self.random) if seed is None else CountingIds())",
            "RandomIds(self.random)",
            by("test_names_events_and_inspection.py::test_ids_are_unique_or_countable"),
        ),
    ),
    "A seed is a run, in every process: the same trace twice, also with other hash seeds": (
        Mutation(
            "scheduling is not the seed's",
            "_system.py",
            'random.Random(f"schedule {seed}")',
            "random.Random()",
            by(
                "test_simulation.py"
                "::test_the_same_seed_gives_the_same_run_in_processes_with_different_hash_seeds",
            ),
        ),
        Mutation(
            "trio's scheduling is not the seed's",
            "testing/_determinism.py",
            '    module._r.seed(f"trio {seed}")\n',
            "",
            by("test_simulation.py::test_the_switch_really_decides_the_order_of_tasks"),
        ),
        Mutation(
            "faults are not the seed's",
            "testing/_simulation.py",
            'random.Random(f"faults {seed}")',
            "random.Random()",
            by(
                "test_simulation.py"
                "::test_the_same_seed_gives_the_same_run_in_processes_with_different_hash_seeds",
            ),
        ),
        Mutation(
            "children start in the order of their hashes",
            "_supervision.py",
            "        self.children = {}\n        self._expected = {}\n        self._static = set(names)\n"
            "        for spec in specs:",
            "        self.children = {}\n        self._expected = {}\n        self._static = set(names)\n"
            "        for spec in sorted(specs, key=lambda spec: hash(spec.name)):",
            by(
                "test_simulation.py"
                "::test_the_same_seed_gives_the_same_run_in_processes_with_different_hash_seeds",
            ),
        ),
        Mutation(
            "a seeded run queue looks at the time",
            "_scheduler.py",
            "work = self._work if self._chance is None else self._work_by_seed",
            "work = self._work",
            by("test_simulation.py::test_scheduling_of_actors_is_drawn_from_the_seed"),
        ),
    ),
    "A simulated batch is drawn from the seed": (
        Mutation(
            "a simulated ask runs the queue where it stands",
            "_scheduler.py",
            "if not self.is_parked or self._chance is not None:",
            "if not self.is_parked:",
            by("test_simulation.py::test_an_ask_in_a_simulation_is_a_step_as_every_other"),
        ),
        Mutation(
            "a simulated batch is always whole",
            "_scheduler.py",
            "done = cell.run(self._chance.randrange(1, BATCH + 1))",
            "done = cell.run(BATCH)",
            by("test_simulation.py::test_the_length_of_a_batch_is_drawn_from_the_seed"),
        ),
        Mutation(
            "the first that is ready is run",
            "_scheduler.py",
            "place = self._chance.randrange(len(ready))",
            "place = 0",
            by("test_simulation.py::test_scheduling_of_actors_is_drawn_from_the_seed"),
        ),
        Mutation(
            "a simulated turn ends when nobody is ready",
            "_scheduler.py",
            "budget = self._chance.randrange(1, 4 * BATCH)",
            "budget = 10**9",
            by("test_simulation.py::test_when_a_turn_ends_is_drawn_from_the_seed"),
        ),
    ),
    "trio's private deterministic switch is in one module and missed loudly": (
        Mutation(
            "a switch that went away is not missed",
            "testing/_determinism.py",
            "if not has_switch or not isinstance(",
            "if not has_switch and not isinstance(",
            by("test_simulation.py::test_a_switch_that_went_away_is_said_loudly"),
        ),
        Mutation(
            "the switch is not turned",
            "testing/_determinism.py",
            "    module._ALLOW_DETERMINISTIC_SCHEDULING = True\n",
            "",
            by("test_simulation.py::test_the_switch_really_decides_the_order_of_tasks"),
        ),
        Mutation(
            "the switch stays turned",
            "testing/_determinism.py",
            "        module._ALLOW_DETERMINISTIC_SCHEDULING = switch\n",
            "",
            by("test_simulation.py::test_a_simulation_leaves_everything_as_it_was"),
        ),
    ),
    "A failing run names its seed and its last steps": (
        Mutation(
            "a failing run does not say its seed",
            "testing/_simulation.py",
            "simulated with seed {seed!r}, which",
            "simulated with a seed, which",
            by("test_simulation.py::test_a_failing_run_names_its_seed_and_its_last_steps"),
        ),
        Mutation(
            "a failing run shows its first steps",
            "testing/_simulation.py",
            "for line in world.trace[-20:]:",
            "for line in world.trace[:20]:",
            by("test_simulation.py::test_a_failing_run_names_its_seed_and_its_last_steps"),
        ),
        Mutation(
            "a scenario that waits for nothing waits for ever",
            "testing/_simulation.py",
            "        with trio.fail_after(limit_s):",
            "        with trio.move_on_after(limit_s):",
            by("test_simulation.py::test_a_scenario_that_waits_for_nothing_ends"),
        ),
    ),
    "A fault point is nothing unless simulated, and then what was planned": (
        Mutation(
            "a plan outlives its simulation",
            "testing/_simulation.py",
            "    finally:\n        set_fault_plan(before)",
            "    finally:\n        pass",
            by("test_simulation.py::test_a_simulation_leaves_everything_as_it_was"),
        ),
        Mutation(
            "a fault happens more often than planned",
            "testing/_simulation.py",
            "None if times is None else times - 1",
            "times",
            by("test_simulation.py::test_faults_happen_as_often_as_planned"),
        ),
        Mutation(
            "a fault happens always",
            "testing/_simulation.py",
            "if times == 0 or self._chance.random() >= probability:",
            "if times == 0:",
            by("test_simulation.py::test_faults_happen_as_often_as_planned"),
        ),
    ),
    "A crash at any seeded point of a transaction is all or nothing": (
        Mutation(
            "a crash before the handler comes after it",
            "testing/_crashes.py",
            "if where is CrashPoint.BEFORE_HANDLER:",
            "if where is None:",
            by("test_simulation.py::test_a_crash_at_any_point_is_all_or_nothing"),
        ),
        Mutation(
            "a crash after the swap comes before it",
            "testing/_crashes.py",
            "if where is CrashPoint.BEFORE_HANDLER:",
            "if where is not CrashPoint.BETWEEN_EFFECTS:",
            by("test_simulation.py::test_a_crash_at_any_point_is_all_or_nothing"),
        ),
        Mutation(
            "a crash between two effects comes before the first",
            "testing/_crashes.py",
            "source.randrange(1, len(effects)) if is_between else 0",
            "0",
            by("test_simulation.py::test_a_crash_between_two_effects_is_between_two_effects"),
        ),
        Mutation(
            "the crash comes one message early",
            "testing/_crashes.py",
            "        if left > 0:",
            "        if left > 1:",
            by("test_simulation.py::test_a_crash_at_any_point_is_all_or_nothing"),
        ),
    ),
    "Every handler of a simulated system can be made to pass fault points: before it, after its swap, between"
    " two effects": (
        Mutation(
            "the point after the swap is marked as between two effects",
            "testing/_crashes.py",
            "        effects.insert(0, (None, after))",
            "        effects.insert(0, (None, between))",
            by("test_simulation.py::test_marked_handlers_crash_where_it_was_planned"),
        ),
        Mutation(
            "a handler is marked after it only",
            "testing/_crashes.py",
            "        fault_point(handler_point(kind, type(message), CrashPoint.BEFORE_HANDLER))",
            "        pass",
            by("test_simulation.py::test_marked_handlers_crash_where_it_was_planned"),
        ),
        Mutation(
            "a fault that is planned for later comes at once",
            "testing/_simulation.py",
            "        if after > 0:",
            "        if False:",
            by("test_simulation.py::test_marked_handlers_crash_where_it_was_planned"),
        ),
    ),
    "Streams in memory pass trio's conformance check, then delay, lose, cut, half-open and reset": (
        Mutation(
            "bytes arrive at once",
            "testing/_streams.py",
            "(trio.current_time() + self._link.delay_s, part)",
            "(trio.current_time(), part)",
            by("test_simulated_streams.py::test_bytes_take_their_time"),
        ),
        Mutation(
            "a link that is held delivers",
            "testing/_streams.py",
            "while self.flying and not self.is_held and",
            "while self.flying and",
            by("test_simulated_streams.py::test_what_is_held_arrives_later"),
        ),
        Mutation(
            "lost bytes arrive",
            "testing/_streams.py",
            "                pipe.is_losing = True\n                pipe.flying.clear()",
            "                pipe.is_losing = True",
            by("test_simulated_streams.py::test_one_direction_can_be_lost"),
        ),
        Mutation(
            "a half-open peer's end is told",
            "testing/_streams.py",
            "if self._in.is_ended and not self._in.flying and not self._in.is_losing:",
            "if self._in.is_ended and not self._in.flying:",
            by("test_simulated_streams.py::test_a_half_open_peer_is_silent_and_swallows"),
        ),
        Mutation(
            "a cut delivers what was under way",
            "testing/_streams.py",
            "            pipe.flying.clear()\n            pipe.flying_bytes = 0\n"
            "            pipe.is_ended = pipe.is_deaf = True",
            "            pipe.is_ended = pipe.is_deaf = True",
            by("test_simulated_streams.py::test_a_cut_is_an_end_for_both"),
        ),
        Mutation(
            "a reset is an end",
            "testing/_streams.py",
            "                if self._link.is_reset:\n"
            '                    raise trio.BrokenResourceError("connection reset")\n'
            "                self._in",
            '                if self._link.is_reset:\n                    return b""\n'
            "                self._in",
            by("test_simulated_streams.py::test_a_reset_fails_both_ends_at_once"),
        ),
        Mutation(
            "a stream has no bound",
            "testing/_streams.py",
            "return self.capacity - len(self.arrived) - self.flying_bytes",
            "return 10**9",
            by("test_simulated_streams.py::test_a_slow_reader_holds_the_writer"),
        ),
        Mutation(
            "what is received is never split",
            "testing/_streams.py",
            "self._link.chance.random() < 0.5:",
            "self._link.chance.random() < 0:",
            by("test_simulated_streams.py::test_chance_splits_what_is_received"),
        ),
    ),
}
