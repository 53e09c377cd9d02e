"""Which language model a server thinks with, and the service that keeps its process."""

from __future__ import annotations

from collections.abc import Sequence

from actors.assistant.rules import RulesModel
from actors.language_ports import LanguageModel
from actors.ports import Telemetry
from actors.service import ServiceSpec
from adapters.language_model.process import ModelProcess
from config.settings import Settings


def model_of(settings: Settings, telemetry: Telemetry) -> tuple[LanguageModel, Sequence[ServiceSpec]]:
    """Anthropic's where there is a key, in a process of the media branch; rules without one."""
    if not settings.anthropic_api_key:
        return RulesModel(), ()
    process = ModelProcess(
        key=settings.anthropic_api_key,
        base_url=settings.anthropic_base_url,
        telemetry=telemetry,
        settings=settings.anthropic,
    )
    return process, (ServiceSpec("language model", process.run),)
