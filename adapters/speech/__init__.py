"""Speech recognition: implementations of `actors.ports.SpeechProvider`.

Open `deepgram.py`: the provider for production, a WebSocket a stream (`deepgram_messages.py` is its language,
`deepgram_failures.py` what its refusals mean). And `pocketsphinx.py`: the keyless provider. It cuts each
stream's audio into utterances (`endpointing.py`), queues them (`utterance.py`), and lends each to a worker
process (`pool.py`, `pocketsphinx_worker.py`). The scripted provider of tests is the twin of both, in
`adapters/simulated`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .deepgram import DeepgramProvider
    from .pocketsphinx import PocketSphinxProvider
    from .pool import WorkerView
    from .settings import DeepgramSettings, PocketSphinxSettings

__all__ = [
    "DeepgramProvider",
    "DeepgramSettings",
    "PocketSphinxProvider",
    "PocketSphinxSettings",
    "WorkerView",
]

# By name and not at import: this package is also what a worker process imports first, and without trio and
# the ports a worker is 17 MB smaller and starts 0.2 s sooner.
_HOMES = {
    "DeepgramProvider": "deepgram",
    "DeepgramSettings": "settings",
    "PocketSphinxProvider": "pocketsphinx",
    "PocketSphinxSettings": "settings",
    "WorkerView": "pool",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
