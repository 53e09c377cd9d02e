"""The owner rule: a core token reaches its own user, an app's key its own package's data of users who run it.

Each route has here what is tried against it; a route without fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import trio
from trio.testing import MockClock

from actors.front.rates import RateSettings
from adapters.http.routes import Caller, Route
from adapters.http.table import ROUTES
from adapters.simulated.store import SimulatedDocuments
from config.settings import AdminSettings, Settings
from tests.adapters.http.rest_scene import (
    ADA,
    BOB,
    CAPTIONS,
    EVE,
    KEY,
    OTHER,
    OTHER_KEY,
    Answer,
    Scene,
    key_of,
    scene,
)

SECRETS = ("a secret of Ada's", "lines-of-ada")
TOOL = msgspec.Raw(b'{"id":"note","description":"d"}')
SETTING = msgspec.Raw(b'{"type":"text","key":"loud","label":"L","defaultValue":"none"}')


@dataclass(frozen=True)
class Attempt:
    """What somebody tries who must not reach Ada's data, and what it is answered.

    Attributes:
      statuses: that refuse it; 200 where the caller gets their own, in which nothing of Ada's is.
      who: whose token or key is shown: `eve` is a user, `other` an app that runs for Ada, `captions` an app
        whose user Eve is not.
    """

    path: str
    body: object = None
    who: str = "eve"
    statuses: tuple[int, ...] = (200,)
    headers: tuple[tuple[str, str], ...] = ()


USER_503 = (503,)
STORAGE_OF_EVE = f"/api/sdk/simple-storage/{EVE}"
PLACE = {"lat": 1, "lng": 2}
PUBLIC: dict[tuple[str, str], str] = {
    ("GET", "/api/client/min-version"): "versions",
    ("GET", "/api/apps/public"): "the catalogue",
    ("GET", "/api/apps/search"): "the catalogue",
    ("GET", "/api/apps/version"): "our version",
    ("GET", "/api/apps/<package_name>"): "the catalogue",
    ("GET", "/api/public/permissions/<package_name>"): "the catalogue",
    ("POST", "/api/app-uptime/app-pkg-health-check"): "whether an app's server answers",
    ("GET", "/api/sdk/version"): "versions",
    ("POST", "/auth/exchange-token"): "the provider's token is what shows who calls; test_identity_routes.py",
    ("GET", "/.well-known/jwks.json"): "public keys",
    ("GET", "/health"): "counts",
    ("GET", "/ready"): "counts",
    ("GET", "/api/docs"): "this program",
}
"""Routes that reach nobody's data, and what they tell."""

