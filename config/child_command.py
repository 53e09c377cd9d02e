"""How `glasshouse serve` tells the server it keeps what it was told itself.

The server is another process, started by the keeper as often as needed. It reads the file and the environment
for itself; the command line reaches it as `--set NAME=VALUE`, and the keeper adds `--inherited` with its
descriptors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.sources import Loaded, load


@dataclass(frozen=True)
class ServerStart:
    """What a server process was started with.

    Attributes:
      inherited: the keeper's descriptors as it wrote them; None without a keeper.
    """

    loaded: Loaded
    inherited: str | None


def server_command(*, flags: Mapping[str, str], file: str | None) -> tuple[str, ...]:
    """The command of a server with these settings, without the keeper's part."""
    # -P: the folder that somebody happens to stand in is no place to import from.
    words = [sys.executable, "-P", "-m", "config.server"]
    if file is not None:
        words += ["--config", os.path.abspath(file)]
    for name, text in flags.items():
        words += ["--set", f"{name}={text}"]
    return tuple(words)


def parse(words: Sequence[str], environ: Mapping[str, str] | None = None) -> ServerStart:
    """Read the words of a `server_command`, with what the keeper added, and load the settings.

    Raises:
      SettingsError: as `sources.load`; the process ends with status 78, so that the keeper gives up.
    """
    flags: dict[str, str] = {}
    file = inherited = None
    pairs = iter(words)
    for option, value in zip(pairs, pairs, strict=True):
        if option == "--set":
            name, _, text = value.partition("=")
            flags[name] = text
        elif option == "--config":
            file = value
        else:
            assert option == "--inherited", f"unknown option of a server process: {option}"
            inherited = value
    return ServerStart(
        load(flags=flags, environ=os.environ if environ is None else environ, file=file), inherited
    )
