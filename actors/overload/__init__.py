"""Overload: a state, not an accident (DESIGN section 3).

`machine.py` decides from how late the server is, `actor.py` measures and performs, and `board.py` is what the
rest reads: the audio's way whether to shed a frame, the door whether to let somebody new in.
"""

from __future__ import annotations

from .board import OverloadBoard, Shedder
from .machine import OverloadSettings

__all__ = ["OverloadBoard", "OverloadSettings", "Shedder"]
