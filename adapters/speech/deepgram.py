"""Deepgram's live transcription over a WebSocket: the recogniser for production.

A provider is one key; several keys are several providers, so that what happens to one (its quota, its limit
of streams) says nothing about the other. A stream is one connection and lives as long as `run`: a lost one
raises, and who opened the stream opens the next and has the audio for it (`actors/speech`).

What is offered is queued by reference and sent by one task, several frames at once when it has fallen behind.
Deepgram keeps a silent connection for KeepAlive messages only once it has had audio, so every stream begins
with a moment of silence, which its times do not count.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from typing import Final as Constant

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.latency import Spread
from actors.ports import SpeechError, SpeechEvent, SpeechProgress, SpeechRequest, Telemetry

from .deepgram_failures import closed, refused, reported
from .deepgram_messages import (
    CLOSE_STREAM,
    FINALIZE,
    KEEP_ALIVE,
    ErrorMessage,
    ProtocolError,
    Results,
    Transcript,
    UtteranceEnd,
    decode,
    hears,
    listen_url,
)
from .deepgram_socket import NotConnected, Refused, converse
from .settings import DeepgramSettings

LEAD_MS: Constant = 20
_MOST_FRAME_MS: Constant = 250  # Deepgram advises 20 to 250 ms a message
_SAMPLE_BYTES: Constant = 2
_SPEECH_IS_OVER: Constant = b""


class DeepgramProvider:
    """`actors.ports.SpeechProvider` with one of Deepgram's keys.

    Args:
      key: its API key; shown nowhere.
      name: unique among the providers, for instance `deepgram:2`.
    """

    def __init__(
        self, *, key: str, telemetry: Telemetry, settings: DeepgramSettings, name: str = "deepgram"
    ) -> None:
        self._key = key
        self._name = name
        self._telemetry = telemetry
        self._settings = settings
        self._tls: ssl.SSLContext | None = None  # made once: reading the authorities takes 20 ms

    @property
    def name(self) -> str:
        return self._name

    def supports(self, language: str) -> bool:
        return hears(language)

    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> DeepgramStream:
        return DeepgramStream(self, request, emit)

    @property
    def settings(self) -> DeepgramSettings:
        return self._settings

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"authorization", b"Token " + self._key.encode())]

    @property
    def tls(self) -> ssl.SSLContext | None:
        """None for an address without TLS."""
        if self._tls is None and self._settings.url.startswith("wss:"):
            self._tls = ssl.create_default_context()
        return self._tls

    def note(self, event: str, **fields: object) -> None:
        """Log a fact about one of its streams."""
        self._telemetry.warning(event, provider=self._name, **fields)


class DeepgramStream:
    """One microphone's connection. Implements `SpeechStream`."""

    def __init__(
        self, provider: DeepgramProvider, request: SpeechRequest, emit: Callable[[SpeechEvent], None]
    ) -> None:
        self._provider = provider
        self._settings = provider.settings
        self._request = request
        self._receiver = emit
        self._bytes_a_second = request.sample_rate_hz * _SAMPLE_BYTES
        self._keep_bytes = round(self._settings.keep_s * self._bytes_a_second)
        self._delays = Spread()
        self._waits: deque[tuple[int, float]] = deque()  # what is not sent yet: its end, when it was offered
        self._offered_bytes = 0
        self._queue: deque[bytes] = deque()  # an empty one is where speech was over
        self._queued_bytes = 0
        self._sent_bytes = 0
        self._is_closed = False
        self._error: SpeechError | None = None
        self._changed = trio.Event()
        self._scope = trio.CancelScope()
        self._transcript = Transcript(
            lead_ms=LEAD_MS,
            longest_ms=round(self._settings.longest_utterance_s * 1000),
            pause_ms=request.pause_ms,
        )

    # SpeechStream

    def offer(self, pcm: bytes) -> None:
        if not pcm or self._is_closed or self._error is not None:
            return
        if self._queued_bytes + len(pcm) > self._keep_bytes:
            self._fail(self._failure("network", f"more than {self._settings.keep_s:g} s of audio wait"))
            return
        self._queue.append(pcm)
        self._queued_bytes += len(pcm)
        self._offered_bytes += len(pcm)
        self._waits.append((self._offered_bytes, trio.current_time()))
        self._changed.set()

    def finalize(self) -> None:
        if not self._is_closed:
            self._queue.append(_SPEECH_IS_OVER)
            self._changed.set()

    @property
    def progress(self) -> SpeechProgress:
        heard_ms, settled_ms = self._transcript.heard_ms, self._transcript.settled_ms
        sent_ms = self._sent_bytes * 1000 // self._bytes_a_second
        send_ms = self._delays.quantile_ms(0.99, trio.current_time())
        return SpeechProgress(max(sent_ms, heard_ms), heard_ms, min(settled_ms, heard_ms), send_ms)

    async def run(self) -> None:
        try:
            with self._scope:
                await self._connect()
            if self._error is not None:
                raise self._error
        finally:
            self._is_closed = True
            self._queue.clear()
            self._waits.clear()
            self._queued_bytes = 0

    # Its own

    async def _connect(self) -> None:
        provider = self._provider
        try:
            await converse(
                listen_url(self._request, self._settings),
                self._talk,
                headers=provider.headers,
                tls=provider.tls,
                connect_s=self._settings.connect_s,
            )
        except Refused as error:
            self._fail(refused(provider.name, error.status, error.headers, error.body))
        except NotConnected as error:
            self._fail(self._failure("network", str(error)))

    async def _talk(self, socket: WebSocketConnection) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_all, socket)
                await self._receive_all(socket)
                nursery.cancel_scope.cancel()
        finally:
            await self._close(socket)

    async def _send_all(self, socket: WebSocketConnection) -> None:
        """Send what is offered, in order, until the connection ends."""
        try:
            await socket.send_message(bytes(LEAD_MS * self._bytes_a_second // 1000))
            while True:
                while self._queue:
                    frame = self._take()
                    if frame or not self._pause():
                        await socket.send_message(frame or FINALIZE)
                        self._count_sent(len(frame))
                self._changed = trio.Event()
                with trio.move_on_after(self._settings.keep_alive_s) as waiting:
                    await self._changed.wait()
                if waiting.cancelled_caught:
                    await socket.send_message(KEEP_ALIVE)
        except ConnectionClosed:
            pass  # who receives hears why

    def _count_sent(self, size: int) -> None:
        self._sent_bytes += size
        now = trio.current_time()
        while self._waits and self._waits[0][0] <= self._sent_bytes:
            _, offered_at = self._waits.popleft()
            self._delays.add((now - offered_at) * 1000, now)

    def _pause(self) -> bool:
        """Speech is over: say the final if all words are firm. Otherwise Deepgram is to be asked for them."""
        finals = self._transcript.pause(self._sent_bytes * 1000 // self._bytes_a_second)
        self._emit(finals)
        return bool(finals)

    def _take(self) -> bytes:
        """The next message's audio: all that waits, up to `_MOST_FRAME_MS` or where speech was over."""
        most_bytes = _MOST_FRAME_MS * self._bytes_a_second // 1000
        frame = self._queue.popleft()
        if frame and self._queue and len(frame) < most_bytes:
            parts = [frame]
            total = len(frame)
            while self._queue and self._queue[0] and total + len(self._queue[0]) <= most_bytes:
                parts.append(self._queue.popleft())
                total += len(parts[-1])
            frame = b"".join(parts)
        self._queued_bytes -= len(frame)
        return frame

    async def _receive_all(self, socket: WebSocketConnection) -> None:
        try:
            while True:
                self._hear(await socket.get_message())
        except ConnectionClosed as error:
            self._fail(closed(self._provider.name, error.reason))

    def _hear(self, payload: str | bytes) -> None:
        try:
            message = decode(payload)
        except ProtocolError as error:
            self._fail(self._failure("protocol", str(error)))
            return
        match message:
            case Results():
                self._emit(self._transcript.results(message))
            case UtteranceEnd():
                self._emit(self._transcript.utterance_end())
            case ErrorMessage():
                self._provider.note("deepgram_error", user=self._request.user_id, cause=message.text[:200])
                self._fail(reported(self._provider.name, message.text))

    def _emit(self, events: list[SpeechEvent]) -> None:
        for event in events:
            if self._error is not None:
                return
            try:
                self._receiver(event)
            except Exception as error:  # a receiver's fault ends its own stream
                failure = self._failure("closed", f"the receiver of its results raised {error!r}")
                failure.__cause__ = error
                self._fail(failure)

    async def _close(self, socket: WebSocketConnection) -> None:
        """End it in order: Deepgram sends what is left and a summary, which nobody waits for, and closes."""
        if socket.closed is not None:
            return
        with trio.move_on_after(self._settings.close_s, shield=True):
            try:
                await socket.send_message(CLOSE_STREAM)
                await socket.aclose()
            except ConnectionClosed:
                pass  # it was quicker

    def _failure(self, kind: str, cause: str) -> SpeechError:
        return SpeechError(self._provider.name, kind, cause)

    def _fail(self, error: SpeechError) -> None:
        """Make `run` raise this; the first one counts."""
        if self._error is None:
            self._error = error
            self._scope.cancel()
