"""One utterance's audio, from its first byte until its final result.

It is kept whole while it is recognised, so that another worker can begin again when one dies. Three positions
tell how far it is: what there is, what the present worker was given, and what any worker has ever recognised.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio

from .endpointing import Began, Ended, milliseconds

CHUNK_BYTES: Final = 16_000  # half a second: what a worker is given at once, so that its answers keep coming


class UtteranceOwner(Protocol):
    """Who hears of an utterance: the stream it was cut from. Plain calls, which raise nothing."""

    @property
    def mean(self) -> str:
        """The cepstral mean of the stream's voice; empty when it is not known yet."""

    def lent(self, utterance: Utterance) -> None:
        """It has a worker."""

    def lost(self, utterance: Utterance) -> None:
        """Its worker has died: it waits for another one, at the head of the queue."""

    def recognised(self, utterance: Utterance, text: str | None) -> None:
        """Some more audio is recognised; `text` is the guess where it has changed."""

    def finished(self, utterance: Utterance, text: str, mean: str) -> None:
        """The utterance's text, and the cepstral mean for the stream's next one."""

    def given_up(self, utterance: Utterance) -> None:
        """It has ended too many workers."""


class Utterance:
    """Audio that a worker takes in pieces.

    Attributes:
      start_ms, end_ms: of the speech, since the stream's first audio; `end_ms` is None while it goes on.
      recognised_ms: how far recognition has come, likewise.
      text: the newest guess.
      attempts: how often a worker has begun it.
    """

    __slots__ = (
        "_audio",
        "_audio_ms",
        "_changed",
        "_given",
        "_recognised",
        "attempts",
        "end_ms",
        "is_abandoned",
        "is_silent_at_end",
        "owner",
        "start_ms",
        "text",
    )

    def __init__(self, owner: UtteranceOwner, began: Began) -> None:
        self.owner = owner
        self.start_ms = began.start_ms
        self.end_ms: int | None = None
        self.text = ""
        self.attempts = 0
        self.is_abandoned = False
        self.is_silent_at_end = False
        self._audio = bytearray(began.pcm)
        self._audio_ms = began.audio_ms
        self._given = 0
        self._recognised = 0
        self._changed = trio.Event()

    # The stream's side

    @property
    def waiting_bytes(self) -> int:
        """Audio that no worker has been given yet."""
        return len(self._audio) - max(self._given, self._recognised)

    @property
    def is_replayed(self) -> bool:
        """A worker has died over it and the next one has not come as far yet."""
        return self._given < self._recognised

    @property
    def recognised_ms(self) -> int:
        return max(self.start_ms, self._audio_ms + milliseconds(self._recognised))

    @property
    def duration_ms(self) -> int:
        return milliseconds(len(self._audio))

    def add(self, pcm: bytes) -> None:
        self._audio += pcm
        self._changed.set()

    def end(self, ended: Ended) -> None:
        self.end_ms = ended.end_ms
        self.is_silent_at_end = ended.is_silent
        self._changed.set()

    def abandon(self) -> None:
        """Nobody wants it any more."""
        self.is_abandoned = True
        self._audio.clear()
        self._given = self._recognised = 0
        self._changed.set()

    def drop(self, most_bytes: int) -> int:
        """Forget up to this much of the oldest audio that waits; returns how much it was."""
        dropped = min(most_bytes, self.waiting_bytes)
        begin = max(self._given, self._recognised)
        del self._audio[begin : begin + dropped]
        if begin == 0:
            self._audio_ms += milliseconds(dropped)
            self.start_ms = max(self.start_ms, self._audio_ms)
        return dropped

    # The worker's side

    def lend(self) -> None:
        self.attempts += 1
        self.owner.lent(self)

    def take(self) -> bytes:
        """The next piece for the worker; empty when it has all there is."""
        piece = bytes(self._audio[self._given : self._given + CHUNK_BYTES])
        self._given += len(piece)
        return piece

    @property
    def is_all_taken(self) -> bool:
        """It is over, and the worker has all of it."""
        return self.end_ms is not None and self._given == len(self._audio)

    async def wait(self) -> None:
        """Return when there is more to take, or the utterance is over."""
        while self._given == len(self._audio) and self.end_ms is None and not self.is_abandoned:
            self._changed = trio.Event()
            await self._changed.wait()

    def heard(self, text: str | None) -> None:
        """The worker has recognised what it took. A replay's guesses are old news until it has caught up."""
        if self.is_abandoned:
            return
        is_old = self._given <= self._recognised
        self._recognised = max(self._recognised, self._given)
        if text is not None:
            self.text = text
        self.owner.recognised(self, None if is_old else text)

    def rewind(self) -> None:
        """Its worker died: the next one begins at the beginning."""
        self._given = 0
        self.owner.lost(self)
