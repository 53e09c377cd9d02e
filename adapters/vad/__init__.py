"""Voice activity: whether somebody speaks, by `pocketsphinx.Vad` over a noise floor of our own.

Implements `actors.ports.Voices`. What was compared is in docs/decisions/0010-who-hears-a-voice.md.
"""

from __future__ import annotations

from .noise_floor import NoiseFloorDetector, NoiseFloorVoices

__all__ = ["NoiseFloorDetector", "NoiseFloorVoices"]
