"""What happens, as log lines and counters: the `Telemetry` port over a stream.

Read `log.py`; `lines.py` keeps a line one line.
"""

from __future__ import annotations

from adapters.telemetry.log import Level, LibraryLogs, LogTelemetry

__all__ = ["Level", "LibraryLogs", "LogTelemetry"]
