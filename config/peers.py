"""Where WebRTC's peers live, and the service that keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from actors.ports import Telemetry
from actors.service import ServiceSpec
from actors.webrtc.absent import NoMedia
from actors.webrtc.ports import Media
from config.settings import Settings


def peers_of(settings: Settings, telemetry: Telemetry) -> tuple[Media, Sequence[ServiceSpec]]:
    """The media process where `webrtc.enabled` says so, and its service for the media branch."""
    if not settings.webrtc.enabled:
        return NoMedia(), ()
    from adapters.webrtc import MediaProcess  # here: a server without WebRTC does not pay for it

    process = MediaProcess(settings.media, telemetry)
    return process, (ServiceSpec("peers", process.run),)
