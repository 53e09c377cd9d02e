from __future__ import annotations

import msgspec
import pytest

from actors.desktop import agent_machine as machine
from actors.desktop.agent_machine import (
    Acked,
    AgentEvent,
    Answered,
    DaemonAway,
    DaemonBack,
    DaemonRemoved,
    Killed,
    Mentioned,
)
from protocols.desktop.documents import APPROVAL_S, AgentStatus, Approval, Option
from protocols.desktop.frames import ApproveAgent, HeldAgent, KillAgent, SpawnAgent
from tests.actors.desktop.lives_of_agents import (
    AGENT,
    SETTINGS,
    WALL_MS,
    Life,
    agent,
    approval,
    asking,
    asks,
    done,
    running,
    status,
)

STARTED = Acked(is_started=True)


def held(kind: AgentStatus = "running", seq: int = 0) -> DaemonBack:
    return DaemonBack(HeldAgent(agent_id=AGENT, status=kind, seq=seq))


def yes(name: str = "a1") -> Answered:
    return Answered(approval_id=name, decision="approve")


def test_a_new_agent_is_pending_and_its_daemon_is_ordered_to_start_it() -> None:
    life = Life()

    assert "pending" == life.status
    assert [SpawnAgent(agent_id=AGENT, goal="fix the test")] == life.frames
    assert not SpawnAgent(agent_id=AGENT, goal="fix the test").options.auto_approve


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((STARTED,), "initializing"),
        ((STARTED, status("running")), "running"),
        ((status("running"), STARTED), "running"),
        ((status("running"), status("initializing")), "running"),
        ((status("running"), status("pending")), "running"),
        ((STARTED, asks()), "needs_approval"),
        ((STARTED, asks(), status("running")), "running"),
        ((STARTED, asks(), STARTED), "needs_approval"),
        ((status("running"), status("completed")), "running"),
        ((status("running"), status("failed")), "running"),
        ((status("running"), status("cancelled")), "cancelled"),
        ((done(),), "completed"),
        ((STARTED, done(None, status="failed")), "failed"),
        ((STARTED, done(None, status="cancelled")), "cancelled"),
        ((Acked(is_started=False, error="too many"),), "failed"),
        ((STARTED, Acked(is_started=False, error="I have it already")), "initializing"),
        ((Killed(),), "cancelled"),
        ((DaemonRemoved(),), "failed"),
        ((DaemonAway(), done()), "completed"),
    ],
)
def test_what_a_daemon_and_a_user_say_makes_of_an_agent(
    events: tuple[AgentEvent, ...], expected: AgentStatus
) -> None:
    life = Life()

    life.hear(*events)

    assert expected == life.status


@pytest.mark.parametrize("end", [done(), done(None, status="failed", error="no"), Killed(), DaemonRemoved()])
@pytest.mark.parametrize(
    "later",
    [
        STARTED,
        Acked(is_started=False),
        status("running", current_step="on and on", seq=9),
        status("completed"),
        asks(),
        done("another"),
        Killed(),
        yes(),
        DaemonAway(),
        held(),
        DaemonBack(None),
        DaemonRemoved(),
        Mentioned(),
    ],
)
def test_final_is_final(end: AgentEvent, later: AgentEvent) -> None:
    life = running()
    life.hear(end)
    before = life.state.agent

    life.hear(later)

    after = life.state.agent
    assert before == msgspec.structs.replace(after, late_result=None, updated_at=before.updated_at)
    assert "ignored" == life.outcome
    assert machine.deadline(life.state) is None


def test_the_first_late_result_is_kept_beside_the_end() -> None:
    life = running()
    life.hear(DaemonAway())
    life.wait(SETTINGS.grace_s)
    assert ("failed", "Daemon disconnected") == (life.status, life.state.agent.error)

    life.hear(done("it was well after all"), done("again"))

    assert "it was well after all" == life.state.agent.late_result
    assert "failed" == life.status
    assert life.state.agent.result is None


