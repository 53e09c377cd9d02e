"""Stream names: what an app can subscribe to (protocol.md 5.1 to 5.5).

A subscription's identity is its whole text, options included: it is what the app's SDK compares with
(5.4, 10.10). What the text means (which recogniser, which permission, which events) is parsed once, here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from protocols import location_tiers, permissions
from protocols.errors import InvalidStream
from protocols.from_phone import PhoneMessage, TouchEvent

TRANSCRIPTION = "transcription"
TRANSLATION = "translation"
VAD = "VAD"
AUDIO_CHUNK = "audio_chunk"
TOUCH_EVENT = "touch_event"
LOCATION_UPDATE = "location_update"
LOCATION_STREAM = "location_stream"
CALENDAR_EVENT = "calendar_event"
CUSTOM_MESSAGE = "custom_message"
PHONE_NOTIFICATION = "phone_notification"
PHONE_NOTIFICATION_DISMISSED = "phone_notification_dismissed"
SYSTEM_SETTING = "augmentos"

WILDCARDS = ("all", "*")
AUTO = "auto"  # transcription: the recogniser finds the language
ANY_SOURCE = "all"  # translation: from whatever is spoken
DEFAULT_LANGUAGE = "en-US"

GESTURES = (
    "single_tap",
    "double_tap",
    "triple_tap",
    "long_press",
    "forward_swipe",
    "backward_swipe",
    "up_swipe",
    "down_swipe",
)

LONGEST_TEXT = 256
"""Characters in a subscription; the longest the SDK builds, with a dozen hints, is under 150."""

ALIASES: Mapping[str, str] = {"notification_dismissed": PHONE_NOTIFICATION_DISMISSED}
"""Older names of streams and of the events that feed them."""

REQUIRED_PERMISSIONS: Mapping[str, str | None] = {
    TRANSCRIPTION: permissions.MICROPHONE,
    TRANSLATION: permissions.MICROPHONE,
    VAD: permissions.MICROPHONE,
    AUDIO_CHUNK: permissions.MICROPHONE,
    "button_press": None,
    "head_position": None,
    TOUCH_EVENT: None,
    "glasses_battery_update": None,
    "phone_battery_update": None,
    "glasses_connection_state": None,
    LOCATION_UPDATE: permissions.LOCATION,
    LOCATION_STREAM: permissions.LOCATION,
    "vps_coordinates": None,
    PHONE_NOTIFICATION: permissions.READ_NOTIFICATIONS,
    PHONE_NOTIFICATION_DISMISSED: permissions.READ_NOTIFICATIONS,
    CALENDAR_EVENT: permissions.CALENDAR,
    "photo_taken": permissions.CAMERA,
    "photo_request": None,
    "photo_response": permissions.CAMERA,
    "video": None,
    "rtmp_stream_status": permissions.CAMERA,
    "managed_stream_status": permissions.CAMERA,
    "start_app": None,
    "stop_app": None,
    "open_dashboard": None,
    "core_status_update": None,
    "settings_update_request": None,
    CUSTOM_MESSAGE: None,
    SYSTEM_SETTING: None,
}
"""Every stream and the permission it needs (5.1). Wildcards are not in it: they need what the event needs."""

STREAMS = frozenset(REQUIRED_PERMISSIONS)

RELAYED_EVENTS: Mapping[str, str] = {
    name: name
    for name in (
        "VAD",
        "button_press",
        "head_position",
        "touch_event",
        "glasses_battery_update",
        "phone_battery_update",
        "glasses_connection_state",
        "location_update",
        "vps_coordinates",
        "phone_notification",
        "phone_notification_dismissed",
        "calendar_event",
        "photo_taken",
        "start_app",
        "stop_app",
        "open_dashboard",
        "core_status_update",
        "settings_update_request",
    )
} | dict(ALIASES)
"""The phone messages that are relayed to apps: wire type to stream."""


_EVENT_STREAMS = tuple(dict.fromkeys(RELAYED_EVENTS.values()))


class Subscription(msgspec.Struct, frozen=True):
    """One entry of an app's list.

    Attributes:
      text: the entry as the app wrote it; what its events are called on the wire.
      base: the stream, under its newest name; a wildcard's own text.
      language: of speech: a code, `auto`, for translations also `all`. None: any (a bare `translation`).
      target_language: what a translation is into; None: any.
      options: the query's names and values, decoded, in their order.
      rate: the location tier; `standard` where the entry has none.
      gesture: of `touch_event:<gesture>`.
      setting: the key of `augmentos:<key>`; `*` for all of them.
      withheld: of a wildcard: the streams its app has no permission for.
    """

    text: str
    base: str
    language: str | None = None
    target_language: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    rate: str | None = None
    gesture: str | None = None
    setting: str | None = None
    withheld: tuple[str, ...] = ()

    @property
    def is_wildcard(self) -> bool:
        return self.base in WILDCARDS

    @property
    def is_speech(self) -> bool:
        return self.base in (TRANSCRIPTION, TRANSLATION)

    @property
    def hints(self) -> tuple[str, ...]:
        """Languages that are likely to be spoken, for the recogniser."""
        found = [hint for name, value in self.options if name == "hints" for hint in value.split(",")]
        return tuple(hint.strip() for hint in found if hint.strip())

    @property
    def identifies_language(self) -> bool:
        """Whether the recogniser may look for other languages than the one named."""
        return ("no-language-identification", "true") not in self.options


class Event(msgspec.Struct, frozen=True):
    """What a phone's message is to subscribers: its stream and, for a touch, the gesture."""

    base: str
    gesture: str | None = None


