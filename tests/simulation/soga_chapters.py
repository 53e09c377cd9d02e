"""What the sweep of crashes plays of the assistant's voice, on desks that do what the chapter says."""

from __future__ import annotations

import trio
from msgspec.structs import replace

from actors.desktop.messages import AgentLogged, DaemonsChanged
from protocols.desktop.documents import Approval, Option, SubAgent, TaskResult
from tests.actors.soga.desks import Desks
from tests.simulation.campaign import SECOND
from tests.simulation.chapters import chapter
from tests.simulation.stage import ADA, Stage

SOGA = "com.mentra.soga"
OPTIONS = (Option(id="1", label="Yes"), Option(id="2", label="No"))


async def _is_on(stage: Stage, *, is_on: bool) -> None:
    glasses = stage.ada.glasses
    await stage._tap(stage.ada, SOGA, glasses.start_app if is_on else glasses.stop_app, is_on=is_on)


def _agent(approval: Approval | None = None, *, task_id: str = "", agent_id: str = "agent_1") -> SubAgent:
    return SubAgent(
        agent_id=agent_id,
        daemon_id="daemon_1",
        user_id=ADA,
        session_id="master_1",
        goal="fix it",
        status="running" if approval is None else "needs_approval",
        task_id=task_id,
        current_step="Running pytest",
        approval=approval,
        created_at=1,
        updated_at=1,
    )


def _approval(number: int) -> Approval:
    return Approval(approval_id=f"approval_{number}", title="pytest", tool="Bash", options=OPTIONS)


async def _ask(stage: Stage) -> None:
    """Press, speak, press: a question."""
    await stage.ada.press()
    await trio.sleep(0.2)
    await stage.ada.glasses.play(SECOND, chunk_ms=250)
    await trio.sleep(0.5)
    await stage.ada.press()
    await trio.sleep(0.5)


def _answer(desks: Desks, text: str) -> None:
    for task in list(desks.tasks.values()):
        if task.status == "processing":
            result = TaskResult(type="direct_response", glasses_display=text, webview_content=text)
            ended = task.created_at + 1_000
            desks.tell(replace(task, status="completed", phase=None, result=result, completed_at=ended))


@chapter
async def a_wearer_asks_and_allows(stage: Stage) -> None:
    desks = stage.campaign.desks
    await _is_on(stage, is_on=True)
    stage.note_paths()
    await _ask(stage)
    task_id = desks.task.task_id if desks.tasks else ""
    desks.tell(_agent(task_id=task_id))
    for listener in desks.listeners:
        listener.tell(AgentLogged("agent_1", "stdout", "one line", 1))
        listener.tell(DaemonsChanged(()))
    await trio.sleep(0.5)
    desks.tell(_agent(_approval(1), task_id=task_id))
    await trio.sleep(1.5)
    await stage.ada.press()
    await trio.sleep(0.5)
    await stage.ada.glasses.move_head("up")
    _answer(desks, "All is well.")
    await trio.sleep(12.0)  # its connection is pinged
    await _is_on(stage, is_on=False)
    await stage.well()


@chapter
async def an_assistant_does_not_answer(stage: Stage) -> None:
    """At the start, while it is asked how things stand, and when it is asked a question."""
    desks = stage.campaign.desks
    desks.is_deaf = True
    await _is_on(stage, is_on=True)
    await trio.sleep(6.0)
    desks.hears_ensure = True
    await trio.sleep(9.0)
    desks.is_deaf = desks.hears_ensure = False
    await trio.sleep(8.0)
    desks.is_deaf = True
    await _ask(stage)
    desks.tell(_agent(_approval(2)))
    await trio.sleep(1.5)
    await stage.ada.press()
    await trio.sleep(11.0)
    desks.is_deaf = False
    await _is_on(stage, is_on=False)
    await stage.well()


@chapter
async def the_assistants_app_loses_its_connection(stage: Stage) -> None:
    """It dials again by itself; and when a webhook is quicker than that."""
    await _is_on(stage, is_on=True)
    for is_hurried in (False, True):
        stage.crash(f"users/{ADA}/apps")
        await trio.sleep(0.3)
        if is_hurried:
            await stage.call("/api/app-server/register", _REGISTERS)
        await trio.sleep(6.0)
    await _is_on(stage, is_on=False)
    await stage.well()


_REGISTERS = f'{{"packageName":"{SOGA}","apiKey":"simulated","webhookUrl":"built-in:{SOGA}"}}'


@chapter
async def a_server_with_the_assistants_app_is_killed(stage: Stage) -> None:
    await _is_on(stage, is_on=True)
    await trio.sleep(1.5)
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server()
    await trio.sleep(7.0)
    await _is_on(stage, is_on=False)
    await stage.well()
