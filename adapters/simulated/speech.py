"""The recogniser's twin: what is said is a script, and its clock is the audio.

A script says which words are spoken between which seconds of a stream's audio. Interim results grow word by
word as the audio that holds them arrives, the final one comes when its end has; the same audio gives the same
results whatever its chunks and whatever the time. Another `Reading` may listen to the audio itself. Trouble
is by name: `stall` and `resume` for recognition that cannot keep up and says so, `hang` for one that goes
silent, `slow` for one that falls behind, `fail` and `refuse` for a provider that breaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final as Constant
from typing import Protocol

import msgspec
import trio

from actors.ports import (
    AudioDropped,
    Delayed,
    Final,
    Interim,
    Recovered,
    SpeechError,
    SpeechEvent,
    SpeechProgress,
    SpeechRequest,
)

KEEP_S: Constant = 3.0
_SAMPLE_BYTES: Constant = 2
_SLOW_STEP_S: Constant = 0.1


class ScriptedUtterance(msgspec.Struct, frozen=True, kw_only=True):
    """Words spoken evenly between two moments of the audio, in seconds since the stream's first.

    Attributes:
      final_delay_s: how much audio after the end the final result takes.
    """

    text: str
    start_s: float
    end_s: float
    final_delay_s: float = 0.3


Script = tuple[ScriptedUtterance, ...]


class Reading(Protocol):
    """What is said in a stream's audio, by its time."""

    def hear(self, pcm: bytes) -> None:
        """The stream has been offered this."""

    def until(self, now_s: float) -> list[SpeechEvent]:
        """All results up to this moment that were not given yet, in order."""

    def finish(self, now_s: float) -> list[SpeechEvent]:
        """Somebody knows that speech is over: what has been heard of the utterance is final."""

    def skip(self, now_s: float) -> list[SpeechEvent]:
        """The audio up to this moment is lost, and with it every utterance that had begun in it."""

    def settled_s(self, now_s: float) -> float:
        """Up to where nothing more will be said, once `until(now_s)` has been."""


class ScriptedSpeech:
    """`actors.ports.SpeechProvider` without a recogniser.

    Args:
      default: the script of users who have none of their own.
      repeat_s: the script begins again after this much audio, longer than it is; None plays it once.
      languages: what it supports; None is every language.
      reading: makes what reads a stream, instead of the scripts.

    Attributes:
      scripts: user id to script; a stream takes the one that is there when it is opened.
      requests: every stream that was opened, in order.
    """

    def __init__(
        self,
        default: Script = (),
        *,
        name: str = "scripted",
        repeat_s: float | None = None,
        languages: frozenset[str] | None = None,
        reading: Callable[[SpeechRequest], Reading] | None = None,
    ) -> None:
        self.scripts: dict[str, Script] = {}
        self.requests: list[SpeechRequest] = []
        self._default = default
        self._name = name
        self._repeat_s = repeat_s
        self._languages = languages
        self._streams: dict[ScriptedStream, None] = {}
        self._is_stalled = False
        self._is_hanging = False
        self._speed: float | None = None
        self._refusal: SpeechError | None = None
        self._reading = reading

    @property
    def name(self) -> str:
        return self._name

    def supports(self, language: str) -> bool:
        return self._languages is None or language in self._languages

    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> ScriptedStream:
        self.requests.append(request)
        if self._reading is not None:
            return ScriptedStream(self, request, self._reading(request), emit)
        script = self.scripts.get(request.user_id, self._default)
        return ScriptedStream(self, request, _ScriptReading(script, self._repeat_s), emit)

    def stall(self) -> None:
        """Recognition stands still: a stream that is fed says `Delayed` and drops what is older than 3 s."""
        self._is_stalled = True

    def hang(self) -> None:
        """Its streams take audio and say nothing, nor that anything is wrong; also those opened later."""
        self._is_hanging = True

    def slow(self, speed: float) -> None:
        """Its streams recognise this many seconds of audio a second, also those opened later."""
        self._speed = speed

    def refuse(self, kind: str, *, retry_after_s: float = 1.0) -> None:
        """Streams fail as soon as they run, and those that run now fail too."""
        self._refusal = SpeechError(self._name, kind, "it was told to refuse", retry_after_s=retry_after_s)
        self.fail(kind, retry_after_s=retry_after_s)

    def resume(self) -> None:
        """End `stall`, `hang`, `slow` and `refuse`. What a stream that hung was offered is recognised."""
        self._is_stalled = self._is_hanging = False
        self._speed = self._refusal = None
        for stream in self._streams:
            stream.wake()

    def fail(self, kind: str = "network", *, retry_after_s: float = 1.0) -> None:
        """Every stream that runs now raises this SpeechError."""
        for stream in self._streams:
            stream.fail(SpeechError(self._name, kind, "it was told to fail", retry_after_s=retry_after_s))

    def end(self) -> None:
        """Every stream that runs now ends, as when a provider closes it."""
        for stream in self._streams:
            stream.end()

    @property
    def is_stalled(self) -> bool:
        return self._is_stalled

    @property
    def is_hanging(self) -> bool:
        return self._is_hanging

    @property
    def speed(self) -> float | None:
        return self._speed

    @property
    def refusal(self) -> SpeechError | None:
        return self._refusal

    def running(self) -> int:
        """How many streams run."""
        return len(self._streams)

    def join(self, stream: ScriptedStream) -> None:
        self._streams[stream] = None

    def leave(self, stream: ScriptedStream) -> None:
        self._streams.pop(stream, None)


