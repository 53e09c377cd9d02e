"""The observer: a language model in a process of its own, where the user wants one."""

from __future__ import annotations

import os

from actors.ports import Telemetry
from adapters.language_model import AnthropicSettings, ModelProcess
from config.daemon.home import DaemonFile, read_observer_key

BASE_URL_VARIABLE = "ANTHROPIC_BASE_URL"


def observer_of(file: DaemonFile, telemetry: Telemetry) -> ModelProcess | None:
    """The model that describes screens; None where none is named. Its `run` has to be kept running.

    Raises:
      DaemonError: it has no key, or its key lies open.
    """
    observer = file.observer
    if not observer.model:
        return None
    return ModelProcess(
        key=read_observer_key(observer.key_file),
        base_url=observer.base_url or os.environ.get(BASE_URL_VARIABLE, ""),
        telemetry=telemetry,
        settings=AnthropicSettings(model=observer.model),
    )
