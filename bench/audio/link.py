"""The wire between two networks: reads IP packets from one TUN device and writes them to the other.

A packet is lost by chance, each for itself. Delayed packets stay in order, as in one router's queue. Orders
come by standard input, one line of JSON each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_MTU = 2_048


@dataclass
class Direction:
    """Packets one way."""

    source: int
    target: int
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    packets: int = 0
    bytes: int = 0
    lost: int = 0


def main() -> None:
    server, phone, seed = map(int, sys.argv[1:])
    chance = random.Random(seed)
    up, down = Direction(phone, server), Direction(server, phone)
    loss = delay_s = jitter_s = 0.0
    for descriptor in (server, phone):
        os.set_blocking(descriptor, False)
    poll = select.poll()
    for descriptor in (server, phone, 0):
        poll.register(descriptor, select.POLLIN)
    while True:
        due = min((way.waiting[0][0] for way in (up, down) if way.waiting), default=None)
        wait_ms = None if due is None else max(0.0, (due - time.monotonic()) * 1000)
        for descriptor, _ in poll.poll(wait_ms):
            if descriptor == 0:
                orders = os.read(0, 4_096).decode()
                if not orders:
                    return
                for order in map(json.loads, orders.splitlines()):
                    if "count" in order:
                        print(json.dumps(_counts(up, down)), flush=True)
                    else:
                        loss, delay_s, jitter_s = order["loss"], order["delay_s"], order["jitter_s"]
                continue
            way = up if descriptor == phone else down
            with contextlib.suppress(BlockingIOError):
                while True:
                    packet = os.read(descriptor, _MTU)
                    way.packets += 1
                    way.bytes += len(packet)
                    if chance.random() < loss:
                        way.lost += 1
                        continue
                    at = time.monotonic() + delay_s + jitter_s * chance.random()
                    if way.waiting:
                        at = max(at, way.waiting[-1][0])
                    way.waiting.append((at, packet))
        now = time.monotonic()
        for way in (up, down):
            while way.waiting and way.waiting[0][0] <= now:
                os.write(way.target, way.waiting.popleft()[1])


def _counts(up: Direction, down: Direction) -> dict[str, int]:
    counts = {
        "packets_up": up.packets,
        "bytes_up": up.bytes,
        "lost_up": up.lost,
        "bytes_down": down.bytes,
        "lost_down": down.lost,
    }
    for way in (up, down):
        way.packets = way.bytes = way.lost = 0
    return counts


if __name__ == "__main__":
    main()
