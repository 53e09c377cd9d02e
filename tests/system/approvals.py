"""Approvals that reach a lens and are answered there, over real sockets; and how long that takes.

    python -m tests.system.approvals [COUNT]

measures it: from the moment the phone sends the press until the daemon's socket has `approve_agent`, and from
the daemon's report until the phone has the display. Everything runs on this machine, the phone and the daemon
in this process and the server in its own; the decision is kept on disk in between.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from actors.soga.settings import SogaSettings
from clients.glasses import Glasses
from tests.system.peers import wearer
from tests.system.scripted_daemon import ScriptedDaemon, registered
from tests.system.server import PATIENCE_S, Server, eventually, serving

ADA: Final = "ada@example.org"
SOGA: Final = "com.mentra.soga"
SETTINGS: Final = ("soga.enabled=true", "desktop.test_endpoints=true", "display.boot_screen_s=0.1")
SETTLE_S: Final = 0.02
READ_S: Final = SogaSettings().approve_after_s + 0.1


def asking(number: int) -> dict[str, Any]:
    """A report of an agent that wants to do something."""
    return {
        "status": "needs_approval",
        "seq": 10 + 2 * number,
        "approval": {
            "approvalId": f"approval_{number}",
            "title": f"make target {number}",
            "tool": "Bash",
            "options": [
                {"id": "1", "label": "Yes"},
                {"id": "2", "label": "Yes, and always allow make in this project"},
                {"id": "3", "label": "No"},
            ],
        },
    }


def reads(number: int) -> str:
    return f"Allow: Bash make target {number}? yes / no"


@asynccontextmanager
async def at_work(server: Server, user: str = ADA) -> AsyncIterator[tuple[Glasses, ScriptedDaemon, str]]:
    """A wearer whose assistant listens, and their computer with an agent at work: phone, daemon, agent id."""
    async with wearer(server, user) as phone, trio.open_nursery() as nursery:
        await phone.report_glasses(model_name="Simulated Glasses")
        await phone.start_app(SOGA)
        await phone.wait_for(lambda glasses: SOGA in glasses.running_apps, timeout_s=PATIENCE_S)
        await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
        daemon = await registered(server, user, "study")
        await daemon.dial(nursery)
        yield phone, daemon, await daemon.spawn()
        nursery.cancel_scope.cancel()


async def asked(phone: Glasses, daemon: ScriptedDaemon, agent_id: str, number: int) -> float:
    """Have the agent ask, and wait until it is read; how long that took."""
    began = time.perf_counter()
    status, said = await daemon.report(f"subagent/{agent_id}/status", asking(number))
    assert 200 == status, said
    await phone.wait_for(lambda glasses: glasses.lens.text == reads(number), timeout_s=PATIENCE_S)
    return time.perf_counter() - began


async def is_read(phone: Glasses) -> None:
    """Wait until what is on the lens has been there for long enough to be allowed by a press."""
    await eventually(
        lambda: phone.lens.main is not None and trio.current_time() - phone.lens.main.at > READ_S
    )


async def answered(phone: Glasses, daemon: ScriptedDaemon, number: int, *, press: str) -> float:
    """Press, and wait until the daemon hears the answer; how long that took."""
    before = len(daemon.heard)
    began = time.perf_counter()
    await phone.press_button(press_type=press)
    with trio.fail_after(PATIENCE_S):
        while not any(_is_answer(frame, number) for frame in daemon.heard[before:]):  # noqa: ASYNC110
            await trio.sleep(0.0005)
    return time.perf_counter() - began


def _is_answer(frame: dict[str, Any], number: int) -> bool:
    return bool(frame["type"] == "approve_agent" and frame["approvalId"] == f"approval_{number}")


async def measured(server: Server, count: int, *, user: str = ADA) -> tuple[list[float], list[float]]:
    """So many approvals, one after the other: seconds to the lens, seconds from the press to the daemon.

    They are denied, by a long press: to allow one takes a second of reading, and nothing else differs.
    """
    to_lens, to_daemon = [], []
    async with at_work(server, user) as (phone, daemon, agent_id):
        for number in range(count):
            to_lens.append(await asked(phone, daemon, agent_id, number))
            to_daemon.append(await answered(phone, daemon, number, press="long"))
            await daemon.report(f"subagent/{agent_id}/status", {"status": "running", "seq": 11 + 2 * number})
            await eventually(lambda: not phone.lens.text.startswith("Allow"))
            await trio.sleep(SETTLE_S)
    return to_lens, to_daemon


def figures(seconds: Sequence[float]) -> str:
    """p50, p99 and the greatest, in ms."""
    cut = statistics.quantiles(seconds, n=100, method="inclusive")
    return " ".join(f"{value * 1000:7.1f}" for value in (cut[49], cut[98], max(seconds)))


async def _main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), *SETTINGS) as server:
            to_lens, to_daemon = await measured(server, count)
    print(f"{count} approvals, ms                  p50     p99     max")
    print("report to the lens            ", figures(to_lens))
    print("press to the daemon's socket  ", figures(to_daemon))


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]) if len(sys.argv) > 1 else 200)
