"""The assistant by voice over real sockets: spoken to, asked for leave, killed, reloaded."""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
import wave
from pathlib import Path
from typing import Final

import msgspec
import trio

from adapters.listener.reload import request_reload
from clients.coded_audio import sentence, silence
from clients.deepgram_loopback import Loopback, open_loopback
from clients.glasses import Glasses
from clients.messages_loopback import Asked, MessagesLoopback, Reply, ToolUse, open_messages_loopback
from protocols.speech_url import text_of
from tests.system.approvals import SETTINGS, SOGA, answered, asked, at_work, is_read, measured, reads
from tests.system.server import PATIENCE_S, eventually, serving

ANSWER = "Fixed, 12 tests pass."
WORDS = ("hey", "glass", "house", "fix", "the", "failing", "test", "yes")
LATEST_S: Final = 0.5
"""Ten times what it takes where nothing else runs; docs/desktop.md has the figures."""

BACK_S: Final = 4.0
"""Before any wait for a webhook of the process before, or for an app that dials again, would be over."""


def think(asked: Asked) -> Reply:
    """Whatever was heard, an agent is to do it; what it comes to is the answer."""
    if "output_config" in asked.body:
        return msgspec.json.encode({"glasses_display": ANSWER, "webview_content": ANSWER}).decode()
    if not asked.tools:
        return "Make the failing test pass."
    decision = {
        "decision": "spawn_agent",
        "goal": "fix it",
        "working_directory": "",
        "reasoning": "it is asked",
    }
    return [ToolUse("decide", {**decision, "glasses_display": "", "webview_content": ""})]


async def say(phone: Glasses, text: str) -> None:
    """The wearer says it, in coded audio, and is silent."""
    await phone.play(silence(0.3) + sentence([WORDS.index(word) for word in text.split()]) + silence(1.5))


async def test_a_wearer_asks_allows_and_hears_the_answer(tmp_path: Path) -> None:
    deepgram = Loopback(WORDS, interim_s=0.3, answer_s=0.05)
    messages = MessagesLoopback(think, keys=frozenset({"its key"}))
    async with (
        open_loopback(deepgram),
        open_messages_loopback(messages),
        serving(
            tmp_path,
            *SETTINGS,
            "overload.late_s=60",  # what a busy machine sheds is not what is tried here
            "deepgram_api_key=a key",
            f"deepgram.url={deepgram.url}",
            "anthropic_api_key=its key",
            f"anthropic_base_url={messages.url}",
        ) as server,
        at_work(server) as (phone, daemon, first),
    ):
        await say(phone, "hey glass house fix the failing test")
        await eventually(lambda: len(daemon.told("spawn_agent")) > 1)
        assert messages.asked[0].user.endswith("fix the failing test")
        agent_id = daemon.told("spawn_agent")[-1]["agentId"]
        assert first != agent_id
        await daemon.say({"type": "agent_ack", "agentId": agent_id, "status": "started"})
        running = {"status": "running", "seq": 1, "currentStep": "Running pytest"}
        await daemon.report(f"subagent/{agent_id}/status", running)
        await phone.wait_for(lambda glasses: glasses.lens.text == "Running pytest", timeout_s=PATIENCE_S)

        await asked(phone, daemon, agent_id, 1)
        await is_read(phone)
        await say(phone, "yes")
        answer = await daemon.hears("approve_agent", approvalId="approval_1")
        assert ("approve", agent_id) == (answer["decision"], answer["agentId"])

        done = {"status": "completed", "result": "It was a comma.", "executionTimeMs": 5}
        await daemon.report(f"subagent/{agent_id}/complete", done)
        await phone.wait_for(lambda glasses: glasses.lens.text == ANSWER, timeout_s=PATIENCE_S)
        if shutil.which("flite") is None:
            assert [] == phone.speaker.sounds
            return
        await eventually(lambda: any(sound.is_over for sound in phone.speaker.sounds))
        (sound,) = phone.speaker.sounds
        assert ANSWER == text_of(sound.url, [server.url])
        with wave.open(io.BytesIO(sound.wav)) as file:
            assert file.getnframes() > 0.5 * file.getframerate()
        assert "ticket=" in sound.url
        assert "ticket=" not in server.log()


async def test_an_approval_is_answered_at_the_lens_and_outlives_a_reload_and_a_kill(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, *SETTINGS, "desktop.grace_s=60") as server,
        at_work(server) as (phone, daemon, agent_id),
        trio.open_nursery() as nursery,
    ):
        await asked(phone, daemon, agent_id, 1)
        await phone.press_button()  # too early: nobody can have read it
        await is_read(phone)
        await answered(phone, daemon, 1, press="short")
        assert ["approve"] == [frame["decision"] for frame in daemon.told("approve_agent")]

        await asked(phone, daemon, agent_id, 2)
        reloaded = await request_reload(str(server.data))
        assert reloaded.is_done, reloaded
        reloaded_at = time.monotonic()
        await daemon.dial(nursery, agent_id)
        assert SOGA in phone.running_apps
        await _deny(phone, daemon.told, 2)
        assert time.monotonic() - reloaded_at < BACK_S

        await asked(phone, daemon, agent_id, 3)
        await server.has_kept("ada@example.org", SOGA)
        killed = server.child
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: server.file.process != killed)
        await daemon.dial(nursery, agent_id)
        await eventually(lambda: phone.is_connected and SOGA in phone.running_apps)
        await eventually(lambda: phone.lens.text == reads(3))
        await _deny(phone, daemon.told, 3)
        nursery.cancel_scope.cancel()
        to_lens, to_daemon = await measured(server, 10, user="bob@example.org")
        assert sorted(to_lens)[5] < LATEST_S
        assert sorted(to_daemon)[5] < LATEST_S


async def _deny(phone: Glasses, told: object, number: int) -> None:
    """Press long, now and then, until it is answered: nobody tells a wearer when the app is back."""
    assert callable(told)
    with trio.fail_after(PATIENCE_S):
        while not any(one["approvalId"] == f"approval_{number}" for one in told("approve_agent")):
            await phone.press_button(press_type="long")
            await trio.sleep(0.2)
    assert "deny" == told("approve_agent")[-1]["decision"]
