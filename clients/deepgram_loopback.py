"""A server that speaks Deepgram's live transcription protocol on this machine, faults included.

It recognises nothing: it hears the words of coded audio (`coded_audio`), or says a script by the time of the
audio. What it sends, when it sends it, and how it ends a connection are Deepgram's: interim results about
once a second, also empty ones in silence; `is_final` and `speech_final` by `endpointing`; `UtteranceEnd`;
`Finalize`, `CloseStream` and `KeepAlive`; no more than 10 s without a message. Each fault is one that its
users have met, and is planned for a connection to come (`Loopback.faults`).

`python -m clients.deepgram_loopback --port 9100` runs it; `deepgram.url = "ws://127.0.0.1:9100"` and any
`deepgram_api_key` make a Glasshouse use it.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

import click
import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)

from clients.coded_audio import BYTES_A_SECOND, CodedEar, SpokenWord

PATH: Final = "/v1/listen"
NET_0001: Final = (
    "Deepgram did not receive audio data or a text message within the timeout window. "
    "See https://dpgr.am/net0001"
)
_ROUNDING_S: Final = 0.001


class Close(msgspec.Struct, frozen=True):
    """A close frame: what Deepgram ends a stream with."""

    code: int
    reason: str = ""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one connection. Times are seconds of its audio.

    Attributes:
      refuse: the upgrade is answered with this status (401, 402, 429, 500).
      hang_at_s: from here on the server reads and says nothing.
      close_at_s, close: the connection ends here, by default as Deepgram's own failures do.
      error: what an Error message says before `close`; none is sent for an empty one.
      lose_at_s: the connection is lost here, without a close frame.
      garbage_at_s: a text frame that is no message comes here.
      speed: the server takes in no more than this many seconds of audio a second; below 1 its client's socket
        fills up. Deepgram's own limit is 1.25.
      delay_s: every message comes later by this.
    """

    refuse: int | None = None
    hang_at_s: float | None = None
    close_at_s: float | None = None
    close: Close = Close(1011, "NET-0000")
    error: str = ""
    lose_at_s: float | None = None
    garbage_at_s: float | None = None
    speed: float | None = None
    delay_s: float = 0.0


QUOTA: Final = Close(1008, "ASR_PAYMENT_REQUIRED: the project has no credits left")


class Opened(msgspec.Struct, kw_only=True):
    """One connection, as the server saw it.

    Attributes:
      parameters: of the URL; each may come more than once.
      texts: the control messages that came, by type, in order.
      closed: the client's close code; None while it is open or when it was lost.
    """

    key: str
    parameters: dict[str, list[str]]
    texts: list[str] = []
    audio_bytes: int = 0
    closed: int | None = None
    is_open: bool = True


class Ear(Protocol):
    """What hears the words."""

    @property
    def words(self) -> Sequence[SpokenWord]: ...
    @property
    def heard_s(self) -> float: ...
    @property
    def quiet_s(self) -> float: ...
    def hear(self, pcm: bytes) -> None: ...


class ScriptedEar:
    """Hears a sentence over and over, whatever the audio: a word every `word_s`, then a pause."""

    def __init__(self, word_count: int, *, word_s: float = 0.3, pause_s: float = 1.5) -> None:
        self.words: list[SpokenWord] = []
        self.heard_s = 0.0
        self._bytes = 0
        self._count = word_count
        self._word_s = word_s
        self._round_s = word_count * word_s + pause_s

    @property
    def quiet_s(self) -> float:
        return self.heard_s - self.words[-1].end_s if self.words else self.heard_s

    def hear(self, pcm: bytes) -> None:
        self._bytes += len(pcm)
        self.heard_s = self._bytes / BYTES_A_SECOND
        while True:
            rounds, number = divmod(len(self.words), self._count)
            start_s = rounds * self._round_s + number * self._word_s
            if start_s + self._word_s > self.heard_s:
                return
            self.words.append(SpokenWord(number, start_s, start_s + self._word_s))


