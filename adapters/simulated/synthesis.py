"""The synthesiser's twin: it notes what was to be said, and its trouble is planned by name."""

from __future__ import annotations

import io
import wave

import trio

from actors.synthesis_ports import SynthesisError


class ToneSynthesis:
    """`actors.synthesis_ports.SpeechSynthesis` without a voice: silence, as long as the text takes.

    Attributes:
      said: every text, in order.
      is_ready: whether there is anything to speak with.
      failure: what every text fails with.
    """

    def __init__(self, *, characters: int = 600) -> None:
        self.said: list[str] = []
        self.is_ready = True
        self.failure: SynthesisError | None = None
        self._characters = characters

    async def speak(self, text: str) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.is_ready:
            raise SynthesisError("missing", "there is nothing to speak with")
        if len(text) > self._characters:
            raise SynthesisError("too_long", f"{len(text)} characters; at most {self._characters}")
        if self.failure is not None:
            raise self.failure
        self.said.append(text)
        sound = io.BytesIO()
        with wave.open(sound, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(bytes(2 * 1_000 * max(1, len(text))))
        return sound.getvalue()
