"""What importing Anthropic's SDK costs a busy server, in a thread of it and in a process beside it.

A loop is as busy as a server with 70 % of a core: 2 ms of work with twenty socket calls in it, 1 ms of rest.
How much later its turns end than that is its lag. `python -m tests.adapters.language_model.lag` prints both.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import trio

from adapters.language_model import AnthropicModel, ModelProcess
from adapters.simulated.telemetry import RecordingTelemetry

_PIECE_S = 0.0001
_PIECES = 20
_REST_S = 0.001


async def _turns(late_s: list[float]) -> None:
    one, other = socket.socketpair()
    for end in (one, other):
        end.setblocking(False)
    with one, other:
        while True:
            began = time.perf_counter()
            for _ in range(_PIECES):
                until = time.perf_counter() + _PIECE_S
                while time.perf_counter() < until:
                    pass
                one.send(b"x")
                other.recv(1)
            await trio.sleep(_REST_S)
            late_s.append(time.perf_counter() - began - _PIECE_S * _PIECES - _REST_S)


async def _measure(how: str) -> None:
    late_s: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_turns, late_s)
        await trio.sleep(1.0)
        before, began = len(late_s), time.perf_counter()
        if how == "thread":
            await AnthropicModel(key="k", telemetry=RecordingTelemetry()).prepare()
        elif how == "process":
            process = ModelProcess(key="k", telemetry=RecordingTelemetry())
            nursery.start_soon(process.run)
            await process.prepare()
        else:
            await trio.sleep(3.0)
        took_s, seen = time.perf_counter() - began, sorted(late_s[before:])
        figures = [seen[len(seen) // 2], seen[int(len(seen) * 0.99)], seen[-1]]
        middle, most, worst = (f"{1000 * figure:.1f}" for figure in figures)
        print(f"{how:8} {took_s:5.1f} s   late by p50 {middle} ms, p99 {most} ms, at most {worst} ms")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    if sys.argv[1:]:
        trio.run(_measure, sys.argv[1])
    else:
        for each in ("nothing", "thread", "process"):
            subprocess.run([sys.executable, "-m", "tests.adapters.language_model.lag", each], check=True)
