"""The app lifecycle when a webhook is held back, and when others have found out that the server is well."""

from __future__ import annotations

import pytest

from actors.apps.lifecycle import (
    Adopt,
    Ended,
    Phase,
    PhoneLost,
    PostWebhook,
    ServerProbed,
    ServerRecovered,
    ServerRegistered,
    SocketArrived,
    SocketClosed,
    Stage,
    StartFailed,
    StartRequested,
    StopRequested,
    WebhookAnswered,
    WebhookFailed,
    WebhookHeldBack,
)
from tests.actors.lives import ANSWERS, Life


def held_back(life: Life, *, retry_after_s: float = 3.0, is_gone: bool = False) -> WebhookHeldBack:
    return WebhookHeldBack(life.state.attempt, retry_after_s, "status 500", is_gone)


def resurrecting() -> Life:
    """A life whose app lost its socket for good; its webhook has just been asked for."""
    life = Life()
    life.hear(StartRequested(), SocketArrived("a"), WebhookAnswered(1, 200), SocketClosed("a", 1006))
    life.advance(10, is_server_up=True)
    assert Phase.RESURRECTING is life.phase()
    assert life.state.awaited is not None
    life.mark()
    return life


@pytest.mark.parametrize(("is_gone", "stage"), [(True, Stage.CONNECTION), (False, Stage.WEBHOOK)])
def test_start_that_is_held_back_ends_at_once_and_says_when_to_retry(*, is_gone: bool, stage: Stage) -> None:
    life = Life()
    life.hear(StartRequested())

    effects = life.hear(held_back(life, is_gone=is_gone))

    failed = next(effect for effect in effects if isinstance(effect, StartFailed))
    assert (stage, 3.0) == (failed.stage, failed.retry_after_s)
    assert "status 500" in failed.cause
    assert "try again in 3.0 s" in failed.cause
    assert Ended("error") == effects[-1]


def test_second_webhook_of_a_start_can_be_held_back_too() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookFailed(1, "refused", "nobody"))
    life.advance(1)

    effects = life.hear(held_back(life))

    assert any(isinstance(effect, StartFailed) and effect.retry_after_s for effect in effects)


def test_resurrection_that_is_held_back_tries_again_when_it_is_told_and_loses_no_attempt() -> None:
    life = resurrecting()

    for _ in range(50):
        life.hear(held_back(life, retry_after_s=2.0))
        assert life.advance_to_webhook() == pytest.approx(2.0)

    assert Phase.RESURRECTING is life.phase()
    assert 0 == life.state.failures


def test_resurrection_held_back_from_a_server_that_is_gone_goes_out_with_its_first_answer() -> None:
    life = resurrecting()
    life.hear(held_back(life, retry_after_s=600.0, is_gone=True))

    life.advance(30, is_server_up=False)
    life.mark()
    life.advance(5, is_server_up=True)

    assert 1 == len(life.times(PostWebhook))


def test_app_whose_phone_left_waits_for_it_when_its_webhook_is_held_back() -> None:
    life = resurrecting()
    life.hear(PhoneLost())

    life.hear(held_back(life))

    assert Phase.DORMANT is life.phase()


def test_webhook_that_was_held_back_never_went_out() -> None:
    life = resurrecting()
    life.hear(held_back(life))

    effects = life.hear(SocketArrived("by itself"))

    assert Adopt("by itself", is_new_session=False) in effects


def test_webhook_that_went_out_before_one_was_held_back_is_not_forgotten() -> None:
    life = resurrecting()
    life.hear(WebhookFailed(life.state.attempt, "timeout", "late"))
    life.advance_to_webhook(is_server_up=True)
    life.hear(held_back(life))

    effects = life.hear(SocketArrived("of the first"))

    assert Adopt("of the first", is_new_session=True) in effects


def test_word_on_a_webhook_nobody_waits_for_ends_nothing() -> None:
    life = Life()
    life.hear(StartRequested())
    word = held_back(life)
    life.hear(StopRequested("user_disabled"))
    life.hear(StartRequested())

    life.hear(word)

    assert Phase.STOPPING is life.phase()
    assert life.state.pending is None


@pytest.mark.parametrize("event", [ServerRecovered(), ServerRegistered()])
def test_news_of_the_server_ends_the_wait_after_a_webhook_was_held_back(
    event: ServerRecovered | ServerRegistered,
) -> None:
    life = resurrecting()
    life.hear(held_back(life, retry_after_s=600.0))

    effects = life.hear(event)

    assert PostWebhook(life.state.attempt) in effects


@pytest.mark.parametrize("event", [ServerRecovered(), ServerRegistered()])
def test_news_of_the_server_adds_no_webhook_to_the_one_that_is_out(
    event: ServerRecovered | ServerRegistered,
) -> None:
    life = resurrecting()

    assert () == life.hear(event, event)


def test_recovery_says_nothing_to_an_app_in_its_grace() -> None:
    life = Life()
    life.hear(StartRequested(), SocketArrived("a"), WebhookAnswered(1, 200), SocketClosed("a", 1006))

    assert () == life.hear(ServerRecovered())
    assert Phase.GRACE is life.phase()


def test_registration_posts_within_half_a_second_of_the_last_webhook() -> None:
    life = resurrecting()
    life.advance(0.1)
    life.hear(WebhookFailed(life.state.attempt, "refused", "nobody"), ServerRegistered())

    assert life.advance_to_webhook(is_server_up=True) == pytest.approx(0.4)


def test_registration_ends_the_pause_of_a_start() -> None:
    life = Life()
    life.hear(StartRequested(), WebhookFailed(1, "refused", "nobody"), ServerRegistered())

    assert life.advance_to_webhook() == pytest.approx(0.5)


def test_probe_and_recovery_together_are_one_webhook() -> None:
    life = resurrecting()
    life.hear(WebhookFailed(life.state.attempt, "refused", "nobody"))
    life.advance(20, is_server_up=False)
    life.mark()

    life.hear(ServerRecovered())
    life.hear(ServerProbed(ANSWERS), ServerRecovered())

    assert 1 == len(life.times(PostWebhook))
