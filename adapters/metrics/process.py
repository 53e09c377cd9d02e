"""What the system knows of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")


def process_figures(uptime_s: float) -> Mapping[str, float]:
    """`uptime_s`, `cpu_s`, and where there is a /proc `memory_bytes` and `descriptors`; 50 us."""
    figures = {"uptime_s": uptime_s, "cpu_s": time.process_time(), "memory_bytes": 0.0, "descriptors": 0.0}
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[1])
        figures["memory_bytes"] = float(pages * os.sysconf("SC_PAGE_SIZE"))
        figures["descriptors"] = float(len(os.listdir(_DESCRIPTORS)))
    return figures
