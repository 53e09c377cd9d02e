"""Language models: the `LanguageModel` port over Anthropic's Messages API. Read `anthropic.py`."""

from __future__ import annotations

from adapters.language_model.anthropic import AnthropicModel
from adapters.language_model.settings import AnthropicSettings

__all__ = ["AnthropicModel", "AnthropicSettings"]
