"""Whether utterances are traced, and the service that sends the traces."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence

from actors.ports import Telemetry
from actors.service import ServiceSpec
from actors.tracing import Tracer
from adapters.tracing import TraceProcess
from config import __version__
from config.settings import Settings
from runtime import Clock


def tracer_of(
    settings: Settings, telemetry: Telemetry, clock: Clock
) -> tuple[Tracer | None, Sequence[ServiceSpec]]:
    """None where no collector is named."""
    tracing = settings.tracing
    if not tracing.endpoint:
        return None, ()
    process = TraceProcess(tracing, telemetry, version=__version__, clock=clock.now, wall=clock.wall)
    tracer = Tracer(
        process.put, share=tracing.share, new_id=secrets.token_bytes, chance=random.SystemRandom().random
    )
    process.close_idle = tracer.close_idle
    return tracer, (ServiceSpec("traces", process.run),)
