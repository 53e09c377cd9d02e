"""The audio plane: microphone frames travel from the engine to their takers by plain calls, never by mailbox.

`routing.py` is the path of a frame; `actor.py` is the actor that owns it and replaces its table.
"""

from __future__ import annotations

from .actor import AudioActor, AudioMessage, Route
from .routing import AudioSlot, AudioTable, SpeechInlet

__all__ = ["AudioActor", "AudioMessage", "AudioSlot", "AudioTable", "Route", "SpeechInlet"]
