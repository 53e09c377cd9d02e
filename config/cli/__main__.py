"""`python -m config.cli` is `glasshouse`; the command of the wheel begins here too."""

from __future__ import annotations

import signal


def run() -> None:
    """Load the command line and run it."""
    # No command has anything to tidy up, so Ctrl-C just ends it: no traceback out of the middle of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from config.cli.commands import main
    from config.cli.word import command_word

    main(prog_name=command_word())


if __name__ == "__main__":
    run()
