"""How often somebody may knock, on any clock, by however many."""

from __future__ import annotations

import math
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.domain import DomainSettings
from actors.front.rated_gate import RatedGate
from actors.front.rates import MOST_KEYS, RateLimit, Rates, RateSettings, key_of
from actors.ports import Admitted, Refused
from tests.actors.world import ADA, CAPTIONS, World, open_world, upgrade


@pytest.mark.parametrize(
    ("moments", "waits"),
    [
        ([0, 0, 0], [0, 0, 0.5]),
        ([0, 0, 0.5], [0, 0, 0]),
        ([0, 0, 0.25, 0.5], [0, 0, 0.25, 0]),
        ([0, 0, 100, 100, 100], [0, 0, 0, 0, 0.5]),
        # A clock that goes back, stands still, or is none, is a clock that stands still.
        ([10, 10, 5, -1e300, 10.5], [0, 0, 0.5, 0.5, 0]),
        ([0, 0, math.nan, math.inf, -math.inf], [0, 0, 0.5, 0.5, 0.5]),
        ([math.nan, math.nan, math.nan, 0.5], [0, 0, 0.5, 0]),
    ],
)
def test_two_at_once_and_two_a_second_are_let_through_and_others_are_told_when(
    moments: list[float], waits: list[float]
) -> None:
    limit = RateLimit(2.0, 2)

    assert waits == pytest.approx([limit.take("ada", now) for now in moments])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_no_clock_lets_more_through_than_its_forward_steps_allow(moments: list[float]) -> None:
    limit = RateLimit(1.0, 3)

    passed = sum(limit.take("ada", now) == 0 for now in moments)

    finite = [now for now in moments if math.isfinite(now)]
    span = max(finite) - min(0.0, finite[0]) if finite else 0.0
    assert passed <= 3 + max(0.0, span) + 1


def test_one_key_does_not_wait_for_another_and_a_rate_of_nothing_is_no_limit() -> None:
    limit, none = RateLimit(1.0, 1), RateLimit(0.0, 1)

    assert [0, 0] == [limit.take(key, 0) for key in ("ada", "eve")]
    assert limit.take("ada", 0) > 0
    assert [0.0] * 3 == [none.take("ada", 0) for _ in range(3)]
    assert 0 == len(none)


def test_a_flood_of_names_takes_bounded_memory_and_the_oldest_is_forgotten() -> None:
    limit = RateLimit(1.0, 1)
    tracemalloc.start()
    for number in range(20 * MOST_KEYS):
        limit.take(f"2001:db8:{number:x}::", float(number))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert MOST_KEYS == len(limit)
    assert size < 1_000 * MOST_KEYS


def test_who_knocks_on_is_not_forgotten_for_those_who_came_once() -> None:
    limit = RateLimit(0.001, 1, most=10)
    limit.take("flooder", 0)

    for number in range(100):
        assert limit.take("flooder", 0) > 0
        limit.take(f"passer-by {number}", 0)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_one_subscriber_of_ipv6_is_one_address(address: str, key: str) -> None:
    assert key == key_of(address)


def test_failures_of_an_address_hold_up_all_that_comes_from_there_for_a_moment() -> None:
    rates = Rates(RateSettings(failures=1.0, failures_burst=2))
    rates.failed("192.0.2.1", 0)
    assert 0 == rates.request("192.0.2.1", 0)
    rates.failed("192.0.2.1", 0)

    assert 1 == pytest.approx(rates.request("192.0.2.1", 0))
    assert 1 == pytest.approx(rates.upgrade("192.0.2.1", "", 0))
    assert 0 == rates.request("192.0.2.2", 0)
    assert 0 == rates.request("192.0.2.1", 1)


def test_the_defaults_let_two_thousand_phones_and_their_apps_come_back_from_one_address() -> None:
    rates = Rates(RateSettings())

    for phone in range(2_000):
        assert 0 == rates.upgrade("192.0.2.1", f"phone {phone}", 0)
        assert [0, 0, 0] == [rates.upgrade("192.0.2.1", "", 0) for _ in range(3)], "three apps each"
        for _ in range(10):
            assert 0 == rates.user(f"phone {phone}", 0)
    assert [0] * 10_000 == [rates.request("192.0.2.1", 0) for _ in range(10_000)]


def strict(**settings: float) -> DomainSettings:
    return DomainSettings(rates=RateSettings(**settings))  # type: ignore[arg-type]


def rated(world: World) -> RatedGate:
    assert world.hall is not None
    return RatedGate(
        world.app_gate,
        rates=world.hall.domain.rates,
        system=world.system,
        telemetry=world.telemetry,
        proxy_hops=0,
    )


async def test_too_many_upgrades_are_a_429_with_a_code_and_a_time(autojump_clock: MockClock) -> None:
    async with open_world(settings=strict(upgrades=0.5, upgrades_burst=1)) as world:
        gate = rated(world)

        assert isinstance(await gate.admit(upgrade("/app-ws")), Admitted)
        refused = await gate.admit(upgrade("/app-ws"))

        assert isinstance(refused, Refused)
        body = msgspec.json.decode(refused.body)
        assert (429, "RATE_LIMITED", "2") == (refused.status, body["code"], refused.headers["Retry-After"])
        assert ("tpa_connection_error", 2.0) == (body["type"], body["retry_after"])


async def test_one_token_that_dials_again_and_again_is_slowed_and_others_are_not(
    autojump_clock: MockClock,
) -> None:
    async with open_world(settings=strict(caller_upgrades=1, caller_upgrades_burst=1)) as world:
        gate = rated(world)
        dials = [{"authorization": "Bearer a"}, {"authorization": "Bearer a"}, {"authorization": "Bearer b"}]
        verdicts = [await gate.admit(upgrade("/app-ws", headers)) for headers in dials]

    statuses = [verdict.status for verdict in verdicts if isinstance(verdict, Refused)]
    assert [401, 429, 401] == statuses


async def test_guessing_keys_at_the_socket_or_in_its_first_message_is_slowed(
    autojump_clock: MockClock,
) -> None:
    async with open_world(settings=strict(failures=0.1, failures_burst=3)) as world:
        await world.app_server()
        gate, told = rated(world), []
        for number in range(5):
            verdict = await gate.admit(upgrade("/app-ws"))
            if isinstance(verdict, Refused):
                told.append(verdict.status)
                continue
            connection = world.connect()
            connection.open(verdict.handler)
            init = {"type": "tpa_connection_init", "sessionId": f"{ADA}-{CAPTIONS}", "packageName": CAPTIONS}
            connection.say({**init, "apiKey": f"guess {number}"})
            await world.settle()
            told += [1 for one in connection.heard() if one["code"] == "INVALID_API_KEY"]

    assert [1, 1, 1, 429, 429] == told
