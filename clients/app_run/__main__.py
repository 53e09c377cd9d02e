"""`python -m clients.app_run`."""

from __future__ import annotations

import sys

from clients.app_run.program import main

if __name__ == "__main__":
    sys.exit(main())
