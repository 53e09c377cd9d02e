"""The same work on Erlang/OTP, where `erl` is installed: `glasshouse_bench.erl`, compiled and run.

One scheduler on the bench's core, without busy waiting, which would count as work.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_MODULE = "glasshouse_bench"
_QUIET = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
_CAN = (
    *("tell busy", "tell asleep", "ask", "round trip", "fan-in", "fan-out", "spawn", "spawn unsupervised"),
    *("stop", "crash", "watch", "timer", "timer restart", "memory fresh", "memory idle"),
)


def can() -> tuple[str, ...]:
    """The workloads this system has."""
    return _CAN


def compile_into(folder: Path) -> None:
    """Compile the module; raises CalledProcessError with what the compiler said."""
    source = Path(__file__).with_name(f"{_MODULE}.erl")
    subprocess.run(["erlc", "-Werror", "-o", folder, source], check=True, capture_output=True, text=True)


def measure(
    folder: Path, workloads: list[str], size: int, *, least: int, sample_ms: int, timeout_s: float
) -> dict[str, list[float]]:
    """Run `workloads` in a fresh VM. Returns the samples of each that ended.

    Args:
      folder: where `compile_into` has put the module.
      timeout_s: seconds until the VM is killed.
    """
    command = [
        *("erl", "+S", "1:1", "+SDcpu", "1:1", "+SDio", "1", "+P", "400000", *_QUIET),
        *("-noshell", "-noinput", "-pa", str(folder), "-s", _MODULE, "main"),
        *("-extra", str(size), str(least), str(sample_ms), *workloads),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        said = done.stdout
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else (error.stdout or "")
    samples: dict[str, list[float]] = {}
    for line in said.splitlines():
        name, bar, values = line.partition("|")
        if bar:
            samples[name] = [float(value) for value in values.split()]
    return samples


def version() -> str:
    """The release, as `25`."""
    ask = "io:put_chars(erlang:system_info(otp_release)), halt()."
    done = subprocess.run(["erl", "-noshell", "-eval", ask], capture_output=True, text=True, check=True)
    return done.stdout
