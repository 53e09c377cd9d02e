"""The word to type: what stands for `glasshouse` where this command was called from."""

from __future__ import annotations

import os

VARIABLE = "GLASSHOUSE_COMMAND"
"""Set by the script ./run to how it was called."""


def command_word() -> str:
    """What somebody who is told to run a command has to type."""
    return os.environ.get(VARIABLE) or "glasshouse"
