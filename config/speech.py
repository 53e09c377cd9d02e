"""Which recognisers a server has, and the services that run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from actors.ports import SpeechEvent, SpeechProvider, SpeechRequest, SpeechStream, Telemetry
from actors.service import ServiceSpec
from config.settings import Settings


def speech_of(
    settings: Settings, telemetry: Telemetry
) -> tuple[Sequence[SpeechProvider], Sequence[ServiceSpec]]:
    """The providers in the order they are asked for a language, and their services for the media branch."""
    special = [choice.partition("=") for choice in settings.speech_by_language]
    choices = {language: tuple(names.split("+")) for language, _, names in special}
    wanted = {*settings.speech_provider, *(name for names in choices.values() for name in names)}
    made: dict[str, Sequence[SpeechProvider]] = {"none": ()}
    service = ServiceSpec("recognisers", trio.sleep_forever)
    if "deepgram" in wanted:
        made["deepgram"] = _deepgram(settings, telemetry)
    if "pocketsphinx" in wanted:
        from adapters.speech import PocketSphinxProvider  # each is imported where it is used: it costs memory

        pocketsphinx = PocketSphinxProvider(telemetry=telemetry, settings=settings.pocketsphinx)
        made["pocketsphinx"] = (pocketsphinx,)
        service = ServiceSpec("recognisers", pocketsphinx.run)
    return _in_order(settings.speech_provider, choices, made), (service,)


def _deepgram(settings: Settings, telemetry: Telemetry) -> Sequence[SpeechProvider]:
    """A provider for each key: they fail and recover each for itself."""
    keys = [key for key in (settings.deepgram_api_key, *settings.deepgram_api_keys) if key]
    if not keys:
        return ()
    from adapters.speech import DeepgramProvider

    return tuple(
        DeepgramProvider(
            key=key,
            telemetry=telemetry,
            settings=settings.deepgram,
            name="deepgram" if number == 1 else f"deepgram:{number}",
        )
        for number, key in enumerate(dict.fromkeys(keys), start=1)
    )


def _in_order(
    default: Sequence[str], choices: dict[str, tuple[str, ...]], made: dict[str, Sequence[SpeechProvider]]
) -> Sequence[SpeechProvider]:
    """One list for all languages: a choice for a language comes first and is for that language alone."""
    chosen: list[SpeechProvider] = []
    for language, names in sorted(choices.items(), key=lambda choice: -len(choice[0])):
        closer = tuple(other for other in choices if other != language and _is_of(other, language))
        chosen += [
            _ForLanguages(provider, only=language, but=closer) for name in names for provider in made[name]
        ]
    everything = [provider for name in default for provider in made[name]]
    if not choices:
        return tuple(everything)
    return (*chosen, *(_ForLanguages(provider, only=None, but=tuple(choices)) for provider in everything))


def _is_of(language: str, group: str) -> bool:
    """Whether a choice for `group` is one for `language` too: en is for en-IN."""
    return language == group or language.partition("-")[0] == group


class _ForLanguages:
    """A provider that is asked for some languages only."""

    def __init__(self, provider: SpeechProvider, *, only: str | None, but: tuple[str, ...]) -> None:
        self._provider = provider
        self._only = only
        self._but = but

    @property
    def name(self) -> str:
        return self._provider.name

    def supports(self, language: str) -> bool:
        if self._only is not None and not _is_of(language, self._only):
            return False
        return not any(_is_of(language, other) for other in self._but) and self._provider.supports(language)

    def open(self, request: SpeechRequest, emit: Callable[[SpeechEvent], None]) -> SpeechStream:
        return self._provider.open(request, emit)
