"""A transcription stream: one language of one session's microphone, to every app that wants it.

It runs one recogniser at a time. Which one, and when another takes over, is the machine's decision
(`failover.py`); the audio since the last final is in the feed (`feed.py`), so that the next one hears what
this one has not settled. Results carry the number of the opening they are of: one that was left says nothing
more. With nobody subscribed the stream lingers, because the SDK sends an empty list after every ack
(protocol.md 4.8), then ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from protocols import timestamps, to_app, transcription
from protocols.session_ids import app_session_id
from runtime import Actor, Recipient, Ref, RestartInfo, StopReason, TaskHandle

from ..alarm import Ahead, Alarm, TrendSettings
from ..apps.messages import Deliver
from ..audio.routing import SpeechInlet
from ..display.messages import DisplayMessage, EndNotice, ShowNotice
from ..latency import Stages
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
    SpeechStream,
    Telemetry,
)
from ..tracing import Mark, Result, Tracer
from . import by_phone, failover
from .by_phone import ByPhone
from .failover import Candidate, FailoverState
from .feed import AudioFeed, bytes_of, milliseconds_of
from .messages import (
    HeardByPhone,
    LingerOver,
    LookDue,
    ProviderFailed,
    Recognised,
    ReplayDue,
    SetSubscribers,
    SpeechArrived,
    SpeechMessage,
    Subscriber,
    Unserved,
    VoiceBegan,
    VoiceEnded,
)
from .recognisers import Recognisers
from .settings import SpeechSettings

_REPLAY_PERIOD_S = 0.05

_TREND_FLOOR = 0.4
"""Of `lag_s`: recognisers tell how far they are once a second, so voices wait a little when all is well."""


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """How late the stream is, where it arises. All in ms, as of the last result or look.

    Attributes:
      unsent_ms: audio that has arrived and is not handed to the recogniser itself yet.
      waiting_ms: how long the oldest voice that it has not heard has waited.
      interim_ms, final_ms: from the last audio in a result to that result.
      delivery_ms: from a result to the apps' queues.
    """

    unsent_ms: int = 0
    waiting_ms: int = 0
    interim_ms: int | None = None
    final_ms: int | None = None
    delivery_ms: int = 0


class StreamState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      utterance_id: of the running utterance; a recogniser that takes over goes on with it.
      settled: the position behind the last final: another recogniser begins there.
      old, behind: finals that come late, and voices that wait to be heard.
      ahead: where the age of those voices leads to with this recogniser.
      shown: the position behind the last words that were shown; guesses at what lies before it are old news.
    """

    subscribers: tuple[Subscriber, ...] = ()
    listeners: tuple[Recipient[Recognised], ...] = ()
    utterance_id: str | None = None
    settled: int = 0
    shown: int = 0
    failover: FailoverState = FailoverState()
    by_phone: ByPhone = ByPhone()
    measures: Measures = Measures()
    old: Alarm = Alarm()
    behind: Alarm = Alarm()
    ahead: Ahead = Ahead()


class _Opening:
    """A recogniser's stream while it runs. `emitted` and `handled` count its events on both sides of the
    mailbox: what it says of its progress is true of our state once they are equal.
    """

    def __init__(self, provider: str, number: int, opened_at: float, offset_ms: int) -> None:
        self.provider = provider
        self.number = number
        self.opened_at = opened_at
        self.offset_ms = offset_ms  # where its audio begins, in ms since the session's start
        self.stream: SpeechStream | None = None
        self.task: TaskHandle | None = None
        self.emitted = 0
        self.handled = 0


