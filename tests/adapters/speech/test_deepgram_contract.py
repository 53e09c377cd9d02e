"""Deepgram's wire as its own SDK has it: our messages, parameters and loopback server beside its models.

The SDK's live client is threads or asyncio and is not used; its models are what its makers say the wire is.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import trio
from deepgram.listen.v1.types.listen_v1close_stream import ListenV1CloseStream
from deepgram.listen.v1.types.listen_v1error import ListenV1Error
from deepgram.listen.v1.types.listen_v1finalize import ListenV1Finalize
from deepgram.listen.v1.types.listen_v1keep_alive import ListenV1KeepAlive
from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
from deepgram.listen.v1.types.listen_v1results import ListenV1Results
from deepgram.listen.v1.types.listen_v1speech_started import ListenV1SpeechStarted
from deepgram.listen.v1.types.listen_v1utterance_end import ListenV1UtteranceEnd

from actors.ports import SpeechRequest
from adapters.speech import deepgram_messages as messages
from adapters.speech.settings import DeepgramSettings
from clients.coded_audio import sentence, silence
from clients.deepgram_loopback import Close, Faults, Loopback, open_loopback
from clients.network import open_stream
from clients.socket import DisconnectedError, Socket, hold

MODELS: dict[str, Any] = {
    "Results": ListenV1Results,
    "UtteranceEnd": ListenV1UtteranceEnd,
    "Metadata": ListenV1Metadata,
    "Error": ListenV1Error,
    "SpeechStarted": ListenV1SpeechStarted,
}
ENGLISH = SpeechRequest(language="en-US", user_id="ada@example.org", hints=("Ada",))
ANY = SpeechRequest(language="auto", user_id="ada@example.org", hints=("en-US", "Ada"))

# A final of Nova-2 as it was captured by a user on the wire (with some of its words left out).
CAPTURED = (
    b'{"type":"Results","channel_index":[0,1],"duration":4.7700005,"start":12.08,"is_final":true,'
    b'"speech_final":true,"channel":{"alternatives":[{"transcript":"This is the Oh, no.",'
    b'"confidence":0.8676758,"words":[{"word":"this","start":14.08,"end":14.4,"confidence":0.9482422,"punctuated_word":"This"},'
    b'{"word":"no","start":15.04,"end":15.2,"confidence":0.9951172,"punctuated_word":"no."}]}]},"metadata":'
    b'{"request_id":"01a03ac2-b34c-7433-9df5-62b0600b10bf","model_info":{"name":"2-phonecall-nova",'
    b'"version":"2024-02-07.20824","arch":"nova-2"},"model_uuid":"7e3b5bdf-85ed-4fd2-9f7a-7721bbcad97b"},'
    b'"from_finalize":false}'
)


async def all_said(url: str, request: SpeechRequest, *sent: str | bytes) -> list[str]:
    """Everything that comes until the server closes, when this is sent."""
    heard: list[str] = []
    address = messages.listen_url(request, DeepgramSettings(url=url))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            dial = functools.partial(hold, connect=open_stream, headers={"Authorization": "Token any"})
            socket: Socket = await nursery.start(dial, address)
            for message in sent:
                await socket.send(message)
            with contextlib.suppress(DisconnectedError):
                while True:
                    heard.append(str(await socket.receive()))
            nursery.cancel_scope.cancel()
    return heard


async def conversation(url: str, request: SpeechRequest = ENGLISH) -> list[str]:
    """Every message of a stream that hears two sentences, is asked to finalize a third, and is closed."""
    audio = sentence([1, 2], pause_s=1.5) + silence(6) + sentence([3], pause_s=0)
    chunks = [audio[begin : begin + 8000] for begin in range(0, len(audio), 8000)]
    return await all_said(
        url, request, *chunks, messages.KEEP_ALIVE, messages.FINALIZE, messages.CLOSE_STREAM
    )


def kind_of(message: str | bytes) -> str:
    kind: str = msgspec.json.decode(message)["type"]
    return kind


@pytest.mark.parametrize("request_", [ENGLISH, ANY])
async def test_all_that_the_loopback_server_says_is_deepgrams(request_: SpeechRequest) -> None:
    loopback = Loopback(("zero", "one", "two", "three"), interim_s=0.3)
    loopback.plan("any", Faults(), Faults(close_at_s=1.0, close=Close(1011), error="it failed"))
    async with open_loopback(loopback):
        said = await conversation(loopback.url, request_)
        said += await all_said(loopback.url, request_, silence(1.1))

    assert {"Results", "UtteranceEnd", "Metadata", "Error"} == {kind_of(message) for message in said}
    for message in said:
        fields = msgspec.json.decode(message)
        model = MODELS[fields["type"]].model_validate(fields)
        assert {} == (model.model_extra or {}), "a field that its makers do not know"
        assert fields == {**model.model_dump(exclude_unset=True, by_alias=True)}


@pytest.mark.parametrize("payload", [CAPTURED])
async def test_we_read_in_a_result_what_its_model_reads(payload: bytes) -> None:
    loopback = Loopback(("zero", "one", "two", "three"), interim_s=0.3)
    async with open_loopback(loopback):
        said = [message for message in await conversation(loopback.url) if kind_of(message) == "Results"]

    for message in [*(text.encode() for text in said), payload]:
        theirs = ListenV1Results.model_validate(msgspec.json.decode(message))
        ours = messages.decode(message)
        assert isinstance(ours, messages.Results)
        assert (theirs.start, theirs.duration) == (ours.start, ours.duration)
        assert (theirs.is_final, theirs.speech_final) == (ours.is_final, ours.speech_final)
        assert theirs.from_finalize == ours.from_finalize
        (their_words,) = theirs.channel.alternatives
        (our_words,) = ours.channel.alternatives
        assert (their_words.transcript, their_words.confidence) == (
            our_words.transcript,
            our_words.confidence,
        )
        assert [(word.start, word.end) for word in their_words.words] == [
            (word.start, word.end) for word in our_words.words
        ]


def test_we_understand_what_its_models_write() -> None:
    error = ListenV1Error(variant="SchemaError", description="not understood", message="{}")
    end = ListenV1UtteranceEnd(channel=[0, 1], last_word_end=3.1)
    started = ListenV1SpeechStarted(channel=[0], timestamp=9.5)

    decoded = messages.decode(_json(error))
    assert isinstance(decoded, messages.ErrorMessage)
    assert "SchemaError not understood {}" == decoded.text
    assert isinstance(messages.decode(_json(end)), messages.UtteranceEnd)
    assert messages.decode(_json(started)) is None, "nothing is done with it"


def test_our_control_messages_are_its_own() -> None:
    for text, model in (
        (messages.KEEP_ALIVE, ListenV1KeepAlive),
        (messages.FINALIZE, ListenV1Finalize),
        (messages.CLOSE_STREAM, ListenV1CloseStream),
    ):
        fields = msgspec.json.decode(text)
        assert fields == model.model_validate(fields).model_dump(exclude_unset=True)


@pytest.mark.parametrize("request_", [ENGLISH, ANY])
def test_our_parameters_are_its_own(request_: SpeechRequest) -> None:
    address = urlsplit(messages.listen_url(request_, DeepgramSettings()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of websockets, which its client uses
        from deepgram.listen.v1.client import V1Client
    known = inspect.signature(V1Client.connect).parameters

    assert "wss://api.deepgram.com/v1/listen" == f"{address.scheme}://{address.netloc}{address.path}"
    assert set() == {name for name, _ in parse_qsl(address.query)} - set(known)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"type":7}',
        b'{"type":"Results"}',
        b'{"type":"Results","start":"now","duration":1,"channel":{}}',
        b'{"type":"Results","start":0,"duration":1,"channel":{"alternatives":[{}]}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_of_its_is_said(payload: bytes) -> None:
    with pytest.raises(messages.ProtocolError):
        messages.decode(payload)


def test_a_message_of_a_kind_that_comes_later_harms_nobody() -> None:
    assert messages.decode(b'{"type":"Sentiment","value":[1,2]}') is None


def _json(model: Any) -> bytes:
    text: str = model.model_dump_json()
    return text.encode()
