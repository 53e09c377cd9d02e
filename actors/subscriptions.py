"""Subscriptions: what an app's list means, and who hears what (protocol.md section 5).

Pure. `apply_update` turns a requested list into the accepted one; `routing_of` turns all apps' lists into an
immutable table that the session computes once per change and looks up per event.

An app's events carry its own strings: a subscriber is a package and the exact text it wrote, and an app with
several texts for one thing hears it once under each (10.10). The order of everything is the order of the apps
and of their lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from protocols import location_tiers, streams
from protocols.errors import InvalidStream
from protocols.permissions import grants
from protocols.streams import Event, Subscription

from .allowance import TrafficLimits

Subscriber = tuple[str, str]
"""A package and the text its events go out under."""

K = TypeVar("K")

REPLAYED = (
    streams.LOCATION_UPDATE,
    streams.LOCATION_STREAM,
    streams.CALENDAR_EVENT,
    streams.CUSTOM_MESSAGE,
)
"""Streams whose last known data a new subscriber is sent (5.6)."""


class Problem(msgspec.Struct, frozen=True):
    """An entry that was not accepted.

    Attributes:
      required_permission: what the app would have to declare; None where the entry names no stream.
    """

    stream: str
    required_permission: str | None
    message: str


class Update(msgspec.Struct, frozen=True):
    """The outcome of a `subscription_update`.

    Attributes:
      accepted: the whole new list, without repetitions.
      refused: what was left out, once each; the socket stays open whatever is in it.
      replays: accepted entries the app did not have before, of streams whose last data it is owed now.
      ignored: how many entries at the end were not looked at.
    """

    accepted: tuple[Subscription, ...]
    refused: tuple[Problem, ...] = ()
    replays: tuple[Subscription, ...] = ()
    ignored: int = 0


def apply_update(
    current: Sequence[Subscription],
    requested: Sequence[object],
    permissions: Collection[str] | None,
    *,
    most: int = TrafficLimits().subscriptions,
) -> Update:
    """Replace an app's list by the one it requests: keep what is valid, report the rest (5.6, 10.8).

    Args:
      requested: entries as they came; the last of several with the same text counts.
      permissions: what the app's developer declared; None when that could not be looked up: all is allowed.
      most: entries that are looked at; an SDK sends one per handler of the app.
    """
    accepted: dict[str, Subscription] = {}
    refused: dict[str, Problem] = {}
    for entry in requested[:most]:
        try:
            subscription = streams.parse(entry)
        except InvalidStream as error:
            refused[error.stream] = Problem(error.stream, None, str(error))
            continue
        required = streams.required_permission(subscription)
        if permissions is None or grants(permissions, required):
            accepted[subscription.text] = _limited(subscription, permissions)
        else:
            message = f"the stream {subscription.text} needs the permission {required}, which is not declared"
            refused[subscription.text] = Problem(subscription.text, required, message)
    known = {subscription.text for subscription in current}
    return Update(
        accepted=tuple(accepted.values()),
        refused=tuple(refused.values()),
        replays=tuple(s for s in accepted.values() if s.text not in known and s.base in REPLAYED),
        ignored=max(0, len(requested) - most),
    )


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears what, of all running apps. Made by `routing_of`.

    Attributes:
      languages: each language to transcribe, with the hints of all its subscribers.
      fixed_languages: those of them in which no subscriber lets the recogniser look for another language.
      translations: each pair to translate, with hints; the source `all` is whatever is spoken.
      audio_packages: apps that take the microphone's frames.
      location_tier: the finest tier any app holds; `reduced` when none does (5.8).
      wants_speech: some app wants speech as text, transcribed or translated.
      wants_microphone: the microphone is needed at all (5.7).
    """

    languages: Mapping[str, tuple[str, ...]]
    fixed_languages: tuple[str, ...]
    translations: Mapping[tuple[str, str], tuple[str, ...]]
    audio_packages: tuple[str, ...]
    location_tier: str
    wants_speech: bool
    wants_microphone: bool
    transcription_subscribers: Mapping[str, tuple[Subscriber, ...]]
    event_subscribers: Mapping[str, tuple[Subscriber, ...]]
    touch_subscribers: Mapping[str | None, tuple[Subscriber, ...]]
    translators: tuple[tuple[str, Subscription], ...]
    setting_subscriptions: tuple[tuple[str, Subscription], ...]

    def subscribers_of(self, language: str) -> tuple[Subscriber, ...]:
        """Who hears what the recogniser of `language` heard, wildcards included.

        Of a language nobody asked for, only the wildcards hear.
        """
        return self.transcription_subscribers.get(language, self.transcription_subscribers[""])

    def translation_subscribers_of(self, source: str, target: str) -> tuple[Subscriber, ...]:
        """Who hears what is translated for the pair; `all` is a source of its own (`wants_translation`)."""
        return tuple(
            (package, subscription.text)
            for package, subscription in self.translators
            if streams.wants_translation(subscription, source, target)
        )

    def takers_of(self, event: Event | None) -> tuple[Subscriber, ...]:
        """Who hears an event of the phone; nobody hears what is not relayed (None)."""
        if event is None:
            return ()
        if event.base == streams.TOUCH_EVENT:
            return self.touch_subscribers.get(event.gesture, self.touch_subscribers[None])
        return self.event_subscribers.get(event.base, ())

    def setting_subscribers_of(self, key: str) -> tuple[Subscriber, ...]:
        """Who hears a change of the system setting `key` as a stream (`augmentos:<key>`)."""
        return tuple(
            (package, subscription.text)
            for package, subscription in self.setting_subscriptions
            if streams.wants_setting(subscription, key)
        )


