"""What a Prometheus asks for: the server's figures in its text format.

`collecting.py` looks at the tree, `exposition.py` writes the page; `usage.py` keeps
what each wearer uses, which is nobody else's to see.
"""

from __future__ import annotations

from adapters.metrics.collecting import Collector
from adapters.metrics.exposition import CONTENT_TYPE, expose
from adapters.metrics.process import process_figures
from adapters.metrics.usage import UsageKeeper

__all__ = ["CONTENT_TYPE", "Collector", "UsageKeeper", "expose", "process_figures"]
