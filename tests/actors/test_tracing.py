"""One utterance from the microphone to the lens, as spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.tracing import IDLE_S, MOST_OPEN, Result, Span, Tracer
from clients.coded_audio import sentence, silence
from tests.actors.world import CAPTIONS, AppServer, open_world
from tests.coded_speech import coded_speech, say


class Made:
    """A tracer, and what it made."""

    def __init__(self, share: float = 1.0, chances: Sequence[float] = ()) -> None:
        self.spans: list[Span] = []
        self._count = 0
        left = iter(chances)
        self.tracer = Tracer(
            self.spans.append, share=share, new_id=self._new_id, chance=lambda: next(left, 0.0)
        )

    def _new_id(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size)

    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def of(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def parent(self, span: Span) -> str:
        return next((one.name for one in self.spans if one.span_id == span.parent_id), "")


RESULT = Result(
    utterance_id="u1",
    user_id="ada@example.org",
    language="en-US",
    provider="one",
    is_final=False,
    spoken_from=10.0,
    spoken_to=11.0,
    given_from=10.2,
    given_to=11.1,
    arrived_at=11.3,
)


def test_an_utterance_is_one_trace_that_ends_when_nothing_is_added() -> None:
    made = Made()
    made.tracer.heard(RESULT, 11.3)
    mark = made.tracer.heard(replace(RESULT, is_final=True, spoken_to=12.0, arrived_at=12.4), 12.4)
    assert mark is not None
    told = made.tracer.passed(mark, "to app", 12.5, package="org.example.captions")
    made.tracer.close_idle(12.5 + IDLE_S - 0.01)
    assert "utterance" not in made.names()
    made.tracer.close_idle(12.5 + IDLE_S)
    made.tracer.close_idle(100.0)

    assert ["interim", "microphone", "to recogniser", "final", "to app", "utterance"] == made.names()
    [root], [final] = made.of("utterance"), made.of("final")
    assert (b"", 10.0, 12.5) == (root.parent_id, root.began_at, root.ended_at)
    assert {root.trace_id} == {span.trace_id for span in made.spans}
    assert (12.0, 12.4, "utterance") == (final.began_at, final.ended_at, made.parent(final))
    assert ("final", 12.5) == (made.parent(made.of("to app")[0]), told.at)
    assert {"user": "ada@example.org", "language": "en-US", "utterance": "u1"} == root.attributes


def test_an_utterance_is_chosen_once_and_by_its_share() -> None:
    made = Made(share=0.5, chances=[0.7, 0.2])

    first = made.tracer.heard(RESULT, 1.0)
    again = made.tracer.heard(replace(RESULT, is_final=True), 2.0)
    other = made.tracer.heard(replace(RESULT, utterance_id="u2"), 3.0)
    made.tracer.close_idle(100.0)

    assert (None, None) == (first, again)
    assert other is not None
    assert ["interim", "utterance"] == made.names()


def test_what_is_under_way_is_bounded() -> None:
    made = Made()
    for number in range(MOST_OPEN + 5):
        made.tracer.heard(replace(RESULT, utterance_id=f"u{number}"), 1.0)

    assert [f"u{number}" for number in range(5)] == [
        span.attributes["utterance"] for span in made.of("utterance")
    ]


def test_audio_that_is_not_kept_has_no_time_at_which_it_was_given() -> None:
    made = Made()
    made.tracer.heard(replace(RESULT, is_final=True, given_to=None), 12.0)

    assert ["microphone", "final"] == made.names()


@pytest.mark.parametrize("pause_s", [0.05, 5.0], ids=["at once", "too late"])
async def test_words_are_followed_to_the_lens(pause_s: float, autojump_clock: MockClock) -> None:
    made = Made()
    async with open_world(recognisers=[coded_speech("one")], tracer=made.tracer) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["transcription:en-US"])
        show_finals(server, pause_s)
        await say(phone, sentence(range(4)) + silence(0.5))
        await trio.sleep(20)
        made.tracer.close_idle(trio.current_time())

    [root], [final] = made.of("utterance"), made.of("final")
    [microphone], [given] = made.of("microphone"), made.of("to recogniser")
    assert 1.0 < microphone.ended_at - microphone.began_at < 2.0
    assert given.began_at >= microphone.began_at
    assert final.began_at == microphone.ended_at
    assert {"provider": "one"} == final.attributes
    followed = ["to app"] if pause_s > 2 else ["to app", "app", "arbitration", "lens"]
    step, names = final, []
    while later := [span for span in made.spans if span.parent_id == step.span_id]:
        [step] = later
        names.append(step.name)
    assert followed == names
    assert root.ended_at == step.ended_at
    if pause_s < 2:
        [app] = made.of("app")
        assert CAPTIONS == app.attributes["package"]
        assert pytest.approx(pause_s, abs=0.02) == app.ended_at - app.began_at
        assert {"outcome": "shown"} == made.of("arbitration")[-1].attributes


async def test_a_display_that_never_had_its_turn_is_said_to_be_replaced(autojump_clock: MockClock) -> None:
    made = Made()
    async with open_world(recognisers=[coded_speech("one")], tracer=made.tracer) as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["transcription:en-US"])
        show_finals(server, 0.0, also_interims=True)
        await say(phone, sentence(range(6), word_s=0.1) + silence(0.5), frame_s=0.02)
        await trio.sleep(5)

    outcomes = [span.attributes["outcome"] for span in made.of("arbitration")]
    assert {"shown", "replaced"} == set(outcomes)
    assert outcomes.count("shown") == len(made.of("lens"))


def show_finals(server: AppServer, pause_s: float, *, also_interims: bool = False) -> None:
    """The app shows each final, so long after it."""
    nursery = server.world.system.nursery

    async def show(text: str) -> None:
        await trio.sleep(pause_s)
        server.show(text)

    def note(message: Any) -> None:
        if message.is_text and b'"data_stream"' in message.payload:
            is_final = b'"isFinal":true' in message.payload
            if is_final or also_interims:
                nursery.start_soon(show, f"{len(message.payload)} {is_final}")

    server.connection.on_send = note
