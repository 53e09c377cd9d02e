"""Settings over REST: stored before the answer, told to the running app and its server, and nobody else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, OTHER, OTHER_KEY, Scene, scene

TITLE = {"type": "group", "title": "How it looks"}
LOUD = {"type": "toggle", "key": "loud", "label": "Loud", "defaultValue": False}
LINES = {"type": "slider", "key": "lines", "label": "Lines", "min": 1, "max": 9, "defaultValue": 3}
SCHEMA = tuple(msgspec.Raw(msgspec.json.encode(one)) for one in (TITLE, LOUD, LINES))
USER = "/api/client/user/settings"


def selected(page: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["selected"] for one in page["settings"] if "key" in one}


async def test_a_settings_page_shows_the_schema_with_what_is_selected(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server(settings_schema=SCHEMA, name="Captions", permissions=("MICROPHONE",))

        page = (await there.get(f"/appsettings/{CAPTIONS}", user=ADA)).body

        assert (ADA, "Captions", True, "1.0.0") == (
            page["userId"],
            page["name"],
            page["uninstallable"],
            page["version"],
        )
        assert {"loud": False, "lines": 3} == selected(page)
        assert TITLE == page["settings"][0]
        assert {**LINES, "selected": 3} == page["settings"][2]
        assert ["MICROPHONE"] == [one["type"] for one in page["permissions"]]


@pytest.mark.parametrize("prefix", ["/appsettings", "/tpasettings"])
async def test_changed_settings_are_stored_and_reach_the_app_on_both_ways(
    autojump_clock: MockClock, prefix: str
) -> None:
    async with scene() as there:
        server = await there.running(await there.phone(), settings_schema=SCHEMA)

        several = await there.post(
            f"{prefix}/{CAPTIONS}", [{"key": "loud", "value": True}, {"key": "lines", "value": 5}], user=ADA
        )
        one = await there.post(f"{prefix}/{CAPTIONS}", {"key": "lines", "value": 7}, user=ADA)
        await there.world.settle()

        assert (200, 200) == (several.status, one.status)
        page = (await there.get(f"{prefix}/{CAPTIONS}", user=ADA)).body
        assert {"loud": True, "lines": 7} == selected(page)
        told = server.connection.heard("settings_update")
        assert [{"loud": True, "lines": 5}, {"loud": True, "lines": 7}] == [
            {setting["key"]: setting["value"] for setting in one["settings"]} for one in told
        ]
        posted = [
            msgspec.json.decode(call.body) for call in there.world.webhooks.calls if call.path == "/settings"
        ]
        assert [ADA, ADA] == [one["userIdForSettings"] for one in posted]
        assert told[-1]["settings"] == posted[-1]["settings"]
        bobs = (await there.get(f"{prefix}/{CAPTIONS}", user=BOB)).body
        assert {"loud": False, "lines": 3} == selected(bobs)


async def test_settings_of_a_stopped_app_are_changed_and_are_in_its_next_ack(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        await there.world.app_server(settings_schema=SCHEMA)
        answer = await there.post(f"/appsettings/{CAPTIONS}", {"key": "lines", "value": 7}, user=ADA)
        assert 200 == answer.status

        phone = await there.phone()
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(2)
        server = there.world.known_server()
        phone.say({"type": "stop_app", "packageName": CAPTIONS})
        await trio.sleep(2)
        phone.say({"type": "start_app", "packageName": CAPTIONS})
        await trio.sleep(2)

        (ack,) = server.connection.heard("tpa_connection_ack")
        assert [False, 7] == [one["value"] for one in ack["settings"]]
        assert [] == [call for call in there.world.webhooks.calls if call.path == "/settings"]


@pytest.mark.parametrize(
    "body", [{"key": "unknown", "value": 1}, {"value": 1}, {"key": "loud"}, "loud", 7, None, [{"key": ""}]]
)
async def test_what_is_no_change_of_a_setting_is_a_400(autojump_clock: MockClock, body: object) -> None:
    async with scene() as there:
        await there.world.app_server(settings_schema=SCHEMA)

        answer = await there.post(f"/appsettings/{CAPTIONS}", body, user=ADA, raw=msgspec.json.encode(body))

        assert (400, "INVALID_REQUEST") == (answer.status, answer.body["code"])


async def test_settings_of_an_unknown_app_are_a_404(autojump_clock: MockClock) -> None:
    async with scene() as there:
        for method, body in (("GET", None), ("POST", {"key": "a", "value": 1})):
            answer = await there.call(method, "/appsettings/org.example.unknown", body, user=ADA)
            assert (404, "PACKAGE_NOT_FOUND") == (answer.status, answer.body["code"])


async def test_more_settings_than_may_be_kept_are_a_413(autojump_clock: MockClock) -> None:
    async with scene() as there:
        answer = await there.call("PUT", USER, {"settings": {"x": "y" * 600_000}}, user=ADA)

        assert (413, "TOO_LARGE") == (answer.status, answer.body["code"])
        assert {} == (await there.get(USER, user=ADA)).body["data"]["settings"]


# ---------------------------------------------------------------------------------------------------------
# The wearer's own


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_the_wearers_settings_are_merged_and_told(autojump_clock: MockClock, method: str) -> None:
    async with scene() as there:
        phone = await there.phone()
        server = await there.running(phone)

        await there.call(method, USER, {"settings": {"brightness": 7}}, user=ADA)
        answer = await there.call(method, USER, {"settings": {"metric_system": True, "odd": None}}, user=ADA)
        await there.world.settle()

        expected = {"brightness": 7, "metric_system": True, "odd": None}
        assert (200, expected) == (answer.status, answer.body["data"]["settings"])
        assert expected == (await there.get(USER, user=ADA)).body["data"]["settings"]
        told = server.connection.heard("augmentos_settings_update")[-1]["settings"]
        assert (7, True, None) == (told["brightness"], told["metricSystemEnabled"], told["odd"])
        assert 7 == phone.heard("settings_update")[-1]["settings"]["brightness"]


async def test_one_setting_is_put_read_and_forgotten(autojump_clock: MockClock) -> None:
    async with scene() as there:
        path = f"{USER}/key/preferred_mic:Even Realities G1/2"

        absent = await there.get(path, user=ADA)
        put = await there.call("PUT", path, {"value": "phone"}, user=ADA)
        read = await there.get(path, user=ADA)
        gone = await there.call("DELETE", path, user=ADA)

        key = "preferred_mic:Even Realities G1/2"
        assert {"key": key, "value": None, "exists": False} == absent.body["data"] == gone.body["data"]
        assert {"key": key, "value": "phone", "exists": True} == put.body["data"] == read.body["data"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"settings":[]}', b'{"value":1}', b"{", b'"\xff"'])
async def test_what_are_no_settings_are_a_400(autojump_clock: MockClock, body: bytes) -> None:
    async with scene() as there:
        answer = await there.call("PUT", USER, user=ADA, raw=body)

        assert (400, "INVALID_REQUEST") == (answer.status, answer.body["code"])


async def test_half_an_emoji_in_a_setting_is_no_error(autojump_clock: MockClock) -> None:
    async with scene() as there:
        answer = await there.call("PUT", USER, user=ADA, raw=b'{"settings":{"a":"x\\ud83d"}}')

        assert (200, {"a": "x\ufffd"}) == (answer.status, answer.body["data"]["settings"])


# ---------------------------------------------------------------------------------------------------------
# The SDK's own call: its session id is all that it shows


OF_USER = f"/appsettings/user/{CAPTIONS}"


async def of_user(there: Scene, bearer: str, **more: Any) -> tuple[int, Any]:
    answer = await there.get(OF_USER, bearer=bearer, **more)
    return answer.status, answer.body


async def test_an_app_reads_its_settings_with_its_session_id_from_where_its_socket_is(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        await there.running(await there.phone(), settings_schema=SCHEMA)
        await there.post(f"/appsettings/{CAPTIONS}", {"key": "lines", "value": 7}, user=ADA)

        for bearer in (f"{ADA}-{CAPTIONS}", ADA, ADA.upper()):
            status, body = await of_user(there, bearer)
            assert (200, [False, 7]) == (status, [one["value"] for one in body["settings"]])


async def test_a_session_id_shown_from_elsewhere_or_of_a_session_that_does_not_run_is_worth_nothing(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        phone = await there.phone()
        await there.running(phone, settings_schema=SCHEMA)
        await there.running(phone, OTHER, key=OTHER_KEY)

        own = f"{ADA}-{CAPTIONS}"
        refused = [
            await of_user(there, own, peer="192.0.2.99"),
            await of_user(there, own, headers={"X-Forwarded-For": "192.0.2.1"}),
            await of_user(there, f"{BOB}-{CAPTIONS}"),
            await of_user(there, BOB),
            await of_user(there, ""),
        ]

        assert [401] * 5 == [status for status, _ in refused]
        assert 1 == len({body["message"] for _, body in refused})
