"""Simple storage as the SDK calls it: texts by key, with limits that answer 413 and 429."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import trio
from trio.testing import MockClock

from actors.cabinet.settings import CabinetSettings
from adapters.simulated.store import SimulatedDocuments
from config.settings import Settings
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, OTHER, OTHER_KEY, Answer, Scene, key_of, scene

ALL = f"/api/sdk/simple-storage/{quote(ADA)}"


async def call(there: Scene, method: str, path: str, body: object = None, package: str = CAPTIONS) -> Answer:
    return await there.call(method, path, body, bearer=key_of(package))


async def test_values_are_put_read_and_removed(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.running(await there.phone())

        empty = await call(there, "GET", ALL)
        put = await call(there, "PUT", ALL, {"data": {"a": "1", "b/c ü": "2"}})
        more = await call(there, "PUT", f"{ALL}/d", {"value": "3"})
        everything = await call(there, "GET", ALL)
        one = await call(there, "GET", f"{ALL}/{quote('b/c ü', safe='')}")
        removed = await call(there, "DELETE", f"{ALL}/{quote('b/c ü', safe='')}")
        absent = await call(there, "GET", f"{ALL}/{quote('b/c ü', safe='')}")
        again = await call(there, "DELETE", f"{ALL}/gone")

        assert {"data": {}, "success": True} == empty.body
        assert [200] * 6 == [one.status for one in (put, more, everything, one, removed, again)]
        assert {"a": "1", "b/c ü": "2", "d": "3"} == everything.body["data"]
        assert "2" == one.body["data"]
        assert (404, "NOT_FOUND") == (absent.status, absent.body["code"])
        cleared = await call(there, "DELETE", ALL)
        assert (200, {}) == (cleared.status, (await call(there, "GET", ALL)).body["data"])


async def test_values_outlive_the_app_the_session_and_the_server(autojump_clock: MockClock) -> None:
    documents = SimulatedDocuments()
    async with scene(documents) as there:
        await there.running(await there.phone())
        await call(there, "PUT", ALL, {"data": {"a": "1"}})
        await there.world.die()
    async with scene(documents) as after:
        assert {"a": "1"} == (await call(after, "GET", ALL)).body["data"], "they have started it once"


async def test_each_app_and_each_user_has_values_of_their_own(autojump_clock: MockClock) -> None:
    async with scene() as there:
        ada, bob = await there.phone(), await there.phone(BOB)
        await there.running(ada)
        await there.running(ada, OTHER, key=OTHER_KEY)
        bob.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(2)
        of_bob = f"/api/sdk/simple-storage/{BOB}"

        await call(there, "PUT", ALL, {"data": {"a": "captions of Ada"}})
        await call(there, "PUT", ALL, {"data": {"a": "other of Ada"}}, OTHER)
        await call(there, "PUT", of_bob, {"data": {"a": "captions of Bob"}})
        await call(there, "DELETE", ALL, package=OTHER)

        assert {"a": "captions of Ada"} == (await call(there, "GET", ALL)).body["data"]
        assert {} == (await call(there, "GET", ALL, package=OTHER)).body["data"]
        assert {"a": "captions of Bob"} == (await call(there, "GET", of_bob)).body["data"]


async def test_what_is_too_large_is_a_413_and_nothing_of_it_is_kept(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.running(await there.phone())
        await call(there, "PUT", ALL, {"data": {"a": "1"}})

        value = await call(there, "PUT", ALL, {"data": {"b": "2", "c": "x" * (100 * 1024 + 1)}})
        fits = await call(there, "PUT", f"{ALL}/d", {"value": "x" * (100 * 1024)})
        total = await call(there, "PUT", ALL, {"data": {f"k{number}": "x" * 100_000 for number in range(11)}})

        for answer in (value, total):
            assert (413, "TOO_LARGE") == (answer.status, answer.body["code"])
        assert 200 == fits.status
        assert {"a", "d"} == set((await call(there, "GET", ALL)).body["data"])


async def test_more_than_a_request_may_have_is_a_413_too(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.running(await there.phone())

        answer = await call(there, "PUT", ALL, {"data": {"a": "x" * (2 * 1024 * 1024)}})

        assert 413 == answer.status


@pytest.mark.parametrize("body", [None, {}, {"data": []}, {"data": {"a": 1}}, {"data": {"a": None}}, []])
async def test_values_are_texts(autojump_clock: MockClock, body: object) -> None:
    async with scene() as there:
        await there.running(await there.phone())

        answer = await call(there, "PUT", ALL, body)

        assert (400, "INVALID_REQUEST") == (answer.status, answer.body["code"])


async def test_an_app_that_calls_too_often_waits_and_no_other_does(autojump_clock: MockClock) -> None:
    settings = Settings(cabinet=CabinetSettings(calls=2.0, burst_calls=5))
    async with scene(settings=settings) as there:
        phone = await there.phone()
        await there.running(phone)
        await there.running(phone, OTHER, key=OTHER_KEY)

        answers = [await call(there, "GET", ALL) for _ in range(7)]
        other = await call(there, "GET", ALL, package=OTHER)
        wait_s = float(answers[-1].headers["Retry-After"])
        await trio.sleep(wait_s)
        later = await call(there, "GET", ALL)

        assert [200] * 5 + [429] * 2 == [answer.status for answer in answers]
        assert ("RATE_LIMITED", 200, 200) == (answers[-1].body["code"], other.status, later.status)


async def test_a_store_that_is_out_is_a_503_and_nothing_is_pretended(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.running(await there.phone())
        there.world.store.outage = "no space left"

        for method, body in (("GET", None), ("PUT", {"data": {"a": "1"}}), ("DELETE", None)):
            answer = await call(there, method, ALL, body)
            assert (503, "STORE_UNAVAILABLE") == (answer.status, answer.body["code"])

        there.world.store.outage = None
        assert {} == (await call(there, "GET", ALL)).body["data"]
