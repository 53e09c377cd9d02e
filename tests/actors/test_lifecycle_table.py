"""The app lifecycle, rule by rule (protocol.md 3.5, 4.4 to 4.8, 10.4 to 10.22, 13.5, 13.6)."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from actors.apps.lifecycle import (
    Adopt,
    AuthenticationFailed,
    CloseSocket,
    Effect,
    Ended,
    Event,
    LifecycleSettings,
    LifecycleState,
    OwnershipReleased,
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
    step,
)

SETTINGS = LifecycleSettings()


class Life:
    """A machine with a clock: events at a time, and ticks exactly when they are due."""

    def __init__(self, settings: LifecycleSettings = SETTINGS) -> None:
        self.settings = settings
        self.state = LifecycleState()
        self.now = 1000.0
        self.since = self.now
        self.log: list[tuple[float, Effect]] = []

    def phase(self) -> Phase:
        return self.state.phase

    def hear(self, *events: Event) -> tuple[Effect, ...]:
        heard: list[Effect] = []
        for event in events:
            self.state, effects = step(self.state, event, self.now, self.settings)
            self.log += [(round(self.now - self.since, 6), effect) for effect in effects]
            heard += effects
        return tuple(heard)

    def advance(self, seconds: float, *, is_server_up: bool | None = None) -> tuple[Effect, ...]:
        """Let time pass. With `is_server_up` every probe is answered so at once."""
        until = self.now + seconds
        heard: list[Effect] = []
        if is_server_up is not None and self.state.probe_until is not None:
            heard += self.hear(ServerProbed(is_server_up))
        while (due := deadline(self.state)) is not None and due <= until:
            self.now = max(self.now, due)
            effects = self.hear(Tick())
            heard += effects
            if is_server_up is not None and ProbeServer() in effects:
                heard += self.hear(ServerProbed(is_server_up))
        self.now = until
        return tuple(heard)

    def advance_to_webhook(self, *, is_server_up: bool | None = None) -> float:
        """Let time pass until a webhook goes out; how long that took."""
        before, posts = self.now, self.times(PostWebhook)
        while self.times(PostWebhook) == posts:
            due = deadline(self.state)
            assert due is not None
            self.advance(max(0.0, due - self.now), is_server_up=is_server_up)
        return self.now - before

    def times(self, kind: type[Effect]) -> list[float]:
        return [at for at, effect in self.log if isinstance(effect, kind)]

    def mark(self) -> None:
        """Count times and effects from here."""
        self.since = self.now
        self.log.clear()


def running(settings: LifecycleSettings = SETTINGS) -> Life:
    life = Life(settings)
    life.hear(StartRequested(), SocketArrived("s1"), WebhookAnswered(1, 200))
    life.mark()
    return life


def in_grace(settings: LifecycleSettings = SETTINGS) -> Life:
    life = running(settings)
    life.hear(SocketClosed("s1", 1006))
    return life


def resurrecting(settings: LifecycleSettings = SETTINGS) -> Life:
    """The grace has passed with a server that answered; webhook 2 is out."""
    life = in_grace(settings)
    life.hear(ServerProbed(True))
    life.advance(10.0, is_server_up=True)
    life.mark()
    return life


def dormant() -> Life:
    life = in_grace()
    life.hear(PhoneLost(), ServerProbed(True))
    life.advance(10.0, is_server_up=True)
    life.mark()
    return life


def stopping() -> Life:
    life = running()
    life.hear(StopRequested("user_disabled"))
    life.mark()
    return life


IN_PHASE = {
    Phase.STOPPED: Life,
    Phase.RUNNING: running,
    Phase.GRACE: in_grace,
    Phase.RESURRECTING: resurrecting,
    Phase.DORMANT: dormant,
    Phase.STOPPING: stopping,
}

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
        life.hear(SocketClosed(life.state.socket_id or "", 1006), ServerProbed(True))
        life.advance(1.05, is_server_up=True)
        life.hear(SocketArrived(f"drop-{number}"))

    assert [] == life.times(PostWebhook)
    assert Phase.RUNNING is life.phase()


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
    life.hear(ServerProbed(True))

    life.advance(14.9, is_server_up=True)

    assert [10.0] == life.times(PostWebhook)
    assert [(0.0, Phase.GRACE), (10.0, Phase.RESURRECTING)] == [
        (at, effect.phase) for at, effect in life.log if isinstance(effect, PhaseChanged)
    ]


def test_lost_socket_probes_the_server_at_once_and_then_every_200_ms() -> None:
    life = in_grace()
    life.hear(ServerProbed(True))

    life.advance(1.01, is_server_up=True)

    assert [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] == pytest.approx(life.times(ProbeServer))


def test_grace_ends_when_the_server_is_seen_to_be_gone() -> None:
    life = in_grace()

    effects = life.hear(ServerProbed(False))

    assert (PhaseChanged(Phase.RESURRECTING),) == effects
    assert [] == life.times(PostWebhook)


@pytest.mark.parametrize("outage_s", [2.0, 12.0, 3600.0])
def test_webhook_goes_out_the_moment_the_server_answers_again(outage_s: float) -> None:
    life = in_grace()
    life.hear(ServerProbed(False))
    life.advance(outage_s - 0.05, is_server_up=False)
    assert [] == life.times(PostWebhook)

    life.advance(5.0, is_server_up=True)

    [posted_at] = life.times(PostWebhook)
    assert life.times(ProbeServer)[-1] == posted_at
    assert posted_at - (outage_s - 0.05) <= min(5.0, max(0.2, 0.02 * outage_s)) + 1e-6
    assert Phase.RESURRECTING is life.phase()


def test_probes_of_a_server_that_is_down_for_long_come_every_five_seconds() -> None:
    life = in_grace()
    life.hear(ServerProbed(False))

    life.advance(3600.0, is_server_up=False)

    probes = life.times(ProbeServer)
    assert 5.0 == pytest.approx(probes[-1] - probes[-2])
    assert len(probes) < 1000


def test_probe_whose_report_never_comes_counts_as_down() -> None:
    life = in_grace()

    life.advance(4.0)

    assert Phase.RESURRECTING is life.phase()
    assert life.state.is_server_gone


def test_report_of_a_probe_nobody_waits_for_changes_nothing() -> None:
    life = running()
    before = life.state

    assert () == life.hear(ServerProbed(False), ServerProbed(True))
    assert before == life.state


def test_app_that_dials_by_itself_while_its_server_seemed_gone_is_adopted() -> None:
    life = in_grace()
    life.hear(ServerProbed(False))

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
    life.hear(SocketClosed("s1", 1006), ServerProbed(True))

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
    life.hear(ServerProbed(False))
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
    life.hear(WebhookAnswered(2, 500), ServerProbed(False))

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
    life.hear(ServerProbed(False))
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
    life.hear(WebhookAnswered(2, 500), ServerProbed(True))
    life.advance(1.0, is_server_up=True)
    life.hear(WebhookAnswered(3, 500), ServerProbed(True))
    life.advance(1.2, is_server_up=True)
    life.mark()

    life.hear(StartRequested())

    assert [0.0] == life.times(PostWebhook)


def test_start_while_the_server_is_gone_probes_at_once() -> None:
    life = in_grace()
    life.hear(ServerProbed(False))
    life.advance(3600.0, is_server_up=False)
    life.advance((deadline(life.state) or 0.0) - life.now - 1.0)
    life.mark()

    life.hear(StartRequested())

    assert [0.0] == life.times(ProbeServer)


@pytest.mark.parametrize("is_probing", [True, False])
def test_start_during_an_attempt_or_a_probe_adds_nothing(is_probing: bool) -> None:
    life = in_grace() if is_probing else resurrecting()
    if is_probing:
        life.hear(ServerProbed(False))
        life.advance(0.2)
    life.mark()

    life.hear(StartRequested())

    assert [] == life.log


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
    life.hear(ServerProbed(False))
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
    life.hear(PhoneLost(), ServerProbed(True))

    life.advance(3600.0, is_server_up=True)

    assert Phase.DORMANT is life.phase()
    assert [] == life.times(PostWebhook)


def test_phone_that_returns_brings_a_dormant_app_back_with_one_webhook() -> None:
    life = dormant()

    effects = life.hear(PhoneReturned(), PhoneReturned(), PhoneReturned())

    assert (PhaseChanged(Phase.RESURRECTING), PostWebhook(2)) == effects


def test_phone_that_returns_within_the_grace_changes_nothing_for_the_app() -> None:
    life = in_grace()
    life.hear(PhoneLost(), ServerProbed(True))
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
    life.hear(ServerProbed(False))

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
    life.hear(ServerProbed(True))

    life.now += 3600.0
    effects = life.hear(Tick())

    assert (PhaseChanged(Phase.RESURRECTING), PostWebhook(2)) == effects


def test_report_of_an_unknown_attempt_changes_nothing() -> None:
    life = resurrecting()
    before = life.state

    assert () == life.hear(WebhookAnswered(99, 500), WebhookFailed(99, "refused", "x"))
    assert before == life.state
