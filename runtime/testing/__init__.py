"""Test kit: whole systems as functions of a seed, streams that fail, probes, crashes at chosen points.

`simulate(seed, scenario)` runs a scenario under a virtual clock; the same seed gives the same run in every
process. Production code says where it may be hit with `runtime.fault_point(name)`.
"""

from __future__ import annotations

from ._crashes import CrashPoint, HiddenState, SimulatedCrash, crash, forbid_hidden_state, handler_point
from ._determinism import DeterminismUnavailable, deterministic_trio
from ._probe import Probe
from ._simulation import Faults, Run, World, simulate
from ._streams import Link, SimulatedStream

__all__ = [
    "CrashPoint",
    "DeterminismUnavailable",
    "Faults",
    "HiddenState",
    "Link",
    "Probe",
    "Run",
    "SimulatedCrash",
    "SimulatedStream",
    "World",
    "crash",
    "deterministic_trio",
    "forbid_hidden_state",
    "handler_point",
    "simulate",
]