class TranscriptionStream(Actor[SpeechMessage]):
    """Runs one recogniser at a time and hands its results to the subscribers.

    Args:
      utterance_id: of the utterance under way in the process before; its audio is in the feed.
    """

    transient = ("opening", "stages")

    def __init__(
        self,
        *,
        request: SpeechRequest,
        providers: Sequence[SpeechProvider],
        recognisers: Recognisers,
        inlet: SpeechInlet,
        feed: AudioFeed,
        display: Ref[DisplayMessage],
        session: Recipient[NeighbourBack | Unserved],
        session_started_at: float,
        settings: SpeechSettings,
        telemetry: Telemetry,
        utterance_id: str | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.request = request
        self.providers = {provider.name: provider for provider in providers}
        self.recognisers = recognisers
        self.inlet = inlet
        self.feed = feed
        self.display = display
        self.session = session
        self.session_started_at = session_started_at
        self.settings = settings
        self.telemetry = telemetry
        self.tracer = tracer
        self.trend = TrendSettings(
            window_s=settings.trend_window_s, ahead_s=settings.trend_ahead_s, floor=_TREND_FLOOR
        )
        self.opening: _Opening | None = None
        self.stages = Stages()
        self.state = StreamState(utterance_id=utterance_id)

    def facts(self) -> Mapping[str, object]:
        """How late it is, and whose fault that is."""
        measures = self._measured()
        return {
            "provider": self.state.failover.provider or "",
            "captions delayed": self.state.failover.is_told,
            "falling behind": self.state.ahead.is_on,
            "switches": self.state.failover.switches,
            "withheld_ms": milliseconds_of(self.feed.withheld_bytes),
            "stages": self._stages(),
            **{name: value for name, value in msgspec.structs.asdict(measures).items() if value is not None},
        }

    def started(self, restart: RestartInfo | None) -> None:
        self.inlet.owner = self.feed.owner = self.ref
        self.perform(setattr, self.inlet, "stream", self.feed)
        self.perform(self.feed.detach)
        self._step(failover.Began())
        self.every("look", self.settings.look_s, LookDue())
        if not self._is_wanted:
            self.set_timer("linger", self.settings.linger_s, LingerOver())
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def stopping(self, reason: StopReason) -> None:
        self.perform(self.feed.detach)

    def receive(self, message: SpeechMessage) -> None:
        match message:
            case SpeechArrived(event, opening, at):
                if self.opening is not None and opening == self.opening.number:
                    self._heard(event, self.opening, at)
            case SetSubscribers(subscribers, listeners):
                self._subscribed(subscribers, listeners)
            case VoiceBegan():
                self.perform(self.feed.reported)
            case VoiceEnded():
                self.perform(self.feed.reported)
                self.perform(self.feed.finalize)
            case HeardByPhone():
                self._heard_by_phone(message)
            case ProviderFailed(error, opening):
                if self.opening is not None and opening == self.opening.number:
                    self._failed(error)
            case LookDue():
                self._look()
            case ReplayDue():
                self._replay()
            case LingerOver():
                self.perform(setattr, self.inlet, "stream", None)
                self.stop()

    @property
    def _is_wanted(self) -> bool:
        return bool(self.state.subscribers or self.state.listeners)

    def _subscribed(
        self, subscribers: tuple[Subscriber, ...], listeners: tuple[Recipient[Recognised], ...]
    ) -> None:
        self.state = replace(self.state, subscribers=subscribers, listeners=listeners)
        if self._is_wanted:
            self.cancel_timer("linger")
        else:
            self.set_timer("linger", self.settings.linger_s, LingerOver())

    # -- which recogniser

    def _step(self, event: failover.FailoverEvent) -> None:
        candidates = [Candidate(name, self.recognisers.free_at(name)) for name in self.providers]
        state, effects = failover.step(self.state.failover, event, self.now, candidates, self.settings)
        self.state = replace(self.state, failover=state)
        for effect in effects:
            match effect:
                case failover.Open(provider):
                    self._end()
                    self._open(self.providers[provider])
                case failover.End():
                    self._end()
                case failover.Blame():
                    self._blame(effect)
                case failover.TellWearer():
                    self.display.tell(ShowNotice("Captions delayed", self.settings.notice_s))
                case failover.UntellWearer():
                    self.display.tell(EndNotice())
                case failover.AskPhone():
                    asked = by_phone.asked(self.state.by_phone, self.feed.head)
                    self.state = replace(self.state, by_phone=asked)
                    self.session.tell(Unserved(self.request.language, is_unserved=True))
                case failover.ReleasePhone():
                    released, utterance_id = by_phone.released(self.state.by_phone)
                    utterance_id = self.state.utterance_id or utterance_id
                    self.state = replace(self.state, by_phone=released, utterance_id=utterance_id)
                    self.session.tell(Unserved(self.request.language, is_unserved=False))
                case failover.LookAgain(after_s):
                    self.set_timer("look again", after_s, LookDue())

    def _open(self, provider: SpeechProvider) -> None:
        number = self.feed.count_opening()
        spoken_at = self.feed.spoken_at(self.feed.kept_from(self.state.settled))
        offset_s = (self.now if spoken_at is None else spoken_at) - self.session_started_at
        opening = self.opening = _Opening(provider.name, number, self.now, round(offset_s * 1000))
        self.state = replace(self.state, ahead=Ahead())
        clock = self.system.clock.now
        ref = self.ref

        def emit(event: SpeechEvent) -> None:
            opening.emitted += 1
            if not ref.tell(SpeechArrived(event, number, clock())):
                raise RuntimeError("the stream's mailbox is full")  # ends it; the next hears the audio again

        stream = opening.stream = provider.open(self.request, emit)
        ended = SpeechError(provider.name, "closed", "the provider ended the stream")
        self.perform(self.recognisers.tried, provider.name, self.now)
        self.perform(self.feed.attach, stream, self.state.settled)
        opening.task = self.start(
            stream.run,
            then=lambda _: ProviderFailed(ended, number),
            failed=lambda error: ProviderFailed(error, number),
            name=f"{provider.name} {number}",
        )
        self.set_timer("replay", 0.0, ReplayDue())

    def _end(self) -> None:
        opening, self.opening = self.opening, None
        self.cancel_timer("replay")
        self.perform(self.feed.detach)
        if opening is not None and opening.task is not None:
            self.cancel_task(opening.task)

    def _failed(self, error: Exception) -> None:
        assert self.opening is not None
        if isinstance(error, SpeechError):
            self._step(failover.Failed(error.kind, str(error), error.retry_after_s))
        else:
            self._step(failover.Failed("closed", repr(error)))

    def _blame(self, blame: failover.Blame) -> None:
        self.telemetry.warning(
            "speech_stream_failed",
            user=self.request.user_id,
            language=self.request.language,
            provider=blame.provider,
            kind=blame.kind,
            cause=blame.cause,
            retry_after_s=blame.retry_after_s,
        )
        self.perform(self.recognisers.failed, blame.provider, blame.kind, blame.retry_after_s, self.now)

    def _look(self) -> None:
        self.perform(self.feed.look_for_the_end)
        opening = self.opening
        if opening is None or opening.stream is None:
            self._watch("behind", self._measured().waiting_ms)
            self._step(failover.Looked())
            return
        progress = opening.stream.progress
        feed = self.feed
        if opening.emitted == opening.handled:
            self._settle(feed.position_of(progress.settled_ms))
        measures = self._measured()
        self.state = replace(self.state, measures=measures)
        self._watch("behind", measures.waiting_ms)
        ahead = self._look_ahead(measures.waiting_ms / 1000)
        self._step(
            failover.Looked(
                heard_ms=progress.heard_ms,
                waiting_s=measures.waiting_ms / 1000,
                is_live=feed.is_live,
                is_quiet=self.state.utterance_id is None,
                late_in_s=ahead.reaches_s if ahead.is_on else None,
            )
        )

    def _look_ahead(self, waiting_s: float) -> Ahead:
        """Where this recogniser is going, while it has been given all there is."""
        settings, before = self.settings, self.state.ahead
        if not self.feed.is_live:
            after = Ahead()
        else:
            after = before.heard(waiting_s, self.now, limit=settings.lag_s, settings=self.trend)
        self.state = replace(self.state, ahead=after)
        if after.is_on and not before.is_on:
            self.telemetry.warning(
                "speech_falling_behind",
                user=self.request.user_id,
                language=self.request.language,
                provider=self.state.failover.provider or "",
                waiting_s=round(waiting_s, 1),
                late_in_s=round(after.reaches_s, 1),
            )
        return after

    def _measured(self) -> Measures:
        """The last measures, with what can be seen at this moment."""
        feed = self.feed
        heard, sent = self.state.settled, self.state.settled
        if self.opening is not None and self.opening.stream is not None:
            progress = self.opening.stream.progress
            heard = max(heard, feed.position_of(progress.heard_ms))
            sent = max(sent, feed.position_of(progress.sent_ms))
        measures: Measures = replace(
            self.state.measures,
            unsent_ms=max(0, milliseconds_of(feed.decided - sent)),
            waiting_ms=round(feed.waiting_s(heard) * 1000),
        )
        return measures

    def _watch(self, what: Literal["old", "behind"], late_ms: int) -> None:
        """Warn when speech becomes late, and say when it is not any more."""
        before: Alarm = getattr(self.state, what)
        limit_ms = self.settings.late_alarm_s * 1000
        after = before.heard(late_ms, self.now, limit=limit_ms, well=limit_ms / 2)
        if after == before:
            return
        self.state = replace(self.state, **{what: after})
        facts = {"user": self.request.user_id, "language": self.request.language, "late_ms": late_ms}
        provider = self.state.failover.provider or ""
        if after.is_on:
            self.telemetry.warning("speech_late", what=what, provider=provider, **facts)
        else:
            self.telemetry.info("speech_in_time", what=what, provider=provider, **facts)

    def _stages(self) -> Mapping[str, object]:
        stages: dict[str, object] = {**self.stages.view(self.now)}
        if arrival := self.feed.transit.spread.view(self.now):
            stages["arrival"] = arrival
        if self.opening is not None and self.opening.stream is not None:
            send_ms = self.opening.stream.progress.send_p99_ms
            if send_ms is not None:
                stages["send"] = {"p99_ms": send_ms}
        return stages

    def _replay(self) -> None:
        if self.opening is None:
            return
        self.perform(self.feed.replay, bytes_of(_REPLAY_PERIOD_S * 1000 * self.settings.replay_speed))
        if not self.feed.is_live:
            self.set_timer("replay", _REPLAY_PERIOD_S, ReplayDue())

    # -- what it hears

    def _heard(self, event: SpeechEvent, opening: _Opening, at: float) -> None:
        opening.handled += 1
        match event:
            case Interim() | Final():
                self._said(event, opening, at)
            case Delayed(reason):
                self.telemetry.warning("speech_delayed", user=self.request.user_id, reason=reason)
                self._step(failover.Troubled())
            case Recovered():
                self._step(failover.Untroubled())
            case AudioDropped(duration_ms):
                self.telemetry.warning(
                    "speech_audio_dropped", user=self.request.user_id, duration_ms=duration_ms
                )

    def _said(self, result: Interim | Final, opening: _Opening, at: float) -> None:
        self._step(failover.Said())
        if not self.recognisers.is_well(opening.provider):
            self.perform(self.recognisers.heard, opening.provider, opening.opened_at)
        feed = self.feed
        position = min(feed.position_of(result.end_ms, is_end=True), feed.head)
        is_old = opening.number > 1 and self.state.shown > 0 and position <= self.state.shown
        if is_old and isinstance(result, Interim):
            return  # the recogniser before this one has shown as much
        self._publish(result, opening, at)
        if isinstance(result, Final):
            settled = position
            if opening.emitted == opening.handled and opening.stream is not None:
                settled = max(settled, feed.position_of(opening.stream.progress.settled_ms))
            self._settle(settled)
        self.state = replace(self.state, shown=max(self.state.shown, position))

    def _settle(self, position: int) -> None:
        position = min(position, self.feed.given)
        if position > self.state.settled:
            self.state = replace(self.state, settled=position)
            self.perform(self.feed.settle, position)

    def _publish(self, result: Interim | Final, opening: _Opening, at: float) -> None:
        state = self.state
        is_final = isinstance(result, Final)
        utterance_id = state.utterance_id or self.system.ids.next("utterance")
        start_ms = self._time_of(result.start_ms, opening)
        end_ms = max(start_ms, self._time_of(result.end_ms, opening, is_end=True))
        measures = replace(state.measures, delivery_ms=round((self.now - at) * 1000))
        age_ms = round((at - self.session_started_at) * 1000) - end_ms
        measures = replace(measures, final_ms=age_ms) if is_final else replace(measures, interim_ms=age_ms)
        stages = self.stages
        stages.delivery.add((self.now - at) * 1000, self.now)
        (stages.final if is_final else stages.interim).add(age_ms, self.now)
        if is_final:
            self._watch("old", age_ms)
        self.state = replace(state, utterance_id=None if is_final else utterance_id, measures=measures)
        data = transcription.TranscriptionData(
            text=result.text,
            is_final=is_final,
            utterance_id=utterance_id,
            transcribe_language=self.request.language,
            detected_language=result.detected_language,
            start_time=start_ms,
            end_time=end_ms,
            confidence=result.confidence,
            provider=opening.provider.partition(":")[0],
        )
        mark = None
        if self.tracer is not None:
            mark = self._marked(self.tracer, data, (result.start_ms, result.end_ms), at)
        self._deliver(data, mark)

    def _marked(
        self, tracer: Tracer, data: transcription.TranscriptionData, stream_ms: tuple[int, int], at: float
    ) -> Mark | None:
        feed = self.feed
        begin, end = feed.position_of(stream_ms[0]), feed.position_of(stream_ms[1], is_end=True)
        result = Result(
            utterance_id=data.utterance_id or "",
            user_id=self.request.user_id,
            language=self.request.language,
            provider=data.provider or "",
            is_final=data.is_final,
            spoken_from=self.session_started_at + data.start_time / 1000,
            spoken_to=self.session_started_at + data.end_time / 1000,
            given_from=feed.given_at(begin),
            given_to=feed.given_at(min(end, feed.head)),
            arrived_at=at,
        )
        return tracer.heard(result, self.now)

    def _heard_by_phone(self, said: HeardByPhone) -> None:
        feed = self.feed
        onset, head = feed.onset(), feed.head
        new_id = self.system.ids.next("utterance")
        state, span = by_phone.heard(self.state.by_phone, said, onset=onset, head=head, new_id=new_id)
        self.state = replace(self.state, by_phone=state)
        if span is None:
            return
        end_ms = round((self.now - self.session_started_at) * 1000)
        spoken_at = feed.spoken_at(span.begin)
        begin_s = self.now if spoken_at is None else spoken_at
        self._deliver(
            transcription.TranscriptionData(
                text=said.text,
                is_final=said.is_final,
                utterance_id=span.utterance_id,
                transcribe_language=self.request.language,
                start_time=min(end_ms, max(0, round((begin_s - self.session_started_at) * 1000))),
                end_time=end_ms,
                speaker_id=said.speaker_id,
                provider=said.provider or "phone",
            )
        )
        if said.is_final:
            was_given = feed.given > span.begin
            self.perform(feed.withhold, span.begin, span.end)
            if was_given and self.opening is not None:  # one is being tried, and would say it again
                self._reopen(self.opening.provider)

    def _reopen(self, provider: str) -> None:
        self._end()
        self._open(self.providers[provider])

    def _deliver(self, data: transcription.TranscriptionData, mark: Mark | None = None) -> None:
        for listener in self.state.listeners:
            listener.tell(Recognised(data))
        raw = transcription.to_raw(data)
        stamp = timestamps.iso(self.system.clock.wall())
        for subscriber in self.state.subscribers:
            session_id = app_session_id(self.request.user_id, subscriber.package_name)
            payload = to_app.data_stream(session_id, subscriber.stream, raw, stamp)
            subscriber.app.tell(Deliver(Outgoing(payload), mark))

    def _time_of(self, stream_ms: int, opening: _Opening, *, is_end: bool = False) -> int:
        """When that was spoken, in ms since the session's start, whatever pauses the microphone made."""
        spoken_at = self.feed.spoken_at(self.feed.position_of(stream_ms, is_end=is_end))
        if spoken_at is None:
            return opening.offset_ms + stream_ms
        return max(0, round((spoken_at - self.session_started_at) * 1000))
