"""The process that sends traces: spans come through one pipe and go to the collector as OTLP over HTTP.

It is exec'd as `python -P -m adapters.tracing.worker`, takes frames from descriptor 0, and says on descriptor
1 what became of them. It works one batch off after the other; while it waits for the collector its pipe
fills, and the server drops what it makes meanwhile. It ends when its pipe closes.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from actors.tracing import Span
from adapters.tracing import frames
from protocols.pipe_frames import PipeReader

_CHUNK: Final = 65_536


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.dup(1)
    os.dup2(2, 1)
    said = _LastSaid()
    logging.getLogger("opentelemetry").addHandler(said)
    logging.getLogger("opentelemetry").propagate = False
    reader, sender = PipeReader(), None
    while chunk := os.read(0, _CHUNK):
        for payload in reader.feed(chunk):
            message = frames.read_to_worker(payload)
            if isinstance(message, frames.Configure):
                sender = _Sender(message, said)
            else:
                assert sender is not None, "the first frame is Configure"
                os.write(answers, frames.pack(sender.send(message)))


class _LastSaid(logging.Handler):
    """What the exporter logs is why it failed: it says so nowhere else."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class _Sender:
    def __init__(self, configure: frames.Configure, said: _LastSaid) -> None:
        self._said = said
        self._exporter = OTLPSpanExporter(endpoint=configure.endpoint)
        attributes: Mapping[str, str] = {
            "service.name": configure.service_name,
            "service.version": configure.version,
        }
        self._resource = Resource(attributes)
        self._scope = InstrumentationScope("glasshouse", configure.version)

    def send(self, batch: frames.Spans) -> frames.Told:
        self._said.text = ""
        spans = [self._readable(span, batch.epoch_s) for span in batch.spans]
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # whatever the exporter makes of a collector, the next batch is another
            return frames.Told(len(spans), repr(error))
        if result is SpanExportResult.SUCCESS:
            return frames.Told(len(spans))
        return frames.Told(len(spans), self._said.text or "the collector did not take them")

    def _readable(self, span: Span, epoch_s: float) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id),
            parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
            resource=self._resource,
            attributes=span.attributes,
            start_time=round((span.began_at + epoch_s) * 1e9),
            end_time=round((span.ended_at + epoch_s) * 1e9),
            instrumentation_scope=self._scope,
        )


def _context(trace_id: bytes, span_id: bytes) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id), int.from_bytes(span_id), is_remote=False, trace_flags=TraceFlags(1)
    )


if __name__ == "__main__":
    main()
