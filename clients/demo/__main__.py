"""`python -m clients.demo` is `glasshouse demo`."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Load the program and run it; the exit status."""
    # Until it can end in order, Ctrl-C just ends it: no traceback out of the middle of an import.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from clients.demo import program
    finally:
        signal.signal(signal.SIGINT, before)
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
