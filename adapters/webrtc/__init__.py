"""WebRTC: the implementation of `actors.webrtc.ports.Media` by aiortc, in a process of its own.

Open `process.py`: it keeps the process and hands the peers' words to and fro. The process is
`media_worker.py`, whose peers are in `peer.py` and `connection.py`; what they hear becomes PCM in
`listening.py` and `opus.py`. Which candidates are offered and followed is decided in `candidates.py`, and
what of a description gets near aiortc in `descriptions.py`. The simulated phone is served by the same
program, in its role as a peer that speaks (`clients/glasses/webrtc.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .process import MediaProcess, MediaView
    from .settings import MediaSettings

__all__ = ["MediaProcess", "MediaSettings", "MediaView"]

# By name and not at import: this package is also what the media process imports first, and it needs neither
# trio nor the ports.
_HOMES = {"MediaProcess": "process", "MediaSettings": "settings", "MediaView": "process"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
