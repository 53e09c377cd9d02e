"""`python -m clients.app_new`."""

from __future__ import annotations

import sys

from clients.app_new.program import main

if __name__ == "__main__":
    sys.exit(main())
