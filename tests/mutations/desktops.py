"""Bugs in what becomes of an agent, in what is kept before it is said, and in who a daemon is."""

from __future__ import annotations

from .mutation import Mutation, by

MACHINE = "tests/actors/desktop/test_agent_machine.py"
DESK = "tests/actors/desktop/test_desk.py"
LEDGER = "tests/actors/desktop/test_desk_ledger.py"
CRASHES = "tests/actors/desktop/test_desk_crashes.py::test_a_crash_at_a_desk_costs_one_message"
CODES = "tests/actors/desktop/test_login_codes.py"
ROUTES = "tests/adapters/http/test_daemon_routes.py"
COMPUTERS = "tests/adapters/http/test_computer_routes.py"

AGENT = "actors/desktop/agent_machine.py"
DAEMONS = "actors/desktop/daemons.py"
CORE = "actors/desktop/core.py"

DESKTOPS: dict[str, tuple[Mutation, ...]] = {
    "Final is final": (
        Mutation(
            "a late result overwrites a failure",
            AGENT,
            "    if state.is_final:\n        return _late(state, event, moment)",
            "    if state.is_final and not isinstance(event, CompleteReport):\n"
            "        return _late(state, event, moment)",
            by(
                f"{MACHINE}::test_final_is_final",
                f"{MACHINE}::test_the_first_late_result_is_kept_beside_the_end",
            ),
        ),
        Mutation(
            "an agent that is over is not killed again",
            AGENT,
            '            return Step(state, (KillAgent(agent_id=agent.agent_id),), outcome="ignored")',
            '            return Step(state, outcome="ignored")',
            by(f"{MACHINE}::test_a_daemon_that_goes_on_with_an_ended_agent_is_told_to_kill_it"),
        ),
        Mutation(
            "an ack moves a running agent back",
            AGENT,
            '    if state.agent.status != "pending":\n        return Step(state, outcome="ignored")  # it',
            '    if state.is_final:\n        return Step(state, outcome="ignored")  # it',
            by(f"{MACHINE}::test_what_a_daemon_and_a_user_say_makes_of_an_agent"),
        ),
        Mutation(
            "an older report counts",
            AGENT,
            "        if report.seq <= agent.seq:\n",
            "        if report.seq < 0:\n",
            by(f"{MACHINE}::test_an_older_report_is_ignored_and_one_without_a_number_is_not"),
        ),
    ),
    "A daemon that is away has the grace, and what it says of an agent on its return counts": (
        Mutation(
            "a lost socket fails its agents at once",
            AGENT,
            "_lose(state, moment, settings.grace_s, DISCONNECTED) if is_new",
            "_lose(state, moment, 0.0, DISCONNECTED) if is_new",
            by(f"{MACHINE}::test_a_lost_agent_fails_at_the_end_of_the_grace_and_not_before"),
        ),
        Mutation(
            "a lost agent is waited for without end",
            AGENT,
            "    if _is_past(state.lost_until, moment):\n",
            "    if False:\n",
            by(f"{DESK}::test_a_silent_daemon_is_closed_and_its_agents_have_the_grace"),
        ),
        Mutation(
            "a hello does not end the loss",
            AGENT,
            "    state = _found_again(state, moment)\n    if held.status in FINAL:",
            "    if held.status in FINAL:",
            by(f"{DESK}::test_a_daemon_that_returns_within_the_grace_goes_on"),
        ),
        Mutation(
            "what a hello does not list goes on",
            AGENT,
            "        return Step(_lose(state, moment, settings.missing_s, FORGOTTEN))",
            "        return Step(_found_again(state, moment))",
            by(f"{MACHINE}::test_a_daemon_that_returns_without_the_agent_has_a_moment_to_report_it"),
        ),
        Mutation(
            "an order that was lost is not given again",
            AGENT,
            '        if state.agent.status == "pending":\n            waits',
            "        if False:\n            waits",
            by(f"{MACHINE}::test_an_order_that_its_daemon_never_had_is_given_again"),
        ),
        Mutation(
            "the end of an older socket makes agents lost",
            DAEMONS,
            "        if closed.daemon_id in self.sockets.all:\n",
            "        if False:\n",
            by(f"{DESK}::test_an_older_socket_that_ends_at_once_loses_nothing_either"),
        ),
        Mutation(
            "an older socket stays open",
            "actors/desktop/sockets.py",
            "        if older is not None and older.connection is not connection:",
            "        if False:",
            by(f"{DESK}::test_the_newest_connection_wins_and_the_ends_of_older_ones_change_nothing"),
        ),
        Mutation(
            "silence is not noticed",
            DAEMONS,
            "            if silent_s >= self.settings.silence_s:",
            "            if False:",
            by(f"{DESK}::test_a_silent_daemon_is_closed_and_its_agents_have_the_grace"),
        ),
        Mutation(
            "a welcome says nothing of what is over",
            DAEMONS,
            "            lost=tuple(agent_id for agent_id in held if agent_id not in own),",
            "            lost=(),",
            by(f"{DESK}::test_a_kill_while_the_daemon_is_away_is_heard_on_its_return"),
        ),
    ),
    "An approval is answered once, and by default denied": (
        Mutation(
            "an answer is taken twice",
            AGENT,
            "    if due.state.is_final or approval is None or approval.approval_id != given.approval_id:",
            "    if due.state.is_final or approval is None:",
            by(f"{MACHINE}::test_an_answer_that_fits_nothing_is_ignored"),
        ),
        Mutation(
            "what nobody answers is approved",
            AGENT,
            '            decision="deny" if default is None else "choose",',
            '            decision="approve" if default is None else "choose",',
            by(f"{MACHINE}::test_an_approval_expires_into_a_denial"),
        ),
        Mutation(
            "an answer that was given while the daemon was away is forgotten",
            AGENT,
            "        if not answer.is_heard:\n",
            "        if answer.is_heard:\n",
            by(
                f"{MACHINE}::test_an_answer_given_while_the_daemon_is_away_reaches_it_on_its_return",
                f"{DESK}::test_a_second_server_finds_agents_answers_and_logs",
            ),
        ),
        Mutation(
            "an approval that has expired is still allowed on the daemon's return",
            AGENT,
            '    if answer.decision == "deny" or moment.wall_ms < answer.expires_at:',
            "    if True:",
            by(f"{MACHINE}::test_an_answer_that_reaches_its_daemon_too_late_denies_and_says_so"),
        ),
        Mutation(
            "an approval that is asked again is open again",
            AGENT,
            "        if answer.approval_id == asked.approval_id:\n",
            "        if False:\n",
            by(f"{MACHINE}::test_an_approval_that_is_asked_again_is_answered_as_before"),
        ),
        Mutation(
            "a daemon's clock is taken for ours",
            AGENT,
            "        left_s = (asked.expires_at - (timestamp or moment.wall_ms)) / 1000",
            "        left_s = (asked.expires_at - moment.wall_ms) / 1000",
            by(f"{MACHINE}::test_an_expiry_is_by_the_daemons_clock"),
        ),
    ),
    "Nothing is told before it is kept, and nothing that was kept is lost": (
        Mutation(
            "everybody is told before the commit",
            CORE,
            "        if not changes and self.state.ledger.is_idle:\n            self._say(after)\n            return\n",
            "        self._say(after)\n        after = ()\n",
            by(f"{DESK}::test_nothing_is_told_before_it_is_kept"),
        ),
        Mutation(
            "a commit that failed is not tried again",
            CORE,
            '        self.set_timer("keep", retry_after_s, KeepAgain())',
            '        self.cancel_timer("keep")',
            by(f"{DESK}::test_nothing_is_told_before_it_is_kept"),
        ),
        Mutation(
            "an older document overwrites a newer one",
            "actors/desktop/ledger.py",
            "        waiting={**again, **ledger.waiting},",
            "        waiting={**ledger.waiting, **ledger.writing},",
            by(f"{LEDGER}::test_a_commit_that_failed_waits_again_without_undoing_what_is_newer"),
        ),
        Mutation(
            "a new server finds its agents running and waits for nobody",
            AGENT,
            "    return _lose(replace(state, approval_until=approval_until), moment, settings.grace_s, DISCONNECTED)",
            "    return replace(state, approval_until=approval_until)",
            by(f"{DESK}::test_a_daemon_that_never_returns_to_a_second_server_has_lost_its_agents"),
        ),
        Mutation(
            "nobody's desk is made at the start",
            "actors/desktop/roster.py",
            "                    if user_id not in self.state:",
            "                    if user_id in self.state:",
            by(f"{DESK}::test_a_daemon_that_never_returns_to_a_second_server_has_lost_its_agents"),
        ),
        Mutation(
            "sockets that opened in a crash stay unknown",
            "actors/desktop/actor.py",
            "        self._look_at_sockets()\n",
            "",
            by(f"{CRASHES}[Desktops DaemonSaid]"),
        ),
        Mutation(
            "an unfinished commit is not written again after a crash",
            "actors/desktop/actor.py",
            "        self._keep_again()\n        for",
            "        for",
            by(f"{CRASHES}[Desktops CommitDone]"),
        ),
    ),
    "A daemon is who its token says, and its user's alone": (
        Mutation(
            "any token of a known daemon will do",
            "actors/desktop/entrance.py",
            "        if daemon is None or not tokens.is_good(token, daemon):",
            "        if daemon is None:",
            by(f"{ROUTES}::test_without_a_good_token_there_is_a_401"),
        ),
        Mutation(
            "a header is believed",
            "actors/desktop/entrance.py",
            '        if self.settings.legacy_email_auth and (email or "@" in token):',
            '        if email or "@" in token:',
            by(f"{ROUTES}::test_without_a_good_token_there_is_a_401"),
        ),
        Mutation(
            "a daemon reports on another user's agents",
            "actors/desktop/agents.py",
            "        if stored is not None and stored.user_id == self.user_id:",
            "        if stored is not None:",
            by(f"{DESK}::test_nobody_reports_on_agents_of_others"),
        ),
        Mutation(
            "a daemon reports on agents of the user's other daemon",
            "actors/desktop/agents.py",
            "        if entry is None or entry.machine.agent.daemon_id != said.daemon_id:",
            "        if entry is None:",
            by(f"{DESK}::test_nobody_reports_on_agents_of_others"),
        ),
        Mutation(
            "a removed daemon keeps its socket",
            DAEMONS,
            "        if entry.connection is not None:\n            self.perform(entry.connection.close, frames.TOKEN",
            "        if False:\n            self.perform(entry.connection.close, frames.TOKEN",
            by(f"{DESK}::test_a_removed_daemon_is_out_and_its_agents_have_failed"),
        ),
        Mutation(
            "a code is granted twice",
            "actors/desktop/login.py",
            '        return _put(state, replace(login, phase="taken")), Granted(login.user_id, login.name)',
            "        return state, Granted(login.user_id, login.name)",
            by(f"{CODES}::test_a_code_is_allowed_and_its_daemon_gets_it_once"),
        ),
        Mutation(
            "guesses are free",
            "actors/desktop/login.py",
            "    if len(missed) >= settings.login_guesses:",
            "    if False:",
            by(f"{CODES}::test_guesses_are_few_a_user_and_come_back_with_time"),
        ),
        Mutation(
            "a token is kept as it is",
            "actors/desktop/tokens.py",
            '    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()',
            "    return token",
            by(f"{COMPUTERS}::test_no_token_is_kept_or_logged"),
        ),
    ),
}
