"""The microphone's way to apps and recognisers, and the recognisers' words on their way back."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from actors.ports import AudioDropped, Delayed, Final, Interim, Recovered, SpeechError
from tests.actors.world import ADA, open_world

FRAME = bytes(range(256)) * 12 + b"\0" * 128


async def test_frames_reach_the_app_byte_for_byte_and_one_for_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        frames = [FRAME, b"\1", FRAME[:101], b"\0" * 3200]

        for frame in frames:
            phone.stream(frame)

        assert frames == server.connection.frames(), "without waiting for anybody"


async def test_an_empty_frame_is_not_passed_on(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.stream(b"")

        assert [] == server.connection.frames()


async def test_frames_reach_no_app_that_did_not_ask_for_them(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone, subscriptions=["button_press"])

        phone.stream(FRAME)

        assert [] == server.connection.frames()


async def test_a_stream_is_opened_when_wanted_and_closed_after_the_last(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        assert [] == world.speech.streams
        server = await world.running_app(phone)
        (stream,) = world.speech.running()
        assert "en-US" == stream.request.language

        server.subscribe("button_press")
        await trio.sleep(4)
        assert [stream] == world.speech.running(), "it lingers: the SDK's empty list is not the end"
        await trio.sleep(2)

        assert [] == world.speech.running()
        assert world.system.find(f"/glasshouse/users/{ADA}/speech/en-US") is None


async def test_the_empty_list_after_an_ack_closes_no_stream(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        server.connection.say({"type": "subscription_update", "subscriptions": []})
        await trio.sleep(0.5)
        server.subscribe()
        await trio.sleep(10)

        assert 1 == len(world.speech.streams)
        assert [stream.request.language for stream in world.speech.running()] == ["en-US"]


async def test_the_recogniser_hears_what_the_microphone_sends(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)

        phone.stream(FRAME)
        phone.stream(FRAME[:33])

        assert FRAME + FRAME[:32] == world.speech.streams[0].offered, "whole samples"


async def test_interims_and_their_final_share_an_utterance(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        emit = world.speech.streams[0].emit

        emit(Interim(text="he might", start_ms=100, end_ms=400))
        emit(Interim(text="he might even", start_ms=100, end_ms=600))
        emit(Final(text="he might even have", start_ms=100, end_ms=900))
        emit(Interim(text="next", start_ms=1500, end_ms=1600))
        await world.settle()

        events = server.connection.heard("data_stream")
        assert ["transcription:en-US"] * 4 == [event["streamType"] for event in events]
        data = [event["data"] for event in events]
        assert ["he might", "he might even", "he might even have", "next"] == [each["text"] for each in data]
        assert [False, False, True, False] == [each["isFinal"] for each in data]
        assert 1 == len({each["utteranceId"] for each in data[:3]})
        assert data[3]["utteranceId"] != data[2]["utteranceId"]
        assert all(each["type"] == "transcription" for each in data)
        assert all(each["transcribeLanguage"] == "en-US" for each in data)
        assert 500 == data[2]["endTime"] - data[0]["endTime"]


async def test_every_string_of_a_language_gets_its_own_copy(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        wanted = ["transcription", "transcription:en-US", "transcription:en-US?hints=Ada", "all"]
        server = await world.running_app(phone, subscriptions=wanted)

        world.speech.streams[0].emit(Final(text="hello", start_ms=0, end_ms=10))
        await world.settle()

        assert wanted == [event["streamType"] for event in server.connection.heard("data_stream")]
        assert 1 == len(world.speech.streams), "one recogniser a language"


async def test_two_apps_share_one_recogniser(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        one = await world.running_app(phone, "org.example.one")
        two = await world.running_app(phone, "org.example.two")

        world.speech.streams[0].emit(Final(text="hello", start_ms=0, end_ms=10))
        await world.settle()

        assert 1 == len(world.speech.streams)
        for server in (one, two):
            assert ["hello"] == [event["data"]["text"] for event in server.connection.heard("data_stream")]


async def test_silence_by_the_phones_detector_asks_for_the_final(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.say({"type": "VAD", "status": "false"})
        await world.settle()
        phone.stream(FRAME)

        assert 1 == world.speech.streams[0].finalized
        assert [FRAME] == server.connection.frames(), "the relay is not gated (protocol.md 13.7)"


async def test_a_failed_provider_is_opened_again_and_the_wearer_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        world.speech.streams[0].fail(SpeechError("puppet", "network", "reset", retry_after_s=0))
        await trio.sleep(1)
        phone.stream(FRAME)
        world.speech.streams[-1].emit(Final(text="back again", start_ms=0, end_ms=10))
        await world.settle()

        assert "Captions delayed" in phone.texts()
        assert 2 == len(world.speech.streams)
        assert FRAME == world.speech.streams[1].offered
        assert "back again" == server.connection.heard("data_stream")[-1]["data"]["text"]
        assert phone.is_open
        assert server.connection.is_open


async def test_no_free_recogniser_is_told_on_the_lens_within_100_ms_and_once(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        server.show("captions so far")
        await trio.sleep(0.35)
        server.show("just shown")
        await world.settle()
        emit = world.speech.streams[0].emit

        emit(Delayed("all workers are lent"))
        emit(Delayed("all workers are lent"))
        emit(AudioDropped(1200))
        await trio.sleep(0.1)

        assert ["Captions delayed"] == [text for text in phone.texts() if "delayed" in text]
        assert 1200 == world.telemetry.of("speech_audio_dropped")[0]["duration_ms"]
        emit(Recovered())
        emit(Delayed("again"))
        await world.settle()
        assert 2 == sum("delayed" in text for text in phone.texts())


async def test_first_caption_after_a_delay_replaces_the_notice(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        emit = world.speech.streams[0].emit
        await trio.sleep(2)
        emit(Delayed("all workers are lent"))
        await trio.sleep(0.5)

        emit(Interim(text="here again", start_ms=0, end_ms=10))
        server.show("here again")
        await world.settle()

        assert ["Captions delayed", "here again"] == phone.texts()[-2:]


async def test_stray_audio_is_told_off_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await trio.sleep(10)
        told = len(phone.heard("microphone_state_change"))

        for _ in range(80):
            phone.stream(FRAME)
            await trio.sleep(0.1)

        assert told + 2 == len(phone.heard("microphone_state_change"))


async def test_a_recogniser_that_cannot_take_a_frame_harms_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        def refuse(pcm: bytes) -> None:
            raise RuntimeError("no")

        world.speech.streams[0].offer = refuse  # type: ignore[method-assign]
        phone.stream(FRAME)
        await trio.sleep(0.5)
        phone.stream(FRAME)

        assert [FRAME, FRAME] == server.connection.frames()
        assert FRAME + FRAME == world.speech.streams[1].offered, "the next one hears it again"


async def test_a_language_wanted_in_the_moment_its_stream_ends_has_a_stream(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        for number in range(20):
            server.subscribe("button_press")
            await trio.sleep(5 - 0.001 * (number % 3) + 0.001 * (number % 2))

            server.subscribe()
            await trio.sleep(0.5)

            assert ["en-US"] == [stream.request.language for stream in world.speech.running()]
            assert 0 == world.system.tree(world.find(f"users/{ADA}/session")).restarts


async def test_a_language_nobody_recognises_is_told_and_harms_nobody(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()

        wanted = ["transcription:de-DE", "transcription:en-US", "translation:en-US-to-de-DE"]
        server = await world.running_app(phone, subscriptions=wanted)

        error, untranslated = server.connection.heard("tpa_connection_error")
        assert ("LANGUAGE_NOT_SUPPORTED", "provider") == (error["code"], error["hop"])
        assert "no recogniser of this server serves transcription:de-DE" == error["message"]
        assert "LANGUAGE_NOT_SUPPORTED" == untranslated["code"]
        assert (
            "this server has no translator, which translation:en-US-to-de-DE needs" == untranslated["message"]
        )
        assert server.connection.is_open
        assert "de-DE" == world.telemetry.of("speech_language_unknown")[0]["language"]
        assert ["en-US"] == [stream.request.language for stream in world.speech.running()]