class _ScriptReading:
    """A position in a script: which results a moment of the audio brings."""

    def __init__(self, script: Script, repeat_s: float | None) -> None:
        self._script = script
        self._repeat_s = repeat_s
        self._index = 0
        self._words = 0  # of the utterance at `_index` that were shown
        self._offset_s = 0.0

    @property
    def _utterance(self) -> ScriptedUtterance | None:
        return self._script[self._index] if self._index < len(self._script) else None

    def hear(self, pcm: bytes) -> None:
        pass  # a script does not listen

    def settled_s(self, now_s: float) -> float:
        utterance = self._utterance
        return now_s if utterance is None else min(now_s, utterance.start_s + self._offset_s)

    def until(self, now_s: float) -> list[SpeechEvent]:
        events: list[SpeechEvent] = []
        while (utterance := self._utterance) is not None:
            words = utterance.text.split()
            start_s, end_s = utterance.start_s + self._offset_s, utterance.end_s + self._offset_s
            while self._words < len(words):
                heard_s = start_s + (end_s - start_s) * (self._words + 1) / len(words)
                if heard_s > now_s:
                    return events
                self._words += 1
                text = " ".join(words[: self._words])
                events.append(Interim(text=text, start_ms=_ms(start_s), end_ms=_ms(heard_s)))
            if end_s + utterance.final_delay_s > now_s:
                return events
            events.append(self._final(utterance.text, start_s, end_s))
        return events

    def finish(self, now_s: float) -> list[SpeechEvent]:
        utterance = self._utterance
        if utterance is None or not self._words:
            return []
        text = " ".join(utterance.text.split()[: self._words])
        start_s = utterance.start_s + self._offset_s
        return [self._final(text, start_s, min(now_s, utterance.end_s + self._offset_s))]

    def skip(self, now_s: float) -> list[SpeechEvent]:
        events = self.finish(now_s)
        while (utterance := self._utterance) is not None and utterance.start_s + self._offset_s < now_s:
            self._advance()
        return events

    def _final(self, text: str, start_s: float, end_s: float) -> Final:
        self._advance()
        return Final(text=text, start_ms=_ms(start_s), end_ms=_ms(end_s))

    def _advance(self) -> None:
        self._words = 0
        self._index += 1
        if self._index == len(self._script) and self._repeat_s is not None:
            self._index = 0
            self._offset_s += self._repeat_s


