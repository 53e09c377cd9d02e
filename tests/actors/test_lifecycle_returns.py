"""Lost sockets and lost servers, and how the app comes back (protocol.md 4.6; DESIGN section 6)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from actors.apps.lifecycle import (
    Adopt,
    Effect,
    Ended,
    Event,
    LifecycleSettings,
    OwnershipReleased,
    Phase,
    PhaseChanged,
    PostWebhook,
    ProbeServer,
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
from actors.ports import ProbeOutcome
from tests.actors.lives import ANSWERS, REFUSED, SETTINGS, UNKNOWN, Life, in_grace, resurrecting, running

# -- ownership


def test_released_socket_leaves_the_app_dormant() -> None:
    life = running()
    life.hear(OwnershipReleased("s1", "clean_shutdown"))
    assert Phase.RUNNING is life.phase()

    effects = life.hear(SocketClosed("s1", 1005))

    assert (PhaseChanged(Phase.DORMANT),) == effects
    assert () == life.advance(3600.0)


def test_release_counts_for_the_socket_it_came_on_only() -> None:
    life = running()
    life.hear(SocketArrived("s2"), OwnershipReleased("s1", "switching_clouds"))

    life.hear(SocketClosed("s2", 1006))

    assert Phase.GRACE is life.phase()


def test_release_is_over_with_the_next_socket() -> None:
    life = running()
    life.hear(OwnershipReleased("s1", "switching_clouds"), SocketArrived("s2"))

    life.hear(SocketClosed("s1", 1005), SocketClosed("s2", 1006))

    assert Phase.GRACE is life.phase()


@pytest.mark.parametrize("closes_first", [True, False])
def test_takeover_by_webhook_ends_running_in_either_order(closes_first: bool) -> None:
    life = running()
    life.hear(OwnershipReleased("s1", "switching_clouds"))
    events: list[Event] = [SocketClosed("s1", 1005), SocketArrived("s2")]

    life.hear(*(events if closes_first else reversed(events)))

    assert Phase.RUNNING is life.phase()
    assert "s2" == life.state.socket_id
    assert [] == life.times(PostWebhook)


# -- grace and the app server


def test_server_that_answers_gets_the_full_grace_and_then_one_webhook() -> None:
    life = in_grace()
    life.hear(ServerProbed(ANSWERS))

    life.advance(14.9, is_server_up=True)

    assert [10.0] == life.times(PostWebhook)
    assert [(0.0, Phase.GRACE), (10.0, Phase.RESURRECTING)] == [
        (at, effect.phase) for at, effect in life.log if isinstance(effect, PhaseChanged)
    ]


def test_lost_socket_probes_the_server_at_once_and_then_every_200_ms() -> None:
    life = in_grace()
    life.hear(ServerProbed(ANSWERS))

    life.advance(1.01, is_server_up=True)

    assert [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] == pytest.approx(life.times(ProbeServer))


@pytest.mark.parametrize(
    ("outcome", "effects"),
    [(ANSWERS, ()), (UNKNOWN, ()), (REFUSED, (PhaseChanged(Phase.RESURRECTING),))],
)
def test_only_a_refused_probe_ends_the_grace(outcome: ProbeOutcome, effects: tuple[Effect, ...]) -> None:
    life = in_grace()

    assert effects == life.hear(ServerProbed(outcome))
    assert [] == life.times(PostWebhook)


@pytest.mark.parametrize(
    ("outcome", "wait_s"), [(ANSWERS, [0.0]), (UNKNOWN, []), (REFUSED, [])], ids=lambda one: str(one)
)
def test_a_resurrection_calls_its_server_when_a_probe_is_answered(
    outcome: ProbeOutcome, wait_s: list[float]
) -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))
    life.advance(1.0, is_server_up=False)
    life.advance(0.2)
    life.mark()

    life.hear(ServerProbed(outcome))

    assert wait_s == life.times(PostWebhook)


def test_an_app_behind_a_broken_network_has_the_whole_grace_to_dial() -> None:
    life = in_grace()

    life.advance(SETTINGS.grace_s - 0.1, probed=UNKNOWN)

    assert Phase.GRACE is life.phase()
    assert [] == life.times(PostWebhook)
    assert Adopt("s2", is_new_session=False) in life.hear(SocketArrived("s2"))


@pytest.mark.parametrize("kind", ["unreachable", "dns", "tls", "timeout", "busy"])
def test_an_app_whose_server_cannot_be_reached_is_called_when_it_answers(kind: str) -> None:
    life = in_grace()
    life.advance(SETTINGS.grace_s, probed=UNKNOWN)
    for _ in range(20):
        if life.state.pending is not None:
            life.hear(WebhookFailed(life.state.pending, kind, "x"))
        life.advance(30.0, probed=UNKNOWN)
    assert 1 == len(life.times(PostWebhook)), "the probes find out"
    life.mark()

    life.advance(SETTINGS.probe_slowest_s, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))
    assert Phase.RESURRECTING is life.phase()


@pytest.mark.parametrize("outage_s", [2.0, 12.0, 3600.0])
def test_webhook_goes_out_the_moment_the_server_answers_again(outage_s: float) -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))
    life.advance(outage_s - 0.05, is_server_up=False)
    assert [] == life.times(PostWebhook)

    life.advance(5.0, is_server_up=True)

    [posted_at] = life.times(PostWebhook)
    assert life.times(ProbeServer)[-1] == posted_at
    assert posted_at - (outage_s - 0.05) <= min(5.0, max(0.2, 0.02 * outage_s)) + 1e-6
    assert Phase.RESURRECTING is life.phase()


def test_probes_of_a_server_that_is_down_for_long_come_every_five_seconds() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))

    life.advance(3600.0, is_server_up=False)

    probes = life.times(ProbeServer)
    assert 5.0 == pytest.approx(probes[-1] - probes[-2])
    assert len(probes) < 1000


def test_a_probe_whose_report_never_comes_proves_nothing() -> None:
    life = in_grace()

    life.advance(SETTINGS.grace_s - 0.1)

    assert Phase.GRACE is life.phase()
    assert [0.0, 4.2, 8.4] == pytest.approx(life.times(ProbeServer))


def test_report_of_a_probe_nobody_waits_for_changes_nothing() -> None:
    life = running()
    before = life.state

    assert () == life.hear(ServerProbed(REFUSED), ServerProbed(ANSWERS))
    assert before == life.state


def test_app_that_dials_by_itself_while_its_server_seemed_gone_is_adopted() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))

    assert Adopt("s2", is_new_session=False) == life.hear(SocketArrived("s2"))[0]
    assert () == life.advance(3600.0)


# -- resurrection


def test_resurrected_app_has_a_new_session() -> None:
    life = resurrecting()

    effects = life.hear(SocketArrived("s2"))

    assert (Adopt("s2", is_new_session=True), PhaseChanged(Phase.RUNNING)) == effects


def test_webhook_is_not_posted_while_an_older_one_is_open() -> None:
    life = Life(LifecycleSettings(grace_s=1.0))
    life.hear(StartRequested(), SocketArrived("s1"))  # onSession still runs, so the POST is open
    life.hear(SocketClosed("s1", 1006), ServerProbed(ANSWERS))

    life.advance(3.0, is_server_up=True)
    assert [0.0] == life.times(PostWebhook)
    life.hear(WebhookAnswered(1, 200))

    assert [0.0, 3.0] == life.times(PostWebhook)


def test_resurrection_waits_for_a_server_that_refuses() -> None:
    life = resurrecting()

    life.hear(WebhookFailed(2, "refused", "x"))
    life.advance(3600.0, is_server_up=False)
    assert Phase.RESURRECTING is life.phase()
    assert [] == life.times(PostWebhook)
    life.advance(5.0, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))


def test_server_that_flaps_gets_one_webhook_a_second_at_most() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))
    life.mark()

    attempt = 1
    while life.now < life.since + 10.0:
        effects = life.advance(0.05, is_server_up=True)
        if any(isinstance(effect, PostWebhook) for effect in effects):
            attempt += 1
            life.hear(WebhookFailed(attempt, "refused", "x"))

    posts = life.times(PostWebhook)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(posts))
    assert len(posts) > 5


def test_resurrection_that_keeps_failing_backs_off_and_then_ends() -> None:
    life = resurrecting()
    pauses = []

    for attempt in range(2, 7):
        life.hear(WebhookAnswered(attempt, 500))
        pauses.append(life.advance_to_webhook(is_server_up=True))
    effects = life.hear(WebhookAnswered(7, 500))

    assert [1.0, 2.0, 4.0, 5.0, 5.0] == pytest.approx(pauses)
    assert (
        StartFailed(Stage.WEBHOOK, "the webhook was answered with 500"),
        PhaseChanged(Phase.STOPPED),
        Ended("error"),
    ) == effects


def test_resurrection_without_a_socket_in_five_seconds_is_tried_again() -> None:
    life = resurrecting()
    life.hear(WebhookAnswered(2, 200))

    life.advance(6.0, is_server_up=True)

    assert [6.0] == life.times(PostWebhook)
    assert Phase.RESURRECTING is life.phase()


def test_open_webhook_judged_by_its_missing_socket_is_not_judged_again() -> None:
    life = resurrecting()
    life.advance(5.5, is_server_up=True)
    assert 1 == life.state.failures

    life.hear(WebhookFailed(2, "timeout", "10 s"))

    assert 1 == life.state.failures


def test_server_that_dies_between_two_resurrections_is_awaited() -> None:
    life = resurrecting()
    life.hear(WebhookAnswered(2, 500), ServerProbed(REFUSED))

    life.advance(60.0, is_server_up=False)
    assert [] == life.times(PostWebhook)
    assert Phase.RESURRECTING is life.phase()
    life.advance(2.0, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))


def test_server_that_died_meanwhile_has_its_failures_forgiven() -> None:
    life = resurrecting()
    for attempt in range(2, 7):
        life.hear(WebhookAnswered(attempt, 500))
        if attempt < 6:
            life.advance_to_webhook(is_server_up=True)
    life.hear(ServerProbed(REFUSED))
    life.advance_to_webhook(is_server_up=True)

    life.hear(WebhookAnswered(7, 500))

    assert Phase.RESURRECTING is life.phase()
    assert 1 == life.state.failures


@pytest.mark.parametrize("status", [502, 503, 504])
def test_proxy_in_front_of_a_dead_server_is_asked_without_end(status: int) -> None:
    life = resurrecting()

    attempt = 2
    life.hear(WebhookAnswered(attempt, status))
    while life.now < life.since + 3600.0:
        if any(isinstance(effect, PostWebhook) for effect in life.advance(1.0, is_server_up=True)):
            attempt += 1
            life.hear(WebhookAnswered(attempt, status))

    assert Phase.RESURRECTING is life.phase()
    assert 600 < len(life.times(PostWebhook)) < 900


def test_failures_are_forgotten_once_the_app_runs() -> None:
    life = resurrecting()
    life.hear(WebhookAnswered(2, 500))
    life.advance(1.0, is_server_up=True)

    life.hear(SocketArrived("s2"))

    assert 0 == life.state.failures


def test_start_during_a_pause_of_the_resurrection_tries_at_once() -> None:
    life = resurrecting()
    life.hear(WebhookAnswered(2, 500), ServerProbed(ANSWERS))
    life.advance(1.0, is_server_up=True)
    life.hear(WebhookAnswered(3, 500), ServerProbed(ANSWERS))
    life.advance(1.2, is_server_up=True)
    life.mark()

    life.hear(StartRequested())

    assert [0.0] == life.times(PostWebhook)


def test_start_while_the_server_is_gone_probes_at_once() -> None:
    life = in_grace()
    life.hear(ServerProbed(REFUSED))
    life.advance(3600.0, is_server_up=False)
    life.advance((deadline(life.state) or 0.0) - life.now - 1.0)
    life.mark()

    life.hear(StartRequested())

    assert [0.0] == life.times(ProbeServer)


@pytest.mark.parametrize("is_probing", [True, False])
def test_start_during_an_attempt_or_a_probe_adds_nothing(is_probing: bool) -> None:
    life = in_grace() if is_probing else resurrecting()
    if is_probing:
        life.hear(ServerProbed(REFUSED))
        life.advance(0.2)
    life.mark()

    life.hear(StartRequested())

    assert [] == life.log
