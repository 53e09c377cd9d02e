"""Bugs in the rules of grace, replay and resync: each turns a seed of the campaign red."""

from __future__ import annotations

from .mutation import Mutation, by

CAMPAIGN = "tests/simulation/test_campaign.py::test_whatever_breaks_sessions_and_apps_come_through_it"
LOST = "tests/actors/test_lost_messages.py"

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
            'self.set_timer("grace", self.settings.phone_grace_s, GraceOver())\n        self.near',
            'self.set_timer("grace", 2.0, GraceOver())\n        self.near',
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
            "ServerProbed(ProbeOutcome.UNKNOWN)",
            "ServerProbed(ProbeOutcome.REFUSED)",
            by(f"{CAMPAIGN}[30]"),
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
            by(f"{CAMPAIGN}[0]"),
        ),
        Mutation(
            "a session that crashed does not ask who is here",
            "actors/session/actor.py",
            "            self.near.link.tell(Resync(self.state.phone))",
            "            pass",
            by(
                f"{LOST}::test_a_phone_is_missed_though_a_crash_loses_its_end",
            ),
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
}