def test_a_complete_that_comes_twice_is_no_late_result() -> None:
    life = running()

    life.hear(done(), done())

    assert life.state.agent.late_result is None
    assert "all green" == life.state.agent.result


def test_a_daemon_that_goes_on_with_an_ended_agent_is_told_to_kill_it() -> None:
    life = running()
    assert [KillAgent(agent_id=AGENT)] == life.hear(Killed())

    assert [KillAgent(agent_id=AGENT)] == life.hear(status("running"))
    assert [] == life.hear(status("cancelled"))
    assert [] == life.hear(done(None, status="failed", error="killed"))


def test_an_older_report_is_ignored_and_one_without_a_number_is_not() -> None:
    life = running()
    life.hear(status("running", current_step="three", seq=3))

    life.hear(status("running", current_step="two", seq=2))
    assert "ignored" == life.outcome
    life.hear(status("running", current_step="three again", seq=3))
    assert "ignored" == life.outcome
    life.hear(status("running", current_step="any"))

    assert "taken" == life.outcome
    assert ("any", 3) == (life.state.agent.current_step, life.state.agent.seq)


def test_a_complete_counts_whatever_its_number() -> None:
    life = running()
    life.hear(status("running", seq=9))

    life.hear(done(seq=2))

    assert ("completed", 9) == (life.status, life.state.agent.seq)


def test_steps_become_notes_and_the_newest_are_kept() -> None:
    life = running()
    for number in range(60):
        life.hear(status("running", current_step=f"step {number}"))

    life.hear(status("running", current_step="step 59", notes=("step 58", "a note")))

    notes = life.state.agent.notes
    assert 50 == len(notes)
    assert ("step 59", "a note") == notes[-2:]
    assert 1 == notes.count("step 59")


def test_an_agent_that_nobody_starts_fails_and_is_killed() -> None:
    life = Life()

    told = life.wait(SETTINGS.start_s)

    assert ("failed", "The computer did not start it") == (life.status, life.state.agent.error)
    assert [KillAgent(agent_id=AGENT)] == told


# -- the daemon goes and returns --------------------------------------------------------------------------


def test_a_lost_agent_fails_at_the_end_of_the_grace_and_not_before() -> None:
    life = running()
    life.hear(DaemonAway())
    assert life.state.agent.is_lost

    life.wait(SETTINGS.grace_s - 0.1)
    assert "running" == life.status
    life.wait(0.1)

    assert ("failed", "Daemon disconnected") == (life.status, life.state.agent.error)
    assert not life.state.agent.is_lost


@pytest.mark.parametrize("news", [held(), held("needs_approval"), held("completed")])
def test_a_daemon_that_returns_with_the_agent_ends_its_loss(news: AgentEvent) -> None:
    life = running()
    life.hear(DaemonAway())
    life.wait(200)

    life.hear(news)

    assert not life.state.agent.is_lost
    life.wait(10_000)
    assert "running" == life.status


@pytest.mark.parametrize("news", [Mentioned(), status("running"), status("running", seq=0)])
def test_a_report_ends_the_loss_where_a_socket_is_open(news: AgentEvent) -> None:
    life = running()
    life.hear(DaemonAway())
    life.is_online = True

    life.hear(news)

    assert not life.state.agent.is_lost


def test_reports_without_a_socket_renew_the_grace() -> None:
    life = running()
    life.hear(DaemonAway())
    life.wait(200)

    life.hear(Mentioned())
    life.wait(200)

    assert life.state.agent.is_lost
    assert "running" == life.status
    life.wait(100)
    assert "failed" == life.status


def test_a_daemon_that_returns_without_the_agent_has_a_moment_to_report_it() -> None:
    life = running()
    life.hear(DaemonAway(), DaemonBack(None))
    life.wait(SETTINGS.missing_s - 0.1)
    assert "running" == life.status

    life.wait(0.1)

    assert ("failed", "The computer no longer runs it") == (life.status, life.state.agent.error)


