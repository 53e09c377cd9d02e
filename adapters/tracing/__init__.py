"""Traces for an OpenTelemetry collector (OTLP over HTTP), made and sent by a process of its own.

Read `process.py`, the server's half; `worker.py` is the other, the only one that imports OpenTelemetry.
"""

from __future__ import annotations

from adapters.tracing.process import TraceProcess
from adapters.tracing.settings import TracingSettings

__all__ = ["TraceProcess", "TracingSettings"]
