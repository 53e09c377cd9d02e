"""Offline speech recognition: PocketSphinx in worker processes, behind `actors.ports.SpeechProvider`.

A stream cuts its audio into utterances in the plain call that brings the audio (6 us a frame), and each
utterance is lent a worker as soon as it begins, so that recognition runs beside the speech and only the last
piece of it is left when the speech ends. All results come from the provider's tasks, never from inside
`offer`.

What a wearer may notice: with every worker lent an utterance waits, the stream says `Delayed`, and audio past
`keep_s` is dropped from its oldest end and reported. A worker that dies costs the time of its replay, and no
word.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import trio

from actors.ports import (
    AudioDropped,
    Delayed,
    Final,
    Interim,
    Recovered,
    SpeechError,
    SpeechEvent,
    SpeechProgress,
    SpeechRequest,
    Telemetry,
)

from .endpointing import (
    BYTES_A_SECOND,
    FRAME_S,
    SAMPLE_RATE_HZ,
    Began,
    Continued,
    Cut,
    Ended,
    UtteranceCutter,
    milliseconds,
)
from .pool import WorkerPool, WorkerView
from .settings import PocketSphinxSettings
from .utterance import Utterance

_NAME = "pocketsphinx"
_PROVIDER_START_S = 5.0
_CAUGHT_UP_BYTES = BYTES_A_SECOND // 2
_REPORTED_BYTES = BYTES_A_SECOND
"""Dropped audio is reported by the second, not by the frame."""


class PocketSphinxProvider:
    """Recognises English without a key or a network, in as many processes as there are cores.

    `run` has to run as long as the provider is used. Nothing of PocketSphinx is imported here before the
    first stream runs, so that a server without speech stays small.
    """

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        settings: PocketSphinxSettings | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        """Make the provider; starts nothing.

        Args:
          command: what a worker process is, instead of this package's own worker.
        """
        self._settings = settings or PocketSphinxSettings()
        self._telemetry = telemetry
        self._pool = WorkerPool(self._settings, telemetry, self._fail_streams, command)
        self._streams: dict[PocketSphinxStream, None] = {}
        self._has_started = trio.Event()
        self._has_ended = False

    @property
    def name(self) -> str:
        return _NAME

    def supports(self, language: str) -> bool:
        """The bundled model is American English; other English is recognised as such, worse."""
        return language.partition("-")[0].lower() in ("en", "auto")

    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> PocketSphinxStream:
        return PocketSphinxStream(self, request, emit)

    def workers(self) -> tuple[WorkerView, ...]:
        """What each worker is doing, for inspection."""
        return self._pool.views()

    async def run(self) -> None:
        """Keep the worker processes. Cancelled, it kills them and fails every stream that is still open."""
        self._has_started.set()
        try:
            await self._pool.run()
        finally:
            self._has_ended = True
            self._fail_streams("the provider has ended", kind="closed")

    def _fail_streams(self, cause: str, kind: str = "worker") -> None:
        for stream in self._streams:
            stream.fail(self.error(kind, cause))

    def error(self, kind: str, cause: str) -> SpeechError:
        return SpeechError(_NAME, kind, cause, retry_after_s=self._pool.retry_after_s)

    async def admit(self, stream: PocketSphinxStream) -> None:
        """A stream begins to run.

        Raises:
          SpeechError: the provider does not run, or cannot keep a worker alive.
        """
        with trio.move_on_after(_PROVIDER_START_S):
            await self._has_started.wait()
        if not self._has_started.is_set() or self._has_ended:
            raise self.error("closed", "the provider does not run")
        if self._pool.is_broken:
            raise self.error("worker", "no worker process can be kept alive")
        self._streams[stream] = None
        self._pool.want(len(self._streams))

    def dismiss(self, stream: PocketSphinxStream) -> None:
        self._streams.pop(stream, None)

    @property
    def settings(self) -> PocketSphinxSettings:
        return self._settings

    def lend(self, utterance: Utterance) -> None:
        self._telemetry.count("speech_utterances")
        self._pool.enqueue(utterance)


class PocketSphinxStream:
    """One microphone. Implements `SpeechStream`, and hears of its utterances as their owner."""

    def __init__(
        self, provider: PocketSphinxProvider, request: SpeechRequest, emit: Callable[[SpeechEvent], None]
    ) -> None:
        self.mean = ""
        self._provider = provider
        self._settings = provider.settings
        self._request = request
        self._receiver = emit
        self._keep_bytes = round(self._settings.keep_s * BYTES_A_SECOND)
        self._early = bytearray()  # audio offered before `run`
        self._cutter: UtteranceCutter | None = None
        self._is_closed = False
        self._utterances: deque[Utterance] = deque()  # the first is the provider's, the others wait for it
        self._waiting_since: float | None = None  # when the first one was left without a worker
        self._is_delayed = False
        self._dropped_bytes = 0  # not yet reported
        self._error: SpeechError | None = None
        self._progress = SpeechProgress()
        self._nudge = trio.Event()

    # SpeechStream

    @property
    def progress(self) -> SpeechProgress:
        """An utterance begins up to a window and a pre-roll before the audio by which it is noticed."""
        if self._cutter is None or self._is_closed:
            return self._progress
        position_ms = self._cutter.position_ms
        settings = self._settings
        if self._utterances:
            heard_ms, settled_ms = self._utterances[0].recognised_ms, self._utterances[0].start_ms
        else:
            notice_ms = round((settings.window_s + settings.pre_roll_s + 2 * FRAME_S) * 1000)
            heard_ms, settled_ms = position_ms, position_ms - notice_ms
        before = self._progress
        heard_ms = max(before.heard_ms, heard_ms)
        sent_ms = max(before.sent_ms, heard_ms, position_ms - milliseconds(self._waiting_bytes()))
        self._progress = SpeechProgress(sent_ms, heard_ms, max(before.settled_ms, settled_ms))
        return self._progress

    def offer(self, pcm: bytes) -> None:
        if self._is_closed:
            return
        if self._cutter is None:
            self._early += pcm
            excess = len(self._early) - self._keep_bytes
            if excess > 0:
                excess += excess % 2  # whole samples
                del self._early[:excess]
                self._dropped_bytes += excess
            return
        self._cut(self._cutter.feed(pcm))

    def finalize(self) -> None:
        if self._cutter is not None and not self._is_closed:
            self._cut(self._cutter.finish())

    async def run(self) -> None:
        try:
            if self._request.sample_rate_hz != SAMPLE_RATE_HZ:
                found = f"audio at {self._request.sample_rate_hz} Hz"
                raise self._provider.error("protocol", f"{found}; it can be {SAMPLE_RATE_HZ} Hz only")
            await self._provider.admit(self)
            self._start_cutting()
            while True:
                self._nudge = trio.Event()
                with trio.CancelScope(deadline=self._delayed_at()):
                    await self._nudge.wait()
                if self._error is not None:
                    raise self._error
                self._report_trouble()
        finally:
            self._close()

    # UtteranceOwner

    def lent(self, utterance: Utterance) -> None:
        self._waiting_since = None
        self._nudge.set()

    def lost(self, utterance: Utterance) -> None:
        self._wait_for_worker()

    def recognised(self, utterance: Utterance, text: str | None) -> None:
        if text:
            self._emit(Interim(text=text, start_ms=utterance.start_ms, end_ms=utterance.recognised_ms))
        self._report_recovery()

    def finished(self, utterance: Utterance, text: str, mean: str) -> None:
        self.mean = mean
        self._finish(utterance, text or utterance.text)
        self._report_recovery()

    def given_up(self, utterance: Utterance) -> None:
        self._finish(utterance, utterance.text)
        self._emit(AudioDropped(duration_ms=utterance.duration_ms))

    # Its own

    def fail(self, error: SpeechError) -> None:
        """Make `run` raise this."""
        self._error = self._error or error
        self._nudge.set()

    def _start_cutting(self) -> None:
        self._cutter = UtteranceCutter(self._settings)
        early, self._early = bytes(self._early), bytearray()
        self._cut(self._cutter.feed(early))

    def _cut(self, cuts: list[Cut]) -> None:
        for cut in cuts:
            match cut:
                case Began():
                    self._utterances.append(Utterance(self, cut))
                    if len(self._utterances) == 1:
                        self._ask_for_worker()
                case Continued(pcm):
                    self._utterances[-1].add(pcm)
                case Ended():
                    self._utterances[-1].end(cut)
        self._drop_old_audio()

    def _ask_for_worker(self) -> None:
        self._wait_for_worker()
        self._provider.lend(self._utterances[0])

    def _wait_for_worker(self) -> None:
        self._waiting_since = trio.current_time()
        self._nudge.set()

    def _finish(self, utterance: Utterance, text: str) -> None:
        """Only the first utterance is ever lent, so results come in the order of the speech."""
        assert utterance is self._utterances[0]
        self._utterances.popleft()
        if text:
            end_ms = utterance.recognised_ms if utterance.end_ms is None else utterance.end_ms
            self._emit(Final(text=text, start_ms=utterance.start_ms, end_ms=max(utterance.start_ms, end_ms)))
        self._waiting_since = None
        if self._utterances:
            self._ask_for_worker()

    def _waiting_bytes(self) -> int:
        return sum(utterance.waiting_bytes for utterance in self._utterances)

    def _drop_old_audio(self) -> None:
        if self._utterances and self._utterances[0].is_replayed:
            return  # it keeps up as soon as the replay is over, and nothing may be lost by a dead worker
        excess = self._waiting_bytes() - self._keep_bytes
        excess += excess % 2
        for utterance in self._utterances:
            if excess <= 0:
                break
            dropped = utterance.drop(excess)
            excess -= dropped
            self._dropped_bytes += dropped
        if self._dropped_bytes >= _REPORTED_BYTES:
            self._nudge.set()

    def _delayed_at(self) -> float:
        if self._is_delayed or self._waiting_since is None:
            return math.inf
        return self._waiting_since + self._settings.delayed_after_s

    def _report_trouble(self) -> None:
        if trio.current_time() >= self._delayed_at():
            self._delay("no worker is free")
        if self._dropped_bytes >= _REPORTED_BYTES:
            self._report_dropped()

    def _report_dropped(self) -> None:
        self._delay("recognition is slower than speech")
        dropped, self._dropped_bytes = self._dropped_bytes, 0
        self._emit(AudioDropped(duration_ms=milliseconds(dropped)))

    def _delay(self, reason: str) -> None:
        if not self._is_delayed:
            self._is_delayed = True
            self._emit(Delayed(reason))

    def _report_recovery(self) -> None:
        if self._waiting_since is not None or self._waiting_bytes() > _CAUGHT_UP_BYTES:
            return
        if self._dropped_bytes:
            self._report_dropped()
        if self._is_delayed:
            self._is_delayed = False
            self._emit(Recovered())

    def _emit(self, event: SpeechEvent) -> None:
        try:
            self._receiver(event)
        except Exception as error:  # a receiver's fault ends its own stream, not the worker's task
            failure = self._provider.error("closed", f"the receiver of its results raised {error!r}")
            failure.__cause__ = error
            self.fail(failure)

    def _close(self) -> None:
        self._is_closed = True
        self._provider.dismiss(self)
        for utterance in self._utterances:
            utterance.abandon()
        self._utterances.clear()
        self._early.clear()
