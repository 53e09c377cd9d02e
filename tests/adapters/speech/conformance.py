"""What every `SpeechProvider` must do. A test file subclasses this and gives it a `world`."""

from __future__ import annotations

import abc
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from actors.ports import (
    Final,
    Interim,
    SpeechError,
    SpeechEvent,
    SpeechProgress,
    SpeechProvider,
    SpeechRequest,
    SpeechStream,
)

BYTES_A_SECOND = 32_000
DEADLINE_S = 30.0
SILENCE = bytes(BYTES_A_SECOND)


class RecordingTelemetry:
    """Keeps every fact."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, dict[str, object]]] = []
        self._counters: dict[str, int] = {}
        self._arrived = trio.Event()

    def debug(self, event: str, **fields: object) -> None:
        self.facts.append((event, fields))
        self._arrived.set()

    info = warning = error = debug

    def count(self, event: str, amount: int = 1) -> None:
        self._counters[event] = self._counters.get(event, 0) + amount

    def counters(self) -> Mapping[str, int]:
        return self._counters

    async def until(self, is_reached: Callable[[], object]) -> None:
        """Wait for facts until this is so."""
        with trio.fail_after(DEADLINE_S):
            while not is_reached():
                self._arrived = trio.Event()
                await self._arrived.wait()

    def named(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.facts if name == event]


class Ear:
    """What a stream emits, and a way to wait for some of it."""

    def __init__(self) -> None:
        self.events: list[SpeechEvent] = []
        self.times: list[float] = []
        self._arrived = trio.Event()

    def __call__(self, event: SpeechEvent) -> None:
        self.events.append(event)
        self.times.append(trio.current_time())
        self._arrived.set()

    def of(self, *kinds: type[SpeechEvent]) -> list[SpeechEvent]:
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    async def until(self, is_reached: Callable[[], object]) -> None:
        """Wait for events until this is so."""
        with trio.fail_after(DEADLINE_S):
            while not is_reached():
                self._arrived = trio.Event()
                await self._arrived.wait()

    async def until_finals(self, count: int) -> None:
        await self.until(lambda: len(self.finals) >= count)

    async def until_settled(self, stream: SpeechStream, at_ms: int) -> None:
        """Wait until nothing more will be said about the audio before this."""
        await reached(lambda: stream.progress.settled_ms >= at_ms)


async def reached(is_reached: Callable[[], object]) -> None:
    """Wait for what no event says."""
    with trio.fail_after(DEADLINE_S):
        while not is_reached():  # noqa: ASYNC110 - there is none
            await trio.sleep(0.001)


class World(abc.ABC):
    """A provider that runs, and audio that it understands."""

    provider: SpeechProvider
    speech: bytes  # an utterance, in which pauses do not end it
    pause: bytes  # enough silence to end it

    @abc.abstractmethod
    async def break_provider(self) -> None:
        """Make the provider unable to go on."""

    def open(self, ear: Ear) -> SpeechStream:
        return self.provider.open(SpeechRequest(language="en-US", user_id="ada@example.org"), ear)

    @asynccontextmanager
    async def listening(self, ear: Ear) -> AsyncIterator[SpeechStream]:
        """A stream that runs inside the block."""
        stream = self.open(ear)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await trio.testing.wait_all_tasks_blocked()
            yield stream
            nursery.cancel_scope.cancel()


def offer(stream: SpeechStream, pcm: bytes, *, chunk_bytes: int = 3200) -> None:
    for begin in range(0, len(pcm), chunk_bytes):
        stream.offer(pcm[begin : begin + chunk_bytes])


class SpeechConformance:
    async def test_nothing_is_said_before_there_is_audio(self, world: World) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            stream.finalize()
            await trio.testing.wait_all_tasks_blocked()

        assert [] == ear.events

    async def test_silence_says_nothing(self, world: World) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            offer(stream, SILENCE[:16_000])
            await trio.testing.wait_all_tasks_blocked()

        assert [] == ear.events

    async def test_interims_grow_and_are_replaced_by_one_final(self, world: World) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            offer(stream, world.speech + world.pause)
            await ear.until_finals(1)

        interims = ear.events[:-1]
        assert len(interims) >= 2
        assert all(isinstance(event, Interim) for event in interims)
        texts = [event.text for event in interims if isinstance(event, Interim)]
        assert all(before != after for before, after in itertools.pairwise(texts))
        assert texts[-1].split()[0] == ear.finals[0].text.split()[0]

    async def test_times_lie_within_the_audio_and_in_order(self, world: World) -> None:
        ear = Ear()
        audio = world.speech + world.pause

        async with world.listening(ear) as stream:
            offer(stream, audio)
            await ear.until_finals(1)

        final = ear.finals[0]
        assert 0 <= final.start_ms < final.end_ms <= len(audio) * 1000 // BYTES_A_SECOND
        for interim in ear.events[:-1]:
            assert isinstance(interim, Interim)
            assert final.start_ms == interim.start_ms <= interim.end_ms

    async def test_utterances_come_in_the_order_they_were_spoken(self, world: World) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            for _ in range(3):
                offer(stream, world.speech + world.pause)
            await ear.until_finals(3)

        starts = [final.start_ms for final in ear.finals]
        assert sorted(starts) == starts
        ends = [final.end_ms for final in ear.finals]
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))

    async def test_finalize_ends_the_utterance_without_silence(self, world: World) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            offer(stream, world.speech)
            await ear.until(lambda: ear.of(Interim))
            stream.finalize()
            await ear.until_finals(1)

        assert 1 == len(ear.finals)

    async def test_progress_says_how_far_it_has_heard_and_what_is_settled(self, world: World) -> None:
        ear = Ear()
        audio = world.speech + world.pause
        seen: list[SpeechProgress] = []

        async with world.listening(ear) as stream:
            assert SpeechProgress() == stream.progress
            for begin in range(0, len(audio), 3200):
                stream.offer(audio[begin : begin + 3200])
                await trio.testing.wait_all_tasks_blocked()
                seen.append(stream.progress)
            await ear.until_finals(1)
            offer(stream, world.pause)
            await ear.until_settled(stream, ear.finals[0].end_ms)
            seen.append(stream.progress)

        whole_ms = (len(audio) + len(world.pause)) * 1000 // BYTES_A_SECOND
        for progress in seen:
            assert 0 <= progress.settled_ms <= progress.heard_ms <= progress.sent_ms <= whole_ms
        for before, after in itertools.pairwise(seen):
            assert before.sent_ms <= after.sent_ms
            assert before.heard_ms <= after.heard_ms
            assert before.settled_ms <= after.settled_ms
        spoken = [progress for progress in seen if progress.heard_ms <= ear.finals[0].end_ms]
        assert all(progress.settled_ms <= ear.finals[0].start_ms for progress in spoken)

    async def test_audio_from_before_run_is_kept(self, world: World) -> None:
        ear = Ear()
        stream = world.open(ear)
        offer(stream, world.speech[: 2 * BYTES_A_SECOND])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await ear.until(lambda: ear.of(Interim))
            nursery.cancel_scope.cancel()

    async def test_a_cancelled_stream_says_nothing_more_and_takes_no_harm_from_audio(
        self, world: World
    ) -> None:
        ear = Ear()

        async with world.listening(ear) as stream:
            offer(stream, world.speech)
            await ear.until(lambda: ear.of(Interim))
        heard = len(ear.events)
        offer(stream, world.speech + world.pause)
        stream.finalize()
        await trio.testing.wait_all_tasks_blocked()

        assert heard == len(ear.events)

    async def test_a_stream_works_after_another_was_cancelled_in_mid_utterance(self, world: World) -> None:
        ear, later = Ear(), Ear()

        async with world.listening(ear) as stream:
            offer(stream, world.speech)
            await ear.until(lambda: ear.of(Interim))
        async with world.listening(later) as stream:
            offer(stream, world.speech + world.pause)
            await later.until_finals(1)

        assert later.finals

    async def test_a_provider_that_breaks_raises_speech_errors(self, world: World) -> None:
        stream = world.open(Ear())

        with pytest.raises(SpeechError) as raised:
            async with raising(stream):
                await world.break_provider()

        assert world.provider.name == raised.value.provider
        assert raised.value.kind in ("network", "auth", "quota", "rate", "protocol", "worker", "closed")
        assert raised.value.retry_after_s > 0


@asynccontextmanager
async def raising(stream: SpeechStream) -> AsyncIterator[None]:
    """Run the stream beside the block, then until it raises; its error comes out bare."""
    failed: list[SpeechError] = []

    async def run() -> None:
        try:
            await stream.run()
        except SpeechError as error:
            failed.append(error)

    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            yield
    raise failed[0]
