"""The page that a Prometheus reads, as its own library reads it."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from actors.directory import ServerReport
from actors.figures import AppFigures, Figures
from adapters.metrics import expose
from adapters.metrics.exposition import MOST_PACKAGES, OTHER

PROCESS = {"uptime_s": 12.5, "cpu_s": 3.25, "memory_bytes": 4e7, "descriptors": 30.0}


def read(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def app(**phases: int) -> AppFigures:
    figures = AppFigures()
    figures.phases.update(phases)
    return figures


def server(package: str, *, is_up: bool | None) -> ServerReport:
    other: dict[str, Any] = {
        "public_url": "",
        "sessions": 0,
        "since": None,
        "breaker": "closed",
        "held_back_s": 0.0,
        "failures": 0,
        "last_failure": "",
        "registered_at": None,
        "registration_id": None,
        "webhook_url": "",
        "server_urls": (),
        "heartbeat_at": None,
        "probed_at": None,
    }
    return ServerReport(package_name=package, is_up=is_up, **other)


def test_what_is_written_is_what_the_library_reads() -> None:
    figures = Figures()
    figures.sessions, figures.phones = 3, 2
    figures.stages = {"send": [1.0, 5.0, 30.0]}
    figures.providers.update({"deepgram:2": 2, "": 1})
    figures.loop = {"p50_ms": 1, "p99_ms": 7, "most_ms": 90}
    figures.apps = {"org.example.a": app(running=2, grace=1)}
    servers = [server("org.example.a", is_up=False), server("org.example.b", is_up=None)]

    read_back = read(expose(figures, {"phone_connected": 7, 'odd "event\\\n': 1}, servers, PROCESS))

    assert 12.5 == read_back["glasshouse_uptime_seconds", ()]
    assert 3.25 == read_back["process_cpu_seconds_total", ()]
    assert 3 == read_back["glasshouse_sessions", ()]
    assert 7 == read_back["glasshouse_events_total", (("event", "phone_connected"),)]
    assert 1 == read_back["glasshouse_events_total", (("event", 'odd "event\\\n'),)]
    assert 0.005 == read_back["glasshouse_speech_stage_seconds", (("stage", "send"), ("stream", "middle"))]
    assert 0.03 == read_back["glasshouse_speech_stage_seconds", (("stage", "send"), ("stream", "worst"))]
    assert 1 == read_back["glasshouse_speech_streams", (("provider", "(none)"),)]
    assert 0.09 == read_back["glasshouse_loop_delay_seconds", (("quantile", "1"),)]
    assert 1 == read_back["glasshouse_app_sessions", (("package", "org.example.a"), ("phase", "grace"))]
    assert 0 == read_back["glasshouse_app_server_up", (("package", "org.example.a"),)]
    assert ("glasshouse_app_server_up", (("package", "org.example.b"),)) not in read_back, "never probed"


def test_an_app_is_known_by_its_stability_its_work_and_its_errors() -> None:
    figures = Figures()
    shaky = figures.apps["org.example.a"] = app(running=2)
    shaky.open_s, shaky.worked_s = [30.0, 10.0, 900.0], 1.5
    shaky.errors.update({"socket lost": 3, "webhook timeout": 1})
    servers = [server("org.example.a", is_up=True)]
    of_a = ("package", "org.example.a")

    read_back = read(expose(figures, {}, servers, PROCESS))

    assert 3 == read_back["glasshouse_app_errors", (of_a, ("type", "socket lost"))]
    assert 10 == read_back["glasshouse_app_socket_age_seconds", (("of", "least"), of_a)]
    assert 30 == read_back["glasshouse_app_socket_age_seconds", (("of", "middle"), of_a)]
    assert 1.5 == read_back["glasshouse_app_handler_seconds", (of_a,)]
    assert 0 == read_back["glasshouse_app_server_failures", (of_a,)]
    assert 3 == read_back["glasshouse_connections", (("of", "apps"),)]


def test_the_rest_of_many_packages_is_one() -> None:
    figures = Figures()
    figures.apps = {
        f"org.example.a{number}": app(running=200 - number) for number in range(MOST_PACKAGES + 3)
    }

    read_back = read(expose(figures, {}, (), PROCESS))

    phases = [key for key in read_back if key[0] == "glasshouse_app_sessions"]
    assert MOST_PACKAGES + 1 == len(phases)
    rest = read_back["glasshouse_app_sessions", (("package", OTHER), ("phase", "running"))]
    assert sum(200 - number for number in range(MOST_PACKAGES, MOST_PACKAGES + 3)) == rest
