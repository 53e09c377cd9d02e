"""What happens, as log lines and counters: the `Telemetry` port over a stream.

Read `log.py`; `lines.py` keeps a line one line, `limits.py` a flood of them small, and `session_logs.py` the
last of them for the console.
"""

from __future__ import annotations

from adapters.telemetry.limits import Allowances, LineLimits
from adapters.telemetry.log import Level, LibraryLogs, LogTelemetry
from adapters.telemetry.session_logs import MemoryLogs

__all__ = ["Allowances", "Level", "LibraryLogs", "LineLimits", "LogTelemetry", "MemoryLogs"]
