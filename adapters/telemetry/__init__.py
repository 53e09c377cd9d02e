"""What happens, as log lines and counters: the `Telemetry` port over a stream.

Read `log.py`; structlog makes the lines, `lines.py` keeps each of them one, `limits.py` a flood small, and
`session_logs.py` the last of them for the console.
"""

from __future__ import annotations

from adapters.telemetry.limits import Allowances, LineLimits
from adapters.telemetry.lines import Form
from adapters.telemetry.log import Level, LibraryLogs, LogTelemetry
from adapters.telemetry.session_logs import MemoryLogs

__all__ = ["Allowances", "Form", "Level", "LibraryLogs", "LineLimits", "LogTelemetry", "MemoryLogs"]
