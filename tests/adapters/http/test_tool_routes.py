"""Tools: a call reaches the app's server with its key, and its answer comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from actors.ports import WebhookAnswer
from adapters.simulated.webhooks import Call
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, OTHER, OTHER_KEY, Scene, key_of, scene

TOOL = {"id": "note", "description": "Takes a note", "parameters": {"text": {"type": "string"}}}
PATH = f"/api/tools/apps/{CAPTIONS}/tool"
CALL = {"toolId": "note", "toolParameters": {"text": "milk"}, "userId": ADA}


def schema(*tools: dict[str, Any]) -> tuple[msgspec.Raw, ...]:
    return tuple(msgspec.Raw(msgspec.json.encode(tool)) for tool in tools)


def serve(there: Scene, answer: Callable[[Call], WebhookAnswer]) -> list[Call]:
    """The app's server answers tool calls so; what it was asked."""
    asked: list[Call] = []

    async def answered(call: Call) -> WebhookAnswer:
        asked.append(call)
        return answer(call)

    there.world.webhooks.serve(f"https://{CAPTIONS}.example.org", answered)
    return asked


async def test_a_call_reaches_the_app_with_its_hashed_key_and_comes_back(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(tools=schema(TOOL))
        asked = serve(there, lambda _: WebhookAnswer(200, b'{"status":"success","reply":"noted"}'))

        answer = await there.post(PATH, CALL, user=ADA)

        assert (200, {"status": "success", "reply": "noted"}) == (answer.status, answer.body)
        (call,) = asked
        body = msgspec.json.decode(call.body)
        assert ("/tool", "note", {"text": "milk"}, ADA) == (
            call.path,
            body["toolId"],
            body["toolParameters"],
            body["userId"],
        )
        app = await there.world.store.find_app(CAPTIONS)
        assert app is not None
        assert app.hashed_api_key == call.headers["X-App-API-Key"]


async def test_the_apps_own_error_is_passed_on(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(tools=schema(TOOL))
        serve(there, lambda _: WebhookAnswer(500, b'{"status":"error","message":"no paper"}'))

        answer = await there.post(PATH, CALL, user=ADA)

        assert (500, "no paper") == (answer.status, answer.body["message"])


async def test_a_server_that_is_not_there_is_tried_twice_and_then_an_error(autojump_clock: MockClock) -> None:
    async with scene() as there:
        server = await there.world.app_server(tools=schema(TOOL))
        server.down()

        answer = await there.post(PATH, CALL, user=ADA)

        assert (500, True) == (answer.status, answer.body["error"])
        assert "refused" in answer.body["message"]


@pytest.mark.parametrize(("fault", "tries"), [("refused", 2), ("timeout", 1)])
async def test_only_a_call_that_nobody_saw_is_made_again(
    autojump_clock: MockClock, fault: str, tries: int
) -> None:
    async with scene() as there:
        server = await there.world.app_server(tools=schema(TOOL))
        there.world.webhooks.faults[server.url] = fault
        count = 0
        post = there.world.webhooks.post

        async def counted(*args: Any, **more: Any) -> WebhookAnswer:
            nonlocal count
            count += 1
            return await post(*args, **more)

        there.world.webhooks.post = counted  # type: ignore[method-assign]
        answer = await there.post(PATH, CALL, user=ADA)

        assert (500, tries) == (answer.status, count)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/tools/apps/org.example.unknown/tool", CALL, 404),
        (PATH, {**CALL, "toolId": "unknown"}, 404),
        (PATH, {"toolParameters": {}}, 400),
        (PATH, {**CALL, "toolParameters": []}, 400),
    ],
)
async def test_what_cannot_be_called_is_refused(
    autojump_clock: MockClock, path: str, body: dict[str, Any], status: int
) -> None:
    async with scene() as there:
        await there.world.app_server(tools=schema(TOOL))
        asked = serve(there, lambda _: WebhookAnswer(200, b"{}"))

        answer = await there.post(path, body, user=ADA)

        assert status == answer.status
        assert [] == asked
        if status == 404:
            assert answer.body["error"] is True


async def test_tools_are_listed_of_an_app_and_of_a_users_home_screen(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(tools=schema(TOOL, {**TOOL, "id": "read"}))
        await there.world.app_server(OTHER, key=OTHER_KEY, tools=schema({**TOOL, "id": "other"}))
        await there.post(f"/api/apps/uninstall/{OTHER}", user=ADA)

        of_app = await there.get(f"/api/tools/apps/{CAPTIONS}/tools", user=ADA)
        of_ada = await there.get(f"/api/tools/users/{ADA}/tools", user=ADA)
        of_bob = await there.get(f"/api/tools/users/{BOB}/tools", user=BOB)
        unknown = await there.get("/api/tools/apps/org.example.unknown/tools", user=ADA)

        assert [TOOL, {**TOOL, "id": "read"}] == of_app.body
        assert [("note", CAPTIONS), ("read", CAPTIONS)] == [
            (one["id"], one["appPackageName"]) for one in of_ada.body
        ]
        assert 3 == len(of_bob.body)
        assert 404 == unknown.status


async def test_an_app_calls_its_own_tools_and_an_app_of_the_system_all_for_who_runs_it(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        phone = await there.phone()
        await there.running(phone, tools=schema(TOOL))
        await there.running(phone, OTHER, key=OTHER_KEY)
        await there.running(phone, "org.example.assistant", key="assistant", is_system=True)
        serve(there, lambda _: WebhookAnswer(200, b"{}"))
        assistant = "org.example.assistant:assistant"
        of_ada = f"/api/tools/users/{ADA}/tools"

        assert 200 == (await there.post(PATH, CALL, bearer=key_of())).status
        assert 200 == (await there.post(PATH, CALL, bearer=assistant)).status
        assert 200 == (await there.get(of_ada, bearer=assistant)).status
        assert 403 == (await there.post(PATH, CALL, bearer=key_of(OTHER))).status
        assert 403 == (await there.get(of_ada, bearer=key_of(OTHER))).status
        assert 403 == (await there.post(PATH, {**CALL, "userId": BOB}, bearer=assistant)).status
        assert 400 == (await there.post(PATH, {"toolId": "note"}, bearer=assistant)).status
