"""Who hears what: subscriptions, the routing that follows, transcription streams, the microphone."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocols import (
    capabilities,
    device_state,
    from_phone,
    permissions,
    streams,
    to_app,
    to_phone,
)
from protocols.device_state import AppliedState, GlassesInfo
from protocols.error_codes import ErrorCode
from protocols.location_tiers import COARSEST
from protocols.session_ids import app_session_id
from protocols.streams import Subscription
from runtime import ChildSpec, Recipient

from .. import microphone
from ..apps.messages import Deliver, GlassesKnown
from ..audio import Route, SpeechInlet
from ..audio.voice import VoiceGate
from ..display import arbitration as display
from ..ports import SpeechRequest
from ..speech.by_phone import concerns
from ..speech.feed import AudioFeed
from ..speech.messages import HeardByPhone, Recognised, SetSubscribers, Unserved
from ..speech.remembering import ReadHistory
from ..speech.stream import TranscriptionStream
from ..subscriptions import apply_update
from . import last_known, wire
from . import state as states
from .beginning import Overheard
from .messages import (
    AnnounceDue,
    MicrophoneTick,
    NotPermittedError,
    ReadTranscripts,
    SubscriptionsRequested,
)
from .preferring import Preferring
from .state import AppEntry, StreamEntry
from .translations import spoken_in


class Hearing(Preferring):
    """Keeps the routing table, the streams and the microphone in step with what the apps asked for."""

    def _subscriptions_requested(self, request: SubscriptionsRequested) -> None:
        entry = self.state.apps.get(request.package_name)
        if entry is None or entry.phase in states.LEAVING:
            return
        declared = tuple(permission.type for permission in entry.app.permissions)
        most = self.domain.settings.limits.subscriptions
        update = apply_update(entry.subscriptions, request.requested, declared, most=most)
        if update.ignored:
            self.telemetry.warning(
                "subscriptions_too_many",
                user=self.user_id,
                package=request.package_name,
                ignored=update.ignored,
            )
            message = f"an app may have {most} subscriptions, {update.ignored} beyond them were ignored"
            code = ErrorCode.TOO_MANY_SUBSCRIPTIONS
            entry.ref.tell(Deliver(wire.connection_error(code, message, self._stamp())))
        if update.refused:
            self.telemetry.warning(
                "subscriptions_refused",
                package=request.package_name,
                streams=[problem.stream for problem in update.refused],
            )
            entry.ref.tell(Deliver(wire.permission_error(update.refused, self._stamp())))
        had_listed = entry.has_listed
        is_transient = not had_listed and not update.accepted
        is_changed = update.accepted != entry.subscriptions
        entry = msgspec.structs.replace(entry, subscriptions=update.accepted, has_listed=True)
        self.state = states.put_app(self.state, request.package_name, entry)
        self._replay(entry, update.replays if had_listed else update.accepted)
        if not is_changed:
            return
        self._tell_unserved(entry)
        self._microphone(microphone.SubscriptionsChanging())
        self._route(is_transient=is_transient)
        self.set_timer("announce", self.settings.announce_s, AnnounceDue())

    def _replay(self, entry: AppEntry, subscriptions: Iterable[Subscription]) -> None:
        """Send what is known already: to a new subscriber, and to one that may have missed it."""
        stamp, wall = self._stamp(), self.system.clock.wall()
        session_id = app_session_id(self.user_id, entry.app.package_name)
        for subscription in subscriptions:
            datetime = self.state.last_known.datetime
            if subscription.base == streams.CUSTOM_MESSAGE and datetime is not None:
                entry.ref.tell(Deliver(wire.control(wire.update_datetime(session_id, datetime, stamp))))
            for raw in last_known.replays(self.state.last_known, subscription.base, wall):
                payload = to_app.data_stream(session_id, subscription.text, msgspec.Raw(raw), stamp)
                entry.ref.tell(Deliver(wire.control(payload)))

    def _tell_unserved(self, entry: AppEntry) -> None:
        """Say which speech an app asked for and nobody here recognises: silence would look like a fault."""
        unserved = [
            subscription.text
            for subscription in entry.subscriptions
            if subscription.is_speech
            and subscription.language is not None
            and not self._is_recognised(spoken_in(subscription.language))
        ]
        if unserved:
            message = f"no recogniser of this server serves {', '.join(unserved)}"
            entry.ref.tell(
                Deliver(wire.connection_error(ErrorCode.LANGUAGE_NOT_SUPPORTED, message, self._stamp()))
            )
        self._tell_untranslated(entry)

    def _route(self, *, is_transient: bool = False) -> None:
        """Work out anew who hears what, and tell everybody whose part changed.

        Args:
          is_transient: the change is the SDK's empty list right after an ack (protocol.md 4.8).
        """
        routing = states.compute_routing(self.state)
        self.state = msgspec.structs.replace(self.state, routing=routing)
        heard = self._heard_languages()
        self.state = msgspec.structs.replace(self.state, heard=tuple(heard))
        self._route_translations()
        for language, hints in heard.items():
            if language not in self.state.streams:
                self._open_stream(language, hints)
        for language in self.state.streams:
            self._tell_stream(language)
        self._tell_audio()
        self._tell_location_tier()
        self._want_microphone(is_transient=is_transient)

    def _want_microphone(self, *, is_transient: bool = False) -> None:
        routing = self.state.routing
        self._microphone(
            microphone.Wanted(
                pcm=bool(routing.audio_packages),
                transcription=routing.wants_speech,
                bypass_vad=bool(routing.audio_packages) or self._bypasses_vad(),
                by_phone=any(language in self.state.streams for language in self.state.unserved),
                is_transient=is_transient,
            )
        )

    def _served(self, message: Unserved) -> None:
        """A language has lost its last recogniser, or has one again; the phone hears of no blip."""
        rest = tuple(language for language in self.state.unserved if language != message.language)
        unserved = (*rest, message.language) if message.is_unserved else rest
        self.state = msgspec.structs.replace(self.state, unserved=unserved)
        self._microphone(microphone.LanguageChanging())
        self._want_microphone()

    def _heard_by_phone(self, message: from_phone.LocalTranscription) -> None:
        speaker_id = None if message.speaker_id is None else str(message.speaker_id)
        said = HeardByPhone(message.text, message.is_final, speaker_id, message.provider)
        for language, stream in self.state.streams.items():
            if language in self.state.unserved and concerns(language, message.transcribe_language):
                stream.ref.tell(said)

    def _tell_stream(self, language: str) -> None:
        subscribers = self._subscribers(self.state.routing.subscribers_of(language))
        translations = self._listeners_of(language)
        listeners: tuple[Recipient[Recognised], ...] = translations
        if subscribers or translations:
            listeners = (*translations, self.near.history)
        self.state.streams[language].ref.tell(SetSubscribers(subscribers, listeners))

    def _tell_audio(self) -> None:
        self.near.audio.tell(Route(states.audio_table(self.state)))

    def _open_stream(self, language: str, hints: tuple[str, ...]) -> None:
        providers = tuple(p for p in self.domain.ports.speech if p.supports(language))
        if not providers:
            self.telemetry.warning("speech_language_unknown", user=self.user_id, language=language)
            return
        inlet = SpeechInlet()
        voice = self.domain.settings.voice
        feed = AudioFeed(
            self.system.clock.now,
            self.domain.settings.speech.ring_s,
            gate=VoiceGate(self.domain.ports.voices.detector(), voice),
            pre_roll_s=voice.pre_roll_s,
            notes_times=self.domain.ports.tracer is not None,
        )
        overheard = self.overheard.pop(language, Overheard())
        feed.offer(overheard.audio)
        request = SpeechRequest(
            language=language, user_id=self.user_id, hints=hints, pause_ms=round(voice.pause_s * 1000)
        )
        ref = self.spawn(
            ChildSpec(
                name=language,
                factory=lambda: TranscriptionStream(
                    request=request,
                    providers=providers,
                    recognisers=self.domain.recognisers,
                    inlet=inlet,
                    feed=feed,
                    display=self.near.display,
                    session=self.ref,
                    session_started_at=self.state.started_at,
                    settings=self.domain.settings.speech,
                    telemetry=self.telemetry,
                    utterance_id=overheard.utterance_id,
                    tracer=self.domain.ports.tracer,
                ),
                restart="transient",
            ),
            under=self.near.speech,
        )
        self.watch(ref)
        entry = StreamEntry(ref, inlet)
        self.state = msgspec.structs.replace(self.state, streams={**self.state.streams, language: entry})

    def _read_transcripts(self, question: ReadTranscripts) -> None:
        """What was said is for an app that runs here and may hear the microphone."""
        entry = self.state.apps.get(question.package_name)
        if entry is None or entry.phase not in states.ACTIVE:
            question.reply_to.tell(None)
        elif not permissions.grants([one.type for one in entry.app.permissions], permissions.MICROPHONE):
            message = f"what was said needs the permission {permissions.MICROPHONE}, which is not declared"
            question.reply_to.fail(NotPermittedError(message))
        else:
            self.near.history.tell(
                ReadHistory(question.language, question.from_ms, question.to_ms, question.reply_to)
            )

    # -- the phone's events and its glasses

    def _glasses_changed(self, message: from_phone.GlassesConnectionState) -> None:
        is_connected = message.status in ("CONNECTED", "RECONNECTED")
        self.near.display.tell(display.GlassesChanged(is_connected))
        if is_connected:
            self._microphone(microphone.GlassesConnected())
        self._merge_glasses(GlassesInfo(connected=is_connected, model_name=message.model_name))

    def _merge_glasses(self, update: GlassesInfo) -> None:
        """Remember what the glasses are, and tell every app what is new (protocol.md 9.2, 10.32)."""
        before = self.state.glasses
        after = device_state.merge(before, update)
        self.state = msgspec.structs.replace(self.state, glasses=after)
        known = self._tell_glasses()
        stamp = self._stamp()
        delta = msgspec.Raw(msgspec.json.encode(device_state.changes(before, after)))
        self._to_all_apps(to_app.encode(to_app.DeviceStateUpdate(state=delta, timestamp=stamp)))
        if after.model_name != before.model_name:
            self._tell_settings()  # which microphone is preferred is said per device
            update_message = to_app.CapabilitiesUpdate(
                capabilities=known.capabilities, model_name=after.model_name, timestamp=stamp
            )
            self._to_all_apps(to_app.encode(update_message))

    def _tell_presence(self, *, is_here: bool) -> None:
        """Tell the apps that connected glasses came back, or went away, with their phone."""
        glasses = self.state.glasses
        if not glasses.connected:
            return
        known = self._tell_glasses()
        stamp = self._stamp()
        status = "CONNECTED" if is_here else "DISCONNECTED"
        self._relay_connection(status, glasses.model_name)
        state = known.state if is_here else msgspec.Raw(b'{"connected":false}')
        update = to_app.DeviceStateUpdate(state=state, full_snapshot=is_here or None, timestamp=stamp)
        self._to_all_apps(to_app.encode(update))

    def _tell_glasses(self) -> GlassesKnown:
        """Every app's actor hears what its next ack is to say of the glasses."""
        known = self._glasses_known()
        for entry in self.state.apps.values():
            entry.ref.tell(known)
        return known

    def _glasses_known(self) -> GlassesKnown:
        glasses = self.state.glasses
        if self.state.phone is None and glasses.connected:
            glasses = msgspec.structs.replace(glasses, connected=False)
        profile = None if glasses.model_name is None else capabilities.of(glasses.model_name)
        state = msgspec.Raw(msgspec.json.encode(glasses))
        return GlassesKnown(capabilities.to_raw(profile), glasses.model_name, state)

    def _relay(self, message: from_phone.PhoneMessage, raw: bytes) -> None:
        """Hand a phone's event to every app that subscribed to it, the object as it came."""
        known = last_known.remember(self.state.last_known, message, raw, self.system.clock.wall())
        if known is not self.state.last_known:
            self.state = msgspec.structs.replace(self.state, last_known=known)
        takers = self.state.routing.takers_of(streams.event_of(message))
        if not takers:
            return
        data = msgspec.Raw(raw)
        stamp = self._stamp()
        for package_name, stream in takers:
            session_id = app_session_id(self.user_id, package_name)
            payload = to_app.data_stream(session_id, stream, data, stamp)
            self.state.apps[package_name].ref.tell(Deliver(wire.control(payload)))

    def _tell_location_tier(self, *, is_phone_new: bool = False) -> None:
        """Have the phone locate its wearer as finely as some app wants it, and no finer (protocol.md 5.8)."""
        tier, told = self.state.routing.location_tier, self.state.location_tier
        if self.state.phone is None or self.state.acked != self.state.phone:
            return
        if (told is not None and is_phone_new) or tier != (told or COARSEST):
            self.state = msgspec.structs.replace(self.state, location_tier=tier)
            self._to_phone(to_phone.encode(to_phone.SetLocationTier(tier=tier, session_id=self.user_id)))

    def _device_reported(self, report: GlassesInfo) -> AppliedState:
        """What a phone says over REST of its glasses: the same as on its socket, and more of it."""
        before = self.state.glasses
        if report.connected is not None and report.connected is not before.connected:
            model_name = report.model_name or before.model_name
            status = "CONNECTED" if report.connected else "DISCONNECTED"
            self.near.display.tell(display.GlassesChanged(report.connected))
            if report.connected:
                self._microphone(microphone.GlassesConnected())
            self._relay_connection(status, model_name)
        if device_state.merge(before, report) != before:
            self._merge_glasses(report)
        after = self.state.glasses
        profile = None if after.model_name is None else capabilities.of(after.model_name)
        return AppliedState(
            is_glasses_connected=after.connected is True,
            is_phone_connected=self.state.phone is not None,
            model_name=after.model_name,
            capabilities=capabilities.to_raw(profile),
        )

    def _relay_connection(self, status: str, model_name: str | None) -> None:
        event = from_phone.GlassesConnectionState(status=status, model_name=model_name)
        raw = {"type": "glasses_connection_state", "status": status, "modelName": model_name or ""}
        self._relay(event, msgspec.json.encode({**raw, "timestamp": self._stamp()}))

    def _set_datetime(self, datetime: str) -> None:
        known = msgspec.structs.replace(self.state.last_known, datetime=datetime)
        self.state = msgspec.structs.replace(self.state, last_known=known)
        stamp = self._stamp()
        for package_name, entry in self.state.apps.items():
            if any(one.base == streams.CUSTOM_MESSAGE for one in entry.subscriptions):
                session_id = app_session_id(self.user_id, package_name)
                entry.ref.tell(Deliver(wire.control(wire.update_datetime(session_id, datetime, stamp))))

    # -- the microphone -----------------------------------------------------------------------------------

    def _microphone(self, event: microphone.MicrophoneEvent) -> None:
        settings = self.domain.settings.microphone
        machine, effects = microphone.step(self.state.microphone, event, self.now, settings)
        self.state = msgspec.structs.replace(self.state, microphone=machine)
        for effect in effects:
            self._to_phone(wire.microphone_state_change(self.user_id, effect, self._stamp()))
        self._arm_microphone()

    def _arm_microphone(self) -> None:
        due = microphone.deadline(self.state.microphone, self.domain.settings.microphone)
        if due is None:
            self.cancel_timer("microphone")
        else:
            self.set_timer("microphone", max(0.0, due - self.now), MicrophoneTick())
