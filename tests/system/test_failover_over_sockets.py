"""Failover over real sockets: whatever Deepgram does to a stream, the app gets every word once.

All faults run side by side, each with a server of its own, since a second of speech takes a second here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest
import trio

from actors.domain import DomainSettings
from actors.speech.settings import SpeechSettings
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.speech import DeepgramProvider, DeepgramSettings
from clients.coded_audio import sentence, silence
from clients.deepgram_loopback import QUOTA, Close, Faults, Loopback, open_loopback
from tests.actors.world import open_world
from tests.coded_speech import final_words, results, say

VOCABULARY = tuple(f"w{number}" for number in range(40))
SPEECH = b"".join(sentence(range(begin, begin + 6), pause_s=0.8) for begin in range(0, 18, 6))
SPOKEN = list(VOCABULARY[:18])
IMPATIENT = SpeechSettings(hang_s=1.5, lag_s=1.0, lag_patience_s=1.0, look_s=0.2)
ANSWER_S = 0.3

FAULTS = {
    "nothing": Faults(),
    "hang": Faults(hang_at_s=3.0),
    "hang from the start": Faults(hang_at_s=0.01),
    "1011": Faults(close_at_s=3.0),
    "1011 within a word": Faults(close_at_s=3.35),
    "not audio": Faults(close_at_s=1.0, close=Close(1008, "DATA-0000")),
    "lost": Faults(lose_at_s=3.0),
    "garbage": Faults(garbage_at_s=3.0),
    "quota in mid-stream": Faults(close_at_s=3.0, close=QUOTA),
    "too many streams": Faults(close_at_s=3.0, error="Too many requests", close=Close(1011)),
    "key refused": Faults(refuse=401),
    "no credits": Faults(refuse=402),
    "refused for now": Faults(refuse=429),
    "slow drain": Faults(speed=0.4),
}


@dataclass
class Outcome:
    words: list[str]
    kinds: list[object]
    told: list[str]
    switches: int
    utterances: int
    latest_s: float


async def speak(faults: Faults, outcomes: dict[str, Outcome], name: str) -> None:
    """Say everything to a server whose first connection has these faults, and whose second key is well."""
    loopback = Loopback(VOCABULARY, interim_s=0.3, answer_s=ANSWER_S)
    loopback.plan("first key", *[faults] * 20)
    async with open_loopback(loopback):
        settings = DeepgramSettings(url=loopback.url, close_s=0.2)
        keys = {"deepgram": "first key", "deepgram:2": "second key"}
        providers = [
            DeepgramProvider(key=key, telemetry=RecordingTelemetry(), settings=settings, name=name)
            for name, key in keys.items()
        ]
        domain = DomainSettings(speech=IMPATIENT)
        async with open_world(settings=domain, recognisers=providers) as world:
            phone = await world.phone()
            server = await world.running_app(phone, subscriptions=["transcription:en-US"])
            await say(phone, SPEECH)
            ended = trio.current_time()
            with trio.move_on_after(15):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(say, phone, silence(15))
                    while len(final_words(server)) < len(SPOKEN):  # noqa: ASYNC110 - other tasks' work
                        await trio.sleep(0.05)
                    nursery.cancel_scope.cancel()
            latest_s = trio.current_time() - ended
            await say(phone, silence(1.0))
            outcomes[name] = Outcome(
                words=final_words(server),
                kinds=[fact["kind"] for fact in world.telemetry.of("speech_stream_failed")],
                told=[text for text in phone.texts() if "delayed" in text],
                switches=len(loopback.opened) - 1,
                utterances=len({result["utteranceId"] for result in results(server) if result["isFinal"]}),
                latest_s=latest_s,
            )


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}

    async def run() -> None:
        with trio.fail_after(90):
            async with trio.open_nursery() as nursery:
                for name, faults in FAULTS.items():
                    nursery.start_soon(functools.partial(speak, faults, found, name))

    trio.run(run)
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_words_over_real_sockets_are_those_of_a_run_without_faults(
    fault: str, outcomes: dict[str, Outcome]
) -> None:
    assert SPOKEN == outcomes["nothing"].words
    assert outcomes["nothing"].words == outcomes[fault].words


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("hang", "hang"),
        ("hang from the start", "hang"),
        ("1011", "network"),
        ("not audio", "protocol"),
        ("lost", "network"),
        ("garbage", "protocol"),
        ("quota in mid-stream", "quota"),
        ("too many streams", "rate"),
        ("key refused", "auth"),
        ("no credits", "quota"),
        ("refused for now", "rate"),
        ("slow drain", "lag"),
    ],
)
def test_each_fault_is_seen_for_what_it_is(fault: str, kind: str, outcomes: dict[str, Outcome]) -> None:
    assert kind == outcomes[fault].kinds[0]


def test_without_faults_nobody_is_replaced_and_nobody_is_told(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["nothing"]

    assert ([], [], 0) == (outcome.kinds, outcome.told, outcome.switches)
    assert 3 == outcome.utterances
