"""How much a peer may say, and what it hears when it says more."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.allowance import Allowance, TrafficLimits
from actors.domain import DomainSettings
from actors.token_bucket import TokenBucket
from tests.actors.world import CAPTIONS, open_world

LIMITS = DomainSettings(
    limits=TrafficLimits(app_messages=10, app_burst=20, phone_messages=10, phone_burst=20)
)
PRESS = {"type": "button_press", "buttonId": "main", "pressType": "short"}


def allowance_of(rate: float, burst: int, bytes_rate: float = 1e9) -> Allowance:
    return Allowance(TokenBucket(rate, burst), TokenBucket(bytes_rate, bytes_rate), report_s=1.0)


@given(pauses=st.lists(st.floats(0.1, 5), max_size=100))
def test_who_keeps_to_the_rate_loses_nothing(pauses: list[float]) -> None:
    allowance = allowance_of(10, 1)
    now = 100.0
    assert allowance.take(now, 50)
    for pause in pauses:
        now += pause + 1e-9
        assert allowance.take(now, 50)


def test_bytes_are_limited_beside_messages_and_a_dropped_one_costs_nothing() -> None:
    allowance = allowance_of(1000, 1000, bytes_rate=100)

    assert [True, False, True, False] == [allowance.take(0.0, size) for size in (90, 11, 10, 1)]
    assert 0.01 == pytest.approx(allowance.wait_s(0.0))
    assert 2 == allowance.report(0.0)


def test_every_dropped_message_is_reported_once_and_a_second_apart() -> None:
    allowance = allowance_of(1, 1)
    reports = []
    for tenth in range(100, 140):
        now = tenth / 10
        allowance.take(now, 1)
        if dropped := allowance.report(now):
            reports.append((now, dropped))

    assert [10.1, 11.1, 12.1, 13.1] == [now for now, _ in reports]
    assert 1 == reports[0][1]
    assert {9} == {dropped for _, dropped in reports[1:]}


async def test_an_app_that_floods_is_told_and_keeps_its_socket(autojump_clock: MockClock) -> None:
    async with open_world(settings=LIMITS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(5)

        for number in range(500):
            server.show(f"flood {number}")
        await trio.sleep(2)
        server.show("after the flood")
        await trio.sleep(1)

        errors = server.connection.heard("tpa_connection_error")
        assert ["RATE_LIMITED", "RATE_LIMITED"] == [error["code"] for error in errors]
        limit = "an app may send 10 messages and 1000000 bytes a second"
        assert f"1 messages were dropped: {limit}" == errors[0]["message"]
        assert 0.1 == errors[0]["retry_after"]
        assert "479 messages were dropped" in errors[1]["message"]
        assert server.connection.is_open
        assert "after the flood" == phone.texts()[-1]


async def test_a_phone_that_floods_is_counted_and_goes_on(autojump_clock: MockClock) -> None:
    async with open_world(settings=LIMITS) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await trio.sleep(5)

        for _ in range(500):
            phone.say(PRESS)
        await trio.sleep(3)
        phone.say(PRESS)
        await world.settle()

        assert 21 == len(server.connection.heard("data_stream"))
        assert [1, 479] == [event["dropped"] for event in world.telemetry.of("phone_rate_limited")]
        assert phone.is_open
        assert [CAPTIONS] == phone.running()
