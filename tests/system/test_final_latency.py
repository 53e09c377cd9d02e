"""How soon a sentence is final at the app, and that breaths within it end nothing.

A whole server in memory with the real voice detector, real sockets to a Deepgram on loopback that answers in
300 ms, in real time. The figures are printed; the limits allow a busy machine.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, field

import trio

from actors.ports import Outgoing
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.speech import DeepgramProvider, DeepgramSettings
from adapters.vad import NoiseFloorVoices
from clients.coded_audio import BYTES_A_SECOND, silence, word
from clients.deepgram_loopback import Loopback, open_loopback
from tests.actors.world import open_world
from tests.coded_speech import results

VOCABULARY = tuple(f"w{number}" for number in range(400))
SENTENCES = 8
BREATHS_S = (0.0, 0.1, 0.2)
ANSWER_S = 0.3
MICROPHONES = 6


@dataclass
class Heard:
    frame_s: float
    latencies_s: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)


async def speak(heard: Heard, seed: int) -> None:
    """Say sentences of five words, breaths between some of them, each ending anywhere within a frame."""
    chance = random.Random(seed)
    frame_bytes = round(heard.frame_s * BYTES_A_SECOND)
    async with open_loopback(Loopback(VOCABULARY, answer_s=ANSWER_S)) as loopback:
        provider = DeepgramProvider(
            key="a key",
            telemetry=RecordingTelemetry(),
            settings=DeepgramSettings(url=loopback.url, close_s=0.1),
        )
        async with open_world(recognisers=[provider], voices=NoiseFloorVoices()) as world:
            phone = await world.phone()
            server = await world.running_app(phone, subscriptions=["transcription:en-US"])
            audio, ends_s = silence(0.5), []
            for count in range(SENTENCES):
                numbers = range(count * 5, count * 5 + 5)
                for number in numbers:
                    audio += word(number, 0.25)
                    if number != numbers[-1]:
                        audio += silence(chance.choice(BREATHS_S))
                ends_s.append(len(audio) / BYTES_A_SECOND)
                heard.spoken.append(" ".join(f"w{number}" for number in numbers))
                audio += silence(1.2 + chance.uniform(0, 0.1) // 0.0005 * 0.0005)
            finals: list[float] = []
            all_final = trio.Event()
            began = trio.current_time()

            def note(message: Outgoing) -> None:
                if message.is_text and b'"isFinal":true' in message.payload:
                    finals.append(trio.current_time())
                    if len(finals) == SENTENCES:
                        all_final.set()

            server.connection.on_send = note
            for begin in range(0, len(audio), frame_bytes):
                frame = audio[begin : begin + frame_bytes]
                await trio.sleep_until(began + (begin + len(frame)) / BYTES_A_SECOND)
                phone.stream(frame)
            with trio.move_on_after(2):
                await all_final.wait()
            heard.texts = [result["text"] for result in results(server) if result["isFinal"]]
            heard.latencies_s += [at - began - end for at, end in zip(finals, ends_s, strict=False)]


def test_sentences_are_final_whole_uncut_and_within_half_a_second() -> None:
    found = {frame_s: [Heard(frame_s) for _ in range(MICROPHONES // 2)] for frame_s in (0.02, 0.1)}

    async def run() -> None:
        with trio.fail_after(90):
            async with trio.open_nursery() as nursery:
                for seed, heard in enumerate(each for several in found.values() for each in several):
                    nursery.start_soon(functools.partial(speak, heard, seed))

    trio.run(run)

    for frame_s, all_heard in found.items():
        latencies = sorted(latency for heard in all_heard for latency in heard.latencies_s)
        p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
        print(
            f"{frame_s * 1000:.0f} ms a frame, {len(latencies)} sentences: end of speech to final at the app"
        )
        print(f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, most {latencies[-1] * 1000:.0f} ms")

        for heard in all_heard:
            assert heard.spoken == heard.texts
        assert ANSWER_S < p50 < 0.5
        assert p99 < 0.6
