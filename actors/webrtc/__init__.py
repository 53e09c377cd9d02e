"""WebRTC as a second way for the microphone: negotiation, the peer's actor, the choice of the source."""

from __future__ import annotations
