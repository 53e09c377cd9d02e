"""Who translates and thinks, by the settings."""

from __future__ import annotations

import pytest
import trio

from actors.assistant.rules import RulesModel
from actors.language_ports import TranslationRequest
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.simulated.translation import ScriptedModel
from clients.messages_loopback import MessagesLoopback, open_messages_loopback
from config.language_model import model_of
from config.settings import Settings
from config.sources import SettingsError, load
from config.translation import translator_of

KEY = "k" * 40
HELLO = TranslationRequest("bonjour", "fr-FR", "en-US")


def test_without_a_key_nobody_translates() -> None:
    assert translator_of(Settings(), RulesModel()) is None
    assert translator_of(Settings(anthropic_api_key=KEY, translation_provider="none"), RulesModel()) is None


async def test_the_test_translator_is_asked_for_by_name() -> None:
    translator = translator_of(Settings(translation_provider="test"), RulesModel())

    assert translator is not None
    assert "[en-US] bonjour" == await translator.translate(HELLO, timeout_s=1)


def test_without_a_key_the_assistant_goes_by_rules_and_no_process_runs() -> None:
    model, services = model_of(Settings(), RecordingTelemetry())

    assert ("rules", ()) == (model.name, services)


async def test_a_key_and_an_address_from_the_environment_make_a_translator() -> None:
    loopback = MessagesLoopback(lambda _: "hello", keys=frozenset({KEY}))
    async with open_messages_loopback(loopback), trio.open_nursery() as nursery:
        named = {"GLASSHOUSE_ANTHROPIC_MODEL": "one", "ANTHROPIC_BASE_URL": loopback.url}
        loaded = load(flags={}, environ={"ANTHROPIC_API_KEY": KEY, **named})
        language_model, (service,) = model_of(loaded.settings, RecordingTelemetry())
        nursery.start_soon(service.run)
        translator = translator_of(loaded.settings, language_model)
        assert translator is not None

        assert "hello" == await translator.translate(HELLO, timeout_s=60)
        nursery.cancel_scope.cancel()

    assert [] == list(loaded.notices)
    assert "one" == loopback.asked[0].model


async def test_the_translators_own_model_goes_before_everybodys() -> None:
    named = {"GLASSHOUSE_ANTHROPIC_MODEL": "one", "GLASSHOUSE_TRANSLATION_MODEL": "two"}
    scripted = ScriptedModel(lambda _: "hello")
    translator = translator_of(load(flags={}, environ={"ANTHROPIC_API_KEY": KEY, **named}).settings, scripted)
    assert translator is not None

    await translator.translate(HELLO, timeout_s=60)

    assert ["two"] == [request.model for request in scripted.requests]


def test_the_seeds_names_for_the_models_are_understood() -> None:
    loaded = load(flags={}, environ={"MODEL_FAST": "a-fast-one", "MODEL_SMART": "a-smart-one"})

    assistant = loaded.settings.assistant
    assert ("a-fast-one", "a-smart-one") == (assistant.fast_model, assistant.smart_model)


@pytest.mark.parametrize("price", ["claude", "claude=1", "claude=1/x", "=1/2", "claude=-1/2"])
def test_a_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(SettingsError):
        load(flags={"assistant.prices": price}, environ={})


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError):
        load(flags={}, environ={"ANTHROPIC_BASE_URL": "anthropic"})