TRIED: dict[tuple[str, str], Attempt] = {
    ("GET", "/api/client/apps"): Attempt("/api/client/apps"),
    ("GET", "/api/apps"): Attempt("/api/apps"),
    ("GET", "/api/apps/installed"): Attempt("/api/apps/installed"),
    ("GET", "/api/apps/available"): Attempt("/api/apps/available"),
    ("POST", "/api/apps/install/<package_name>"): Attempt(f"/api/apps/install/{OTHER}"),
    ("POST", "/api/apps/uninstall/<package_name>"): Attempt(f"/api/apps/uninstall/{CAPTIONS}"),
    ("POST", "/apps/<package_name>/start"): Attempt(f"/apps/{CAPTIONS}/start", statuses=(401,)),
    ("POST", "/apps/<package_name>/stop"): Attempt(f"/apps/{CAPTIONS}/stop", statuses=(401,)),
    ("POST", "/api/client/goodbye"): Attempt("/api/client/goodbye", statuses=(401,)),
    ("GET", "/appsettings/<package_name>"): Attempt(f"/appsettings/{CAPTIONS}"),
    ("POST", "/appsettings/<package_name>"): Attempt(
        f"/appsettings/{CAPTIONS}", {"key": "loud", "value": "eve's"}
    ),
    ("GET", "/appsettings/user/<package_name>"): Attempt(
        f"/appsettings/user/{CAPTIONS}", who="session elsewhere", statuses=(401,)
    ),
    ("GET", "/api/client/user/settings"): Attempt("/api/client/user/settings"),
    ("GET", "/api/client/usage"): Attempt("/api/client/usage"),
    ("PUT", "/api/client/user/settings"): Attempt(
        "/api/client/user/settings", {"settings": {"note": "eve's"}}
    ),
    ("POST", "/api/client/user/settings"): Attempt(
        "/api/client/user/settings", {"settings": {"note": "eve's"}}
    ),
    ("GET", "/api/client/user/settings/key/<path:key>"): Attempt("/api/client/user/settings/key/note"),
    ("PUT", "/api/client/user/settings/key/<path:key>"): Attempt(
        "/api/client/user/settings/key/note", {"value": "eve's"}
    ),
    ("DELETE", "/api/client/user/settings/key/<path:key>"): Attempt("/api/client/user/settings/key/note"),
    ("POST", "/api/client/device/state"): Attempt(
        "/api/client/device/state", {"connected": False}, statuses=USER_503
    ),
    ("POST", "/api/client/audio/configure"): Attempt(
        "/api/client/audio/configure", {"format": "lc3"}, statuses=USER_503
    ),
    ("POST", "/api/client/calendar"): Attempt("/api/client/calendar", {"events": []}, statuses=USER_503),
    ("POST", "/api/client/location"): Attempt("/api/client/location", PLACE, statuses=USER_503),
    ("POST", "/api/client/location/poll-response/<correlation_id>"): Attempt(
        "/api/client/location/poll-response/c1", PLACE, statuses=USER_503
    ),
    ("POST", "/api/client/notifications"): Attempt(
        "/api/client/notifications",
        {"notificationId": "n", "app": "a", "title": "t", "content": "c"},
        statuses=USER_503,
    ),
    ("POST", "/api/client/notifications/dismissed"): Attempt(
        "/api/client/notifications/dismissed",
        {"notificationId": "n", "notificationKey": "k", "packageName": "p"},
        statuses=USER_503,
    ),
    ("POST", "/api/client/photo/response"): Attempt(
        "/api/client/photo/response", {"requestId": "p1", "success": False}, statuses=USER_503
    ),
    ("POST", "/api/hardware/button-press"): Attempt(
        "/api/hardware/button-press", {"buttonId": "main"}, statuses=USER_503
    ),
    ("POST", "/api/user-data/set-datetime"): Attempt(
        "/api/user-data/set-datetime", {"userId": ADA, "datetime": "2026-11-22T15:00:00Z"}, statuses=(403,)
    ),
    ("POST", "/api/client/feedback"): Attempt("/api/client/feedback", {}),
    ("POST", "/api/incidents"): Attempt("/api/incidents", {}),
    ("POST", "/api/incidents/<incident_id>/logs"): Attempt("/api/incidents/i1/logs", {}),
    ("POST", "/app/error-report"): Attempt("/app/error-report", {}),
    ("GET", "/api/gallery"): Attempt("/api/gallery"),
    ("DELETE", "/api/gallery/<photo_id>"): Attempt("/api/gallery/p1", statuses=(404,)),
    ("POST", "/api/photos/upload"): Attempt("/api/photos/upload", {}, statuses=USER_503),
    ("POST", "/api/auth/generate-webview-token"): Attempt(
        "/api/auth/generate-webview-token", {"packageName": CAPTIONS, "userId": ADA}
    ),
    ("POST", "/api/auth/generate-webview-signed-user-token"): Attempt(
        "/api/auth/generate-webview-signed-user-token", {"packageName": CAPTIONS, "userId": ADA}
    ),
    ("POST", "/api/auth/hash-with-api-key"): Attempt(
        "/api/auth/hash-with-api-key", {"stringToHash": ADA, "packageName": CAPTIONS}, statuses=(403,)
    ),
    ("POST", "/api/auth/exchange-user-token"): Attempt(
        "/api/auth/exchange-user-token",
        {"aos_temp_token": "ada's token", "packageName": OTHER},
        who="other",
        statuses=(401,),
    ),
    ("GET", "/api/sdk/simple-storage/<user_id>"): Attempt(STORAGE_OF_EVE, who="captions", statuses=(403,)),
    ("PUT", "/api/sdk/simple-storage/<user_id>"): Attempt(
        STORAGE_OF_EVE, {"data": {"a": "b"}}, who="captions", statuses=(403,)
    ),
    ("DELETE", "/api/sdk/simple-storage/<user_id>"): Attempt(STORAGE_OF_EVE, who="captions", statuses=(403,)),
    ("GET", "/api/sdk/simple-storage/<user_id>/<path:key>"): Attempt(
        f"/api/sdk/simple-storage/{ADA}/note", who="other", statuses=(404,)
    ),
    ("PUT", "/api/sdk/simple-storage/<user_id>/<path:key>"): Attempt(
        f"{STORAGE_OF_EVE}/note", {"value": "b"}, who="captions", statuses=(403,)
    ),
    ("DELETE", "/api/sdk/simple-storage/<user_id>/<path:key>"): Attempt(
        f"/api/sdk/simple-storage/{ADA}/note", who="other"
    ),
    ("POST", "/api/tools/apps/<package_name>/tool"): Attempt(
        f"/api/tools/apps/{CAPTIONS}/tool", {"toolId": "note", "userId": ADA}, statuses=(403,)
    ),
    ("GET", "/api/tools/apps/<package_name>/tools"): Attempt(f"/api/tools/apps/{CAPTIONS}/tools"),
    ("GET", "/api/tools/users/<user_id>/tools"): Attempt(f"/api/tools/users/{ADA}/tools", statuses=(403,)),
    ("GET", "/api/transcripts/<session_id>"): Attempt(
        f"/api/transcripts/{ADA}-{CAPTIONS}?duration=60",
        who="nobody",
        statuses=(401,),
        headers=(("X-Package-Name", OTHER), ("X-API-Key", OTHER_KEY)),
    ),
    ("POST", "/api/app-server/register"): Attempt(
        "/api/app-server/register",
        {"packageName": CAPTIONS, "apiKey": OTHER_KEY, "webhookUrl": "https://evil.example.org"},
        statuses=(401,),
    ),
    ("POST", "/api/app-server/heartbeat"): Attempt(
        "/api/app-server/heartbeat", {"packageName": CAPTIONS, "apiKey": OTHER_KEY}, statuses=(401,)
    ),
    ("POST", "/api/app-server/restart"): Attempt(
        "/api/app-server/restart", {"packageName": CAPTIONS, "apiKey": OTHER_KEY}, statuses=(401,)
    ),
    ("POST", "/api/streams/<stream_id>/outputs"): Attempt(
        "/api/streams/s1/outputs", who="other", statuses=(501,)
    ),
    ("GET", "/api/streams/<stream_id>/outputs"): Attempt(
        "/api/streams/s1/outputs", who="other", statuses=(501,)
    ),
    ("DELETE", "/api/streams/<stream_id>/outputs/<output_id>"): Attempt(
        "/api/streams/s1/outputs/o1", who="other", statuses=(501,)
    ),
    ("GET", "/api/admin/tree"): Attempt("/api/admin/tree", statuses=(401,)),
    ("GET", "/api/admin/app-servers"): Attempt("/api/admin/app-servers", statuses=(401,)),
    ("POST", "/api/admin/kill"): Attempt("/api/admin/kill", {"path": "/glasshouse/roster"}, statuses=(401,)),
    ("GET", "/metrics"): Attempt("/metrics", statuses=(401,)),
}


