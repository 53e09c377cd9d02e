"""What is traced, and who is told."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class TracingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    endpoint: where a collector takes OTLP over HTTP, `http://127.0.0.1:4318/v1/traces`; empty makes no
      traces. What `OTEL_EXPORTER_OTLP_*` say in the environment (headers, time-outs) counts too.
    share: of the utterances that are traced, chosen by chance, from 0 to 1.
    waiting_spans: that the server keeps while the collector does not take them; further ones are dropped.
    service_name: what the server is called in the traces.
    """

    endpoint: str = ""
    share: float = 0.1
    waiting_spans: Annotated[int, Meta(ge=1)] = 4_096
    service_name: str = "glasshouse"
