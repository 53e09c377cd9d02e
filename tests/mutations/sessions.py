"""Bugs in the rules of grace, replay and resync: each turns a seed of the campaign red."""

from __future__ import annotations

from .mutation import Mutation, by

CAMPAIGN = "tests/simulation/test_campaign.py::test_whatever_breaks_sessions_and_apps_come_through_it"
LOST = "tests/actors/test_lost_messages.py"
SWEEP = "tests/simulation/test_crash_sweep.py::test_a_crash_does_what_the_catalogue_says_and_nothing_else"

SESSIONS: dict[str, tuple[Mutation, ...]] = {
    "A lost socket and a lost phone get their grace": (
        Mutation(
            "an app's lost socket gets no grace",
            "actors/apps/lifecycle.py",
            "                grace_until=self.now + self.settings.grace_s,",
            "                grace_until=self.now,",
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "the phone's grace is 2 s",
            "actors/session/actor.py",
            'self.set_timer("grace", self.settings.phone_grace_s, GraceOver())\n        self._plays',
            'self.set_timer("grace", 2.0, GraceOver())\n        self._plays',
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "the late close of a replaced connection counts",
            "actors/link/actor.py",
            "            case PhoneClosed(connection, info):\n                if connection is self.state.connection:",
            "            case PhoneClosed(connection, info):\n                if True:",
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "a half-open app socket is kept",
            "actors/apps/actor.py",
            "                    self.perform(connection.abort)\n                    self._hung_up(connection, CloseInfo(code=1006, reason=reason, by_us=True))",
            "                    pass",
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "a probe that nobody could ask is a dead server",
            "actors/apps/actor.py",
            "failed=lambda _: ServerProbed(ProbeOutcome.UNKNOWN)",
            "failed=lambda _: ServerProbed(ProbeOutcome.REFUSED)",
            by(f"{CAMPAIGN}[30]"),
        ),
        Mutation(
            "a server that cannot be reached is a dead server",
            "actors/apps/lifecycle.py",
            "        elif outcome is ProbeOutcome.REFUSED:",
            "        else:",
            by("tests/actors/test_lifecycle_returns.py::test_only_a_refused_probe_ends_the_grace"),
        ),
        Mutation(
            "after a restart a lost app is called at once",
            "actors/apps/resumption.py",
            "            return _in_grace(state, now, settings.returning_s)",
            "            return _in_grace(state, now, 0.0)",
            by(
                "tests/actors/test_lifecycle_resumption.py::test_an_app_without_a_socket_may_have_got_one_after_the_snapshot"
            ),
        ),
    ),
    "What a peer missed is told again": (
        Mutation(
            "a phone that returns is not told of the microphone",
            "actors/session/actor.py",
            "        self.near.display.tell(display.PhoneArrived())\n        self._microphone(microphone.PhoneArrived())",
            "        self.near.display.tell(display.PhoneArrived())",
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "apps do not hear that the phone is back",
            "actors/session/actor.py",
            "        for entry in self.state.apps.values():\n            entry.ref.tell(PhonePresence(is_present=True))",
            "        pass",
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "the next process does not resume the apps of a snapshot",
            "actors/session/actor.py",
            "            self._resume_apps(self.apps_to_resume)",
            "            pass",
            by(f"{CAMPAIGN}[0]"),
        ),
    ),
    "A crash loses one message and nothing that hangs on it": (
        Mutation(
            "a commit that a crash has lost is not repeated",
            "actors/session/running.py",
            '        self.set_timer("save overdue", SAVE_OVERDUE_S, SaveOverdue(token))',
            "        pass",
            by(f"{LOST}::test_a_stop_is_announced_though_a_crash_of_the_journal_loses_its_commit"),
        ),
        Mutation(
            "a session that crashed does not ask who is here",
            "actors/session/recovering.py",
            "        self.near.link.tell(Resync(self.state.phone))",
            "        pass",
            by(f"{SWEEP}[UserSession AckDue]"),
        ),
        Mutation(
            "a doorman that crashed lets those at the door wait",
            "actors/front/doorman.py",
            "OVERLOOKED_S = 0.5",
            "OVERLOOKED_S = 60.0",
            by(
                f"{LOST}::test_an_app_whose_dial_a_crash_of_the_doorman_loses_is_asked_to_dial_again",
            ),
        ),
    ),
    "Who has crashed is told what it missed": (
        Mutation(
            "an audio actor that crashed does not ask for its table",
            "actors/audio/actor.py",
            "            self.session.tell(NeighbourBack(self.ref))",
            "            pass",
            by(f"{SWEEP}[AudioActor Route]"),
        ),
        Mutation(
            "a start that a crash has lost is not asked for again",
            "actors/session/recovering.py",
            "            entry.ref.tell(Begin())",
            "            pass",
            by(f"{SWEEP}[AppSession Begin]"),
        ),
        Mutation(
            "a stop that a crash has lost is not asked for again",
            "actors/session/recovering.py",
            '            entry.ref.tell(EndSession("user_disabled"))',
            "            pass",
            by(f"{SWEEP}[AppSession EndSession]"),
        ),
        Mutation(
            "a crashed app session forgets what its app listens to",
            "actors/apps/actor.py",
            "            self.session.tell(SubscriptionsRequested(package, handler.requested))",
            "            pass",
            by(f"{SWEEP}[UserSession SubscriptionsRequested]"),
        ),
        Mutation(
            "a session that crashed does not look up again what it was starting",
            "actors/session/recovering.py",
            "                self._look_up(package_name)",
            "                pass",
            by(f"{SWEEP}[UserSession AppFound]"),
        ),
        Mutation(
            "a roster that crashed does not watch again",
            "actors/users/roster.py",
            "                self.watch(entry.tree)  # its end may be what the crash lost",
            "                pass",
            by(f"{SWEEP}[Roster Terminated]"),
        ),
        Mutation(
            "a dial that a crash has lost on its way to the app is nobody's",
            "actors/front/doorman.py",
            "        self.set_timer(connection.id, OVERLOOKED_S, Overlooked(connection, presented.pending))",
            "        self._forget(connection)",
            by(f"{SWEEP}[UserSession AppDialled]"),
        ),
    ),
}
