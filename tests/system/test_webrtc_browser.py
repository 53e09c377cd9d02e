"""A real browser as the phone: Chromium's WebRTC, its microphone, and what an app hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.system.browser import Browser, Sound, chromium, write_wav
from tests.system.server import Server, eventually
from tests.system.speaking import (
    RATE_HZ,
    SETTINGS,
    TOLD_S,
    HearingApp,
    compare,
    first_heard,
    heard_whole,
    listening,
    nothing_but_a_gap,
    peer_of,
    speech,
)

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium here; `./run test` installs it where it is root and there is apt"
)

SPOKEN = speech()[: len(speech()) // 320 * 320]  # in whole pieces of 10 ms: it is heard again and again


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("for-browsers")
    with Server.start(folder, *SETTINGS, "speech_provider=none") as server:
        yield server


@pytest.mark.parametrize(
    ("user", "sound"), [("ada@example.org", "microphone"), ("bob@example.org", "recording")]
)
async def test_a_browser_is_heard_also_while_its_ice_begins_anew(
    server: Server, tmp_path: Path, user: str, sound: Sound
) -> None:
    app, browser = HearingApp(f"org.example.{sound}"), Browser()
    cloud = f"{server.url.replace('http', 'ws', 1)}/glasses-ws?token={quote(server.token(user))}"
    wav = write_wav(tmp_path / "sound.wav", SPOKEN)
    async with listening(server, app):
        with browser.shown(tmp_path, cloud, sound, wav):
            browser.order("start_app", app.package_name)
            await eventually(lambda: app.has_heard_s(user) > 3)
            begun_at_s, answers = app.has_heard_s(user), len(browser.said("answered"))
            browser.order("restart_ice")
            await eventually(lambda: len(browser.said("answered")) > answers)
            heard_s = app.has_heard_s(user)
            await eventually(lambda: app.has_heard_s(user) > heard_s + 3)
            way = await peer_of(server, user)

    heard = bytes(app.heard[user])
    said = first_heard(SPOKEN, heard)
    before = round(begun_at_s * RATE_HZ) * 2
    heard_whole(compare(said[:before], heard[:before]))
    nothing_but_a_gap(compare(said, heard), TOLD_S)
    assert (1, "connected", []) == (way["peers"], way["peer"], browser.said("error"))
    if sound == "recording":
        hosts = {candidate.split()[4] for candidate in browser.said("candidate") if candidate}
        assert hosts
        assert all(host.endswith(".local") for host in hosts), hosts
