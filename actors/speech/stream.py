"""A transcription stream: one language of one session's microphone, to every app that wants it.

The provider's stream is made here and put into the inlet that the audio router feeds; its results come back
as messages. A provider that fails is opened again after a back-off and never closes anybody's socket. With
nobody subscribed the stream lingers, because the SDK sends an empty list after every ack (protocol.md 4.8),
then ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocols import timestamps, to_app, transcription
from protocols.session_ids import app_session_id
from runtime import Actor, Recipient, Ref, RestartInfo, StopReason

from ..apps.messages import Deliver
from ..audio.routing import SpeechInlet
from ..display.messages import DisplayMessage, EndNotice, ShowNotice
from ..neighbours import NeighbourBack
from ..ports import (
    AudioDropped,
    Delayed,
    Final,
    Interim,
    Outgoing,
    Recovered,
    SpeechError,
    SpeechEvent,
    SpeechProvider,
    SpeechRequest,
    Telemetry,
)
from .messages import (
    LingerOver,
    ProviderEnded,
    ProviderFailed,
    Reopen,
    SetSubscribers,
    SpeechArrived,
    SpeechMessage,
    Subscriber,
    VoiceEnded,
)

if TYPE_CHECKING:
    from ..session.beginning import Overheard


class SpeechSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Timers of a transcription stream.

    Attributes:
      linger_s: a stream that nobody wants stays open so long; the SDK sends an empty list after every ack.
      reopen_first_s: a provider that failed is opened again after so long; it doubles with each failure.
      reopen_most_s: the longest of these waits.
      notice_s: "captions delayed" stays on the lens so long.
    """

    linger_s: float = 5.0
    reopen_first_s: float = 0.2
    reopen_most_s: float = 10.0
    notice_s: float = 3.0


class StreamState(msgspec.Struct, frozen=True):
    """What a crash does not lose."""

    subscribers: tuple[Subscriber, ...] = ()
    utterance_id: str | None = None
    failures: int = 0
    is_delayed: bool = False
    offset_ms: int = 0  # where the provider's stream began, in ms since the session's start


class TranscriptionStream(Actor[SpeechMessage]):
    """Runs one provider stream and hands its results to the subscribers.

    Args:
      overheard: what the process before had heard and not settled: it is recognised again.
    """

    def __init__(
        self,
        *,
        request: SpeechRequest,
        provider: SpeechProvider,
        inlet: SpeechInlet,
        display: Ref[DisplayMessage],
        session: Recipient[NeighbourBack],
        session_started_at: float,
        settings: SpeechSettings,
        telemetry: Telemetry,
        overheard: Overheard | None = None,
    ) -> None:
        self.request = request
        self.provider = provider
        self.inlet = inlet
        self.display = display
        self.session = session
        self.session_started_at = session_started_at
        self.settings = settings
        self.telemetry = telemetry
        self.overheard = overheard
        self.state = StreamState()

    def started(self, restart: RestartInfo | None) -> None:
        self._open()
        if not self.state.subscribers:
            self.set_timer("linger", self.settings.linger_s, LingerOver())
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def stopping(self, reason: StopReason) -> None:
        self.perform(setattr, self.inlet, "stream", None)

    def receive(self, message: SpeechMessage) -> None:
        match message:
            case SpeechArrived(event):
                self._heard(event)
            case SetSubscribers(subscribers):
                self._subscribed(subscribers)
            case VoiceEnded():
                self.perform(self.inlet.finalize)
            case ProviderFailed(error):
                self._failed(error)
            case ProviderEnded():
                self._failed(SpeechError(self.provider.name, "closed", "the provider ended the stream"))
            case Reopen():
                self._open()
            case LingerOver():
                self.stop()

    def _open(self) -> None:
        stream = self.provider.open(self.request, self._emit)
        offset_ms = round((self.now - self.session_started_at) * 1000)
        self.state = msgspec.structs.replace(self.state, offset_ms=offset_ms, utterance_id=None)
        self.inlet.owner = self.ref
        self.perform(setattr, self.inlet, "stream", stream)
        if self.overheard is not None:
            overheard, self.overheard = self.overheard, None
            offset_ms -= len(overheard.audio) * 1000 // (2 * self.request.sample_rate_hz)
            self.state = msgspec.structs.replace(
                self.state, offset_ms=max(0, offset_ms), utterance_id=overheard.utterance_id
            )
            self.perform(stream.offer, overheard.audio)
        self.start(stream.run, then=lambda _: ProviderEnded(), failed=ProviderFailed, name="provider")

    def _emit(self, event: SpeechEvent) -> None:
        self.ref.tell(SpeechArrived(event))

    def _subscribed(self, subscribers: tuple[Subscriber, ...]) -> None:
        self.state = msgspec.structs.replace(self.state, subscribers=subscribers)
        if subscribers:
            self.cancel_timer("linger")
        else:
            self.set_timer("linger", self.settings.linger_s, LingerOver())

    def _failed(self, error: Exception) -> None:
        failures = self.state.failures + 1
        wait_s = min(self.settings.reopen_most_s, self.settings.reopen_first_s * 2 ** (failures - 1))
        if isinstance(error, SpeechError):
            wait_s = max(wait_s, min(error.retry_after_s, self.settings.reopen_most_s))
        self.telemetry.warning(
            "speech_stream_failed",
            user=self.request.user_id,
            language=self.request.language,
            provider=self.provider.name,
            cause=str(error),
            retry_after_s=wait_s,
        )
        self.state = msgspec.structs.replace(self.state, failures=failures)
        self.perform(setattr, self.inlet, "stream", None)
        self._tell_wearer()
        self.set_timer("reopen", wait_s, Reopen())

    def _heard(self, event: SpeechEvent) -> None:
        match event:
            case Interim() | Final():
                self._publish(event)
            case Delayed(reason):
                self.telemetry.warning("speech_delayed", user=self.request.user_id, reason=reason)
                self._tell_wearer()
            case Recovered():
                self._caught_up()
            case AudioDropped(duration_ms):
                self.telemetry.warning(
                    "speech_audio_dropped", user=self.request.user_id, duration_ms=duration_ms
                )

    def _tell_wearer(self) -> None:
        if not self.state.is_delayed:
            self.display.tell(ShowNotice("Captions delayed", self.settings.notice_s))
        self.state = msgspec.structs.replace(self.state, is_delayed=True)

    def _caught_up(self) -> None:
        if self.state.is_delayed:
            self.display.tell(EndNotice())
            self.state = msgspec.structs.replace(self.state, is_delayed=False)

    def _publish(self, result: Interim | Final) -> None:
        self._caught_up()
        state = self.state
        is_final = isinstance(result, Final)
        utterance_id = state.utterance_id or self.system.ids.next("utterance")
        self.state = msgspec.structs.replace(
            state, utterance_id=None if is_final else utterance_id, failures=0
        )
        data = transcription.TranscriptionData(
            text=result.text,
            is_final=is_final,
            utterance_id=utterance_id,
            transcribe_language=self.request.language,
            detected_language=result.detected_language,
            start_time=state.offset_ms + result.start_ms,
            end_time=state.offset_ms + result.end_ms,
            confidence=result.confidence,
            provider=self.provider.name,
        )
        raw = transcription.to_raw(data)
        stamp = timestamps.iso(self.system.clock.wall())
        for subscriber in state.subscribers:
            session_id = app_session_id(self.request.user_id, subscriber.package_name)
            payload = to_app.data_stream(session_id, subscriber.stream, raw, stamp)
            subscriber.app.tell(Deliver(Outgoing(payload)))
