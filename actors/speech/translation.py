"""A translation stream: one pair of languages of one session, to every app that wants it.

It has no recogniser of its own. It hears what the transcription stream of its source language tells
everybody, so an app that wants the words and one that wants them translated share one recogniser. What is
asked of the translator when is the machine's decision (`translating.py`); here its requests run as tasks, and
what it says goes to each subscriber under the subscriber's own string.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from protocols import timestamps, to_app, transcription
from protocols.error_codes import ErrorCode
from protocols.session_ids import app_session_id
from protocols.transcription import TranscriptionData
from runtime import Actor, Recipient, RestartInfo, TaskHandle

from ..apps.messages import Deliver
from ..language_ports import TranslationError, TranslationRequest, Translator
from ..neighbours import NeighbourBack
from ..ports import Outgoing, Telemetry
from . import translating
from .messages import LingerOver, Recognised, SetSubscribers, Subscriber
from .translating import TranslatingState
from .translation_settings import TranslationSettings


class Translated(msgspec.Struct, frozen=True):
    """The translator's answer to request `job`."""

    job: int
    text: str


class NotTranslated(msgspec.Struct, frozen=True):
    """Request `job` has failed."""

    job: int
    error: Exception


class TranslationDue(msgspec.Struct, frozen=True):
    """Something may be late, or due."""


TranslationMessage = SetSubscribers | Recognised | Translated | NotTranslated | TranslationDue | LingerOver


class TranslationState(msgspec.Struct, frozen=True):
    """What a crash does not lose. Requests that ran are asked again.

    Attributes:
      left: finals that the process before had not told; taken up with the first subscribers.
    """

    subscribers: tuple[Subscriber, ...] = ()
    left: tuple[TranscriptionData, ...] = ()
    machine: TranslatingState = TranslatingState()
    translated: int = 0
    failed: int = 0

    @property
    def untold(self) -> tuple[TranscriptionData, ...]:
        """The finals that subscribers wait for, for the process after this one."""
        return self.left + tuple(piece.data for piece in self.machine.pieces if piece.data.is_final)