class Loopback:
    """The server's state, for who planned its faults.

    Attributes:
      url: what `deepgram.url` has to be.
      faults: of the connections to come, by key, the next one first, then those of any key (`""`); without
        any all goes well.
      opened: every connection that was accepted or refused, in order.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        keys: frozenset[str] | None = None,
        is_scripted: bool = False,
        answer_s: float = 0.0,
        interim_s: float = 1.0,
        idle_s: float = 10.0,
    ) -> None:
        self.url = ""
        self.faults: dict[str, deque[Faults]] = {}
        self.opened: list[Opened] = []
        self.vocabulary = tuple(vocabulary)
        self.keys = keys
        self.is_scripted = is_scripted
        self.answer_s = answer_s
        self.interim_s = interim_s
        self.idle_s = idle_s
        self._streams: dict[trio.SocketStream, None] = {}

    def plan(self, key: str, *faults: Faults) -> None:
        """The next connections of `key` have these; of any key where it is empty."""
        self.faults.setdefault(key, deque()).extend(faults)

    async def break_all(self) -> None:
        """Lose every connection, without a close frame."""
        for stream in list(self._streams):
            await trio.aclose_forcefully(stream)

    def ear(self) -> Ear:
        return ScriptedEar(len(self.vocabulary)) if self.is_scripted else CodedEar()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection, whatever becomes of it."""
        self._streams[stream] = None
        try:
            async with trio.open_nursery() as nursery:
                # One message waits unread, so that a server that is slow fills its client's socket.
                request = await wrap_server_stream(nursery, stream, message_queue_size=1)
                await self._answer(request, stream)
                nursery.cancel_scope.cancel()
        except* (HandshakeError, ConnectionClosed, OSError):
            pass  # who dialled went away
        finally:
            del self._streams[stream]
            await trio.aclose_forcefully(stream)

    async def _answer(self, request: WebSocketRequest, stream: trio.SocketStream) -> None:
        headers = {name.lower(): value for name, value in request.headers}
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        target = urlsplit(request.path)
        parameters = parse_qs(target.query, keep_blank_values=True)
        opened = Opened(key=key, parameters=parameters)
        self.opened.append(opened)
        planned = self.faults.get(key) or self.faults.get("")
        faults = planned.popleft() if planned else Faults()
        refusal = _refusal(target.path, parameters)
        if scheme.lower() != "token" or (self.keys is not None and key not in self.keys):
            refusal = (401, "INVALID_AUTH", "Invalid credentials.")
        elif faults.refuse is not None:
            refusal = (faults.refuse, *_REFUSALS.get(faults.refuse, ("INTERNAL_SERVER_ERROR", "It failed.")))
        if refusal is not None:
            opened.is_open = False
            status, code, text = refusal
            body = {"err_code": code, "err_msg": text, "request_id": str(uuid.uuid4())}
            await request.reject(status, extra_headers=[(b"dg-error", text.encode())], body=_json(body))
            return
        socket = await request.accept()
        await _Connection(self, socket, stream, opened, faults).run()
        opened.is_open = False


