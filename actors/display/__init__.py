"""The display: what the wearer sees. `arbitration.py` decides, `actor.py` performs."""

from __future__ import annotations
