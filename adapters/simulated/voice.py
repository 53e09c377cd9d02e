"""The voice detector's twin: what is as loud as a voice is one."""

from __future__ import annotations

from typing import Final

from actors.ports import VoiceHeard

_STEP_BYTES: Final = 320  # 10 ms
_STEP_MS: Final = 10
_VOICE: Final = 500
_STRIDE: Final = 16


class LoudVoices:
    """Implements `actors.ports.Voices`."""

    def detector(self) -> LoudDetector:
        return LoudDetector()


class LoudDetector:
    """Implements `actors.ports.VoiceDetector`."""

    def __init__(self) -> None:
        self._rest = b""
        self._quiet_ms = 0

    def hear(self, pcm: bytes) -> VoiceHeard:
        data = self._rest + pcm
        whole = len(data) // _STEP_BYTES * _STEP_BYTES
        for begin in range(0, whole, _STEP_BYTES):
            samples = memoryview(data)[begin : begin + _STEP_BYTES].cast("h")[::_STRIDE]
            is_voice = max(samples) >= _VOICE or min(samples) <= -_VOICE
            self._quiet_ms = 0 if is_voice else self._quiet_ms + _STEP_MS
        self._rest = data[whole:]
        return VoiceHeard(self._quiet_ms)
