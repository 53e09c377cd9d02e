"""Registration, the phone's absence, stops and ends (protocol.md 4.5 to 4.7, 13.5)."""

from __future__ import annotations

import msgspec
import pytest

from actors.apps.lifecycle import (
    CloseSocket,
    Ended,
    Event,
    LifecycleState,
    Phase,
    PhaseChanged,
    PhoneLost,
    PhoneReturned,
    PostStopWebhook,
    PostWebhook,
    ProbeServer,
    RefuseSocket,
    SendAppStopped,
    ServerProbed,
    ServerRegistered,
    SocketArrived,
    SocketClosed,
    Stage,
    StartFailed,
    StartRequested,
    StopRequested,
    StopWebhookDone,
    Tick,
    WebhookAnswered,
    WebhookFailed,
    deadline,
)
from tests.actors.lives import (
    ANSWERS,
    IN_PHASE,
    REFUSED,
    Life,
    dormant,
    in_grace,
    resurrecting,
    running,
    stopping,
)

# -- registration


@pytest.mark.parametrize("phase", [Phase.GRACE, Phase.DORMANT])
def test_registration_brings_the_app_back_at_once(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    life.state = msgspec.structs.replace(life.state, is_phone_here=True)
    life.mark()

    life.hear(ServerRegistered())

    assert [0.0] == life.times(PostWebhook)


def test_registration_of_a_server_that_was_gone_needs_no_probe() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))
    life.advance(3600.0, is_server_up=False)
    life.mark()

    life.hear(ServerRegistered())

    assert [0.0] == life.times(PostWebhook)


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.RUNNING, Phase.RESURRECTING, Phase.STOPPING])
def test_registration_adds_nothing_where_nothing_is_missing(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    before = life.state

    assert () == life.hear(ServerRegistered())
    assert before == life.state


def test_registration_while_the_phone_is_away_waits_for_the_phone() -> None:
    life = in_grace()
    life.hear(PhoneLost(), ServerRegistered())

    assert Phase.DORMANT is life.phase()
    assert () == life.hear(ServerRegistered())
    assert PostWebhook(2) in life.hear(PhoneReturned())


# -- the phone


def test_grace_that_ends_without_a_phone_leaves_the_app_dormant() -> None:
    life = in_grace()
    life.hear(PhoneLost(), ServerProbed(ANSWERS))

    life.advance(3600.0, is_server_up=True)

    assert Phase.DORMANT is life.phase()
    assert [] == life.times(PostWebhook)


def test_phone_that_returns_brings_a_dormant_app_back_with_one_webhook() -> None:
    life = dormant()

    effects = life.hear(PhoneReturned(), PhoneReturned(), PhoneReturned())

    assert (PhaseChanged(Phase.RESURRECTING), PostWebhook(2)) == effects


def test_phone_that_returns_within_the_grace_changes_nothing_for_the_app() -> None:
    life = in_grace()
    life.hear(PhoneLost(), ServerProbed(ANSWERS))
    life.advance(3.0, is_server_up=True)
    life.hear(PhoneReturned())
    assert [] == life.times(PostWebhook)

    life.advance(7.0, is_server_up=True)

    assert [10.0] == life.times(PostWebhook)


def test_phone_that_comes_and_goes_leaves_a_running_app_alone() -> None:
    life = running()

    for _ in range(30):
        life.hear(PhoneLost())
        life.advance(60.0)
        life.hear(PhoneReturned())

    assert [] == life.log


def test_server_that_is_gone_is_not_awaited_for_a_phone_that_is_away() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))

    life.hear(PhoneLost())

    assert Phase.DORMANT is life.phase()
    assert () == life.advance(3600.0)


def test_failed_resurrection_sleeps_if_the_phone_has_left() -> None:
    life = resurrecting()
    life.hear(PhoneLost())
    assert Phase.RESURRECTING is life.phase()

    life.hear(WebhookFailed(2, "refused", "x"))

    assert Phase.DORMANT is life.phase()


def test_server_of_a_dormant_app_is_probed_fast_after_hours() -> None:
    life = dormant()
    life.advance(20_000.0)
    life.hear(PhoneReturned(), WebhookFailed(2, "refused", "x"))
    life.mark()

    life.advance(1.01, is_server_up=False)

    assert [0.2, 0.4, 0.6, 0.8, 1.0] == pytest.approx(life.times(ProbeServer))


def test_start_wakes_a_dormant_app() -> None:
    life = dormant()

    assert PostWebhook(2) in life.hear(StartRequested())


# -- stopping


