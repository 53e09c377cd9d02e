"""A command of this room, with the words of the command line."""

from __future__ import annotations

import os
from typing import Final

import click

COMMAND: Final = os.environ.get("GLASSHOUSE_COMMAND", "glasshouse")  # ./run says how it was called


def run(command: click.Command, name: str) -> int:
    """Run it; what is wrong with the words is told, with the exit status that goes with it.

    Args:
      name: what it is called behind `glasshouse`.
    """
    try:
        status: int = command.main(prog_name=f"{COMMAND} {name}", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status
