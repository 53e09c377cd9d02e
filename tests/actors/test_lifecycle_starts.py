"""Starts, sockets and takeovers (protocol.md 4.4, 4.6, 10.4 to 10.6, 10.17 to 10.20)."""

from __future__ import annotations

import pytest

from actors.apps.lifecycle import (
    Adopt,
    AuthenticationFailed,
    CloseSocket,
    Ended,
    Event,
    LifecycleSettings,
    LifecycleState,
    Phase,
    PhaseChanged,
    PostWebhook,
    ProbeServer,
    RefuseSocket,
    ServerProbed,
    SocketArrived,
    SocketClosed,
    Stage,
    StartFailed,
    StartRequested,
    WebhookAnswered,
    WebhookFailed,
    deadline,
)
from tests.actors.lives import ANSWERS, IN_PHASE, Life, in_grace, running

# -- starting


def test_start_posts_one_webhook_and_awaits_the_socket() -> None:
    life = Life()

    effects = life.hear(StartRequested())

    assert (PhaseChanged(Phase.CONNECTING), PostWebhook(1)) == effects
    assert life.now + 5.0 == deadline(life.state)


def test_socket_is_adopted_while_the_webhook_is_still_open() -> None:
    life = Life()
    life.hear(StartRequested())

    effects = life.hear(SocketArrived("s1"))

    assert (Adopt("s1", is_new_session=True), PhaseChanged(Phase.RUNNING)) == effects
    assert "s1" == life.state.socket_id


def test_webhook_answered_without_a_socket_is_no_failure_before_the_five_seconds() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookAnswered(1, 200))

    assert () == life.advance(4.999)
    effects = life.advance(0.001)

    cause = "no socket 5 s after the webhook"
    expected = (StartFailed(Stage.TIMEOUT, cause), PhaseChanged(Phase.STOPPED), Ended("error"))
    assert expected == effects


def test_slow_webhook_does_not_prolong_the_five_seconds() -> None:
    life = Life()
    life.hear(StartRequested())

    life.advance(5.0)

    assert Phase.STOPPED is life.phase()


@pytest.mark.parametrize(
    "outcome",
    [
        WebhookAnswered(1, 500),
        WebhookAnswered(1, 404),
        WebhookFailed(1, "timeout", "10 s"),
        WebhookFailed(1, "refused", "nobody listens"),
    ],
)
def test_webhook_answer_after_the_socket_is_up_changes_nothing(outcome: Event) -> None:
    life = Life()
    life.hear(StartRequested(), SocketArrived("s1"))
    life.mark()

    life.hear(outcome)
    life.advance(3600.0)

    assert [] == life.log
    assert Phase.RUNNING is life.phase()


def test_failed_webhook_is_repeated_once_after_a_second() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookAnswered(1, 500))

    assert () == life.advance(0.999)
    assert (PostWebhook(2),) == life.advance(0.001)
    assert (StartFailed(Stage.WEBHOOK, "the webhook was answered with 500"),) == life.hear(
        WebhookAnswered(2, 500)
    )[:1]
    assert Phase.STOPPED is life.phase()


def test_second_webhook_has_five_seconds_of_its_own() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookFailed(1, "refused", "x"))
    life.advance(1.0)
    life.hear(WebhookAnswered(2, 200))

    life.advance(4.999)
    assert Phase.CONNECTING is life.phase()
    life.hear(SocketArrived("s1"))

    assert Phase.RUNNING is life.phase()


def test_socket_between_two_webhooks_cancels_the_second() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookAnswered(1, 500))
    life.advance(0.5)

    life.hear(SocketArrived("s1"))
    life.advance(60.0)

    assert [0.0] == life.times(PostWebhook)
    assert Phase.RUNNING is life.phase()


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        ("refused", Stage.CONNECTION),
        ("dns", Stage.CONNECTION),
        ("tls", Stage.CONNECTION),
        ("timeout", Stage.WEBHOOK),
        ("too_slow", Stage.WEBHOOK),
        ("protocol", Stage.WEBHOOK),
    ],
)
def test_failed_start_names_its_stage(kind: str, stage: Stage) -> None:
    life = Life()
    life.hear(StartRequested(), WebhookFailed(1, kind, "x"))
    life.advance(1.0)

    effects = life.hear(WebhookFailed(2, kind, "x"))

    assert (StartFailed(stage, f"{kind}: x"), PhaseChanged(Phase.STOPPED), Ended("error")) == effects


def test_start_without_a_socket_names_a_wrong_key_that_was_seen() -> None:
    life = Life()
    life.hear(StartRequested(), AuthenticationFailed("wrong API key"))

    effects = life.advance(5.0)

    assert StartFailed(Stage.AUTHENTICATION, "wrong API key") == effects[0]


def test_wrong_key_ends_nothing() -> None:
    life = Life()
    life.hear(StartRequested(), AuthenticationFailed("wrong API key"), SocketArrived("s1"))
    life.mark()

    life.hear(AuthenticationFailed("wrong API key"))

    assert [] == life.log
    assert Phase.RUNNING is life.phase()


def test_wrong_key_of_an_earlier_start_is_forgotten() -> None:
    life = Life()
    life.hear(StartRequested(), AuthenticationFailed("x"))
    life.advance(5.0)
    life.hear(WebhookAnswered(1, 500), StartRequested())

    effects = life.advance(5.0)

    assert isinstance(effects[0], StartFailed)
    assert Stage.TIMEOUT is effects[0].stage


