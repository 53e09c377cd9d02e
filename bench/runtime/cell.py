"""One process of the bench: some workloads of one system at one size, a line of JSON for each.

python -m bench.runtime.cell '{"system": "Actor", "size": 1000, "workloads": ["ask"], ...}'
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from typing import Any

from bench.runtime import matrix
from bench.runtime.meter import Meter, say


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    system = importlib.import_module(matrix.MODULES[order["system"]])
    workloads: list[str] = order["workloads"]
    # While the actors are made; the meter turns it on again. Python's own settings, otherwise.
    gc.disable()
    for workload in workloads:
        meter = Meter(order["size"], least=order["least"], budget_s=order["budget_s"], effort=order["effort"])

        def done(workload: str = workload, meter: Meter = meter) -> None:
            say(workload, meter)
            if len(workloads) == 1:
                # Stopping a hundred thousand actors in order takes seconds that nobody asked about.
                os._exit(0)

        system.run(order["system"], workload, meter, done)


if __name__ == "__main__":
    main()