_REFUSALS: Final = {
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits."),
    403: ("INSUFFICIENT_PERMISSIONS", "This key may not use the model."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
}


def _refusal(path: str, parameters: dict[str, list[str]]) -> tuple[int, str, str] | None:
    """What Deepgram would not take. It knows no more than what a client of ours may get wrong."""
    if path != PATH:
        return (404, "NOT_FOUND", f"There is nothing at {path}.")
    wanted = {"encoding": "linear16", "sample_rate": "16000", "interim_results": "true"}
    wrong = [name for name, value in wanted.items() if parameters.get(name) != [value]]
    if "model" not in parameters or "language" not in parameters:
        wrong.append("model, language")
    if "detect_language" in parameters:
        wrong.append("detect_language")
    return (400, "Bad Request", f"Not understood: {', '.join(wrong)}.") if wrong else None


class _Connection:
    """One stream of audio and what is said of it."""

    def __init__(
        self,
        loopback: Loopback,
        socket: WebSocketConnection,
        stream: trio.SocketStream,
        opened: Opened,
        faults: Faults,
    ) -> None:
        self._loopback = loopback
        self._socket = socket
        self._stream = stream
        self._opened = opened
        self._faults = faults
        self._ear = loopback.ear()
        self._endpointing_s = int(opened.parameters.get("endpointing", ["10"])[0]) / 1000
        gap = opened.parameters.get("utterance_end_ms")
        self._gap_s = int(gap[0]) / 1000 if gap else None
        self._start_s = 0.0  # of the span that is not final yet
        self._words = 0  # of the ear's words, those in final spans
        self._shown_s = 0.0
        self._is_spoken = False  # words since the last speech_final
        self._has_ended = True  # an UtteranceEnd was sent for the last word
        self._is_hanging = False
        self._ids = (str(uuid.uuid4()), str(uuid.uuid4()))
        self._outbox_in, self._outbox = trio.open_memory_channel[tuple[float, str | Close | None]](10_000)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all)
            try:
                await self._receive_all()
            except ConnectionClosed as error:
                self._opened.closed = None if error.reason is None else int(error.reason.code)
            nursery.cancel_scope.cancel()

    async def _receive_all(self) -> None:
        idle_s = self._loopback.idle_s
        with trio.CancelScope(deadline=trio.current_time() + idle_s) as waiting:
            while True:
                message = await self._socket.get_message()
                if isinstance(message, bytes) or self._opened.audio_bytes:  # KeepAlive alone keeps nothing
                    waiting.deadline = trio.current_time() + idle_s
                await self._take(message)
        if not self._is_hanging:
            self._end(Close(1011, NET_0001))
        await trio.sleep_forever()  # until the close is through

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._audio(message)
            if self._faults.speed is not None:
                await trio.sleep(len(message) / BYTES_A_SECOND / self._faults.speed)
        else:
            self._control(message)

    def _audio(self, pcm: bytes) -> None:
        self._opened.audio_bytes += len(pcm)
        before_s = self._ear.heard_s
        self._ear.hear(pcm)
        self._fail(before_s)
        if not self._is_hanging:
            self._hear()

    def _fail(self, before_s: float) -> None:
        """Have the faults that are due by now."""
        faults, now_s = self._faults, self._ear.heard_s
        if _is_due(faults.garbage_at_s, before_s, now_s):
            self._say_text('{"type":"Results","channel":\x00')
        if _is_due(faults.lose_at_s, before_s, now_s):
            self._is_hanging = True
            self._outbox_in.send_nowait((0.0, None))
        if _is_due(faults.close_at_s, before_s, now_s):
            if faults.error:
                error = {"type": "Error", "variant": "Error", "description": faults.error}
                self._say_text(_json(error).decode())
            self._end(faults.close)
        if _is_due(faults.hang_at_s, before_s, now_s):
            self._is_hanging = True

    def _control(self, payload: str) -> None:
        kind = msgspec.json.decode(payload, type=dict[str, Any])["type"]
        self._opened.texts.append(kind)
        if self._is_hanging:
            return
        if kind == "Finalize" and len(self._ear.words) > self._words:
            self._result(is_final=True, from_finalize=True)
        elif kind == "CloseStream":
            if len(self._ear.words) > self._words:
                self._result(is_final=True, from_finalize=True)
            self._end(Close(1000))

    def _hear(self) -> None:
        """Say what this moment of the audio brings."""
        ear = self._ear
        new_words = len(ear.words) > self._words
        has_paused = ear.quiet_s >= self._endpointing_s - _ROUNDING_S
        if has_paused and (new_words or self._is_spoken):
            self._result(is_final=True, speech_final=True)
        elif ear.heard_s - self._start_s >= 5.0 and not (new_words and ear.quiet_s < 0.05):
            self._result(is_final=True)
        elif ear.heard_s - self._shown_s >= self._loopback.interim_s - _ROUNDING_S:
            self._result(is_final=False)
        if self._gap_s is not None and not self._has_ended and ear.quiet_s >= self._gap_s:
            self._has_ended = True
            last_s = round(ear.words[-1].end_s, 3)
            self._say({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_s})

    def _result(self, *, is_final: bool, speech_final: bool = False, from_finalize: bool = False) -> None:
        ear, loopback = self._ear, self._loopback
        words = ear.words[self._words :]
        said = [loopback.vocabulary[heard.number % len(loopback.vocabulary)] for heard in words]
        confidence = 0.99 if words else 0.0
        alternative: dict[str, object] = {
            "transcript": " ".join(said),
            "confidence": confidence,
            "words": [
                {
                    "word": text.lower(),
                    "start": round(heard.start_s, 3),
                    "end": round(heard.end_s, 3),
                    "confidence": confidence,
                    "punctuated_word": text,
                }
                for text, heard in zip(said, words, strict=True)
            ],
        }
        if self._opened.parameters["language"] == ["multi"]:
            alternative["languages"] = ["en"] if words else []
        self._say(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": round(ear.heard_s - self._start_s, 3),
                "start": round(self._start_s, 3),
                "is_final": is_final,
                "speech_final": speech_final,
                "channel": {"alternatives": [alternative]},
                "metadata": {
                    "request_id": self._ids[0],
                    "model_info": {"name": "loopback", "version": "1", "arch": "loopback"},
                    "model_uuid": self._ids[1],
                },
                "from_finalize": from_finalize,
            }
        )
        self._shown_s = ear.heard_s
        if words:
            self._is_spoken, self._has_ended = True, False
        if is_final:
            self._start_s, self._words = ear.heard_s, len(ear.words)
        if speech_final or from_finalize:
            self._is_spoken = False

    def _end(self, close: Close) -> None:
        self._is_hanging = True
        self._say(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self._ids[0],
                "sha256": "incomplete",
                "created": "2026-01-01T00:00:00.000Z",
                "duration": round(self._ear.heard_s, 3),
                "channels": 1,
            }
        )
        self._outbox_in.send_nowait((self._due(), close))

    def _say(self, message: dict[str, object]) -> None:
        self._say_text(_json(message).decode())

    def _say_text(self, text: str) -> None:
        self._outbox_in.send_nowait((self._due(), text))

    def _due(self) -> float:
        return trio.current_time() + self._loopback.answer_s + self._faults.delay_s

    async def _send_all(self) -> None:
        async for due, item in self._outbox:
            await trio.sleep_until(due)
            try:
                if item is None:
                    await trio.aclose_forcefully(self._stream)
                elif isinstance(item, Close):
                    await self._socket.aclose(item.code, item.reason or None)
                else:
                    await self._socket.send_message(item)
            except ConnectionClosed:
                return


