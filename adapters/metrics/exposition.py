"""The figures in Prometheus' text format, version 0.0.4.

The format is two rules, and the library that writes it costs every start 0.25 s of imports; so it is written
here, and tests/ reads what comes out with that library.

Labels are bounded: events, classes, stages and phases are the program's own words, recognisers the
settings', and of the packages the 50 with most sessions have a name; the rest is `(other)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from actors.directory import ServerReport
from actors.figures import AppFigures, Figures, middle_and_worst

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MOST_PACKAGES: Final = 50
OTHER: Final = "(other)"

Labels = Mapping[str, str]


class _Page:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def family(self, name: str, kind: str, meaning: str, samples: Iterable[tuple[Labels, float]]) -> None:
        samples = list(samples)
        if not samples:
            return
        self.lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        for labels, value in samples:
            shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            self.lines.append(f"{name}{{{shown}}} {value:.10g}" if shown else f"{name} {value:.10g}")

    def gauge(self, name: str, meaning: str, value: float) -> None:
        self.family(name, "gauge", meaning, [({}, value)])


def expose(
    figures: Figures,
    counters: Mapping[str, int],
    servers: Iterable[ServerReport],
    process: Mapping[str, float],
) -> str:
    """The page.

    Args:
      counters: telemetry's, by event.
      process: of this process: `uptime_s`, `cpu_s`, `memory_bytes`, `descriptors`.
    """
    page = _Page()
    _of_process(page, process, figures)
    events = [({"event": event}, float(count)) for event, count in sorted(counters.items())]
    page.family("glasshouse_events_total", "counter", "How often each event of the log happened.", events)
    _of_sessions(page, figures)
    _of_apps(page, _bounded(figures.apps), servers)
    _of_speech(page, figures)
    _of_actors(page, figures)
    return "\n".join(page.lines) + "\n"


def _of_process(page: _Page, process: Mapping[str, float], figures: Figures) -> None:
    page.gauge("glasshouse_uptime_seconds", "Since the server process serves.", process["uptime_s"])
    page.family(
        "process_cpu_seconds_total",
        "counter",
        "Computing time of the server process.",
        [({}, process["cpu_s"])],
    )
    page.gauge("process_resident_memory_bytes", "Memory of the server process.", process["memory_bytes"])
    page.gauge("process_open_fds", "Open file descriptors.", process["descriptors"])
    page.family(
        "glasshouse_loop_delay_seconds",
        "gauge",
        "How long what had arrived, or a timer, waited: of the last one to two minutes.",
        [
            ({"quantile": name}, figures.loop[key] / 1000)
            for name, key in (("0.5", "p50_ms"), ("0.99", "p99_ms"), ("1", "most_ms"))
            if key in figures.loop
        ],
    )
    page.gauge("glasshouse_overloaded", "1 while audio is shed.", figures.is_overloaded)
    page.gauge(
        "glasshouse_loop_delay_rising",
        "1 while the loop's delay is on its way to overload.",
        figures.is_rising,
    )
    page.gauge("glasshouse_refuses_sessions", "1 while new wearers are sent away.", figures.refuses_new)


def _of_sessions(page: _Page, figures: Figures) -> None:
    page.gauge(
        "glasshouse_sessions", "Wearers with a session, phones on their way back included.", figures.sessions
    )
    page.gauge("glasshouse_phones", "Phones with an open socket.", figures.phones)
    apps = sum(len(app.open_s) for app in figures.apps.values())
    connections = [({"of": "phones"}, float(figures.phones)), ({"of": "apps"}, float(apps))]
    page.family("glasshouse_connections", "gauge", "Open sockets, by who is at the other end.", connections)
    _middle_and_worst(page, "glasshouse_session_age_seconds", "Since when sessions stand.", figures.session_s)
    page.family(
        "glasshouse_phone_bytes",
        "gauge",
        "Bytes of the phones' open sockets; queued: not taken yet.",
        [({"direction": name}, figures.phone_traffic[key]) for name, key in _DIRECTIONS],
    )
    round_trips = [value / 1000 for value in figures.phone_round_trips_ms]
    _middle_and_worst(page, "glasshouse_phone_round_trip_seconds", "Ping to pong of phones.", round_trips)
    page.family(
        "glasshouse_microphones",
        "gauge",
        "Microphones by where they are heard from.",
        _by("source", figures.sources),
    )
    page.family("glasshouse_peers", "gauge", "WebRTC peers by state.", _by("state", figures.peers))
    _middle_and_worst(
        page,
        "glasshouse_peer_loss_ratio",
        "Packets of WebRTC peers that never came.",
        figures.peer_figures.get("loss", []),
    )
    for name, key in (("round_trip", "round_trip_ms"), ("jitter", "jitter_ms")):
        values = [value / 1000 for value in figures.peer_figures.get(key, [])]
        _middle_and_worst(page, f"glasshouse_peer_{name}_seconds", f"{name} of WebRTC peers.", values)


def _of_apps(page: _Page, apps: Mapping[str, AppFigures], servers: Iterable[ServerReport]) -> None:
    page.family(
        "glasshouse_app_sessions",
        "gauge",
        "App sessions by package and phase.",
        [
            ({"package": name, "phase": phase}, count)
            for name, app in apps.items()
            for phase, count in sorted(app.phases.items())
        ],
    )
    for metric, meaning, value in (
        ("restarts", "Restarts of the actors of the present sessions of an app.", "restarts"),
        ("messages", "Messages that the actors of an app's present sessions took.", "handled"),
        ("handler_seconds", "How long these actors worked on them.", "worked_s"),
    ):
        page.family(
            f"glasshouse_app_{metric}",
            "gauge",
            meaning,
            [({"package": name}, getattr(app, value)) for name, app in apps.items()],
        )
    page.family(
        "glasshouse_app_bytes",
        "gauge",
        "Bytes of an app's open sockets; dropped: audio that it did not read in time.",
        [
            ({"package": name, "direction": direction}, app.traffic[key])
            for name, app in apps.items()
            for direction, key in (*_DIRECTIONS, ("dropped", "audio_dropped"))
        ],
    )
    page.family(
        "glasshouse_app_errors",
        "gauge",
        "What went wrong with the present sessions of an app, by type.",
        [
            ({"package": name, "type": kind}, count)
            for name, app in apps.items()
            for kind, count in sorted(app.errors.items())
        ],
    )
    page.family(
        "glasshouse_app_socket_age_seconds",
        "gauge",
        "Since when an app's sockets are open.",
        [
            ({"package": name, "of": which}, age_s)
            for name, app in apps.items()
            if app.open_s
            for which, age_s in zip(("middle", "least"), (median(app.open_s), min(app.open_s)), strict=True)
        ],
    )
    servers = list(servers)[: MOST_PACKAGES * 4]
    page.family(
        "glasshouse_app_server_up",
        "gauge",
        "1 where an app server answers, 0 where it does not.",
        [
            ({"package": server.package_name}, float(server.is_up))
            for server in servers
            if server.is_up is not None
        ],
    )
    for metric, meaning, attribute in (
        ("failures", "Webhooks of an app server that failed in a row.", "failures"),
        ("held_back_seconds", "Until the next webhook may go to a failing app server.", "held_back_s"),
    ):
        samples = [
            ({"package": server.package_name}, float(getattr(server, attribute))) for server in servers
        ]
        page.family(f"glasshouse_app_server_{metric}", "gauge", meaning, samples)


def _of_speech(page: _Page, figures: Figures) -> None:
    page.family(
        "glasshouse_speech_streams",
        "gauge",
        "Transcription streams by the recogniser that hears them.",
        _by("provider", figures.providers),
    )
    page.gauge(
        "glasshouse_captions_delayed", "Streams whose wearer reads that captions are late.", figures.delayed
    )
    page.gauge(
        "glasshouse_speech_falling_behind",
        "Streams whose recogniser falls further and further behind.",
        figures.falling_behind,
    )
    page.family(
        "glasshouse_speech_stage_seconds",
        "gauge",
        "p99 of each stage of the last one to two minutes, of the middle stream and of the worst.",
        [
            ({"stage": stage, "stream": which}, value / 1000)
            for stage, values in sorted(figures.stages.items())
            for which, value in zip(("middle", "worst"), middle_and_worst(values), strict=True)
        ],
    )


def _of_actors(page: _Page, figures: Figures) -> None:
    kinds = sorted(figures.kinds.items())
    for name, kind, meaning, attribute in (
        ("actors", "gauge", "Actors by class.", "actors"),
        ("actors_down", "gauge", "Actors that wait for their restart.", "down"),
        ("actor_restarts", "gauge", "Restarts of the actors that there are.", "restarts"),
        ("actor_messages", "gauge", "Messages taken by the actors that there are.", "handled"),
        ("actor_handler_seconds", "gauge", "How long the actors that there are worked on them.", "worked_s"),
        ("mailbox_depth", "gauge", "Messages that wait.", "waiting"),
        ("mailbox_depth_most", "gauge", "Messages that wait in the fullest mailbox.", "most_waiting"),
        ("mailbox_oldest_seconds", "gauge", "How long the oldest message has waited.", "oldest_s"),
    ):
        samples = [({"kind": label}, getattr(figure, attribute)) for label, figure in kinds]
        page.family(f"glasshouse_{name}", kind, meaning, samples)


_DIRECTIONS: Final = (("in", "bytes_in"), ("out", "bytes_out"), ("queued", "queued_bytes"))


def _by(label: str, counts: Mapping[str, int]) -> list[tuple[Labels, float]]:
    return [({label: name or "(none)"}, float(count)) for name, count in sorted(counts.items())]


def _middle_and_worst(page: _Page, name: str, meaning: str, values: list[float]) -> None:
    if values:
        middle, worst = middle_and_worst(values)
        page.family(name, "gauge", meaning, [({"of": "middle"}, middle), ({"of": "worst"}, worst)])


def _bounded(apps: Mapping[str, AppFigures]) -> Mapping[str, AppFigures]:
    """The packages with most sessions, and what is left as one."""
    ranked = sorted(apps.items(), key=lambda item: (-item[1].phases.total(), item[0]))
    named, rest = dict(ranked[:MOST_PACKAGES]), ranked[MOST_PACKAGES:]
    if rest:
        other = named[OTHER] = AppFigures()
        for _, app in rest:
            other.phases += app.phases
            other.traffic += app.traffic
            other.restarts += app.restarts
            other.handled += app.handled
            other.worked_s += app.worked_s
            other.errors += app.errors
            other.open_s += app.open_s
    return dict(sorted(named.items()))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
