"""What a Prometheus asks for: the server's figures in its text format.

`collecting.py` looks at the tree, `exposition.py` writes the page.
"""

from __future__ import annotations

from adapters.metrics.collecting import Collector
from adapters.metrics.exposition import CONTENT_TYPE, expose
from adapters.metrics.process import process_figures

__all__ = ["CONTENT_TYPE", "Collector", "expose", "process_figures"]