class TranslationStream(Actor[TranslationMessage]):
    """Translates what is heard of one language for its subscribers.

    Args:
      source: the language of the transcription stream it is told of; `auto` where the recogniser finds it.
      linger_s: with nobody subscribed it ends after so long.
      untold: finals that its subscribers wait for, from the process before.
    """

    transient = ("tasks",)

    def __init__(
        self,
        *,
        user_id: str,
        source: str,
        target: str,
        translator: Translator | None,
        session: Recipient[NeighbourBack],
        settings: TranslationSettings,
        linger_s: float,
        telemetry: Telemetry,
        untold: tuple[TranscriptionData, ...] = (),
    ) -> None:
        self.user_id = user_id
        self.source = source
        self.target = target
        self.translator = translator
        self.session = session
        self.settings = settings
        self.linger_s = linger_s
        self.telemetry = telemetry
        self.tasks: dict[int, TaskHandle] = {}
        self.state = TranslationState(left=untold)

    def facts(self) -> Mapping[str, object]:
        """How it goes."""
        machine = self.state.machine
        return {
            "translator": "" if self.translator is None else self.translator.name,
            "waiting": sum(piece.is_waiting for piece in machine.pieces),
            "translated": self.state.translated,
            "failed": self.state.failed,
            "pauses for s": max(0.0, round(machine.paused_until - self.now, 1)),
        }

    def started(self, restart: RestartInfo | None) -> None:
        if self.translator is not None:
            self.start(self.translator.prepare, name="prepare")
        if restart is not None:
            self._step(translating.Began())
            self.session.tell(NeighbourBack(self.ref))
        if not self.state.subscribers:
            self.set_timer("linger", self.linger_s, LingerOver())

    def receive(self, message: TranslationMessage) -> None:
        match message:
            case Recognised(data):
                self._step(translating.Heard(data))
            case Translated(job, text):
                self.tasks.pop(job, None)
                self.state = replace(self.state, translated=self.state.translated + 1)
                self._step(translating.Done(job, text))
            case NotTranslated(job, error):
                self.tasks.pop(job, None)
                self._failed(job, error)
            case TranslationDue():
                self._step(translating.Looked())
            case SetSubscribers(subscribers):
                self.state = replace(self.state, subscribers=subscribers)
                if subscribers:
                    self.cancel_timer("linger")
                    self._take_up()
                else:
                    self.set_timer("linger", self.linger_s, LingerOver())
            case LingerOver():
                self.stop()

    def _take_up(self) -> None:
        left = self.state.left
        self.state = replace(self.state, left=())
        for data in left:
            self._step(translating.Heard(data))

    def _failed(self, job: int, error: Exception) -> None:
        failure, cause = translating.Failed(job, "protocol"), repr(error)
        if isinstance(error, TranslationError):
            failure, cause = translating.Failed(job, error.kind, error.retry_after_s), error.cause
        self.state = replace(self.state, failed=self.state.failed + 1)
        self.telemetry.warning(
            "translation_failed",
            user=self.user_id,
            source=self.source,
            target=self.target,
            kind=failure.kind,
            cause=cause,
        )
        self._step(failure)

    def _step(self, event: translating.TranslatingEvent) -> None:
        machine, effects = translating.step(
            self.state.machine, event, self.now, self.source, self.target, self.settings
        )
        self.state = replace(self.state, machine=machine)
        self.cancel_timer("look")
        for effect in effects:
            match effect:
                case translating.Ask():
                    self._ask(effect)
                case translating.Cancel(job):
                    task = self.tasks.pop(job, None)
                    if task is not None:
                        self.cancel_task(task)
                case translating.Say(spoken):
                    self._say(spoken)
                case translating.TellReaders(cause):
                    self._tell_readers(cause)
                case translating.LookAgain(after_s):
                    self.set_timer("look", after_s, TranslationDue())

    def _ask(self, ask: translating.Ask) -> None:
        translator = self.translator
        job = ask.job
        request = TranslationRequest(ask.text, ask.source, self.target)

        async def translate() -> str:
            if translator is None:
                raise TranslationError("none", "request", "no translator is configured")
            return await translator.translate(request, timeout_s=ask.within_s)

        self.tasks[job] = self.start(
            translate,
            then=lambda text: Translated(job, text),
            failed=lambda error: NotTranslated(job, error),
            name=f"translate {job}",
        )

    def _say(self, spoken: translating.Spoken) -> None:
        heard = spoken.data
        data = transcription.TranslationData(
            text=spoken.text,
            original_text=heard.text,
            is_final=heard.is_final,
            start_time=heard.start_time,
            end_time=heard.end_time,
            utterance_id=heard.utterance_id,
            speaker_id=heard.speaker_id,
            transcribe_language=heard.detected_language or self.source,
            translate_language=self.target,
            did_translate=spoken.did_translate,
            confidence=heard.confidence,
            provider=self.translator.name if spoken.did_translate and self.translator else heard.provider,
        )
        raw = transcription.to_raw(data)
        stamp = timestamps.iso(self.system.clock.wall())
        for subscriber in self.state.subscribers:
            session_id = app_session_id(self.user_id, subscriber.package_name)
            payload = to_app.data_stream(session_id, subscriber.stream, raw, stamp)
            subscriber.app.tell(Deliver(Outgoing(payload)))

    def _tell_readers(self, cause: str) -> None:
        stamp = timestamps.iso(self.system.clock.wall())
        message = f"not translated from {self.source} to {self.target}: {cause}"
        payload = to_app.encode(to_app.error(ErrorCode.TRANSLATION_FAILED, message, stamp))
        for app in {
            subscriber.package_name: subscriber.app for subscriber in self.state.subscribers
        }.values():
            app.tell(Deliver(Outgoing(payload)))
