"""`python -m clients.app_test`."""

from __future__ import annotations

import sys

from clients.app_test.program import main

if __name__ == "__main__":
    sys.exit(main())
