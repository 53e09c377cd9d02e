from __future__ import annotations

import pytest

from adapters.simulated.telemetry import RecordingTelemetry


@pytest.fixture
def telemetry() -> RecordingTelemetry:
    return RecordingTelemetry()
