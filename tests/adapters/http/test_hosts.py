"""By which names the server may be asked for."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from adapters.http.hosts import host_of
from config.settings import Settings
from tests.adapters.http.rest_scene import ADA, scene


@pytest.mark.parametrize(
    ("said", "path", "status"),
    [
        ("glasses.example.org", "/api/client/apps", 200),
        ("Glasses.Example.org:443", "/api/client/apps", 200),
        ("[::1]:8002", "/api/client/apps", 200),
        ("evil.example.org", "/api/client/apps", 421),
        ("evil.example.org", "/console/login", 421),
        ("evil.example.org", "/glasses", 421),
        ("glasses.example.org.evil.example", "/api/client/apps", 421),
        ("evil.example.org", "/health", 200),
        ("10.1.2.3:8002", "/ready", 200),
    ],
)
async def test_another_name_than_those_that_are_listed_is_misdirected(
    autojump_clock: MockClock, said: str, path: str, status: int
) -> None:
    async with scene(settings=Settings(allowed_hosts=("glasses.example.org", "::1"))) as there:
        answer = await there.call("GET", path, user=ADA, headers={"Host": said}, is_json=False)

    assert status == answer.status


def test_what_is_no_host_is_no_name() -> None:
    assert ["", "", "a", "::1"] == [host_of(text) for text in ("", "[::1", "A:80", "[::1]")]
