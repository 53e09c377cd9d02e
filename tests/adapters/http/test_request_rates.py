"""Requests past a limit: 429 with a code and a time, for who sends them and nobody else."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from actors.front.rates import RateSettings
from actors.front.settings import FrontDoorSettings
from config.settings import Settings
from tests.adapters.http.rest_scene import ADA, EVE, Answer, Scene, key_of, scene

HOME = "/api/client/apps"
THERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


async def statuses(there: Scene, count: int, path: str = HOME, **caller: object) -> list[int]:
    return [(await there.get(path, **caller)).status for _ in range(count)]


def assert_limited(answer: Answer, wait: str) -> None:
    assert (429, "RATE_LIMITED", wait) == (answer.status, answer.body["code"], answer.headers["Retry-After"])
    assert {"success", "message", "hop", "remedy", "retry_after", "timestamp"} <= set(answer.body)


async def test_a_user_who_asks_too_often_waits_and_others_at_the_same_address_do_not(
    autojump_clock: MockClock,
) -> None:
    async with scene(settings=Settings(rates=RateSettings(user_requests=0.5, user_burst=2))) as there:
        assert [200, 200] == await statuses(there, 2, user=ADA)
        assert_limited(await there.get(HOME, user=ADA), "2")
        assert [200] == await statuses(there, 1, user=EVE)
        await trio.sleep(2)
        assert [200, 429] == await statuses(there, 2, user=ADA)


async def test_an_apps_key_has_a_limit_of_its_own(autojump_clock: MockClock) -> None:
    async with scene(settings=Settings(rates=RateSettings(app_requests=0.5, app_burst=1))) as there:
        await there.running(await there.phone())
        path = f"/api/sdk/simple-storage/{ADA}"

        assert [200] == await statuses(there, 1, path, bearer=key_of())
        assert_limited(await there.get(path, bearer=key_of()), "2")


async def test_an_address_that_asks_too_often_waits_and_health_is_answered_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with scene(settings=Settings(rates=RateSettings(requests=1, requests_burst=3))) as there:
        assert [200, 200, 200, 429] == await statuses(there, 4, "/api/apps/version", peer=THERE)
        assert [200, 200] == [(await there.get(path, peer=THERE)).status for path in ("/health", "/ready")]
        assert [200] == await statuses(there, 1, "/api/apps/version", peer=ELSEWHERE)


async def test_wrong_tokens_and_keys_of_every_kind_count_together_and_hold_up_their_address(
    autojump_clock: MockClock,
) -> None:
    async with scene(settings=Settings(rates=RateSettings(failures=0.1, failures_burst=4))) as there:
        for path, bearer in ((HOME, "nonsense"), ("/api/gallery", None), ("/metrics", "x"), (HOME, "y")):
            assert 401 == (await there.get(path, bearer=bearer, peer=THERE)).status

        assert_limited(await there.get(HOME, user=ADA, peer=THERE), "10")
        assert [200] == await statuses(there, 1, user=ADA, peer=ELSEWHERE)
        await trio.sleep(10)
        assert [200] == await statuses(there, 1, user=ADA, peer=THERE)
        assert there.world.telemetry.of("requests_limited")


async def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_says(autojump_clock: MockClock) -> None:
    limits = RateSettings(requests=1, requests_burst=1)
    settings = Settings(behind_proxy=True, front_door=FrontDoorSettings(proxy_hops=1), rates=limits)
    async with scene(settings=settings) as there:
        told = [
            (await there.get("/api/apps/version", headers={"X-Forwarded-For": said})).status
            for said in ("203.0.113.1", "203.0.113.2", "invented, 203.0.113.1")
        ]

    assert [200, 200, 429] == told
