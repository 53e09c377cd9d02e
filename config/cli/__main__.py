"""`python -m config.cli` is `glasshouse`."""

from __future__ import annotations

from config.cli import main

main(prog_name="glasshouse")