def parse(entry: object) -> Subscription:
    """The subscription that an entry of `subscription_update` asks for.

    Args:
      entry: a stream's name, or the object form `{"stream": name, "rate": tier}`.

    Raises:
      InvalidStream: the entry names no stream.
    """
    if isinstance(entry, str):
        return _parse_text(entry, None)
    if isinstance(entry, Mapping):
        stream, rate = entry.get("stream"), entry.get("rate")
        if isinstance(stream, str) and (rate is None or isinstance(rate, str)):
            return _parse_text(stream, rate)
    raise InvalidStream(repr(entry), "expected a name, or an object with `stream` and `rate`")


def event_of(message: PhoneMessage) -> Event | None:
    """The event that a phone's message is; None for one that is not relayed."""
    base = RELAYED_EVENTS.get(str(message.__struct_config__.tag))
    if base is None:
        return None
    return Event(base, message.gesture_name if isinstance(message, TouchEvent) else None)


def required_permission(subscription: Subscription) -> str | None:
    """The permission the stream needs; None for none, and for a wildcard: it gets what its app may have."""
    return REQUIRED_PERMISSIONS.get(subscription.base)


def events_of(subscription: Subscription) -> tuple[str, ...]:
    """The streams of relayed events that the subscription hears; speech and raw audio are no events."""
    if subscription.is_wildcard:
        return tuple(base for base in _EVENT_STREAMS if base not in subscription.withheld)
    base = LOCATION_UPDATE if subscription.base == LOCATION_STREAM else subscription.base
    return (base,) if base in _EVENT_STREAMS else ()


def wants_event(subscription: Subscription, base: str, *, gesture: str | None = None) -> bool:
    """Whether an event of the stream `base` is for this subscription.

    A location goes to both location streams. `gesture` is a touch event's; whether an app that also holds the
    gesture's own stream gets the bare one is the router's business (5.5).
    """
    return base in events_of(subscription) and subscription.gesture in (None, gesture)


def wants_transcription(subscription: Subscription, language: str) -> bool:
    """Whether what the recogniser of `language` heard is for this subscription."""
    if subscription.is_wildcard:
        return TRANSCRIPTION not in subscription.withheld
    return subscription.base == TRANSCRIPTION and subscription.language == language


