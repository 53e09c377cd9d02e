"""What happens, as log lines and counters: the `Telemetry` port over a stream.

Read `log.py`; `lines.py` keeps a line one line, `limits.py` a flood of them small.
"""

from __future__ import annotations

from adapters.telemetry.limits import Allowances, LineLimits
from adapters.telemetry.log import Level, LibraryLogs, LogTelemetry

__all__ = ["Allowances", "Level", "LibraryLogs", "LineLimits", "LogTelemetry"]
