"""What the domain needs to speak: text made audible. See `ports` for the conventions."""

from __future__ import annotations

from typing import Literal, Protocol


class SynthesisError(Exception):
    """Nothing was said. `kind`: missing, busy, timeout, failed or too_long.

    `missing`: there is nothing to speak with here. `busy`: too much is being said already;
    `retry_after_s` says when it is worth asking again.
    """

    def __init__(
        self,
        kind: Literal["missing", "busy", "timeout", "failed", "too_long"],
        cause: str,
        *,
        retry_after_s: float = 1.0,
    ) -> None:
        super().__init__(f"{kind}: {cause}")
        self.kind = kind
        self.cause = cause
        self.retry_after_s = retry_after_s


class SpeechSynthesis(Protocol):
    """Makes speech of text."""

    @property
    def is_ready(self) -> bool:
        """Whether there is anything to speak with."""

    async def speak(self, text: str) -> bytes:
        """`text` as a WAV file: PCM s16le, mono.

        Raises:
          SynthesisError: in every case that makes none.
        """