def wants_translation(subscription: Subscription, source: str, target: str) -> bool:
    """Whether what is translated for the pair `source` and `target` is for this subscription: the same pair.

    `all` is a source of its own: whatever is spoken is translated for it once, and who asked for that does
    not hear it a second time from those who named the language.
    """
    if subscription.is_wildcard:
        return TRANSLATION not in subscription.withheld
    return (
        subscription.base == TRANSLATION
        and subscription.language in (None, source)
        and subscription.target_language in (None, target)
    )


def is_same_language(one: str, other: str) -> bool:
    """Whether there is nothing to translate between two codes: en-US and en-GB, also a bare en.

    Chinese is the exception: its regions are written differently.
    """
    one_base, _, one_region = one.partition("-")
    other_base, _, other_region = other.partition("-")
    if one_base != other_base:
        return False
    return one_base != "zh" or not one_region or not other_region or one_region == other_region


def wants_setting(subscription: Subscription, key: str) -> bool:
    """Whether a change of the system setting `key` is for this subscription."""
    return subscription.base == SYSTEM_SETTING and subscription.setting in ("*", key)


_LANGUAGE = re.compile(r"[a-z]{2,3}-[A-Z]{2}")
_TRANSLATION = re.compile(r"(all|[a-z]{2,3}-[A-Z]{2})-to-([a-z]{2,3}-[A-Z]{2})")
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")


def _parse_text(text: str, rate: str | None) -> Subscription:
    if len(text) > LONGEST_TEXT:
        raise InvalidStream(text, f"longer than {LONGEST_TEXT} characters")
    head, _, query = text.partition("?")
    name, colon, detail = head.partition(":")
    if name in (TRANSCRIPTION, TRANSLATION):
        options = _parse_query(query)
        if name == TRANSCRIPTION:
            return Subscription(text, name, language=_language(text, detail, colon), options=options)
        source, target = _language_pair(text, detail, colon)
        return Subscription(text, name, language=source, target_language=target, options=options)
    if name == TOUCH_EVENT and colon:
        if detail not in GESTURES or head != text:
            raise InvalidStream(text, f"expected one of the gestures {', '.join(GESTURES)}")
        return Subscription(text, name, gesture=detail)
    if name == SYSTEM_SETTING:
        if not detail:
            raise InvalidStream(text, "expected augmentos:<setting>")
        return Subscription(text, name, setting="*" if detail in WILDCARDS else detail)
    if text in WILDCARDS:
        return Subscription(text, text)
    base = ALIASES.get(text, text)
    if base not in STREAMS:
        raise InvalidStream(text, "there is no such stream")
    if base in (LOCATION_UPDATE, LOCATION_STREAM):
        return Subscription(text, base, rate=_tier(text, rate))
    return Subscription(text, base)


def _language(text: str, detail: str, colon: str) -> str:
    if not colon:
        return DEFAULT_LANGUAGE
    if detail != AUTO and not _LANGUAGE.fullmatch(detail):
        raise InvalidStream(text, "expected transcription:<language> such as transcription:en-US")
    return detail


def _language_pair(text: str, detail: str, colon: str) -> tuple[str | None, str | None]:
    if not colon:
        return None, None
    pair = _TRANSLATION.fullmatch(detail)
    if pair is None:
        raise InvalidStream(
            text, "expected translation:<source>-to-<target> such as translation:fr-FR-to-en-US"
        )
    return pair[1], pair[2]


def _tier(text: str, rate: str | None) -> str:
    if rate is None:
        return location_tiers.DEFAULT
    if rate not in location_tiers.COARSE_TO_FINE:
        raise InvalidStream(text, f"expected a rate of {', '.join(location_tiers.COARSE_TO_FINE)}")
    return rate


def _parse_query(query: str) -> tuple[tuple[str, str], ...]:
    """Names and values as `URLSearchParams`, which the SDK builds them with, has them."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return tuple((_unquote(name), _unquote(value)) for name, _, value in pairs)


def _unquote(text: str) -> str:
    quoted = text.replace("+", " ").encode()
    return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), quoted).decode(errors="replace")
