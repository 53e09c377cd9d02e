"""The application: health, JSON errors, limits and the owner's prefix, through quart's own test client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
import pytest
from quart import Blueprint, Response, abort, request
from quart.testing import QuartClient
from quart_trio import QuartTrio

from adapters.http import ApplicationLimits, create_application, json_response
from adapters.simulated.telemetry import RecordingTelemetry
from protocols.error_codes import ErrorCode, details

NOW = 1_763_704_800.0  # 2025-11-21T06:00:00Z


def made(telemetry: RecordingTelemetry, node_name: str | None = None, **health: object) -> QuartTrio:
    routes = Blueprint("routes", __name__)

    @routes.post("/body")
    async def body() -> Response:
        return json_response({"bytes": len(await request.get_data())})

    @routes.get("/broken/<name>")
    async def broken(name: str) -> Response:
        raise RuntimeError(f"the store said {name}")

    @routes.get("/gone")
    async def gone() -> Response:
        abort(410)

    limits = ApplicationLimits(body_bytes=1000)
    return create_application(
        telemetry, lambda: health, [routes], wall=lambda: NOW, node_name=node_name, limits=limits
    )


async def ask(
    application: QuartTrio, path: str, *, method: str = "GET", data: bytes | None = None
) -> tuple[int, Mapping[str, object], Mapping[str, str]]:
    client = cast(QuartClient, application.test_client())  # its protocol demands json=
    answer = await client.open(path, method=method, data=data)
    assert answer.content_type == "application/json"
    body = msgspec.json.decode(await answer.get_data(as_text=False))
    return answer.status_code, body, {name.lower(): value for name, value in answer.headers.items()}


async def test_health_says_ok_and_counts(telemetry: RecordingTelemetry) -> None:
    status, body, _ = await ask(made(telemetry, sessions=3), "/health")

    assert (200, {"status": "ok", "sessions": 3}) == (status, body)


@pytest.mark.parametrize("path", ["/health", "/nothing", "/broken/a"])
async def test_no_answer_is_taken_for_another_type_than_it_has(
    telemetry: RecordingTelemetry, path: str
) -> None:
    _, _, headers = await ask(made(telemetry), path)

    assert "nosniff" == headers["x-content-type-options"]


async def test_health_may_say_that_it_is_not_well(telemetry: RecordingTelemetry) -> None:
    status, body, _ = await ask(made(telemetry, status="storage away"), "/health")

    assert 503 == status
    assert "storage away" == body["status"]


@pytest.mark.parametrize(
    ("path", "method", "status", "message", "code"),
    [
        ("/nothing", "GET", 404, "Not Found", ErrorCode.NOT_FOUND),
        ("/health", "DELETE", 405, "Method Not Allowed", ErrorCode.NOT_FOUND),
        ("/gone", "GET", 410, "Gone", ErrorCode.INVALID_REQUEST),
        ("/broken/a", "GET", 500, "Internal server error", ErrorCode.INTERNAL_ERROR),
    ],
)
async def test_errors_are_json_in_the_wires_shape(
    telemetry: RecordingTelemetry, path: str, method: str, status: int, message: str, code: ErrorCode
) -> None:
    got, body, _ = await ask(made(telemetry), path, method=method)

    assert status == got
    expected = {"success": False, "message": message, "timestamp": "2025-11-21T06:00:00.000Z"}
    assert {**expected, **details(code)} == body


async def test_method_not_allowed_names_the_methods_in_order(telemetry: RecordingTelemetry) -> None:
    _, _, headers = await ask(made(telemetry), "/health", method="DELETE")

    assert "GET, HEAD, OPTIONS" == headers["allow"]


async def test_exception_in_a_route_is_an_event_and_stays_inside(telemetry: RecordingTelemetry) -> None:
    application = made(telemetry)

    _, body, _ = await ask(application, "/broken/a%0Ab")
    status, _, _ = await ask(application, "/health")

    assert "store" not in str(body)
    (event,) = telemetry.of("http.route_failed")
    assert "RuntimeError('the store said a\\nb')" == event["cause"]
    assert "in broken" in str(event["traceback"])
    assert 200 == status


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
async def test_body_past_its_limit_is_a_413(telemetry: RecordingTelemetry, size: int, status: int) -> None:
    got, _, _ = await ask(made(telemetry), "/body", method="POST", data=bytes(size))

    assert status == got


@pytest.mark.parametrize(
    ("node_name", "path", "status"),
    [
        (None, "/o/any/health", 200),
        ("n1", "/o/n1/health", 200),
        ("n1", "/health", 200),
        ("n1", "/o/n2/health", 404),
    ],
)
async def test_every_path_is_served_under_our_owner_prefix(
    telemetry: RecordingTelemetry, node_name: str | None, path: str, status: int
) -> None:
    got, _, _ = await ask(made(telemetry, node_name), path)

    assert status == got
