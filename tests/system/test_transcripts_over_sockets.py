"""What was said, asked for over HTTP from a real server: sealed in its file, there again after kill -9."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from clients.coded_audio import sentence, silence
from clients.deepgram_loopback import Loopback, open_loopback
from tests.system.peers import RecordingApp, app, wearer
from tests.system.server import PATIENCE_S, Server, eventually

PACKAGE = "org.example.listener"
ADA = "ada@example.org"
WORDS = ("surgeon", "kidney", "tuesday")


async def said(server: Server, *, user: str = ADA, key: str = "key", status: int = 200) -> list[str]:
    """The finals of the last minute."""
    answer = await server.request(
        "GET",
        f"/api/transcripts/{user}-{PACKAGE}?duration=60",
        headers={"X-API-Key": key, "X-Package-Name": PACKAGE},
    )
    assert status == answer.status, answer
    segments = msgspec.json.decode(answer.body).get("segments", [])
    return [segment["text"] for segment in segments if segment["isFinal"]]


async def test_what_was_said_outlives_the_server_and_is_sealed_in_its_file(tmp_path: Path) -> None:
    deepgram = Loopback(WORDS, interim_s=0.3, answer_s=0.05)
    async with open_loopback(deepgram):
        with Server.start(
            tmp_path,
            "display.boot_screen_s=0.1",
            "overload.late_s=60",  # what a busy machine sheds is not what is tried here
            "deepgram_api_key=a key",
            f"deepgram.url={deepgram.url}",
            "storage_key=a storage key of thirty-two bytes or more",
        ) as server:
            running = RecordingApp(PACKAGE)
            async with app(server, running), wearer(server, ADA) as phone:
                await phone.start_app(PACKAGE)
                await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
                await eventually(lambda: bool(deepgram.opened), PATIENCE_S)
                await phone.play(sentence(range(3)) + silence(2.5))

                assert ["surgeon kidney tuesday"] == await said(server)
                assert [] == await said(server, key="another key", status=401)
                assert [] == await said(server, user="bob@example.org", status=404)

                killed, captions = server.child, len(running.captions)
                os.kill(killed, signal.SIGKILL)
                await eventually(lambda: len(server.logged("app_running")) == 2, PATIENCE_S)
                await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)

                assert ["surgeon kidney tuesday"] == await said(server)
                await eventually(lambda: len(deepgram.opened) == 2, PATIENCE_S)
                await phone.play(sentence((2, 1)) + silence(2.5))
                await eventually(lambda: len(running.captions) > captions, PATIENCE_S)
                assert ["surgeon kidney tuesday", "tuesday kidney"] == await said(server)

                files = [path.read_bytes() for path in server.data.glob("glasshouse.sqlite3*")]
                assert files
                assert not any(b"kidney" in content for content in files)