def line(route: Route[Any]) -> tuple[str, str]:
    return route.method, route.path


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert {line(route) for route in ROUTES} == set(TRIED) | set(PUBLIC)
    assert not set(TRIED) & set(PUBLIC)


def test_only_what_reaches_nobodys_data_is_for_anybody() -> None:
    assert {line(route) for route in ROUTES if route.caller is Caller.ANYBODY} == set(PUBLIC)


@asynccontextmanager
async def adas_world() -> AsyncIterator[tuple[Scene, SimulatedDocuments]]:
    """Ada runs two apps, and everything that is kept for her holds a secret. Eve has no session."""
    documents = SimulatedDocuments()
    # What is tried here in a moment would be a flood of failures.
    settings = Settings(admin=AdminSettings(allow_kill=True), rates=RateSettings(failures=0))
    async with scene(documents, settings) as there:
        phone = await there.phone()
        await there.running(phone, tools=(TOOL,), settings_schema=(SETTING,))
        await there.running(phone, OTHER, key=OTHER_KEY)
        secret, lines = SECRETS
        for answer in (
            await there.call("PUT", "/api/client/user/settings", {"settings": {"note": secret}}, user=ADA),
            await there.post(f"/appsettings/{CAPTIONS}", {"key": "loud", "value": lines}, user=ADA),
            await there.call(
                "PUT", f"/api/sdk/simple-storage/{ADA}", {"data": {"note": secret}}, bearer=key_of()
            ),
        ):
            assert 200 == answer.status
        yield there, documents