def test_stop_has_the_order_of_the_protocol() -> None:
    life = running()

    effects = life.hear(StopRequested("user_disabled"))

    assert (
        PhaseChanged(Phase.STOPPING),
        PostStopWebhook("user_disabled"),
        SendAppStopped("s1", "user_disabled"),
        CloseSocket("s1", 1000, "App stopped"),
    ) == effects


@pytest.mark.parametrize("closes_first", [True, False])
def test_stop_is_over_when_socket_and_webhook_are(closes_first: bool) -> None:
    life = stopping()
    events: list[Event] = [SocketClosed("s1", 1000), StopWebhookDone()]

    first, last = events if closes_first else reversed(events)
    assert () == life.hear(first)
    effects = life.hear(last)

    assert (PhaseChanged(Phase.STOPPED), Ended("user_disabled")) == effects


def test_stop_does_not_wait_longer_than_two_seconds() -> None:
    life = stopping()

    life.advance(60.0)

    assert [2.0] == life.times(Ended)


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.STOPPING])
def test_stopping_what_does_not_run_changes_nothing(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    before = life.state

    assert () == life.hear(StopRequested("user_disabled"))
    assert before == life.state


@pytest.mark.parametrize("phase", [Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT])
def test_app_without_a_socket_can_be_stopped(phase: Phase) -> None:
    life = IN_PHASE[phase]()

    effects = life.hear(StopRequested("system_stop"))
    assert (PhaseChanged(Phase.STOPPING), PostStopWebhook("system_stop")) == effects
    life.hear(StopWebhookDone())

    assert Phase.STOPPED is life.phase()
    assert deadline(life.state) == life.state.pending_until


def test_start_that_is_stopped_ends() -> None:
    life = Life()
    life.hear(StartRequested(), StopRequested("user_disabled"), StopWebhookDone())

    assert Phase.STOPPED is life.phase()
    assert isinstance(life.hear(SocketArrived("s1"))[0], RefuseSocket)


def test_end_of_the_session_closes_with_its_own_reason_and_no_webhook() -> None:
    life = running()

    effects = life.hear(StopRequested("session_ended"), SocketClosed("s1", 1000))

    assert (
        PhaseChanged(Phase.STOPPING),
        SendAppStopped("s1", "system_stop"),
        CloseSocket("s1", 1000, "User session ended"),
        PhaseChanged(Phase.STOPPED),
        Ended("session_ended"),
    ) == effects


def test_end_of_the_session_ends_a_dormant_app_at_once() -> None:
    life = dormant()

    life.hear(StopRequested("session_ended"))

    assert [0.0] == life.times(Ended)


def test_start_during_a_stop_waits_for_the_stop_webhook() -> None:
    life = stopping()
    life.hear(SocketClosed("s1", 1000), StartRequested())
    assert [] == life.times(PostWebhook)

    effects = life.hear(StopWebhookDone())

    assert (PhaseChanged(Phase.CONNECTING), PostWebhook(2)) == effects
    assert not life.state.is_start_wanted


def test_stop_after_a_start_during_a_stop_wins() -> None:
    life = stopping()
    life.hear(StartRequested(), StopRequested("user_disabled"))

    life.hear(SocketClosed("s1", 1000), StopWebhookDone())

    assert Phase.STOPPED is life.phase()


def test_start_without_hardware_during_a_stop_is_refused() -> None:
    life = stopping()

    assert (StartFailed(Stage.HARDWARE_CHECK, "CAMERA"),) == life.hear(StartRequested("CAMERA"))
    assert not life.state.is_start_wanted


# -- the machine


def test_apps_whose_socket_is_lost_stay_on_the_running_list() -> None:
    listed = {phase for phase in Phase if phase.is_listed}

    assert {Phase.RUNNING, Phase.GRACE, Phase.RESURRECTING, Phase.DORMANT} == listed


@pytest.mark.parametrize("phase", IN_PHASE)
def test_state_survives_its_encoding(phase: Phase) -> None:
    state = IN_PHASE[phase]().state

    assert state == msgspec.json.decode(msgspec.json.encode(state), type=LifecycleState)


@pytest.mark.parametrize("phase", IN_PHASE)
def test_early_tick_changes_nothing(phase: Phase) -> None:
    life = IN_PHASE[phase]()
    before = life.state

    assert () == life.hear(Tick())
    assert before == life.state


def test_late_tick_delays_and_loses_nothing() -> None:
    life = in_grace()
    life.hear(ServerProbed(ANSWERS))

    life.now += 3600.0
    effects = life.hear(Tick())

    assert (PhaseChanged(Phase.RESURRECTING), PostWebhook(2)) == effects


def test_report_of_an_unknown_attempt_changes_nothing() -> None:
    life = resurrecting()
    before = life.state

    assert () == life.hear(WebhookAnswered(99, 500), WebhookFailed(99, "refused", "x"))
    assert before == life.state