def test_a_forgotten_agent_that_is_reported_after_all_has_its_true_result() -> None:
    life = running()
    life.hear(DaemonAway(), DaemonBack(None), done())

    assert "completed" == life.status


def test_a_second_break_does_not_lengthen_what_a_forgotten_agent_has_left() -> None:
    life = running()
    life.hear(DaemonAway(), DaemonBack(None), DaemonAway())

    life.wait(SETTINGS.missing_s)

    assert "failed" == life.status


def test_an_order_that_its_daemon_never_had_is_given_again() -> None:
    life = Life()
    life.hear(DaemonAway())
    life.wait(100)

    told = life.hear(DaemonBack(None))

    assert [SpawnAgent(agent_id=AGENT, goal="fix the test")] == told
    assert "pending" == life.status
    life.hear(STARTED)
    assert "initializing" == life.status


def test_an_order_whose_ack_was_lost_is_not_given_again() -> None:
    life = Life()
    life.hear(DaemonAway())

    told = life.hear(held("initializing"))

    assert ([], "initializing") == (told, life.status)
    life.wait(10_000)
    assert "initializing" == life.status


def test_an_agent_of_a_former_process_is_lost_with_the_whole_grace() -> None:
    life = running()
    life.state = machine.found(life.state.agent, life.state.answers, life.moment, SETTINGS)
    assert life.state.agent.is_lost

    life.wait(SETTINGS.grace_s - 0.1)
    assert "running" == life.status
    life.wait(0.1)

    assert "failed" == life.status


# -- approvals --------------------------------------------------------------------------------------------


def test_an_approval_is_answered_once() -> None:
    life = asking()

    assert [ApproveAgent(agent_id=AGENT, approval_id="a1", decision="approve")] == life.hear(yes())
    assert ("running", None) == (life.status, life.state.agent.approval)

    assert [] == life.hear(yes())
    assert "ignored" == life.outcome


@pytest.mark.parametrize(
    "answer",
    [
        yes("another"),
        Answered(approval_id="a1", decision="choose"),
        Answered(approval_id="a1", decision="choose", choice="3"),
    ],
)
def test_an_answer_that_fits_nothing_is_ignored(answer: Answered) -> None:
    life = asking()

    assert [] == life.hear(answer)

    assert ("ignored", "needs_approval") == (life.outcome, life.status)


def test_a_choice_reaches_the_daemon_by_its_id() -> None:
    life = asking()

    told = life.hear(Answered(approval_id="a1", decision="choose", choice="2", message="better not"))

    expected = ApproveAgent(
        agent_id=AGENT, approval_id="a1", decision="choose", choice="2", message="better not"
    )
    assert [expected] == told


def test_an_approval_expires_into_a_denial() -> None:
    life = asking()
    assert [] == life.wait(APPROVAL_S - 0.1)

    told = life.wait(0.1)

    expected = ApproveAgent(agent_id=AGENT, approval_id="a1", decision="deny", message="nobody answered")
    assert [expected] == told
    assert "running" == life.status
    assert "Not answered in time: Run the tests?" == life.state.agent.notes[-1]
    assert [] == life.hear(yes())
    assert "ignored" == life.outcome


def test_an_approval_with_a_default_expires_into_it() -> None:
    life = running()
    life.hear(status("needs_approval", approval=approval(default="2")))

    (told,) = life.wait(APPROVAL_S)

    assert isinstance(told, ApproveAgent)
    assert ("choose", "2") == (told.decision, told.choice)


def test_a_default_that_is_no_option_denies() -> None:
    life = running()
    life.hear(status("needs_approval", approval=approval(default="9")))

    (told,) = life.wait(APPROVAL_S)

    assert isinstance(told, ApproveAgent)
    assert "deny" == told.decision


