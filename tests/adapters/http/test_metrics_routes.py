"""Who is sent here: nobody while there are troubles, and each of them is said."""

from __future__ import annotations

from typing import cast

from quart.testing import QuartClient

from adapters.http import create_application
from adapters.http.metrics_routes import metrics_routes
from adapters.simulated.telemetry import RecordingTelemetry


async def test_a_server_with_troubles_is_not_ready_and_says_why() -> None:
    troubles: list[str] = []

    async def page() -> tuple[str, str]:
        return "", "text/plain"

    routes = metrics_routes(tokens=("", "secret"), page=page, troubles=lambda: troubles)
    client = cast(
        QuartClient,
        create_application(RecordingTelemetry(), dict, (routes,), wall=lambda: 0.0).test_client(),
    )

    assert 200 == (await client.get("/ready")).status_code
    troubles += ["one", "another"]
    answer = await client.get("/ready")

    assert 503 == answer.status_code
    assert {"status": "not ready", "why": ["one", "another"]} == await answer.get_json()
    assert 401 == (await client.get("/metrics")).status_code, "an empty token is none"
