"""Sound that apps want on the glasses: it reaches the phone, and every request is answered."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from actors.session.playing import MOST_PLAYS, PLAY_S
from actors.speaking import Speaking, SpeechTickets
from adapters.simulated.synthesis import ToneSynthesis
from protocols.error_codes import ErrorCode
from protocols.speech_url import speech_url, text_of
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World, open_world

SONG = "https://example.org/a.mp3"
PUBLIC = "https://glass.example.org"


def play(server: AppServer, request_id: str = "r1", url: str = SONG, **fields: object) -> None:
    request = {"type": "audio_play_request", "requestId": request_id, "audioUrl": url}
    server.connection.say({**request, **fields})


def asked(phone: FakeConnection) -> list[dict[str, Any]]:
    return phone.heard("audio_play_request")


def answered(server: AppServer) -> list[dict[str, Any]]:
    return server.connection.heard("audio_play_response")


async def test_a_sound_goes_to_the_phone_and_its_answer_to_the_app(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        other = await world.running_app(phone, "org.example.other")

        play(server, volume=0.5, trackId=1)
        await world.settle()
        (request,) = asked(phone)
        assert (SONG, 0.5, True, 1) == (
            request["audioUrl"],
            request["volume"],
            request["stopOtherAudio"],
            request["trackId"],
        )
        assert CAPTIONS == request["packageName"] == request["appId"]
        assert [] == answered(server)

        phone.say({"type": "audio_play_response", "requestId": "r1", "success": True, "duration": 1200})
        await world.settle()
        (answer,) = answered(server)
        assert ("r1", True, 1200) == (answer["requestId"], answer["success"], answer["duration"])
        assert [] == answered(other)

        phone.say({"type": "audio_play_response", "requestId": "r1", "success": False})
        await trio.sleep(120)
        assert 1 == len(answered(server)), "one answer each"


async def test_a_stop_goes_to_the_phone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say({"type": "audio_stop_request", "trackId": 2})
        await world.settle()

        (stop,) = phone.heard("audio_stop_request")
        assert (CAPTIONS, 2) == (stop["appId"], stop["trackId"])


async def test_a_request_is_answered_where_no_phone_can(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        play(server, "silent")
        await trio.sleep(PLAY_S + 1)
        play(server, "lost")
        await world.settle()
        phone.hang_up()
        await trio.sleep(1)
        play(server, "away")
        await world.settle()

        codes = {answer["requestId"]: (answer["success"], answer["code"]) for answer in answered(server)}
        assert dict.fromkeys(("silent", "lost", "away"), (False, ErrorCode.PHONE_AWAY)) == codes
        assert ["silent", "lost"] == [request["requestId"] for request in asked(phone)]


async def test_a_newer_phone_does_not_answer_for_the_one_before(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        play(server)
        await world.settle()
        await world.phone()
        await world.settle()

        assert [ErrorCode.PHONE_AWAY] == [answer["code"] for answer in answered(server)]


async def test_a_crash_of_the_session_forgets_no_request(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        play(server)
        await world.settle()
        world.find(f"users/{ADA}/session").crash(RuntimeError("in a test"))
        await trio.sleep(PLAY_S + 1)

        assert [ErrorCode.PHONE_AWAY] == [answer["code"] for answer in answered(server)]


async def test_two_of_an_id_and_too_many_are_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        for number in range(MOST_PLAYS):
            play(server, f"r{number}")
        play(server, "r1")
        await world.settle()
        play(server, "one more")
        await world.settle()

        codes = [(answer["requestId"], answer["code"]) for answer in answered(server)]
        assert [("r1", ErrorCode.INVALID_REQUEST), ("one more", ErrorCode.RATE_LIMITED)] == codes
        assert MOST_PLAYS == len(asked(phone))


def spoken(world: World) -> Speaking:
    assert world.speaking is not None
    return world.speaking


async def test_a_text_to_be_spoken_gets_a_ticket_for_its_wearer(autojump_clock: MockClock) -> None:
    speaking = Speaking(ToneSynthesis(), SpeechTickets(b"a key"))
    async with open_world(speaking=speaking) as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        # As the official SDK writes it: https, with a voice.
        play(server, url=f"{PUBLIC}/api/tts?text=It+is+ten%2C+Ada.&voice_id=x")
        await world.settle()

        (request,) = asked(phone)
        url = request["audioUrl"]
        text = text_of(url, (PUBLIC,))
        assert "It is ten, Ada." == text
        ticket = url.partition("&ticket=")[2]
        now = world.system.clock.wall()
        assert ADA == spoken(world).tickets.holder(ticket, text, now)


async def test_without_a_voice_a_text_is_refused_and_other_sounds_are_not(autojump_clock: MockClock) -> None:
    mute = ToneSynthesis()
    mute.is_ready = False
    for speaking in (None, Speaking(mute, SpeechTickets(b"a key"))):
        async with open_world(speaking=speaking) as world:
            phone = await world.phone()
            server = await world.running_app(phone)
            play(server, "text", speech_url("http://127.0.0.1:8002", "It is ten."))
            play(server, "song")
            await world.settle()

            assert [("text", ErrorCode.SPEECH_UNAVAILABLE)] == [
                (answer["requestId"], answer["code"]) for answer in answered(server)
            ]
            assert ["song"] == [request["requestId"] for request in asked(phone)]


async def test_an_address_elsewhere_gets_no_ticket(autojump_clock: MockClock) -> None:
    speaking = Speaking(ToneSynthesis(), SpeechTickets(b"a key"))
    async with open_world(speaking=speaking) as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        elsewhere = "https://evil.example/api/tts?text=hello"
        play(server, url=elsewhere)
        await world.settle()

        assert [elsewhere] == [request["audioUrl"] for request in asked(phone)]
