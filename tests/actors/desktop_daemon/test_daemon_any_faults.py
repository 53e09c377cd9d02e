"""Kills, cuts, full disks and restarts in any order: every agent that was acknowledged comes to its end.

Its end is its true result, or a failure that says why; the server hears of it, and nothing runs twice at
once.
"""

from __future__ import annotations

import random

import msgspec
import pytest
import trio

from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.ports import Done, NeedsApproval, Ready, Working
from actors.desktop_daemon.settings import AgentSettings, DaemonSettings
from protocols.desktop import frames
from protocols.desktop.documents import Approval, Option
from runtime.testing import World, simulate
from tests.actors.desktop_daemon.daemon_world import Desktop, ScriptedRun, ScriptedServer, until

SETTINGS = DaemonSettings(agents=AgentSettings(most=4, runs=100))
LIVES = 6
STEPS = 14


class Campaign:
    """A desktop and a server in trouble; what a server does to get its agents started is done here."""

    def __init__(self, world: World) -> None:
        self.chance = world.random
        self.server = ScriptedServer()
        self.desktop = Desktop(world, self.server, SETTINGS)
        self.desktop.allowed = ("bash",)
        self.wanted: dict[str, str] = {}
        self.hellos = 0

    def acknowledged(self) -> set[str]:
        return {ack.agent_id for ack in self.server.acks if ack.status == "started"}

    def refused(self) -> set[str]:
        return {ack.agent_id for ack in self.server.acks if ack.status == "error"} - self.acknowledged()

    def say_again(self) -> None:
        """A server sends a spawn once more after a hello that does not list an agent which never started."""
        if len(self.server.hellos) > self.hellos:
            self.hellos = len(self.server.hellos)
            listed = {agent.agent_id for agent in self.server.hellos[-1].agents}
            started = listed | self.acknowledged() | self.refused()
            for agent_id in [wanted for wanted in self.wanted if wanted not in started]:
                self.server.spawn(agent_id, self.wanted[agent_id])

    def live_runs(self) -> list[ScriptedRun]:
        runs = [runs[-1] for runs in self.desktop.terminals.runs.values()]
        return [run for run in runs if run.has_started.is_set() and not run.is_over]

    def step(self) -> None:
        """One thing happens."""
        match self.chance.choice(["spawn", "spawn", "work", "work", "done", "cut", "down", "full", "close"]):
            case "spawn":
                agent_id = f"agent_{len(self.wanted)}"
                self.wanted[agent_id] = self.chance.choice(["mend it", "mend it", "bash: make"])
                self.server.spawn(agent_id, self.wanted[agent_id])
            case "work":
                for run in self.live_runs():
                    run.emit(Ready(), Working(f"step {self.chance.random()}"), _approval(self.chance))
            case "done":
                for run in self.live_runs()[: self.chance.randrange(3)]:
                    run.emit(Done(f"result of {run.order.agent_id}"))
            case "cut":
                self.server.is_cut = self.chance.random() < 0.3
            case "down":
                self.server.is_down = self.chance.random() < 0.3
            case "full":
                self.desktop.is_full = self.chance.random() < 0.3
            case "close" if self.server.link is not None:
                self.server.close(self.chance.choice([1006, 1012, frames.HEARTBEAT_LOST]))

    async def play(self) -> None:
        for _ in range(LIVES):
            async with self.desktop.daemon():
                for _ in range(STEPS):
                    self.step()
                    await trio.sleep(self.chance.choice([0.0, 0.01, 0.3, 3.0, 40.0]))
                    self.say_again()
                    self.check_one_run_each()
                if self.chance.random() < 0.8:
                    self.desktop.kill()
        self.server.is_cut = self.server.is_down = self.desktop.is_full = False
        async with self.desktop.daemon():
            await until(lambda: len(self.server.hellos) > self.hellos)
            self.say_again()
            for _ in range(40):
                await trio.sleep(3)
                for run in self.live_runs():
                    run.emit(Done(f"result of {run.order.agent_id}"))

    def check_one_run_each(self) -> None:
        for agent_id, runs in self.desktop.terminals.runs.items():
            alive = [run for run in runs if run.has_started.is_set() and not run.is_over]
            assert len(alive) <= 1, f"{agent_id} runs twice at once"

    def check(self) -> None:
        for agent_id in self.acknowledged():
            told = self.server.completes.get(agent_id)
            assert told, f"{agent_id} was acknowledged, and nobody says what became of it"
            if told[0].status == "completed":
                assert f"result of {agent_id}" == told[0].result
            else:
                reason = (
                    "cannot go on where it was" if self.wanted[agent_id] == "bash: make" else "no space left"
                )
                assert "failed" == told[0].status
                assert reason in (told[0].error or "")
        for agent_id, body in self.desktop.disk.items():
            assert msgspec.json.decode(body, type=AgentRecord).is_over, f"{agent_id} stays behind"
        for agent_id, reports in self.server.statuses.items():
            seqs = [report.seq or 0 for report in reports]
            assert seqs == sorted(seqs), f"{agent_id} was told out of order"


def _approval(chance: random.Random) -> NeedsApproval:
    yes = Option(id="yes", label="Yes")
    return NeedsApproval(
        Approval(approval_id=f"a{chance.randrange(10**6)}", title="Run?", options=(yes,), tool="Bash")
    )


@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_faults_leaves_every_agent_with_its_true_end(seed: int) -> None:
    async def scenario(world: World) -> int:
        campaign = Campaign(world)
        await campaign.play()
        campaign.check()
        return len(campaign.acknowledged())

    run = simulate(seed, scenario, is_strict=True)

    assert run.result > 2