async def tried(there: Scene, route: Route[Any], attempt: Attempt, path: str) -> Answer:
    shown: dict[str, Any] = {
        "eve": {"user": EVE},
        "other": {"bearer": key_of(OTHER)},
        "captions": {"bearer": key_of()},
        "session elsewhere": {"bearer": f"{ADA}-{CAPTIONS}", "peer": "192.0.2.66"},
        "nobody": {},
    }[attempt.who]
    return await there.call(route.method, path, attempt.body, headers=dict(attempt.headers), **shown)


def kept_for_ada(documents: SimulatedDocuments) -> dict[tuple[str, str], bytes]:
    return {key: one.document for key, one in documents.documents.items() if one.user_id == ADA}


async def problems_of(
    there: Scene, documents: SimulatedDocuments, route: Route[Any], attempt: Attempt
) -> list[str]:
    """What is wrong after somebody has tried it."""
    before, session = kept_for_ada(documents), state_of_ada(there)
    problems = []
    for path in (attempt.path, *_others(route, attempt.path)):
        answer = await tried(there, route, attempt, path)
        await trio.sleep(2)
        if answer.status not in attempt.statuses:
            problems.append(f"{path} was answered with {answer}")
        problems += [f"{path} told {secret}" for secret in SECRETS if secret in str(answer.body)]
    if kept_for_ada(documents) != before:
        problems.append("what is kept for Ada has changed")
    if state_of_ada(there) != session:
        problems.append("Ada's session has changed")
    return problems


def state_of_ada(there: Scene) -> tuple[object, ...]:
    state = there.world.system.state_of(there.world.find(f"users/{ADA}/session"))
    return state.glasses, state.last_known, state.preferences, set(state.apps), state.requests


async def test_nobody_reaches_what_is_not_theirs(autojump_clock: MockClock) -> None:
    found: dict[tuple[str, str], list[str]] = {}
    async with adas_world() as (there, documents):
        for route in ROUTES:
            attempt = TRIED.get(line(route))
            if attempt is not None and (problems := await problems_of(there, documents, route, attempt)):
                found[line(route)] = problems

    assert {} == found


def _others(route: Route[Any], path: str) -> list[str]:
    """The same attempt on the route's other paths."""
    first = route.path.partition("<")[0]
    return [f"{other.partition('<')[0]}{path.removeprefix(first)}" for other in route.also]


BAD = ("", "nonsense", "a.b.c", f"{CAPTIONS}:wrong", f"{OTHER}:{KEY}", f"unknown:{KEY}")


async def test_who_shows_nothing_good_is_a_401_everywhere_and_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    found: list[tuple[str, str, str | None, int]] = []
    async with adas_world() as (there, documents):
        before, session = kept_for_ada(documents), state_of_ada(there)
        for route in (route for route in ROUTES if route.caller is not Caller.ANYBODY):
            attempt = TRIED[line(route)]
            for bearer in (*BAD, None):
                answer = await there.call(route.method, attempt.path, attempt.body, bearer=bearer)
                if answer.status != 401:
                    found.append((*line(route), bearer, answer.status))
        assert (before, session) == (kept_for_ada(documents), state_of_ada(there))

    assert [] == found


async def test_nobody_is_who_a_query_or_a_body_says(autojump_clock: MockClock) -> None:
    """Identity comes from the token or the key alone: the forms of protocol.md 3.2 that put it elsewhere."""
    async with adas_world() as (there, _):
        query = f"apiKey={KEY}&packageName={CAPTIONS}&userId={ADA}"
        settings = await there.get(f"/api/client/user/settings?userId={ADA}", user=EVE)

        assert 401 == (await there.get(f"/api/apps?{query}")).status
        assert 401 == (await there.get(f"/api/sdk/simple-storage/{ADA}?{query}")).status
        assert {} == settings.body["data"]["settings"]


async def test_an_app_keeps_its_reach_while_it_is_installed_and_loses_it_with_that(
    autojump_clock: MockClock,
) -> None:
    async with adas_world() as (there, _):
        path = f"/api/sdk/simple-storage/{ADA}"
        await there.post(f"/apps/{CAPTIONS}/stop", user=ADA)
        assert 200 == (await there.get(path, bearer=key_of())).status
        await there.post(f"/api/apps/uninstall/{CAPTIONS}", user=ADA)

        refused = await there.get(path, bearer=key_of())
        unknown = await there.get(f"/api/sdk/simple-storage/{BOB}", bearer=key_of())

        assert (403, 403) == (refused.status, unknown.status)
        assert refused.body["message"] == unknown.body["message"]
