"""Spans on their way to a collector, through the real process."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.tracing import Span
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.tracing import TraceProcess, TracingSettings
from tests.adapters.tracing.collector import collector
from tests.system.server import eventually

TRACE = bytes(range(16))
EPOCH_S = 1_795_240_800.0


def span(number: int, **fields: str) -> Span:
    return Span(TRACE, number.to_bytes(8), b"", f"step {number}", 10.5, 11.25, fields)


@asynccontextmanager
async def running(
    url: str, telemetry: RecordingTelemetry, *, waiting: int = 4_096, command: tuple[str, ...] | None = None
) -> AsyncIterator[TraceProcess]:
    settings = TracingSettings(endpoint=url, waiting_spans=waiting)
    process = TraceProcess(
        settings,
        telemetry,
        version="1.2.3",
        clock=lambda: 20.0,
        wall=lambda: EPOCH_S + 20.0,
        command=command,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.run)
        yield process
        nursery.cancel_scope.cancel()


async def test_a_span_reaches_the_collector_as_it_was_made() -> None:
    telemetry = RecordingTelemetry()
    with collector() as taking:
        async with running(taking.url, telemetry) as process:
            process.put(span(1, user="ada@example.org"))
            process.put(Span(TRACE, b"childspn", (1).to_bytes(8), "app", 11.0, 11.5, {}))
            await eventually(lambda: len(taking.spans) == 2)
            await eventually(lambda: telemetry.counters().get("trace_spans_sent") == 2)

    first, child = taking.spans
    assert ("glasshouse", TRACE.hex(), "", "step 1") == (
        first.service,
        first.trace_id,
        first.parent_id,
        first.name,
    )
    assert {"user": "ada@example.org"} == first.attributes
    assert first.span_id == child.parent_id
    assert (round((EPOCH_S + 10.5) * 1e9), round((EPOCH_S + 11.25) * 1e9)) == (first.began_at, first.ended_at)


async def test_what_was_made_last_is_sent_before_the_end() -> None:
    with collector() as taking:
        async with running(taking.url, RecordingTelemetry()) as process:
            process.put(span(1))
            await eventually(lambda: taking.spans)
            process.put(span(2))

    assert ["step 1", "step 2"] == taking.names()


async def test_a_collector_that_does_not_answer_holds_nobody() -> None:
    telemetry = RecordingTelemetry()
    with collector() as taking:
        taking.may_answer.clear()
        async with running(taking.url, telemetry, waiting=100) as process:
            process.put(span(0))
            await eventually(lambda: taking.requests)
            longest_s, began_at, made = 0.0, time.monotonic(), 0
            while time.monotonic() - began_at < 1.5:
                before = time.monotonic()
                for _ in range(200):
                    made += 1
                    process.put(span(made, padding="x" * 500))
                await trio.sleep(0.005)
                longest_s = max(longest_s, time.monotonic() - before)
            dropped = telemetry.counters()["trace_spans_dropped"]
            taking.may_answer.set()
            await eventually(lambda: len(taking.spans) > 1)

    assert dropped > made / 2
    assert longest_s < 0.5


async def test_a_collector_that_refuses_is_told_of_once() -> None:
    telemetry = RecordingTelemetry()
    with collector() as taking:
        taking.status = 400
        async with running(taking.url, telemetry) as process:
            for number in range(2):
                process.put(span(number))
                await eventually(lambda: telemetry.counters().get("trace_spans_lost") == number + 1)  # noqa: B023
            taking.status = 200
            process.put(span(3))
            await eventually(lambda: telemetry.of("traces_sent_again"))

    [said] = telemetry.of("traces_not_sent")
    assert "400" in str(said["cause"])
    assert ["step 3"] == taking.names()


async def test_a_process_that_dies_is_said_and_costs_no_more_than_its_spans() -> None:
    telemetry = RecordingTelemetry()
    async with running("http://127.0.0.1:1/", telemetry, command=(sys.executable, "-c", "")) as process:
        await eventually(lambda: telemetry.of("trace_process_died"))
        process.put(span(1))

    assert "status 0" in str(telemetry.of("trace_process_died")[0]["cause"])
