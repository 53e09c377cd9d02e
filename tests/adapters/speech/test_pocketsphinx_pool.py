"""The pool with worker processes that do not decode: what is lent, lost, replayed, dropped and told."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from actors.ports import (
    AudioDropped,
    Delayed,
    Final,
    Interim,
    Recovered,
    SpeechError,
    SpeechEvent,
    SpeechRequest,
)
from adapters.speech import PocketSphinxProvider, PocketSphinxSettings
from adapters.speech.pocketsphinx import PocketSphinxStream
from clients.recordings import recordings
from tests.adapters.speech.conformance import (
    BYTES_A_SECOND,
    SILENCE,
    Ear,
    RecordingTelemetry,
    offer,
    raising,
)

FAKE = Path(__file__).parent / "fake_worker.py"
SPEECH = recordings()[3].pcm  # 6 s without a pause
SETTINGS = PocketSphinxSettings(
    worker_count=1, keep_s=60.0, restart_first_s=0.01, restart_most_s=0.05, start_timeout_s=10.0
)
REQUEST = SpeechRequest(language="en-US", user_id="ada@example.org")


def fake(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-P", str(FAKE), *words)


class Pool:
    """A provider that runs, with streams that run."""

    def __init__(
        self, nursery: trio.Nursery, settings: PocketSphinxSettings, command: tuple[str, ...]
    ) -> None:
        self.nursery = nursery
        self.telemetry = RecordingTelemetry()
        self.provider = PocketSphinxProvider(telemetry=self.telemetry, settings=settings, command=command)
        nursery.start_soon(self.provider.run)

    async def open(self, ear: Ear) -> PocketSphinxStream:
        stream = self.provider.open(REQUEST, ear)
        self.nursery.start_soon(stream.run)
        await trio.testing.wait_all_tasks_blocked()
        return stream

    async def until_ready(self) -> None:
        """Wait for every slot to have a worker that is free."""
        await self.telemetry.until(lambda: {"idle"} == {view.state for view in self.provider.workers()})


@asynccontextmanager
async def pool(*command: str, settings: PocketSphinxSettings = SETTINGS) -> AsyncIterator[Pool]:
    async with trio.open_nursery() as nursery:
        yield Pool(nursery, settings, fake(*command))
        nursery.cancel_scope.cancel()


async def text_of(command: tuple[str, ...], settings: PocketSphinxSettings = SETTINGS) -> tuple[str, Pool]:
    """The final text of the speech, recognised by these workers."""
    ear = Ear()
    async with pool(*command, settings=settings) as here:
        stream = await here.open(ear)
        offer(stream, SPEECH + SILENCE)
        await ear.until_finals(1)
    return ear.finals[0].text, here


async def test_no_worker_is_started_before_somebody_listens() -> None:
    async with pool("steady") as here:
        await trio.testing.wait_all_tasks_blocked()
        before = [view.state for view in here.provider.workers()]
        await here.open(Ear())
        await here.until_ready()

    assert ["off"] == before


async def test_workers_can_be_started_with_the_server() -> None:
    settings = msgspec.structs.replace(SETTINGS, worker_count=2, prestart=2)

    async with pool("steady", settings=settings) as here:
        await here.until_ready()
        pids = {view.pid for view in here.provider.workers()}

    assert 2 == len(pids)


async def test_one_worker_for_each_core_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 3})

    provider = PocketSphinxProvider(telemetry=RecordingTelemetry())

    assert 3 == len(provider.workers())


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("dies", ""),
        ("hangs", "no answer within"),
        ("babbles", "expected 1 to"),
        ("confuses", "FINAL where HEARD belongs"),
        ("deafens", "it closed its pipe"),
    ],
)
async def test_a_worker_that_fails_in_mid_utterance_is_replaced_and_no_audio_is_lost(
    kind: str, cause: str, tmp_path: Path
) -> None:
    settings = msgspec.structs.replace(SETTINGS, answer_timeout_s=0.5 if kind == "hangs" else 20.0)
    steady, _ = await text_of(("steady",))

    text, here = await text_of(("once", kind, str(tmp_path / "flag")), settings)

    assert steady == text
    (death,) = here.telemetry.named("speech_worker_died")
    assert cause in str(death["cause"])
    assert 1 == here.provider.workers()[0].restarts


async def test_a_replay_shows_no_guess_again(tmp_path: Path) -> None:
    ear = Ear()

    async with pool("once", "dies", str(tmp_path / "flag")) as here:
        offer(await here.open(ear), SPEECH + SILENCE)
        await ear.until_finals(1)

    ends = [event.end_ms for event in ear.events if isinstance(event, Interim)]
    assert sorted(set(ends)) == ends


async def test_what_a_dead_worker_has_heard_does_not_count_as_waiting_audio(tmp_path: Path) -> None:
    """keep_s bounds what nobody has heard; a replay catches up, and no word may be lost by it."""
    steady, _ = await text_of(("steady",))
    settings = msgspec.structs.replace(SETTINGS, keep_s=3.0)
    ear = Ear()

    async with pool("once", "dies", str(tmp_path / "flag"), settings=settings) as here:
        stream = await here.open(ear)
        await here.until_ready()
        offer(stream, SPEECH[: 2 * BYTES_A_SECOND])
        await here.telemetry.until(lambda: here.telemetry.named("speech_worker_died"))
        offer(stream, SPEECH[2 * BYTES_A_SECOND :] + SILENCE)
        await ear.until_finals(1)

    assert [steady] == [final.text for final in ear.finals]
    assert [] == ear.of(AudioDropped)


async def test_an_utterance_whose_worker_died_comes_before_those_that_wait(tmp_path: Path) -> None:
    ada, bob = Ear(), Ear()

    async with pool("once", "dies", str(tmp_path / "flag")) as here:
        first, second = await here.open(ada), await here.open(bob)
        offer(first, SPEECH[:BYTES_A_SECOND])
        await ada.until(lambda: ada.events)
        offer(second, SPEECH + SILENCE)
        offer(first, SPEECH[BYTES_A_SECOND:] + SILENCE)
        await ada.until_finals(1)
        await bob.until_finals(1)

    assert 1 == here.provider.workers()[0].restarts
    assert ada.times[-1] < bob.times[0]


async def test_another_worker_takes_over_when_a_dead_one_is_long_in_coming(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        SETTINGS, worker_count=2, prestart=2, restart_first_s=60.0, restart_most_s=60.0
    )
    ada, bob = Ear(), Ear()

    async with pool("once", "dies", str(tmp_path / "flag"), settings=settings) as here:
        await here.until_ready()
        for stream in [await here.open(ada), await here.open(bob)]:  # both before a worker is free again
            offer(stream, SPEECH + SILENCE)
        await ada.until_finals(1)
        await bob.until_finals(1)
        views = here.provider.workers()

    assert ada.finals == bob.finals
    assert {"waiting", "idle"} == {view.state for view in views}


async def test_an_idle_worker_that_dies_is_replaced() -> None:
    async with pool("steady") as here:
        await here.open(Ear())
        await here.until_ready()
        (before,) = here.provider.workers()
        assert before.pid is not None
        (await trio.run_process(["kill", "-9", str(before.pid)])).check_returncode()
        await here.telemetry.until(lambda: len(here.telemetry.named("speech_worker_started")) == 2)

    assert "its process ended with status -9" == here.provider.workers()[0].last_error


async def test_an_utterance_that_ends_every_worker_is_given_up_and_the_next_one_works() -> None:
    ear = Ear()

    async with pool("dies") as here:
        stream = await here.open(ear)
        offer(stream, SPEECH + SILENCE)
        await ear.until(lambda: ear.of(AudioDropped))
        offer(stream, SPEECH[: BYTES_A_SECOND * 6 // 10])
        stream.finalize()
        await ear.until_finals(2)

    # The pieces before the deadly one were guessed at: that guess is its final.
    assert ["32000 bytes"] == [final.text for final in ear.finals[:1]]
    (dropped,) = ear.of(AudioDropped)
    assert isinstance(dropped, AudioDropped)
    assert dropped.duration_ms > 5000
    assert [3] == [fields["attempts"] for fields in here.telemetry.named("speech_utterance_given_up")]


async def test_what_a_stream_has_taught_the_decoder_travels_with_it() -> None:
    ada, bob = Ear(), Ear()

    async with pool("steady") as here:
        first, second = await here.open(ada), await here.open(bob)
        for _ in range(2):
            offer(first, SPEECH + SILENCE)
        await ada.until_finals(2)
        offer(second, SPEECH + SILENCE)
        await bob.until_finals(1)

    assert ada.finals[0].text.endswith("after nothing")
    assert not ada.finals[1].text.endswith("after nothing")
    assert bob.finals[0].text.endswith("after nothing")


async def test_with_every_worker_lent_a_stream_is_delayed_drops_what_is_old_and_recovers() -> None:
    settings = msgspec.structs.replace(SETTINGS, keep_s=3.0, delayed_after_s=0.05)
    ada, bob = Ear(), Ear()

    async with pool("steady", settings=settings) as here:
        first, second = await here.open(ada), await here.open(bob)
        await here.until_ready()
        offer(first, SPEECH[:BYTES_A_SECOND])
        await ada.until(lambda: ada.events)
        offer(second, SPEECH[: 2 * BYTES_A_SECOND])
        await bob.until(lambda: bob.events)
        delayed = list(bob.events)
        offer(second, SPEECH[2 * BYTES_A_SECOND :])
        await bob.until(lambda: bob.of(AudioDropped))
        first.finalize()
        await bob.until(lambda: bob.of(Recovered))
        second.finalize()
        await bob.until_finals(1)

    assert [Delayed("no worker is free")] == delayed
    dropped_ms = sum(event.duration_ms for event in bob.of(AudioDropped) if isinstance(event, AudioDropped))
    speech_ms = len(SPEECH) * 1000 // BYTES_A_SECOND
    assert speech_ms - 3400 < dropped_ms < speech_ms - 2700  # 3 s and the unvoiced beginning are left
    assert 1 == len(bob.of(Delayed)) == len(bob.of(Recovered))
    assert bob.finals[0].start_ms >= dropped_ms - 300
    assert [] == ada.of(Delayed, AudioDropped, Recovered)


async def test_a_little_dropped_audio_is_told_when_recognition_has_caught_up() -> None:
    settings = msgspec.structs.replace(SETTINGS, keep_s=3.0, delayed_after_s=20.0)
    ada, bob = Ear(), Ear()

    async with pool("steady", settings=settings) as here:
        first, second = await here.open(ada), await here.open(bob)
        offer(first, SPEECH[:BYTES_A_SECOND])
        await ada.until(lambda: ada.events)
        offer(second, SPEECH[: 2 * BYTES_A_SECOND] + SILENCE + SPEECH[:BYTES_A_SECOND])
        second.finalize()
        first.finalize()
        await bob.until_finals(2)

    trouble = bob.of(Delayed, AudioDropped, Recovered)
    assert [Delayed, AudioDropped, Recovered] == [type(event) for event in trouble]
    assert isinstance(trouble[1], AudioDropped)
    assert 0 < trouble[1].duration_ms < 1000


async def test_a_short_wait_for_a_worker_is_nobodys_business() -> None:
    settings = msgspec.structs.replace(SETTINGS, delayed_after_s=20.0)
    ada, bob = Ear(), Ear()

    async with pool("steady", settings=settings) as here:
        first, second = await here.open(ada), await here.open(bob)
        offer(first, SPEECH[:BYTES_A_SECOND])
        await ada.until(lambda: ada.events)
        offer(second, SPEECH + SILENCE)
        first.finalize()
        await bob.until_finals(1)

    assert [] == bob.of(Delayed, Recovered, AudioDropped)


async def test_who_talks_a_lot_waits_behind_everybody_else() -> None:
    order: list[str] = []

    class Named(Ear):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def __call__(self, event: SpeechEvent) -> None:
            super().__call__(event)
            if isinstance(event, Final):
                order.append(self.name)

    ears = {name: Named(name) for name in ("ada", "bob")}
    async with pool("steady") as here:
        ada, bob = await here.open(ears["ada"]), await here.open(ears["bob"])
        for _ in range(3):
            offer(ada, SPEECH[: 2 * BYTES_A_SECOND] + SILENCE)
        offer(bob, SPEECH[: 2 * BYTES_A_SECOND] + SILENCE)
        await ears["ada"].until_finals(3)
        await ears["bob"].until_finals(1)

    assert ["ada", "bob", "ada", "ada"] == order


async def test_a_stream_that_ends_gives_its_worker_back() -> None:
    ada, bob = Ear(), Ear()

    async with pool("steady") as here:
        stream = here.provider.open(REQUEST, ada)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await trio.testing.wait_all_tasks_blocked()
            offer(stream, SPEECH)
            await ada.until(lambda: ada.events)
            nursery.cancel_scope.cancel()
        offer(await here.open(bob), SPEECH + SILENCE)
        await bob.until_finals(1)

    assert [] == ada.finals


async def test_an_utterance_that_waits_for_a_worker_when_its_stream_ends_is_skipped() -> None:
    ada, bob, eve = Ear(), Ear(), Ear()

    async with pool("steady") as here:
        first = await here.open(ada)
        offer(first, SPEECH)
        await ada.until(lambda: ada.events)
        stream = here.provider.open(REQUEST, bob)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.run)
            await trio.testing.wait_all_tasks_blocked()
            offer(stream, SPEECH)
            nursery.cancel_scope.cancel()
        offer(await here.open(eve), SPEECH + SILENCE)
        first.finalize()
        await eve.until_finals(1)

    assert [] == bob.events


@pytest.mark.parametrize("command", [("false",), ("/nowhere/python",), fake("silent")])
async def test_streams_are_told_when_no_worker_can_be_started(command: tuple[str, ...]) -> None:
    settings = msgspec.structs.replace(SETTINGS, start_timeout_s=0.2)
    async with trio.open_nursery() as nursery:
        here = Pool(nursery, settings, command)
        stream = here.provider.open(REQUEST, Ear())
        with pytest.raises(SpeechError) as waiting:
            async with raising(stream):
                pass
        with pytest.raises(SpeechError) as later:
            await here.provider.open(REQUEST, Ear()).run()
        nursery.cancel_scope.cancel()

    assert ["worker", "worker"] == [waiting.value.kind, later.value.kind]
    assert waiting.value.retry_after_s > 0


async def test_the_end_of_the_provider_ends_its_streams_and_its_processes() -> None:
    telemetry = RecordingTelemetry()
    provider = PocketSphinxProvider(telemetry=telemetry, settings=SETTINGS, command=fake("steady"))
    scope = trio.CancelScope()

    async def run_provider() -> None:
        with scope:
            await provider.run()

    async def end_provider() -> None:
        await telemetry.until(lambda: telemetry.named("speech_worker_started"))
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_provider)
        with pytest.raises(SpeechError) as raised:
            async with raising(provider.open(REQUEST, Ear())):
                await end_provider()
    with pytest.raises(SpeechError) as later:
        await provider.open(REQUEST, Ear()).run()

    assert ["closed", "closed"] == [raised.value.kind, later.value.kind]
    (view,) = provider.workers()
    assert view.pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(view.pid, 0)


async def test_a_provider_that_does_not_run_is_waited_for_and_then_an_error(autojump_clock: object) -> None:
    provider = PocketSphinxProvider(telemetry=RecordingTelemetry(), settings=SETTINGS)

    with pytest.raises(SpeechError, match="the provider does not run"):
        await provider.open(REQUEST, Ear()).run()


async def test_audio_of_another_rate_is_refused() -> None:
    request = SpeechRequest(language="en-US", user_id="ada@example.org", sample_rate_hz=8000)

    async with pool("steady") as here:
        with pytest.raises(SpeechError, match="8000 Hz; it can be 16000 Hz only"):
            await here.provider.open(request, Ear()).run()


async def test_a_receiver_that_raises_ends_its_own_stream_only() -> None:
    bob = Ear()

    def refuse(event: SpeechEvent) -> None:
        raise ValueError("no room")

    async with pool("steady") as here:
        stream = here.provider.open(REQUEST, refuse)
        with pytest.raises(SpeechError, match="no room") as raised:
            async with raising(stream):
                offer(stream, SPEECH)
        offer(await here.open(bob), SPEECH + SILENCE)
        await bob.until_finals(1)

    assert isinstance(raised.value.__cause__, ValueError)


async def test_audio_offered_before_run_is_bounded() -> None:
    settings = msgspec.structs.replace(SETTINGS, keep_s=3.0)
    ear = Ear()

    async with pool("steady", settings=settings) as here:
        stream = here.provider.open(REQUEST, ear)
        offer(stream, bytes(5 * BYTES_A_SECOND) + SPEECH[: 2 * BYTES_A_SECOND])
        here.nursery.start_soon(stream.run)
        await ear.until(lambda: ear.of(AudioDropped) and ear.of(Interim))

    assert AudioDropped(duration_ms=4000) in ear.events


def test_english_is_what_it_supports() -> None:
    provider = PocketSphinxProvider(telemetry=RecordingTelemetry())

    assert "pocketsphinx" == provider.name
    assert [True, True, True, False] == [
        provider.supports(tag) for tag in ("en-US", "EN-gb", "auto", "de-DE")
    ]
