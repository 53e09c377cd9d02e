"""What the runtime reports, as a log line shows it."""

from __future__ import annotations

import io

import pytest

from adapters.simulated.telemetry import RecordingTelemetry
from adapters.telemetry import LogTelemetry
from config.runtime_events import report
from runtime import Abandoned, CrashReport, DeadLetter, DropReason, Escalated, Held


def fail_at_the_bottom() -> None:
    raise ValueError("no layout")


def call(depth: int) -> None:
    if depth:
        call(depth - 1)
    else:
        fail_at_the_bottom()


def crash(depth: int) -> CrashReport:
    with pytest.raises(ValueError, match="no layout") as raised:
        call(depth)
    return CrashReport(path="/users/ada", error=raised.value, message="Press", state=None, attempt=2)


@pytest.mark.parametrize("depth", [1, 50])
def test_line_of_a_crash_says_where_the_error_was_raised(depth: int) -> None:
    stream = io.StringIO()

    report(crash(depth), LogTelemetry(stream))

    (line,) = stream.getvalue().splitlines()
    assert "actor=/users/ada message=str error=\"ValueError('no layout')\" attempt=2" in line
    bottom, caller = f"{fail_at_the_bottom.__code__.co_firstlineno + 1}", call.__code__.co_firstlineno + 4
    assert (
        f'trace="config/test_runtime_events.py:{bottom} fail_at_the_bottom'
        f" < config/test_runtime_events.py:{caller} call <" in line
    )


@pytest.mark.parametrize(
    ("event", "name", "fields"),
    [
        (
            Escalated(path="/users", child="ada", cause=LookupError("x")),
            "supervisor_escalated",
            {"actor": "/users", "child": "ada", "cause": "LookupError('x')"},
        ),
        (
            Held(path="/users", message=5, held_s=0.06),
            "loop_held",
            {"actor": "/users", "message": "int", "held_s": 0.06},
        ),
        (Abandoned(path="/users", task="load"), "task_abandoned", {"actor": "/users", "task": "load"}),
    ],
)
def test_trouble_of_the_runtime_is_logged_by_name(
    event: object, name: str, fields: dict[str, object]
) -> None:
    telemetry = RecordingTelemetry()

    report(event, telemetry)

    assert [fields] == telemetry.of(name)


def test_a_dead_letter_is_counted_by_its_reason_and_what_the_tree_shows_is_not() -> None:
    telemetry = RecordingTelemetry()

    report(DeadLetter(path="/users", message=5, reason=DropReason.OVERFLOW), telemetry)
    report("a spawn", telemetry)

    assert {f"dead_letter_{DropReason.OVERFLOW.value}": 1} == telemetry.counters()
    assert [] == list(telemetry.facts)
