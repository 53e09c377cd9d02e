"""The table of routes is what is served, no more and no less, and the OpenAPI document says the same."""

from __future__ import annotations

import re

from trio.testing import MockClock

from adapters.http import openapi
from adapters.http.table import GROUPS, LARGE_BODIES, ROUTES
from config.settings import AdminSettings, Settings
from tests.adapters.http.rest_scene import scene

ELSEWHERE = {
    r"/daemon-api/.*": "docs/desktop.md",
    r"/api/daemons.*": "docs/desktop.md",
    r"/api/(master-agent|agents).*": "docs/desktop.md",
    r"/api/tts": "adapters/http/speech_routes.py",
    r"/console.*": "adapters/http/console",
    r"/glasses.*": "adapters/http/glasses_routes.py",
}
"""Paths that are described elsewhere, as regular expressions, and where."""


async def test_every_route_is_in_the_table_and_every_line_of_it_is_served(autojump_clock: MockClock) -> None:
    settings = Settings(admin=AdminSettings(allow_kill=True))
    async with scene(settings=settings) as there:
        served = {
            (method, rule.rule)
            for rule in there.application.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if not any(re.fullmatch(path, rule.rule) for path in ELSEWHERE)
        }

    assert {(route.method, path) for route in ROUTES for path in route.paths} == served


def test_no_line_of_the_table_is_there_twice() -> None:
    lines = [(route.method, path) for route in ROUTES for path in route.paths]

    assert len(lines) == len(set(lines))


def test_every_line_says_whose_data_it_reaches_and_what_it_does() -> None:
    for route in ROUTES:
        assert route.owner
        assert route.summary.endswith("."), route.path


def test_groups_are_named_for_the_modules_that_serve_them() -> None:
    for module, (title, routes) in GROUPS.items():
        assert title
        assert routes, module


def test_only_photos_may_be_larger_than_other_bodies() -> None:
    assert {"/api/photos/upload"} == set(LARGE_BODIES)


async def test_the_document_of_all_routes_is_served(autojump_clock: MockClock) -> None:
    async with scene() as there:
        answer = await there.get("/api/docs")

    assert 200 == answer.status
    document = answer.body
    assert "3.1.0" == document["openapi"]
    paths = {re.sub(r"<(?:path:)?(\w+)>", r"{\1}", path) for route in ROUTES for path in route.paths}
    assert paths == set(document["paths"])
    put = document["paths"]["/api/sdk/simple-storage/{user_id}"]["put"]
    assert [{"appKey": []}] == put["security"]
    assert {"200", "400", "401", "403", "408", "413", "429", "503"} == set(put["responses"])
    body = put["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert ["data"] == document["components"]["schemas"][body]["required"]


def test_what_a_route_answers_beside_its_own_statuses_follows_from_its_caller_and_body() -> None:
    by_path = {(route.method, route.path): route for route in ROUTES}

    assert (200, 429) == openapi.statuses_of(by_path["GET", "/api/client/min-version"])
    assert (200, 503) == openapi.statuses_of(by_path["GET", "/ready"])
    assert (200, 400, 401, 408, 413, 429, 503) == openapi.statuses_of(by_path["POST", "/api/client/location"])
    assert (401, 429, 501, 503) == openapi.statuses_of(by_path["GET", "/api/streams/<stream_id>/outputs"])
