"""Who translates, by the settings."""

from __future__ import annotations

import pytest

from actors.language_ports import TranslationRequest
from adapters.simulated.telemetry import RecordingTelemetry
from clients.messages_loopback import MessagesLoopback, open_messages_loopback
from config.settings import Settings
from config.sources import SettingsError, load
from config.translation import translator_of

KEY = "k" * 40
HELLO = TranslationRequest("bonjour", "fr-FR", "en-US")


def test_without_a_key_nobody_translates() -> None:
    assert translator_of(Settings(), RecordingTelemetry()) is None
    assert (
        translator_of(Settings(anthropic_api_key=KEY, translation_provider="none"), RecordingTelemetry())
        is None
    )


async def test_the_test_translator_is_asked_for_by_name() -> None:
    translator = translator_of(Settings(translation_provider="test"), RecordingTelemetry())

    assert translator is not None
    assert "[en-US] bonjour" == await translator.translate(HELLO, timeout_s=1)


@pytest.mark.parametrize(
    ("names", "model"),
    [
        ({}, "claude-haiku-4-5"),
        ({"GLASSHOUSE_ANTHROPIC_MODEL": "one"}, "one"),
        ({"GLASSHOUSE_ANTHROPIC_MODEL": "one", "GLASSHOUSE_TRANSLATION_MODEL": "two"}, "two"),
    ],
)
async def test_a_key_and_an_address_from_the_environment_make_a_translator(
    names: dict[str, str], model: str
) -> None:
    loopback = MessagesLoopback(lambda _: "hello", keys=frozenset({KEY}))
    async with open_messages_loopback(loopback):
        environ = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": loopback.url, **names}
        loaded = load(flags={}, environ=environ)
        translator = translator_of(loaded.settings, RecordingTelemetry())
        assert translator is not None

        assert "hello" == await translator.translate(HELLO, timeout_s=10)
        await translator.aclose()

    assert [] == list(loaded.notices)
    assert model == loopback.asked[0].model


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError):
        load(flags={}, environ={"ANTHROPIC_BASE_URL": "anthropic"})
