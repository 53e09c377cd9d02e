"""Coded audio for the tests of failover: a recogniser hears it, a phone says it, an app counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from actors.ports import Final, Interim, SpeechEvent, SpeechRequest
from adapters.simulated.speech import ScriptedSpeech
from clients.coded_audio import BYTES_A_SECOND, CodedEar
from tests.actors.world import AppServer, FakeConnection

_STEP_S = 0.01
_STEP_BYTES = round(_STEP_S * BYTES_A_SECOND)


class CodedReading:
    """Reads the words in a stream's audio; `pause_s` of silence make them final. A `Reading`."""

    def __init__(self, pause_s: float = 0.3) -> None:
        self._pause_s = pause_s
        self._ear = CodedEar()
        self._waiting = bytearray()
        self._final_words = 0
        self._shown = 0

    def hear(self, pcm: bytes) -> None:
        self._waiting += pcm

    def until(self, now_s: float) -> list[SpeechEvent]:
        events: list[SpeechEvent] = []
        ear = self._ear
        while ear.heard_s + _STEP_S <= now_s + 1e-6 and len(self._waiting) >= _STEP_BYTES:
            ear.hear(bytes(self._waiting[:_STEP_BYTES]))
            del self._waiting[:_STEP_BYTES]
            if len(ear.words) > self._shown:
                self._shown = len(ear.words)
                events.append(Interim(text=self._text(), start_ms=self._start_ms(), end_ms=_ms(ear.heard_s)))
            if len(ear.words) > self._final_words and ear.quiet_s >= self._pause_s - 1e-6:
                events.append(self._final())
        return events

    def finish(self, now_s: float) -> list[SpeechEvent]:
        return [self._final()] if len(self._ear.words) > self._final_words else []

    def skip(self, now_s: float) -> list[SpeechEvent]:
        return self.until(now_s)

    def settled_s(self, now_s: float) -> float:
        ear = self._ear
        if len(ear.words) > self._final_words:
            return ear.words[self._final_words].start_s
        return max(0.0, ear.heard_s - 0.1)

    def _final(self) -> Final:
        final = Final(text=self._text(), start_ms=self._start_ms(), end_ms=_ms(self._ear.words[-1].end_s))
        self._final_words = len(self._ear.words)
        return final

    def _text(self) -> str:
        return " ".join(f"w{spoken.number}" for spoken in self._ear.words[self._final_words :])

    def _start_ms(self) -> int:
        return _ms(self._ear.words[self._final_words].start_s)


def coded_speech(name: str) -> ScriptedSpeech:
    """A recogniser that hears coded audio: word 7 is `w7`."""

    def reading(request: SpeechRequest) -> CodedReading:
        return CodedReading()

    return ScriptedSpeech(name=name, reading=reading)


async def say(phone: FakeConnection, pcm: bytes, *, frame_s: float = 0.1) -> None:
    """The microphone hears this, in its own time."""
    frame_bytes = round(frame_s * BYTES_A_SECOND)
    began = trio.current_time()
    for count, begin in enumerate(range(0, len(pcm), frame_bytes), start=1):
        phone.stream(pcm[begin : begin + frame_bytes])
        await trio.sleep_until(began + count * frame_s)


def results(server: AppServer) -> Sequence[Mapping[str, Any]]:
    """What the app was told was said, in order."""
    return [event["data"] for event in server.connection.heard("data_stream")]


def final_words(server: AppServer) -> list[str]:
    """The words of all finals, in order."""
    return " ".join(result["text"] for result in results(server) if result["isFinal"]).split()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
