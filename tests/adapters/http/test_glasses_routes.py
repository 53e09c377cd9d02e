"""The files of the browser glasses: all of them, nothing else, and a policy that lets no other script in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from quart.testing import QuartClient

import clients.browser_glasses
from adapters.http import create_application
from adapters.http.glasses_routes import glasses_routes
from adapters.simulated.telemetry import RecordingTelemetry

FOLDER = Path(clients.browser_glasses.__file__).parent


@pytest.fixture
def client() -> QuartClient:
    routes = glasses_routes(FOLDER)
    application = create_application(RecordingTelemetry(), dict, (routes,), wall=lambda: 0.0)
    return cast(QuartClient, application.test_client())


async def test_every_file_that_the_page_names_is_served(client: QuartClient) -> None:
    named: set[str] = set()
    for path in FOLDER.iterdir():
        if path.suffix in {".html", ".js"}:
            text = path.read_text(encoding="utf-8")
            named |= set(re.findall(r'"(/glasses/[\w.]+)"', text))
            named |= {f"/glasses/{name}" for name in re.findall(r'from "\./([\w.]+)"', text)}

    assert {"/glasses/glasses.js", "/glasses/lens.js", "/glasses/pcm_worklet.js"} < named
    for path_ in ("/glasses", *sorted(named)):
        answer = await client.get(path_)
        assert 200 == answer.status_code, path_
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "nosniff" == answer.headers["X-Content-Type-Options"]


async def test_no_file_is_left_out(client: QuartClient) -> None:
    for path in FOLDER.iterdir():
        if path.suffix not in {".py", ""}:
            name = "" if path.name == "index.html" else f"/{path.name}"
            assert 200 == (await client.get(f"/glasses{name}")).status_code


@pytest.mark.parametrize("name", ["__init__.py", "..%2f__init__.py", "../server.py", "nothing.js"])
async def test_what_is_none_of_them_is_not_found(name: str, client: QuartClient) -> None:
    assert 404 == (await client.get(f"/glasses/{name}")).status_code


def test_no_script_or_style_is_within_the_page() -> None:
    page = (FOLDER / "index.html").read_text(encoding="utf-8")

    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", page)
