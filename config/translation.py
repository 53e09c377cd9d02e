"""Who translates speech on a server."""

from __future__ import annotations

from actors.language_ports import Translator
from actors.ports import Telemetry
from actors.speech.model_translator import ModelTranslator
from adapters.language_model import AnthropicModel
from config.settings import Settings


def translator_of(settings: Settings, telemetry: Telemetry) -> Translator | None:
    """The translator that the settings name; None where nobody translates, as without a key."""
    if settings.translation_provider == "test":
        from adapters.simulated.translation import MarkingTranslator

        return MarkingTranslator()
    if settings.translation_provider == "none" or not settings.anthropic_api_key:
        return None
    model = AnthropicModel(
        key=settings.anthropic_api_key,
        base_url=settings.anthropic_base_url,
        telemetry=telemetry,
        settings=settings.anthropic,
    )
    return ModelTranslator(model, model=settings.translation.model, cache=settings.translation.cache)
