"""What a server speaks with, and how it knows that a text is its own to speak."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from actors.ports import Telemetry
from actors.speaking import Speaking, SpeechTickets
from actors.synthesis_ports import SpeechSynthesis
from adapters.synthesis import Flite
from config.data_directory import jwt_secret
from config.settings import Settings

_PURPOSE: Final = b"glasshouse: tickets for spoken texts"


def speaking_of(settings: Settings, telemetry: Telemetry) -> Speaking | None:
    """As the settings want it; None where nothing is to be spoken.

    Raises:
      DataDirectoryError: no token secret was given, and none can be read or made.
    """
    if settings.speech_synthesis == "none":
        return None
    return tickets_for(settings, Flite(settings.flite, telemetry, environment=os.environ))


def tickets_for(settings: Settings, synthesis: SpeechSynthesis) -> Speaking:
    """With tickets that no core token can stand for, nor the other way round: their key is derived."""
    key = hmac.new(jwt_secret(settings).encode(), _PURPOSE, hashlib.sha256).digest()
    return Speaking(synthesis, SpeechTickets(key))
