"""An unmodified app on the official SDK, and what the cloud offers beside the session.

Simple storage, settings, tools, web pages that know their visitor, places and photos.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
import trio

from actors.ports import PutApp
from adapters.storage import open_sqlite
from adapters.tokens.webview import public_pem
from clients.glasses import Glasses
from clients.network import open_stream, request
from config.data_directory import WEBVIEW_KEY_NAME
from protocols import from_phone, to_phone
from tests.system.peers import wearer
from tests.system.sdk import PACKAGE, SdkApp, sdk_app
from tests.system.server import PATIENCE_S, Server, eventually

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"
SCHEMA = {"type": "slider", "key": "lines", "label": "Lines", "min": 1, "max": 9, "defaultValue": 3}
TOOL = {"id": "note", "description": "Takes a note", "parameters": {"text": {"type": "string"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("platform"), "display.boot_screen_s=0.1") as server:
        yield server


async def call(
    server: Server, method: str, path: str, body: object = None, *, user: str = ADA
) -> tuple[int, Any]:
    """One REST call of a wearer's phone."""
    headers = {"Authorization": f"Bearer {server.token(user)}", "Content-Type": "application/json"}
    data = b"" if body is None else json.dumps(body).encode()
    answer = await server.request(method, path, headers=headers, body=data)
    return answer.status, json.loads(answer.body)


async def declare(server: Server) -> None:
    """Give the app a setting and a tool."""
    store = await open_sqlite(server.data)
    try:
        app = await store.find_app(PACKAGE)
        assert app is not None
        raw = {name: (msgspec.Raw(msgspec.json.encode(one)),) for name, one in (("s", SCHEMA), ("t", TOOL))}
        await store.commit([PutApp(msgspec.structs.replace(app, settings_schema=raw["s"], tools=raw["t"]))])
    finally:
        await store.aclose()

    await trio.sleep(0.3)  # a running server sees the change after 200 ms at most (protocol.md 13.9)


async def answer_requests(phone: Glasses) -> None:
    """Do what the phone of a wearer in the garden does: it knows the place."""
    answered: set[str] = set()
    while True:
        for received in tuple(phone.received):
            match received.message:
                case to_phone.RequestSingleLocation(correlation_id=id) if id not in answered:
                    answered.add(id)
                    await phone.send(from_phone.LocationUpdate(lat=47.4, lng=8.5, correlation_id=id))
        await trio.sleep(0.02)


async def page(app: SdkApp, query: dict[str, str]) -> Any:
    """Who the app's web page takes its visitor for."""
    url = f"http://127.0.0.1:{app.port}/page?{urlencode(query)}"
    with trio.fail_after(PATIENCE_S):
        answer = await request("GET", url, connect=open_stream)
    return json.loads(answer.body)["visitor"]


async def test_an_sdk_app_keeps_values_for_its_wearer_across_sessions(
    node: str, closed_port: int, server: Server
) -> None:
    async with (
        wearer(server, ADA) as phone,
        sdk_app(node, closed_port, server, program="platform.mjs") as (app, _),
    ):
        for visit in (None, "1"):
            sessions = len(app.all("session"))
            await phone.start_app(PACKAGE)
            session = await app.told("session", sessions + 1)
            stored = await app.told("stored", sessions + 1)
            await app.told("ready", sessions + 1)
            assert (visit, True) == (session["kept"], stored["deleted"])
            await phone.stop_app(PACKAGE)
            await phone.wait_for(lambda glasses: glasses.running_apps == (), timeout_s=PATIENCE_S)

        path = f"/api/sdk/simple-storage/{ADA}"
        kept = await server.request("GET", path, headers={"Authorization": f"Bearer {PACKAGE}:key"})
        assert {"visits": "2"} == json.loads(kept.body)["data"]


