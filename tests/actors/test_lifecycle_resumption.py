"""An app's lifecycle across the end of its process: who is awaited, who is called, who is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.apps.lifecycle import (
    Adopt,
    OwnershipReleased,
    Phase,
    PhoneReturned,
    PostWebhook,
    ServerProbed,
    SocketArrived,
    SocketClosed,
    StartFailed,
    StartRequested,
    Tick,
    WebhookFailed,
    deadline,
    step,
)
from actors.apps.resumption import awaited, renewed, resumed
from tests.actors.lives import (
    ANSWERS,
    REFUSED,
    SETTINGS,
    Life,
    dormant,
    in_grace,
    resurrecting,
    running,
    stopping,
)


def waiting_for_its_server() -> Life:
    """Its resurrection met nobody."""
    life = resurrecting()
    life.hear(WebhookFailed(2, "refused", "nobody"))
    return life


def restarted(life: Life) -> Life:
    """The life in the next process, as soon as it is there."""
    state = resumed(life.state, life.now, SETTINGS)
    assert state is not None
    life.state = state
    life.mark()
    return life


@pytest.mark.parametrize("make", [running, in_grace])
def test_an_app_that_ran_has_the_whole_grace_to_come_back_by_itself(make: type[Life]) -> None:
    life = make()
    life.advance(4.0, is_server_up=True)

    restarted(life)
    life.advance(SETTINGS.grace_s - 0.1, is_server_up=True)
    effects = life.hear(SocketArrived("s2"))

    assert Adopt("s2", is_new_session=False) in effects
    assert Phase.RUNNING is life.phase()
    assert [] == life.times(PostWebhook)


def test_an_app_that_does_not_come_back_is_called_when_the_phone_is_there() -> None:
    life = restarted(running())

    life.hear(PhoneReturned())
    life.advance(SETTINGS.grace_s + 0.1, is_server_up=True)

    assert [SETTINGS.grace_s] == life.times(PostWebhook)


def test_an_app_that_does_not_come_back_while_there_is_no_phone_waits_for_it() -> None:
    life = restarted(running())

    life.advance(SETTINGS.grace_s + 0.1, is_server_up=True)

    assert Phase.DORMANT is life.phase()
    assert [] == life.times(PostWebhook)


def test_an_app_whose_server_is_gone_is_not_awaited_for_the_whole_grace() -> None:
    life = running()
    life.advance(5.0)
    restarted(life)
    life.hear(PhoneReturned())

    life.advance(0.3, is_server_up=False)
    life.advance(0.3, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))


def test_an_app_that_had_let_go_of_its_socket_is_dormant() -> None:
    life = running()
    life.hear(OwnershipReleased("s1", "switching_clouds"))

    restarted(life)

    assert Phase.DORMANT is life.phase()


def test_a_webhook_that_is_out_has_its_time_to_bring_a_socket() -> None:
    life = Life()
    life.hear(StartRequested())

    restarted(life)
    life.advance(SETTINGS.connect_s - 0.1)

    assert [] == life.times(PostWebhook)
    assert Adopt("s1", is_new_session=True) in life.hear(SocketArrived("s1"))


def test_a_start_whose_webhook_brought_nothing_is_tried_once_more() -> None:
    life = Life()
    life.hear(StartRequested())

    restarted(life)
    life.advance(30.0)

    assert [SETTINGS.connect_s + SETTINGS.webhook_retry_s] == life.times(PostWebhook)
    assert 1 == len(life.times(StartFailed))


def test_a_start_that_paused_between_two_webhooks_goes_on() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookFailed(1, "refused", "nobody"))
    life.advance(0.25)

    restarted(life)
    life.advance(1.0)

    assert [SETTINGS.webhook_retry_s - 0.25] == life.times(PostWebhook)


def test_a_resurrection_whose_webhook_is_out_may_still_get_its_socket() -> None:
    life = restarted(resurrecting())
    life.hear(PhoneReturned())

    life.advance(SETTINGS.connect_s - 0.1)

    assert [] == life.times(PostWebhook)
    assert Adopt("s2", is_new_session=True) in life.hear(SocketArrived("s2"))


def test_a_resurrection_that_paused_waits_for_the_phone() -> None:
    life = restarted(waiting_for_its_server())
    life.advance(60.0)
    assert [] == life.times(PostWebhook)
    life.hear(PhoneReturned())

    assert Phase.RESURRECTING is life.phase()
    assert 1 == len(life.times(PostWebhook))


def test_a_dormant_app_is_dormant_until_the_phone_comes() -> None:
    life = restarted(dormant())

    life.advance(60.0)
    assert Phase.DORMANT is life.phase()
    assert [] == life.times(PostWebhook)
    life.hear(PhoneReturned())

    assert 1 == len(life.times(PostWebhook))


@pytest.mark.parametrize("make", [resurrecting, waiting_for_its_server, dormant])
def test_an_app_without_a_socket_may_have_got_one_after_the_snapshot(make: Callable[[], Life]) -> None:
    """Seed 1199: it was back 0.4 s before kill -9, and its SDK dials again before any webhook is due."""
    life = restarted(make())

    life.hear(PhoneReturned())
    life.advance(SETTINGS.returning_s - 0.1, is_server_up=True)
    effects = life.hear(SocketArrived("s2"))

    assert [] == life.times(PostWebhook)
    assert any(isinstance(effect, Adopt) for effect in effects)
    assert Phase.RUNNING is life.phase()


@pytest.mark.parametrize("make", [resurrecting, waiting_for_its_server, dormant])
def test_an_app_without_a_socket_that_does_not_dial_is_called_after_the_sdks_retries(
    make: Callable[[], Life],
) -> None:
    life = restarted(make())

    life.hear(PhoneReturned())
    life.advance(SETTINGS.grace_s, is_server_up=True)

    assert [SETTINGS.returning_s] == life.times(PostWebhook)


@pytest.mark.parametrize("make", [resurrecting, waiting_for_its_server, dormant])
def test_an_app_without_a_socket_whose_server_is_down_is_called_when_it_answers(
    make: Callable[[], Life],
) -> None:
    life = restarted(make())
    life.hear(PhoneReturned())

    life.advance(0.5, is_server_up=False)
    assert [] == life.times(PostWebhook)
    back_after_s = life.advance_to_webhook(is_server_up=True)

    assert back_after_s <= SETTINGS.probe_s + SETTINGS.webhook_retry_s


@pytest.mark.parametrize("make", [Life, stopping])
def test_an_app_that_was_stopping_is_left_out(make: type[Life]) -> None:
    life = make()

    assert resumed(life.state, life.now, SETTINGS) is None


def test_a_post_of_the_old_process_holds_up_no_webhook_of_the_next() -> None:
    """The SDK answers its webhook only after the whole `onSession`, so a running app may have one open."""
    life = Life()
    life.hear(StartRequested(), SocketArrived("s1"))

    restarted(life)
    life.hear(PhoneReturned(), ServerProbed(REFUSED), ServerProbed(ANSWERS))
    life.advance(SETTINGS.webhook_retry_s, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))


def test_of_an_app_nothing_more_is_known_than_that_it_ran() -> None:
    life = Life()
    life.state = awaited(life.now, SETTINGS)

    life.advance(SETTINGS.grace_s - 0.1, is_server_up=True)

    assert Adopt("s1", is_new_session=False) in life.hear(SocketArrived("s1"))
    life.hear(SocketClosed("s1", 1006))
    assert Phase.GRACE is life.phase()


def test_an_app_of_the_process_that_ended_is_called_as_soon_as_the_phone_is_there() -> None:
    asleep = renewed(is_phone_here=False, now=100.0)
    assert (Phase.DORMANT, None) == (asleep.phase, deadline(asleep))
    _, effects = step(asleep, PhoneReturned(), 105.0, SETTINGS)
    assert [PostWebhook(1)] == [effect for effect in effects if isinstance(effect, PostWebhook)]

    here = renewed(is_phone_here=True, now=100.0)
    assert (Phase.RESURRECTING, 100.0) == (here.phase, deadline(here))
    _, effects = step(here, Tick(), 100.0, SETTINGS)
    assert [PostWebhook(1)] == [effect for effect in effects if isinstance(effect, PostWebhook)]