def routing_of(subscriptions: Mapping[str, Sequence[Subscription]]) -> Routing:
    """The table for these apps: package to accepted list."""
    held = tuple((package, each) for package, theirs in subscriptions.items() for each in theirs)
    transcribed = tuple(each for _, each in held if each.base == streams.TRANSCRIPTION)
    translated = tuple((package, each) for package, each in held if each.base == streams.TRANSLATION)
    wildcards = tuple((package, each) for package, each in held if each.is_wildcard)
    languages = _merged_hints((each.language or "", each) for each in transcribed)
    translations = _merged_hints(
        ((each.language, each.target_language), each)
        for _, each in translated
        if each.language is not None and each.target_language is not None
    )
    audio_packages = _unique(package for package, each in held if each.base == streams.AUDIO_CHUNK)
    gestures = _unique(each.gesture for _, each in held if each.gesture is not None)
    wants_speech = any(each.is_speech for _, each in held)
    return Routing(
        languages=languages,
        fixed_languages=tuple(
            language
            for language in languages
            if not any(each.identifies_language for each in transcribed if each.language == language)
        ),
        translations=translations,
        audio_packages=audio_packages,
        location_tier=location_tiers.finest(each.rate for _, each in held if each.rate is not None),
        wants_speech=wants_speech,
        wants_microphone=wants_speech or bool(audio_packages),
        transcription_subscribers={
            language: tuple(
                (package, each.text) for package, each in held if streams.wants_transcription(each, language)
            )
            for language in (*languages, "")
        },
        event_subscribers=_event_subscribers(held),
        touch_subscribers={
            gesture: _touch_subscribers(subscriptions, gesture) for gesture in (*gestures, None)
        },
        translators=(*translated, *wildcards),
        setting_subscriptions=tuple(
            (package, each) for package, each in held if each.base == streams.SYSTEM_SETTING
        ),
    )


def _limited(subscription: Subscription, permissions: Collection[str] | None) -> Subscription:
    """A wildcard with the streams its app may not have; any other subscription as it is."""
    if permissions is None or not subscription.is_wildcard:
        return subscription
    withheld = tuple(
        stream
        for stream, required in streams.REQUIRED_PERMISSIONS.items()
        if not grants(permissions, required)
    )
    return msgspec.structs.replace(subscription, withheld=withheld)


def _merged_hints(wanted: Iterable[tuple[K, Subscription]]) -> dict[K, tuple[str, ...]]:
    merged: dict[K, tuple[str, ...]] = {}
    for key, subscription in wanted:
        merged[key] = _unique((*merged.get(key, ()), *subscription.hints))
    return merged


def _event_subscribers(held: Sequence[tuple[str, Subscription]]) -> dict[str, tuple[Subscriber, ...]]:
    found: dict[str, list[Subscriber]] = {}
    for package, subscription in held:
        for base in streams.events_of(subscription):
            found.setdefault(base, []).append((package, subscription.text))
    return {base: tuple(subscribers) for base, subscribers in found.items()}


def _touch_subscribers(
    subscriptions: Mapping[str, Sequence[Subscription]], gesture: str | None
) -> tuple[Subscriber, ...]:
    """Who hears a touch. An app with the gesture's own stream does not hear it under the bare one (5.5)."""
    found: list[Subscriber] = []
    for package, theirs in subscriptions.items():
        heard = [each for each in theirs if streams.wants_event(each, streams.TOUCH_EVENT, gesture=gesture)]
        is_specific = any(each.gesture is not None for each in heard)
        found += [
            (package, each.text)
            for each in heard
            if each.is_wildcard or each.gesture is not None or not is_specific
        ]
    return tuple(found)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
