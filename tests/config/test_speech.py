"""Which recognisers are asked for a language, and in which order."""

from __future__ import annotations

import pytest

from adapters.simulated.telemetry import RecordingTelemetry
from config.settings import Settings
from config.sources import SettingsError, load
from config.speech import speech_of

KEY = "k" * 40


def names(settings: Settings, language: str = "en-US") -> list[str]:
    providers, _ = speech_of(settings, RecordingTelemetry())
    return [provider.name for provider in providers if provider.supports(language)]


def test_without_a_key_there_is_the_offline_recogniser_alone() -> None:
    assert ["pocketsphinx"] == names(Settings())


def test_a_key_puts_deepgram_before_it() -> None:
    assert ["deepgram", "pocketsphinx"] == names(Settings(deepgram_api_key=KEY))
    assert ["deepgram"] == names(Settings(deepgram_api_key=KEY), "de-DE"), "which the offline one cannot hear"


def test_each_key_is_a_provider_of_its_own() -> None:
    settings = Settings(deepgram_api_key=KEY, deepgram_api_keys=(KEY, "another", "third"))

    assert ["deepgram", "deepgram:2", "deepgram:3", "pocketsphinx"] == names(settings)


def test_the_order_is_the_settings() -> None:
    settings = Settings(deepgram_api_key=KEY, speech_provider=("pocketsphinx", "deepgram"))

    assert ["pocketsphinx", "deepgram"] == names(settings)
    assert [] == names(Settings(deepgram_api_key=KEY, speech_provider=("none",)))


def test_a_language_may_have_another_order() -> None:
    settings = Settings(
        deepgram_api_key=KEY,
        speech_by_language=("en=pocketsphinx+deepgram", "en-GB=deepgram", "fr=none"),
    )

    assert ["pocketsphinx", "deepgram"] == names(settings, "en-US")
    assert ["deepgram"] == names(settings, "en-GB"), "a region's choice goes before its language's"
    assert [] == names(settings, "fr-FR")
    assert ["deepgram"] == names(settings, "de-DE")


def test_the_environment_of_the_original_gives_the_key() -> None:
    loaded = load(flags={}, environ={"DEEPGRAM_API_KEY": KEY, "GLASSHOUSE_DEEPGRAM_API_KEYS": "one,two"})

    assert ["deepgram", "deepgram:2", "deepgram:3", "pocketsphinx"] == names(loaded.settings)
    assert [] == list(loaded.notices)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPEECH_PROVIDER", "soniox"),
        ("SPEECH_BY_LANGUAGE", "en"),
        ("SPEECH_BY_LANGUAGE", "english=deepgram"),
        ("DEEPGRAM_URL", "https://api.deepgram.com"),
        ("DEEPGRAM_URL", "wss://api.deepgram.com/v1"),
        ("DEEPGRAM_KEEP_ALIVE_S", "9"),
    ],
)
def test_a_wrong_choice_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower().replace("deepgram_", "deepgram.", 1)):
        load(flags={}, environ={f"GLASSHOUSE_{name}": value})
