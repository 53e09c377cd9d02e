"""`/api/daemons`: a user's computers, and how one logs in by a short code."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from protocols.desktop.documents import Daemon
from tests.actors.desktop.desk_world import ADA, SETTINGS, FakeDaemon
from tests.adapters.http.desktop_client import Routes, open_routes

BOB = "bob@example.org"


def daemon_of(routes: Routes, made: dict[str, Any], user_id: str = ADA) -> FakeDaemon:
    daemon = Daemon(
        daemon_id=made["daemonId"], user_id=user_id, name=made["name"], hashed_token="", created_at=1
    )
    return FakeDaemon(routes.desks, daemon, made["token"])


async def begin(routes: Routes, name: str = "study") -> dict[str, Any]:
    status, begun = await routes.call("POST", "/api/daemons/codes", {"name": name})
    assert 201 == status
    code: dict[str, Any] = begun
    return code


async def poll(routes: Routes, code: dict[str, Any]) -> tuple[int, Any]:
    await trio.sleep(code["interval"])
    return await routes.call("POST", "/api/daemons/codes/poll", {"deviceCode": code["deviceCode"]})


async def test_a_computer_is_registered_listed_and_removed(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        status, made = await routes.by_user("POST", "", {"name": " study "})
        assert (201, {"daemonId", "name", "token"}, "study") == (status, set(made), made["name"])
        daemon = daemon_of(routes, made)
        connection = await daemon.dial()

        status, listed = await routes.by_user("GET", "")
        (shown,) = listed["daemons"]
        assert {"daemonId", "name", "isOnline", "activeAgents", "adapters", "lastSeen"} == set(shown)
        assert (made["daemonId"], True, ["claude"]) == (
            shown["daemonId"],
            shown["isOnline"],
            shown["adapters"],
        )
        assert {"daemons": []} == (await routes.by_user("GET", "", user=BOB))[1]
        assert 404 == (await routes.by_user("DELETE", f"/{made['daemonId']}", user=BOB))[0]
        assert (200, {"ok": True}) == await routes.by_user("DELETE", f"/{made['daemonId']}")
        assert connection.closed_with is not None
        assert 4003 == connection.closed_with[0]
        assert 404 == (await routes.by_user("DELETE", f"/{made['daemonId']}"))[0]
        assert 401 == (await routes.by_daemon(daemon, "GET", "daemon/status"))[0]


async def test_no_token_is_kept_or_logged(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        _, made = await routes.by_user("POST", "", {"name": "study"})
        await daemon_of(routes, made).dial()
        await routes.call("GET", "/daemon-api/daemon/status", token=made["token"] + "x")

        secret = made["token"].rpartition(".")[2]
        kept = b"".join(one.document for one in routes.desks.world.store._documents.documents.values())
        assert secret.encode() not in kept
        assert made["daemonId"].encode() in kept
        assert secret not in repr(routes.desks.world.telemetry.__dict__)


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": "a\nb"}, b"?"]
)
async def test_a_computer_needs_a_name(autojump_clock: MockClock, body: object) -> None:
    async with open_routes() as routes:
        assert (400, "INVALID_NAME") == _code(await routes.by_user("POST", "", body))
        assert (400, "INVALID_NAME") == _code(await routes.call("POST", "/api/daemons/codes", body))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("GET", ""),
        ("DELETE", "/x"),
        ("GET", "/codes/WDJB-MJHT"),
        ("POST", "/codes/WDJB-MJHT/approve"),
        ("POST", "/codes/WDJB-MJHT/deny"),
    ],
)
async def test_a_users_routes_need_a_users_token(autojump_clock: MockClock, method: str, path: str) -> None:
    async with open_routes() as routes:
        daemon = await routes.desks.daemon()
        for token in (None, "x", daemon.token):
            assert 401 == (await routes.call(method, f"/api/daemons{path}", {}, token=token))[0]


async def test_too_many_computers_are_a_409(autojump_clock: MockClock) -> None:
    async with open_routes(msgspec.structs.replace(SETTINGS, daemons_per_user=1)) as routes:
        assert 201 == (await routes.by_user("POST", "", {"name": "one"}))[0]

        assert (409, "TOO_MANY_DAEMONS") == _code(await routes.by_user("POST", "", {"name": "two"}))


async def test_a_daemon_logs_in_by_a_code_that_its_user_has_compared(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        code = await begin(routes)
        assert (600, 2.0) == (code["expiresIn"], code["interval"])
        assert (202, {"status": "pending", "interval": 2.0}) == await poll(routes, code)
        _, shown = await routes.by_user("GET", f"/codes/{code['userCode']}")
        assert (code["userCode"], "study") == (shown["userCode"], shown["name"])
        spoken = code["userCode"].replace("-", " ").lower()

        assert (200, {"ok": True, "name": "study"}) == await routes.by_user(
            "POST", f"/codes/{spoken}/approve"
        )
        status, made = await poll(routes, code)

        assert (200, "approved", ADA) == (status, made["status"], made["userId"])
        await daemon_of(routes, made).dial()
        assert (404, {"status": "expired"}) == await poll(routes, code)
        assert 1 == len(await routes.desks.daemons())


async def test_a_denied_an_expired_and_a_hasty_daemon_hear_so(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        code = await begin(routes)
        await poll(routes, code)
        device = {"deviceCode": code["deviceCode"]}
        status, said = await routes.call("POST", "/api/daemons/codes/poll", device)
        assert (429, "slow_down") == (status, said["status"])
        assert 200 == (await routes.by_user("POST", f"/codes/{code['userCode']}/deny"))[0]
        assert (403, {"status": "denied"}) == await poll(routes, code)
        code = await begin(routes)
        await trio.sleep(600)
        assert (404, {"status": "expired"}) == await poll(routes, code)
        assert (404, "CODE_UNKNOWN") == _code(
            await routes.by_user("POST", f"/codes/{code['userCode']}/approve")
        )
        assert 400 == (await routes.call("POST", "/api/daemons/codes/poll", {}))[0]


async def test_a_token_that_could_not_be_kept_is_given_at_the_next_poll(autojump_clock: MockClock) -> None:
    async with open_routes() as routes:
        await routes.desks.desk()
        code = await begin(routes)
        await routes.by_user("POST", f"/codes/{code['userCode']}/approve")
        routes.desks.world.store.outage = "the disk is full"
        assert 503 == (await poll(routes, code))[0]
        routes.desks.world.store.outage = None

        assert 200 == (await poll(routes, code))[0]


async def test_guesses_and_codes_are_limited_with_a_time_to_try_again(autojump_clock: MockClock) -> None:
    settings = msgspec.structs.replace(SETTINGS, login_guesses=2, logins_a_minute=1)
    async with open_routes(settings) as routes:
        code = await begin(routes)
        assert (429, "RATE_LIMITED") == _code(
            await routes.call("POST", "/api/daemons/codes", {"name": "another"})
        )
        for _ in range(2):
            assert 404 == (await routes.by_user("POST", "/codes/BBBB-BBBB/approve", user=BOB))[0]

        guessed = await routes.by_user("POST", f"/codes/{code['userCode']}/approve", user=BOB)

        assert (429, "TOO_MANY_GUESSES") == _code(guessed)
        assert 202 == (await poll(routes, code))[0]


def _code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]