def _is_due(at_s: float | None, before_s: float, now_s: float) -> bool:
    return at_s is not None and before_s < at_s <= now_s


def _json(message: dict[str, Any]) -> bytes:
    return msgspec.json.encode(message)


@asynccontextmanager
async def open_loopback(
    loopback: Loopback, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Loopback]:
    """Serve inside the block; `loopback.url` is known there. Connections end with it."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(port, host=host)
        loopback.url = f"ws://{host}:{listeners[0].socket.getsockname()[1]}"
        nursery.start_soon(trio.serve_listeners, loopback.serve, listeners)
        yield loopback
        nursery.cancel_scope.cancel()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9100, show_default=True)
@click.option(
    "--script",
    default="he might even have been amiable",
    show_default=True,
    help="What is said, over and over.",
)
@click.option(
    "--coded", is_flag=True, help="Hear coded audio, whose words are those of the script by number."
)
@click.option("--answer-s", default=0.3, show_default=True, help="How long an answer takes.")
@click.option("--hang-at-s", type=float, help="The first stream says nothing from here on.")
@click.option("--close-at-s", type=float, help="The first stream ends here with 1011.")
def main(
    host: str,
    port: int,
    script: str,
    answer_s: float,
    hang_at_s: float | None,
    close_at_s: float | None,
    *,
    coded: bool,
) -> None:
    """Speak Deepgram's live transcription protocol on this machine."""
    loopback = Loopback(script.split(), is_scripted=not coded, answer_s=answer_s)
    first = Faults(hang_at_s=hang_at_s, close_at_s=close_at_s)

    async def run() -> None:
        async with open_loopback(loopback, host=host, port=port):
            click.echo(f"listening on {loopback.url}")
            await trio.sleep_forever()

    loopback.plan("", first)
    trio.run(run)


if __name__ == "__main__":
    main()