class ScriptedStream:
    """One microphone. What is offered is counted at once and recognised by `run`."""

    def __init__(
        self,
        provider: ScriptedSpeech,
        request: SpeechRequest,
        reading: Reading,
        emit: Callable[[SpeechEvent], None],
    ) -> None:
        self._provider = provider
        self._reading = reading
        self._emit = emit
        self._bytes_a_second = request.sample_rate_hz * _SAMPLE_BYTES
        self._offered_bytes = 0
        self._recognised_bytes = 0
        self._finishes: deque[int] = deque()  # bytes behind which speech is known to be over
        self._is_delayed = False
        self._is_closed = False
        self._error: SpeechError | None = None
        self._settled_s = 0.0
        self._is_ended = False
        self._changed = trio.Event()

    @property
    def progress(self) -> SpeechProgress:
        heard_ms = _ms(self._seconds(self._recognised_bytes))
        sent_ms = heard_ms if self._provider.is_stalled else _ms(self._seconds(self._offered_bytes))
        return SpeechProgress(sent_ms, heard_ms, min(heard_ms, _ms(self._settled_s)))

    def offer(self, pcm: bytes) -> None:
        if not self._is_closed:
            self._offered_bytes += len(pcm)
            self._reading.hear(pcm)
            self.wake()

    def finalize(self) -> None:
        self._finishes.append(self._offered_bytes)
        self.wake()

    def wake(self) -> None:
        self._changed.set()

    def fail(self, error: SpeechError) -> None:
        self._error = error
        self.wake()

    def end(self) -> None:
        self._is_ended = True
        self.wake()

    async def run(self) -> None:
        self._provider.join(self)
        self._error = self._error or self._provider.refusal
        try:
            self._drop_old_audio()
            while self._error is None and not self._is_ended:
                before = self._recognised_bytes
                self._recognise()
                if self._provider.speed is not None and self._recognised_bytes > before:
                    await trio.sleep(self._seconds(self._recognised_bytes - before) / self._provider.speed)
                    continue
                await self._changed.wait()
                self._changed = trio.Event()
            if self._error is not None:
                raise self._error
        finally:
            self._is_closed = True
            self._provider.leave(self)

    def _recognise(self) -> None:
        if self._provider.is_hanging:
            return
        if self._provider.is_stalled:
            if self._offered_bytes > self._recognised_bytes and not self._is_delayed:
                self._is_delayed = True
                self._emit(Delayed("it was told to stall"))
            self._drop_old_audio()
            return
        most_bytes = self._offered_bytes
        if self._provider.speed is not None:
            most_bytes = min(most_bytes, self._recognised_bytes + round(_SLOW_STEP_S * self._bytes_a_second))
        while self._finishes and self._finishes[0] <= most_bytes:
            self._recognise_until(self._finishes.popleft())
            self._emit_all(self._reading.finish(self._seconds(self._recognised_bytes)))
        self._recognise_until(most_bytes)
        now_s = self._seconds(self._recognised_bytes)
        self._settled_s = max(self._settled_s, self._reading.settled_s(now_s))
        if self._is_delayed:
            self._is_delayed = False
            self._emit(Recovered())

    def _recognise_until(self, audio_bytes: int) -> None:
        self._recognised_bytes = max(self._recognised_bytes, audio_bytes)
        self._emit_all(self._reading.until(self._seconds(self._recognised_bytes)))

    def _drop_old_audio(self) -> None:
        excess_bytes = self._offered_bytes - self._recognised_bytes - round(KEEP_S * self._bytes_a_second)
        if excess_bytes <= 0:
            return
        self._recognised_bytes += excess_bytes
        self._emit_all(self._reading.skip(self._seconds(self._recognised_bytes)))
        self._emit(AudioDropped(duration_ms=_ms(self._seconds(excess_bytes))))

    def _seconds(self, audio_bytes: int) -> float:
        return audio_bytes / self._bytes_a_second

    def _emit_all(self, events: list[SpeechEvent]) -> None:
        for event in events:
            self._emit(event)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
