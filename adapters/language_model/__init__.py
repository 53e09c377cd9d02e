"""Language models: the `LanguageModel` port over Anthropic's Messages API.

`anthropic.py` is the API, `process.py` the process that it lives in on a server.
"""

from __future__ import annotations

from adapters.language_model.anthropic import AnthropicModel
from adapters.language_model.process import ModelProcess
from adapters.language_model.settings import AnthropicSettings

__all__ = ["AnthropicModel", "AnthropicSettings", "ModelProcess"]
