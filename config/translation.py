"""Who translates speech on a server."""

from __future__ import annotations

from actors.language_ports import LanguageModel, Translator
from actors.speech.model_translator import ModelTranslator
from config.settings import Settings


def translator_of(settings: Settings, model: LanguageModel) -> Translator | None:
    """The translator that the settings name; None where nobody translates, as without a key.

    Args:
      model: the server's, which translates where there is a key.
    """
    if settings.translation_provider == "test":
        from adapters.simulated.translation import MarkingTranslator

        return MarkingTranslator()
    if settings.translation_provider == "none" or not settings.anthropic_api_key:
        return None
    return ModelTranslator(model, model=settings.translation.model, cache=settings.translation.cache)
