"""`glasshouse bench idle`: how soon a server is there, and what it takes while nobody uses it.

A fresh data folder, then `glasshouse serve` as a person types it, a few times in turn with a process that
only imports what the server is built on (trio, quart-trio, httpx, msgspec): that is a start without anything
of ours. Start: from the command to `/ready` (the store is open, the tree stands), and to the acknowledged
first session. Memory: of the keeper, the server and its children, once idle; PSS counts a shared page in
parts, RSS in whole.

    glasshouse bench idle
    glasshouse bench idle --set webrtc.enabled=true
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio

from adapters.tokens import CoreTokens
from bench import report
from bench.stand import cpu_s, memory_kb
from clients.glasses import Glasses

IMPORTS: Final = "import trio, quart_trio, hypercorn, httpx, msgspec, websockets, cryptography, jwt"
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench idle", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="starts")
    parser.add_argument(
        "--idle", type=float, default=5.0, help="seconds without a session before memory is read"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for the JSON")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    memory: list[dict[str, Any]] = []
    for run in range(1, options.runs + 1):
        row, memory = measure(options.set, options.idle)
        row = {"run": run, **row, **imports()}
        rows.append(row)
        print(report.table([row]), flush=True)
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0] if name != "run"}
    print(report.table([middle]))
    for what, begun, alone in (
        ("time", "ready s", "imports s"),
        ("computing", "start CPU s", "imports CPU s"),
    ):
        print(f"{what}: {middle[begun] / middle[alone]:.2f} times that of importing its libraries")
    print(report.table(memory))
    print("kept in", report.write_json("idle", {"rows": rows, "memory": memory}, options.out))


def measure(chosen: Sequence[str], idle_s: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One start: its times in seconds, and the memory of its processes once idle, in MB."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as data:
        secret = secrets.token_hex(32)
        port = _free_port()
        words = ["serve", "--port", str(port), "--log-level", "warning"]
        words += [word for setting in chosen for word in ("--set", setting)]
        environment = {**os.environ, "GLASSHOUSE_JWT_SECRET": secret, "GLASSHOUSE_DATA": data}
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "config.cli", *words], env=environment, stdout=subprocess.DEVNULL
        ) as keeper:
            try:
                url = f"http://127.0.0.1:{port}"
                _await_ready(url)
                ready_s = time.perf_counter() - began
                token = CoreTokens((secret,)).mint("ada@example.org", expires_s=None)
                trio.run(_first_session, url, token)
                session_s = time.perf_counter() - began
                processes = _family(keeper.pid)
                worked_s = sum(cpu_s(process) for process, _ in processes)
                time.sleep(idle_s)
                idle_before = sum(cpu_s(process) for process, _ in processes)
                time.sleep(idle_s)
                idle_cpu = (sum(cpu_s(process) for process, _ in processes) - idle_before) / idle_s
                memory: list[dict[str, Any]] = [
                    {"process": name, "PSS MB": memory_kb(process) / 1024, "RSS MB": _rss_kb(process) / 1024}
                    for process, name in _family(keeper.pid)
                ]
            finally:
                keeper.terminate()
    row = {
        "ready s": ready_s,
        "session s": session_s,
        "start CPU s": worked_s,
        "idle CPU ms/s": idle_cpu * 1000,
    }
    total = {"process": "all", "PSS MB": sum(each["PSS MB"] for each in memory), "RSS MB": None}
    return row, [*memory, total]


def imports() -> dict[str, float]:
    """What a Python takes that imports the server's libraries and ends."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    after = os.times()
    spent_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"imports s": time.perf_counter() - began, "imports CPU s": spent_s}


async def _first_session(url: str, token: str) -> None:
    async with trio.open_nursery() as nursery:
        glasses = Glasses(url, token)
        nursery.start_soon(glasses.run)
        await glasses.wait_for(lambda phone: bool(phone.is_connected), timeout_s=_PATIENCE_S)
        nursery.cancel_scope.cancel()


def _await_ready(url: str) -> None:
    until = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < until:
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=_PATIENCE_S) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass  # nobody listens yet, or it is not ready
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{url} was not ready within {_PATIENCE_S:g} s; what it said is above")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _family(keeper: int) -> list[tuple[int, str]]:
    """The keeper and all below it, with what each is."""
    found, left = [], [(keeper, "keeper")]
    while left:
        process, name = left.pop(0)
        found.append((process, name))
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        left += [(int(child), _name_of(int(child), process == keeper)) for child in children]
    return found


def _name_of(process: int, is_server: bool) -> str:
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    modules = [after.decode() for word, after in itertools.pairwise(words) if word == b"-m"]
    return "server" if is_server else (modules or ["child"])[0]


def _rss_kb(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    main()
