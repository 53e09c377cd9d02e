"""The audio plane: microphone frames travel from the engine to their takers by plain calls, never by mailbox.

`routing.py` is the path of a frame, `intake.py` makes PCM of what is none, `sources.py` decides between
WebRTC and what comes directly (`alignment.py` finds where the one is in the other); `actor.py` is the actor
that owns the path and replaces its table.
"""

from __future__ import annotations

from .actor import AudioActor, AudioMessage, Route
from .routing import AudioSlot, AudioTable, SpeechInlet

__all__ = ["AudioActor", "AudioMessage", "AudioSlot", "AudioTable", "Route", "SpeechInlet"]
