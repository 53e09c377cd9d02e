"""Which recognisers a server has, and the services that run them."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from actors.ports import SpeechProvider, Telemetry
from actors.service import ServiceSpec
from adapters.speech import PocketSphinxProvider
from config.settings import Settings


def speech_of(
    settings: Settings, telemetry: Telemetry
) -> tuple[Sequence[SpeechProvider], Sequence[ServiceSpec]]:
    """The providers in the order they are asked for a language, and their services for the media branch."""
    if settings.speech_provider == "none":
        return (), (ServiceSpec("recognisers", trio.sleep_forever),)
    provider = PocketSphinxProvider(telemetry=telemetry, settings=settings.pocketsphinx)
    return (provider,), (ServiceSpec("recognisers", provider.run),)
