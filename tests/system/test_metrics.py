"""What a Prometheus and a balancer hear of a real server."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.adapters.metrics.test_exposition import read
from tests.system.peers import wearer
from tests.system.server import Server

TOKEN = "a token for the scraper"


async def test_the_figures_are_for_those_with_a_token_and_the_readiness_for_all(tmp_path: Path) -> None:
    with Server.start(tmp_path, f"metrics_token={TOKEN}", "display.boot_screen_s=0.1") as server:
        async with wearer(server, "ada@example.org"):
            for token in (TOKEN, server.file.admin_token):
                answer = await server.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
                figures = read(answer.body.decode())
                assert 1 == figures["glasshouse_sessions", ()]
                assert 1 == figures["glasshouse_phones", ()]
                assert 1 == figures["glasshouse_events_total", (("event", "phone_connected"),)]
                assert figures["process_resident_memory_bytes", ()] > 10e6
                assert figures["process_open_fds", ()] > 5
            for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"}):
                assert 401 == (await server.request("GET", "/metrics", headers=headers)).status

        ready = await server.request("GET", "/ready")
        assert (200, {"status": "ready"}) == (ready.status, msgspec.json.decode(ready.body))