async def test_an_sdk_app_hears_of_changed_settings_on_both_ways_and_fetches_them(
    node: str, closed_port: int, server: Server
) -> None:
    async with (
        wearer(server, BOB) as phone,
        sdk_app(node, closed_port, server, program="platform.mjs") as (app, _),
    ):
        await declare(server)
        await phone.start_app(PACKAGE)
        began = await app.told("settings")
        fetched = await app.told("fetched")
        await app.told("ready")
        assert (3, False, 1) == (began["lines"], began["metric"], fetched.get("value")), fetched

        change, wish = {"key": "lines", "value": 7}, {"settings": {"metric_system": True}}
        changed, _ = await call(server, "POST", f"/appsettings/{PACKAGE}", [change], user=BOB)
        wished, _ = await call(server, "PUT", "/api/client/user/settings", wish, user=BOB)

        assert (200, 200) == (changed, wished)
        lines, posted = await app.told("lines"), await app.told("posted")
        await eventually(lambda: app.all("metric") and app.all("metric")[-1].get("now") is True)
        assert (7, 3) == (lines["now"], lines["before"])
        assert (BOB, [["lines", 7]]) == (posted["userId"], posted["settings"])
        assert [] == app.all("error")


async def test_a_tool_of_an_sdk_app_is_called_for_its_wearer(
    node: str, closed_port: int, server: Server
) -> None:
    async with sdk_app(node, closed_port, server, program="platform.mjs") as (app, _):
        await declare(server)

        body = {"toolId": "note", "toolParameters": {"text": "milk"}, "userId": ADA}
        status, answer = await call(server, "POST", f"/api/tools/apps/{PACKAGE}/tool", body)

        assert (200, {"status": "success", "reply": "note: milk"}) == (status, answer)
        told = await app.told("tool")
        assert ("note", {"text": "milk"}, ADA) == (told["id"], told["parameters"], told["userId"])


async def test_a_web_page_of_an_sdk_app_knows_its_visitor_by_each_of_the_tokens(
    node: str, closed_port: int, server: Server
) -> None:
    keys = await server.request("GET", "/.well-known/jwks.json")
    assert 200 == keys.status
    pem = public_pem((server.data / WEBVIEW_KEY_NAME).read_bytes()).decode()
    variables = {"MENTRAOS_CLOUD_USER_TOKEN_PUBLIC_KEY": pem}
    async with sdk_app(node, closed_port, server, program="platform.mjs", variables=variables) as (app, _):
        named = {"packageName": PACKAGE}
        _, temporary = await call(server, "POST", "/api/auth/generate-webview-token", named)
        _, signed = await call(server, "POST", "/api/auth/generate-webview-signed-user-token", named)
        _, checksum = await call(
            server, "POST", "/api/auth/hash-with-api-key", {**named, "stringToHash": server.url}
        )
        _, digest = await call(server, "POST", "/api/auth/hash-with-api-key", {**named, "stringToHash": ADA})
        ours = {"cloudApiUrl": server.url, "cloudApiUrlChecksum": checksum["hash"]}

        assert ADA == await page(app, {"aos_temp_token": temporary["token"], **ours})
        assert await page(app, {"aos_temp_token": temporary["token"], **ours}) is None, "it was used"
        assert ADA == await page(app, {"aos_signed_user_token": signed["token"]})
        assert await page(app, {"aos_signed_user_token": signed["token"] + "x"}) is None
        assert ADA == await page(app, {"aos_frontend_token": f"{ADA}:{digest['hash']}"})
        assert await page(app, {"aos_frontend_token": f"bob@example.org:{digest['hash']}"}) is None


async def test_what_an_sdk_app_asks_of_the_phone_is_answered_or_refused_at_once(
    node: str, closed_port: int, server: Server
) -> None:
    async with (
        wearer(server, EVE) as phone,
        sdk_app(node, closed_port, server, program="platform.mjs") as (app, _),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(answer_requests, phone)
        await phone.report_glasses(model_name="Even Realities G1")
        await phone.start_app(PACKAGE)
        await app.told("ready")
        await eventually(lambda: phone.running_apps == (PACKAGE,))
        began = trio.current_time()
        while not app.all("photo") and trio.current_time() < began + PATIENCE_S:
            if not app.all("place"):
                await phone.press_button("main")
            await trio.sleep(0.2)

        place, photo = await app.told("place"), await app.told("photo")
        assert (47.4, 8.5) == (place["value"]["lat"], place["value"]["lng"])
        assert "CAMERA_INIT_FAILED" in photo["error"]
        nursery.cancel_scope.cancel()
