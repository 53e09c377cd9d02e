"""An OpenTelemetry collector on loopback: it takes traces as OTLP over HTTP, and may refuse or be slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Taken(NamedTuple):
    """A span as it came. Times are ns of the calendar, ids hexadecimal; `service` made it."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    began_at: int
    ended_at: int
    attributes: dict[str, str]


class Collector:
    """Attributes:
    url: for `tracing.endpoint`.
    spans: all that came.
    status: what requests are answered with.
    may_answer: a request waits for it.
    """

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Taken] = []
        self.status = 200
        self.requests = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            of_resource = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [
                    Taken(
                        of_resource["service.name"],
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        {each.key: each.value.string_value for each in span.attributes},
                    )
                    for span in scope.spans
                ]


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens for as long as the block."""
    known = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.requests += 1
            known.may_answer.wait(30)
            if known.status == 200:
                known.take(body)
            self.send_response(known.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test's output is pytest's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    known.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield known
    finally:
        known.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()