def test_an_expiry_is_by_the_daemons_clock() -> None:
    life = running()
    wrong_by_ms = 3_600_000
    said = status(
        "needs_approval",
        approval=approval(expires_at=WALL_MS + wrong_by_ms + 60_000),
        timestamp=WALL_MS + wrong_by_ms,
    )

    life.hear(said)

    shown = life.state.agent.approval
    assert shown is not None
    assert WALL_MS + 60_000 == shown.expires_at
    assert [] == life.wait(59.9)
    assert 1 == len(life.wait(0.1))


def test_an_approval_is_withdrawn_when_the_daemon_goes_on() -> None:
    life = asking()

    life.hear(status("running"), yes())

    assert "ignored" == life.outcome
    assert [] == life.wait(10_000)


def test_a_newer_approval_takes_the_place_of_the_older() -> None:
    life = asking()

    life.hear(asks("a2"))

    assert [] == life.hear(yes("a1"))
    assert 1 == len(life.hear(yes("a2")))


def test_an_approval_that_is_asked_again_is_answered_as_before() -> None:
    life = asking()
    life.hear(yes())

    told = life.hear(asks())

    assert [ApproveAgent(agent_id=AGENT, approval_id="a1", decision="approve")] == told
    assert ("running", None) == (life.status, life.state.agent.approval)


def test_an_answer_given_while_the_daemon_is_away_reaches_it_on_its_return() -> None:
    life = asking()
    life.hear(DaemonAway())
    life.hear(yes())
    life.wait(100)

    told = life.hear(held("needs_approval"))

    assert [ApproveAgent(agent_id=AGENT, approval_id="a1", decision="approve")] == told


def test_an_answer_that_the_daemon_has_acted_on_is_not_said_again() -> None:
    life = asking()
    life.hear(yes(), status("running"), DaemonAway())

    assert [] == life.hear(held())


def test_an_answer_that_reaches_its_daemon_too_late_denies_and_says_so() -> None:
    life = running()
    life.hear(asks(), DaemonAway())
    life.settings = msgspec.structs.replace(SETTINGS, grace_s=10_000)
    life.hear(Mentioned())
    life.wait(APPROVAL_S - 1)
    life.hear(yes())
    life.wait(10)

    (told,) = life.hear(held("needs_approval"))

    assert isinstance(told, ApproveAgent)
    assert ("deny", "the answer came after the approval had expired") == (told.decision, told.message)
    assert "An answer came to the computer after its approval had expired" == life.state.agent.notes[-1]


def test_what_expires_while_the_daemon_is_away_denies_on_its_return() -> None:
    life = asking()
    life.settings = msgspec.structs.replace(SETTINGS, grace_s=10_000)
    life.hear(DaemonAway())
    life.wait(APPROVAL_S)

    (told,) = life.hear(held("needs_approval"))

    assert isinstance(told, ApproveAgent)
    assert ("deny", "nobody answered") == (told.decision, told.message)


def test_an_open_approval_outlives_the_process_with_the_rest_of_its_time() -> None:
    life = asking()
    life.now += 500
    life.state = machine.found(life.state.agent, life.state.answers, life.moment, SETTINGS)

    assert [] == life.wait(99.9)
    assert 1 == len(life.wait(0.1))


def test_an_approval_is_cut_to_what_may_be_kept() -> None:
    life = running()
    long = Approval(
        approval_id="a1",
        title="t" * 9_000,
        detail="d" * 90_000,
        options=tuple(Option(id=str(number), label="x" * 9_000) for number in range(100)),
    )

    life.hear(status("needs_approval", approval=long))

    kept = life.state.agent.approval
    assert kept is not None
    assert (300, 20_000, 20) == (len(kept.title), len(kept.detail), len(kept.options))
    assert 300 == len(kept.options[0].label)


def test_an_end_takes_everything_open_with_it() -> None:
    life = asking()
    life.hear(DaemonAway(), done(execution_time_ms=1234.5))

    ended = life.state.agent
    assert (None, False, 1234) == (ended.approval, ended.is_lost, ended.execution_time_ms)
    assert agent().created_at <= (ended.completed_at or 0)
    assert [] == life.wait(10_000)