def test_missing_hardware_starts_nothing() -> None:
    life = Life()

    effects = life.hear(StartRequested(missing_hardware="CAMERA"))

    assert (StartFailed(Stage.HARDWARE_CHECK, "CAMERA"),) == effects
    assert LifecycleState() == life.state


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.GRACE])
def test_starting_what_runs_changes_nothing(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    before = life.state

    assert () == life.hear(StartRequested())
    assert () == life.hear(StartRequested(missing_hardware="CAMERA"))
    assert before == life.state


def test_starts_at_the_same_time_share_one_webhook() -> None:
    life = Life()

    life.hear(StartRequested(), StartRequested(), StartRequested())

    assert [0.0] == life.times(PostWebhook)


def test_start_waits_for_a_webhook_that_is_still_open() -> None:
    life = Life()
    life.hear(StartRequested())
    life.advance(5.0)  # given up, the POST hangs on
    life.mark()

    life.hear(StartRequested())
    assert [] == life.times(PostWebhook)
    life.advance(2.0)
    life.hear(WebhookFailed(1, "timeout", "10 s"))

    assert [2.0] == life.times(PostWebhook)
    assert Phase.CONNECTING is life.phase()


def test_start_behind_a_hanging_webhook_still_ends_after_five_seconds() -> None:
    life = Life()
    life.hear(StartRequested())
    life.advance(5.0)
    life.mark()
    life.hear(StartRequested())

    life.advance(5.0)

    assert [5.0] == life.times(Ended)
    assert [] == life.times(PostWebhook)


def test_webhook_whose_report_never_comes_is_given_up() -> None:
    settings = LifecycleSettings(connect_s=60.0)
    life = Life(settings)
    life.hear(StartRequested())

    life.advance(13.0)

    assert [0.0, 13.0] == life.times(PostWebhook)


# -- sockets


@pytest.mark.parametrize("phase", [Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT])
def test_late_init_is_adopted(phase: Phase) -> None:
    life = IN_PHASE[phase]()

    effects = life.hear(SocketArrived("s2"))

    assert Adopt("s2", is_new_session=phase is Phase.RESURRECTING) == effects[0]
    assert PhaseChanged(Phase.RUNNING) == effects[1]
    assert "s2" == life.state.socket_id


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.STOPPING])
def test_init_after_the_end_is_refused_for_good(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    before = life.state

    effects = life.hear(SocketArrived("s2"))

    refusal = RefuseSocket("s2", 1008, "APP_NOT_STARTED", "App not started for this session")
    assert (refusal,) == effects
    assert before == life.state


def test_init_after_a_start_was_given_up_is_refused() -> None:
    life = Life()
    life.hear(StartRequested())
    life.advance(5.0)

    effects = life.hear(SocketArrived("s1"))

    assert isinstance(effects[0], RefuseSocket)
    assert Phase.STOPPED is life.phase()


def test_takeover_makes_the_newer_socket_current_and_closes_the_older() -> None:
    life = running()

    effects = life.hear(SocketArrived("s2"))

    replaced = CloseSocket("s1", 1008, "Replaced by a newer connection")
    assert (Adopt("s2", is_new_session=False), replaced) == effects
    assert "s2" == life.state.socket_id


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008])
def test_late_close_of_a_superseded_socket_changes_nothing(code: int) -> None:
    life = running()
    life.hear(SocketArrived("s2"))
    before = life.state

    assert () == life.hear(SocketClosed("s1", code))
    assert before == life.state


def test_second_init_on_the_current_socket_is_acked_again() -> None:
    life = running()

    assert (Adopt("s1", is_new_session=False),) == life.hear(SocketArrived("s1"))
    assert "s1" == life.state.socket_id


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1008, 1011])
def test_every_close_that_no_stop_caused_leads_to_grace(code: int) -> None:
    life = running()

    effects = life.hear(SocketClosed("s1", code))

    assert (PhaseChanged(Phase.GRACE), ProbeServer()) == effects
    assert life.state.socket_id is None


def test_socket_that_came_back_in_grace_is_a_known_session() -> None:
    life = in_grace()
    life.advance(7.2, is_server_up=True)

    effects = life.hear(SocketArrived("s2"))
    life.advance(3600.0)

    assert (Adopt("s2", is_new_session=False), PhaseChanged(Phase.RUNNING)) == effects
    assert [] == life.times(PostWebhook)


def test_sdk_retries_after_one_two_and_four_seconds_always_find_a_server_that_accepts_them() -> None:
    for late_s in (1.0, 3.0, 7.0, 9.9):
        life = in_grace()
        life.advance(late_s, is_server_up=True)

        assert Adopt("s2", is_new_session=False) == life.hear(SocketArrived("s2"))[0]


def test_thirty_drops_in_a_row_post_no_webhook() -> None:
    life = running()

    for number in range(30):
        life.hear(SocketClosed(life.state.socket_id or "", 1006), ServerProbed(ANSWERS))
        life.advance(1.05, is_server_up=True)
        life.hear(SocketArrived(f"drop-{number}"))

    assert [] == life.times(PostWebhook)
    assert Phase.RUNNING is life.phase()
