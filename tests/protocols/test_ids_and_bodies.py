"""Session ids, paths, times, close codes and HTTP bodies."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import (
    InvalidSessionId,
    MalformedMessage,
    close_codes,
    location_tiers,
    paths,
    rest,
    session_ids,
    timestamps,
    webhooks,
)
from protocols.error_codes import ErrorCode

# Session ids (3.4)


@pytest.mark.parametrize(
    ("session_id", "package_name", "user_id"),
    [
        ("ada@example.org-org.example.captions", "org.example.captions", "ada@example.org"),
        ("a-b@x-y.org-org.example.a-b", "org.example.a-b", "a-b@x-y.org"),
        ("Ada@Example.org-p", "p", "ada@example.org"),
        ("a@b-p-p", "p", "a@b-p"),
    ],
)
def test_the_user_is_what_stands_before_the_package(session_id: str, package_name: str, user_id: str) -> None:
    assert user_id == session_ids.user_of(session_id, package_name)


@pytest.mark.parametrize(
    ("session_id", "package_name"),
    [("ada@example.org-other", "p"), ("-p", "p"), ("p", "p"), ("", ""), ("a-", ""), ("ada@example.org", "p")],
)
def test_a_session_id_of_another_package_is_refused(session_id: str, package_name: str) -> None:
    with pytest.raises(InvalidSessionId) as caught:
        session_ids.user_of(session_id, package_name)

    assert (session_id, package_name) == (caught.value.session_id, caught.value.package_name)


@given(user=st.text(min_size=1), package_name=st.text(min_size=1))
def test_an_app_session_id_leads_back_to_its_user(user: str, package_name: str) -> None:
    user_id = user.lower()
    if user_id != user_id.lower():  # some letters have no stable lower case
        return

    assert user_id == session_ids.user_of(session_ids.app_session_id(user_id, package_name), package_name)


# Paths (1.1)


@pytest.mark.parametrize(
    ("path", "owner", "rest_of_path"),
    [
        ("/app-ws", None, "/app-ws"),
        ("/o/node-1/app-ws", "node-1", "/app-ws"),
        ("/o/node-1/api/sdk/version", "node-1", "/api/sdk/version"),
        ("/o/node-1/", "node-1", "/"),
        ("/o/node-1", None, "/o/node-1"),
        ("/o//app-ws", None, "/o//app-ws"),
        ("/other/o/x", None, "/other/o/x"),
        ("/o", None, "/o"),
    ],
)
def test_an_owner_is_split_off_the_path(path: str, owner: str | None, rest_of_path: str) -> None:
    assert (owner, rest_of_path) == paths.split_owner(path)


@given(owner=st.none() | st.text(alphabet="abc-1", min_size=1))
def test_an_owner_put_before_a_path_is_split_off_again(owner: str | None) -> None:
    assert (owner, "/app-ws") == paths.split_owner(paths.with_owner(owner, "/app-ws"))


def test_the_three_upgrade_paths() -> None:
    assert paths.UPGRADE_PATHS == ("/glasses-ws", "/app-ws", "/tpa-ws", "/ws/daemon")


# Times (0.4)


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1795240800.0, "2026-11-21T06:00:00.000Z"),
        (1795240800.1234, "2026-11-21T06:00:00.123Z"),
        (1795240800.9996, "2026-11-21T06:00:01.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_written_as_javascript_writes_it(epoch_s: float, text: str) -> None:
    assert text == timestamps.iso(epoch_s)


@given(epoch_ms=st.integers(min_value=0, max_value=4_000_000_000_000))
def test_both_forms_of_a_moment_are_read_back(epoch_ms: int) -> None:
    epoch_s = epoch_ms / 1000

    assert epoch_ms == timestamps.epoch_ms(epoch_s)
    assert epoch_s == timestamps.parse(timestamps.iso(epoch_s))
    assert epoch_s == timestamps.parse(epoch_ms)


@pytest.mark.parametrize(
    ("timestamp", "epoch_s"),
    [
        (None, None),
        ("yesterday", None),
        ("", None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01T01:00:01+01:00", 1.0),
        (1500, 1.5),
        (1500.5, 1.5005),
    ],
)
def test_what_is_no_time_is_none(timestamp: int | float | str | None, epoch_s: float | None) -> None:
    assert epoch_s == timestamps.parse(timestamp)


# Close codes (3.5)


def test_a_fault_the_app_should_survive_is_not_closed_with_a_code_that_ends_it() -> None:
    survivable = [
        close_codes.SESSION_NOT_READY,
        close_codes.INTERNAL_SERVER_ERROR,
        close_codes.SERVER_RESTARTING,
        close_codes.APP_UNRESPONSIVE,
        close_codes.CONTROL_BACKLOG,
    ]

    assert not close_codes.NO_RETRY_BY_SDK & {close.code for close in survivable}


def test_a_superseded_socket_and_a_wrong_key_do_not_come_back() -> None:
    final = [close_codes.SUPERSEDED, close_codes.INVALID_API_KEY, close_codes.APP_NOT_STARTED]

    assert {close.code for close in final} == {1008}


def test_every_reason_fits_a_close_frame() -> None:
    closes = [value for value in vars(close_codes).values() if isinstance(value, close_codes.Close)]

    assert len(closes) > 15
    assert all(len(close.reason.encode()) <= 123 for close in closes)


def test_the_reasons_that_the_sdk_reads_are_exact() -> None:
    assert close_codes.Close(1000, "App stopped") == close_codes.APP_STOPPED
    assert close_codes.Close(1000, "User session ended") == close_codes.USER_SESSION_ENDED


# Webhooks (4.4, 4.5)


def test_a_session_request_has_the_url_under_both_names() -> None:
    body = webhooks.session_request(session_id="s", user_id="u", timestamp="t", websocket_url="ws://h/app-ws")

    assert {
        "type": "session_request",
        "sessionId": "s",
        "userId": "u",
        "timestamp": "t",
        "mentraOSWebsocketUrl": "ws://h/app-ws",
        "augmentOSWebsocketUrl": "ws://h/app-ws",
    } == json.loads(body)
    assert isinstance(webhooks.decode(body), webhooks.SessionRequest)


def test_a_request_of_an_older_cloud_has_one_url() -> None:
    request = webhooks.decode(
        b'{"type":"session_request","sessionId":"s","userId":"u","timestamp":"t","augmentOSWebsocketUrl":"ws://x"}'
    )

    assert isinstance(request, webhooks.SessionRequest)
    assert (None, "ws://x") == (request.mentraos_websocket_url, request.augmentos_websocket_url)


def test_a_stop_request_has_its_reason() -> None:
    body = webhooks.stop_request(session_id="s", user_id="u", reason=webhooks.USER_DISABLED, timestamp="t")

    assert {
        "type": "stop_request",
        "sessionId": "s",
        "userId": "u",
        "reason": "user_disabled",
        "timestamp": "t",
    } == json.loads(body)
    assert isinstance(webhooks.decode(body), webhooks.StopRequest)


def test_a_webhook_of_another_type_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        webhooks.decode(b'{"type":"server_registration"}')


@pytest.mark.parametrize("public_url", ["http://h:1", "http://h:1/", "http://h:1//"])
def test_a_slash_at_the_end_of_a_public_url_does_not_double(public_url: str) -> None:
    assert webhooks.url(public_url, "/webhook") == "http://h:1/webhook"


def test_the_bodies_of_settings_and_tools_have_the_sdk_s_names() -> None:
    settings = webhooks.SettingsChange(user_id="u", settings=msgspec.Raw(b"[]"))
    call = webhooks.ToolCall(tool_id="t", tool_parameters=msgspec.Raw(b"{}"), user_id="u", timestamp="x")

    assert {"userIdForSettings": "u", "settings": []} == json.loads(msgspec.json.encode(settings))
    assert {"toolId": "t", "toolParameters": {}, "userId": "u", "timestamp": "x"} == json.loads(
        msgspec.json.encode(call)
    )


# REST (1.2)

TOKEN = {
    "code": "INVALID_TOKEN",
    "hop": "cloud",
    "remedy": "Send a token of `glasshouse user token` as `Authorization: Bearer`.",
}
STORE = {"code": "STORE_UNAVAILABLE", "hop": "store", "remedy": "Try again after `retry_after`."}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rest.success(timestamp="t", data={"a": 1}), {"success": True, "data": {"a": 1}, "timestamp": "t"}),
        (rest.success(), {"success": True}),
        (
            rest.failure("m", ErrorCode.STORE_UNAVAILABLE, timestamp="t", retry_after_s=2.5),
            {"success": False, "message": "m", **STORE, "retry_after": 2.5, "timestamp": "t"},
        ),
        (
            rest.refusal(503, "m"),
            {
                "success": False,
                "message": "m",
                "code": "TRY_AGAIN",
                "hop": "cloud",
                "remedy": "Try again after `retry_after`.",
                "retry_after": 1.0,
            },
        ),
        (
            rest.unauthorized(rest.INVALID_TOKEN, ErrorCode.INVALID_TOKEN),
            {"error": "Invalid token", **TOKEN},
        ),
        (
            rest.unauthorized(rest.INVALID_TOKEN, ErrorCode.INVALID_TOKEN, "why"),
            {"error": "Invalid token", "message": "why", **TOKEN},
        ),
        (
            rest.no_active_session("m"),
            {
                "error": "no_active_session",
                "message": "m",
                "code": "SESSION_NOT_FOUND",
                "hop": "session",
                "remedy": "Wait for the next webhook.",
            },
        ),
        (
            rest.app_status(is_running=False, started=True),
            {"success": True, "data": {"status": "started", "isRunning": False}},
        ),
        (
            rest.app_status(is_running=False, started=False),
            {"success": True, "data": {"status": "stopped", "isRunning": False}},
        ),
        (
            rest.upgrade_refusal(
                "connection_error", rest.NO_CORE_TOKEN, ErrorCode.INVALID_TOKEN, timestamp="t"
            ),
            {
                "type": "connection_error",
                "message": "No core token provided",
                **TOKEN,
                "timestamp": "t",
            },
        ),
    ],
)
def test_a_rest_body_has_the_shape_of_its_table(body: bytes, expected: dict[str, object]) -> None:
    assert expected == json.loads(body)


# Location tiers (5.8)


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        ((), "reduced"),
        (("kilometer", "tenMeters"), "tenMeters"),
        (("realtime", "high"), "realtime"),
        (("standard", "tenMeters"), "standard"),
    ],
)
def test_the_finest_tier_wins(tiers: tuple[str, ...], expected: str) -> None:
    assert expected == location_tiers.finest(tiers)


def test_every_tier_has_an_age() -> None:
    assert set(location_tiers.COARSE_TO_FINE) == set(location_tiers.MAX_AGE_S)
