"""GET /api/tts: speaks what the server itself passed on, and nothing else."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

import msgspec
import pytest
import trio
from quart import Response
from quart.testing import QuartClient

from actors.speaking import LASTS_S, Speaking, SpeechTickets
from actors.synthesis_ports import SynthesisError
from adapters.http.application import create_application
from adapters.http.speech_routes import MOST_AT_ONCE, speech_routes
from adapters.simulated.synthesis import ToneSynthesis
from adapters.simulated.telemetry import RecordingTelemetry
from protocols.error_codes import ErrorCode
from protocols.speech_url import speech_url

ADA = "ada@example.org"
TEXT = "It is ten, Ada."


class Site:
    """The route, with a synthesiser that waits where it is told to."""

    def __init__(self, *, speaks: bool = True) -> None:
        self.synthesis = ToneSynthesis()
        self.tickets = SpeechTickets(b"a key")
        self.now = 1_700_000_000.0
        self.telemetry = RecordingTelemetry()
        speaking = Speaking(self.synthesis, self.tickets) if speaks else None
        routes = speech_routes(speaking=speaking, telemetry=self.telemetry, wall=lambda: self.now)
        self.application = create_application(self.telemetry, dict, (routes,), wall=lambda: self.now)

    async def get(self, url: str) -> Response:
        client = cast(QuartClient, self.application.test_client())
        return await client.open(url, method="GET")

    async def speak(self, text: str = TEXT, *, user: str = ADA) -> Response:
        return await self.get(speech_url("", text, self.tickets.ticket(user, text, self.now)))


async def code_of(answer: Response) -> str:
    code: str = msgspec.json.decode(await answer.get_data(as_text=False))["code"]
    return code


async def test_a_text_with_its_ticket_is_spoken() -> None:
    site = Site()

    answer = await site.speak()

    assert (200, "audio/wav") == (answer.status_code, answer.content_type)
    assert "private, no-store" == answer.headers["Cache-Control"]
    with wave.open(io.BytesIO(await answer.get_data(as_text=False))) as wav:
        assert wav.getnframes() > 0
    assert [TEXT] == site.synthesis.said


@pytest.mark.parametrize("query", ["", "?text=hello", "?text=hello&ticket=", "?ticket=x.1.y&text=hello"])
async def test_who_has_no_ticket_is_told_nothing(query: str) -> None:
    site = Site()

    answer = await site.get(f"/api/tts{query}&userId={ADA}" if query else "/api/tts")

    assert (401, ErrorCode.INVALID_TOKEN) == (answer.status_code, await code_of(answer))
    assert [] == site.synthesis.said


async def test_a_ticket_is_for_no_other_text_and_no_other_time() -> None:
    site = Site()
    ticket = site.tickets.ticket(ADA, TEXT, site.now)

    assert 401 == (await site.get(speech_url("", "something else", ticket))).status_code
    site.now += LASTS_S + 1
    assert 401 == (await site.get(speech_url("", TEXT, ticket))).status_code
    assert [] == site.synthesis.said


async def test_the_ticket_is_in_no_log_line() -> None:
    site = Site()
    ticket = site.tickets.ticket(ADA, TEXT, site.now)
    await site.get(f"/api/tts?text={quote('other')}&ticket={ticket}")

    said = repr(site.telemetry.of("speech_refused"))
    assert ticket not in said
    assert "other" not in said


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("missing", 503, ErrorCode.SPEECH_UNAVAILABLE),
        ("busy", 503, ErrorCode.SPEECH_UNAVAILABLE),
        ("timeout", 503, ErrorCode.SPEECH_UNAVAILABLE),
        ("failed", 503, ErrorCode.SPEECH_UNAVAILABLE),
        ("too_long", 400, ErrorCode.INVALID_REQUEST),
    ],
)
async def test_what_goes_wrong_is_said(kind: str, status: int, code: ErrorCode) -> None:
    site = Site()
    site.synthesis.failure = SynthesisError(kind, "why", retry_after_s=2.0)  # type: ignore[arg-type]

    answer = await site.speak()

    assert (status, code) == (answer.status_code, await code_of(answer))
    assert ("2" if kind == "busy" else None) == answer.headers.get("Retry-After")


async def test_a_server_that_does_not_speak_says_so() -> None:
    answer = await Site(speaks=False).get("/api/tts?text=hello")

    assert (503, ErrorCode.SPEECH_UNAVAILABLE) == (answer.status_code, await code_of(answer))


async def test_an_empty_text_is_no_text() -> None:
    assert 400 == (await Site().speak(" ")).status_code


@asynccontextmanager
async def held(site: Site) -> AsyncIterator[trio.Event]:
    """Whatever is spoken waits for the event."""
    go_on, speak = trio.Event(), site.synthesis.speak

    async def speak_later(text: str) -> bytes:
        await go_on.wait()
        return await speak(text)

    site.synthesis.speak = speak_later  # type: ignore[method-assign]
    yield go_on
    go_on.set()


async def test_nobody_has_everything_spoken_at_once() -> None:
    site = Site()
    statuses: list[int] = []

    async def speak(user: str = ADA) -> None:
        statuses.append((await site.speak(user=user)).status_code)

    async with trio.open_nursery() as nursery, held(site) as go_on:
        for _ in range(MOST_AT_ONCE):
            nursery.start_soon(speak)
        await trio.testing.wait_all_tasks_blocked()
        await speak()
        assert [429] == statuses
        nursery.start_soon(speak, "bob@example.org")
        await trio.testing.wait_all_tasks_blocked()
        go_on.set()

    assert [200] * (MOST_AT_ONCE + 1) == statuses[1:]
    assert 200 == (await site.speak()).status_code
