"""What of a session is translated: which pairs are served, and the streams that translate them.

A pair that an app asked for is served when its source is recognised here and somebody translates it. Its
stream listens to the transcription stream of the source, which is opened for it where no app wants the words
themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocols import streams
from protocols.error_codes import ErrorCode
from runtime import ChildSpec, Ref

from ..apps.messages import Deliver
from ..speech.messages import SetSubscribers, Subscriber
from ..speech.translation import TranslationMessage, TranslationStream
from . import wire
from .playing import Playing
from .state import AppEntry

Pair = tuple[str, str]


def spoken_in(source: str) -> str:
    """The transcription stream that a translation from `source` listens to."""
    return streams.AUTO if source == streams.ANY_SOURCE else source


class Translations(Playing):
    """Keeps the translation streams in step with what the apps asked for."""

    def _is_recognised(self, language: str) -> bool:
        return any(p.supports(language) for p in self.domain.ports.speech)

    def _is_translated(self, source: str, target: str) -> bool:
        """Whether somebody translates this pair. What is spoken in the target already needs nobody."""
        spoken = spoken_in(source)
        if spoken != streams.AUTO and streams.is_same_language(spoken, target):
            return True
        translator = self.domain.ports.translator
        return translator is not None and translator.supports(spoken, target)

    def _served_pairs(self) -> tuple[Pair, ...]:
        return tuple(
            (source, target)
            for source, target in self.state.routing.translations
            if self._is_recognised(spoken_in(source)) and self._is_translated(source, target)
        )

    def _tell_untranslated(self, entry: AppEntry) -> None:
        """Say which translations an app asked for and nobody here makes: silence would look like a fault."""
        untranslated = [
            subscription.text
            for subscription in entry.subscriptions
            if subscription.base == streams.TRANSLATION
            and subscription.language is not None
            and subscription.target_language is not None
            and self._is_recognised(spoken_in(subscription.language))
            and not self._is_translated(subscription.language, subscription.target_language)
        ]
        if untranslated:
            message = f"no translator of this server serves {', '.join(untranslated)}"
            if self.domain.ports.translator is None:
                message = f"this server has no translator, which {', '.join(untranslated)} needs"
            code = ErrorCode.LANGUAGE_NOT_SUPPORTED
            entry.ref.tell(Deliver(wire.connection_error(code, message, self._stamp())))

    def _heard_languages(self) -> dict[str, tuple[str, ...]]:
        """Every language that has to be recognised, with the hints of who wants it, translated or not."""
        routing = self.state.routing
        heard = dict(routing.languages)
        for pair in self._served_pairs():
            language = spoken_in(pair[0])
            heard[language] = tuple(dict.fromkeys((*heard.get(language, ()), *routing.translations[pair])))
        return heard

    def _listeners_of(self, language: str) -> tuple[Ref[TranslationMessage], ...]:
        """The translation streams that what is heard of `language` is for."""
        return tuple(
            self.state.translations[pair]
            for pair in self._served_pairs()
            if spoken_in(pair[0]) == language and pair in self.state.translations
        )

    def _route_translations(self) -> None:
        for pair in self._served_pairs():
            if pair not in self.state.translations:
                self._open_translation(pair)
        for pair in self.state.translations:
            self._tell_translation(pair)

    def _tell_translation(self, pair: Pair) -> None:
        routing = self.state.routing
        subscribers = routing.translation_subscribers_of(*pair) if pair in routing.translations else ()
        self.state.translations[pair].tell(SetSubscribers(self._subscribers(subscribers)))

    def _subscribers(self, takers: Iterable[tuple[str, str]]) -> tuple[Subscriber, ...]:
        """Packages and the strings they want something under, with their actors."""
        return tuple(Subscriber(name, text, self.state.apps[name].ref) for name, text in takers)

    def _open_translation(self, pair: Pair) -> None:
        source, target = pair
        untold = self.untold.pop(pair, ())
        ref = self.spawn(
            ChildSpec(
                name=f"{source}-to-{target}",
                factory=lambda: TranslationStream(
                    user_id=self.user_id,
                    source=spoken_in(source),
                    target=target,
                    translator=self.domain.ports.translator,
                    session=self.ref,
                    settings=self.domain.settings.translation,
                    linger_s=self.domain.settings.speech.linger_s,
                    telemetry=self.telemetry,
                    untold=untold,
                ),
                restart="transient",
            ),
            under=self.near.speech,
        )
        self.watch(ref)
        self._put_translations({**self.state.translations, pair: ref})

    def _forget_translation(self, ref: Ref[TranslationMessage]) -> bool:
        """It has ended; whether it was one of ours."""
        rest = {pair: other for pair, other in self.state.translations.items() if other is not ref}
        is_ours = len(rest) < len(self.state.translations)
        if is_ours:
            self._put_translations(rest)
        return is_ours

    def _put_translations(self, translations: dict[Pair, Ref[TranslationMessage]]) -> None:
        self.state = msgspec.structs.replace(self.state, translations=translations)
