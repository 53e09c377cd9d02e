"""Which streams an app wants, and who hears of what arrives.

As in the official SDK a subscription is its exact text: an event is delivered when its `streamType` equals
the text a handler was registered for (protocol.md 5.4), and each handler added or removed sends the complete
list again (5.3). Handlers are called one after the other, in the order of arrival, in a task of the session:
one that waits delays the next event and nothing else. Other than in the official SDK, handlers for several
languages live side by side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from protocols import from_phone, transcription
from protocols.from_phone import (
    ButtonPress,
    CalendarEvent,
    GlassesBatteryUpdate,
    GlassesConnectionState,
    HeadPosition,
    LocationUpdate,
    PhoneBatteryUpdate,
    PhoneNotification,
    PhoneNotificationDismissed,
    TouchEvent,
    Vad,
)
from protocols.transcription import TranscriptionData, TranslationData

AUDIO = "audio_chunk"

SETTINGS_CHANGE = "settings_change"
DISCONNECTED = "disconnected"
RECONNECTED = "reconnected"
ERROR = "error"

E = TypeVar("E")
Handler = Callable[[E], Awaitable[None] | None]
"""A plain or an async function of one event."""

Unsubscribe = Callable[[], None]


class Events:
    """`session.events`. Every `on_...` returns a function that takes its handler away again."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._streams: dict[str, list[Handler[Any]]] = {}
        self._decoders: dict[str, Callable[[msgspec.Raw], object]] = {}
        self._others: dict[str, list[Handler[Any]]] = {}

    def streams(self) -> tuple[str, ...]:
        """The subscriptions that have a handler now."""
        return tuple(self._streams)

    # Speech and sound

    def on_transcription(self, handler: Handler[TranscriptionData], language: str = "en-US") -> Unsubscribe:
        """What the wearer says, in `language` (en-US, fr-FR, ... or auto): interims, then a final."""
        return self._subscribe(f"transcription:{language}", handler, transcription.decode)

    def on_translation(self, handler: Handler[TranslationData], source: str, target: str) -> Unsubscribe:
        """What the wearer says in `source`, translated to `target`; `source` may be `all`."""
        return self._subscribe(f"translation:{source}-to-{target}", handler, transcription.decode)

    def on_audio_chunk(self, handler: Handler[bytes]) -> Unsubscribe:
        """The microphone: PCM, 16 bits little-endian, 16 kHz, mono, frame by frame as the phone sends it."""
        return self._subscribe(AUDIO, handler, bytes)

    def on_vad(self, handler: Handler[Vad]) -> Unsubscribe:
        """The phone's voice detector opened or closed."""
        return self._subscribe("VAD", handler, _phone_event)

    # The wearer, the glasses, the phone

    def on_button_press(self, handler: Handler[ButtonPress]) -> Unsubscribe:
        """A button of the glasses."""
        return self._subscribe("button_press", handler, _phone_event)

    def on_head_position(self, handler: Handler[HeadPosition]) -> Unsubscribe:
        """The head went up or down."""
        return self._subscribe("head_position", handler, _phone_event)

    def on_touch_event(self, handler: Handler[TouchEvent], gesture: str | None = None) -> Unsubscribe:
        """A touch; of one kind only where `gesture` names it."""
        return self._subscribe(f"touch_event:{gesture}" if gesture else "touch_event", handler, _phone_event)

    def on_glasses_connection_state(self, handler: Handler[GlassesConnectionState]) -> Unsubscribe:
        """The glasses came or went."""
        return self._subscribe("glasses_connection_state", handler, _phone_event)

    def on_glasses_battery_update(self, handler: Handler[GlassesBatteryUpdate]) -> Unsubscribe:
        """The glasses' battery."""
        return self._subscribe("glasses_battery_update", handler, _phone_event)

    def on_phone_battery_update(self, handler: Handler[PhoneBatteryUpdate]) -> Unsubscribe:
        """The phone's battery."""
        return self._subscribe("phone_battery_update", handler, _phone_event)

    def on_location_update(self, handler: Handler[LocationUpdate]) -> Unsubscribe:
        """Where the wearer is."""
        return self._subscribe("location_update", handler, _phone_event)

    def on_calendar_event(self, handler: Handler[CalendarEvent]) -> Unsubscribe:
        """An event of the wearer's calendar."""
        return self._subscribe("calendar_event", handler, _phone_event)

    def on_phone_notification(self, handler: Handler[PhoneNotification]) -> Unsubscribe:
        """A notification came up on the phone."""
        return self._subscribe("phone_notification", handler, _phone_event)

    def on_phone_notification_dismissed(self, handler: Handler[PhoneNotificationDismissed]) -> Unsubscribe:
        """A notification was put away."""
        return self._subscribe("phone_notification_dismissed", handler, _phone_event)

    def on(self, stream: str, handler: Handler[Any]) -> Unsubscribe:
        """Any other stream, by its text; its events are what JSON holds."""
        return self._subscribe(stream, handler, msgspec.json.decode)

    # What needs no subscription

    def on_message(self, kind: type[E], handler: Handler[E]) -> Unsubscribe:
        """Every message of a class of `protocols.to_app`, for instance `PermissionError`."""
        return self._add(self._others, kind.__name__, handler)

    def on_settings_change(self, handler: Handler[Any]) -> Unsubscribe:
        """The wearer changed this app's settings; the event is the new list. The cloud tells it twice."""
        return self._add(self._others, SETTINGS_CHANGE, handler)

    def on_disconnected(self, handler: Handler[str]) -> Unsubscribe:
        """The connection is lost and is tried again; the event says how it ended."""
        return self._add(self._others, DISCONNECTED, handler)

    def on_reconnected(self, handler: Handler[None]) -> Unsubscribe:
        """The same session is connected again, its subscriptions are sent."""
        return self._add(self._others, RECONNECTED, handler)

    def on_error(self, handler: Handler[Exception]) -> Unsubscribe:
        """Something arrived that cannot be understood, or a handler raised."""
        return self._add(self._others, ERROR, handler)

    # For the session

    def handlers_of_stream(self, stream: str, data: msgspec.Raw) -> tuple[object, tuple[Handler[Any], ...]]:
        """The event in `data`, and who hears of it; raises MalformedMessage where it is something else."""
        handlers = self._streams.get(stream)
        if not handlers:
            return None, ()
        return self._decoders[stream](data), tuple(handlers)

    def handlers_of(self, what: str) -> tuple[Handler[Any], ...]:
        """Who hears of a message class, by its name, or of one of the four below `AUDIO`."""
        return tuple(self._others.get(what, ()))

    def _subscribe(
        self, stream: str, handler: Handler[Any], decode: Callable[[msgspec.Raw], object]
    ) -> Unsubscribe:
        self._decoders[stream] = decode
        remove = self._add(self._streams, stream, handler)
        self._changed()

        def unsubscribe() -> None:
            remove()
            self._changed()

        return unsubscribe

    def _add(self, table: dict[str, list[Handler[Any]]], key: str, handler: Handler[Any]) -> Unsubscribe:
        table.setdefault(key, []).append(handler)

        def remove() -> None:
            handlers = table.get(key, [])
            if handler in handlers:
                handlers.remove(handler)
                if not handlers:
                    del table[key]

        return remove


def _phone_event(data: msgspec.Raw) -> object:
    return from_phone.decode(bytes(data))
