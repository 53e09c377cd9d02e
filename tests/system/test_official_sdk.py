"""An unmodified app on the official SDK under node: speech, audio, a phone drop, its own death, the stop."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from adapters.listener.reload import ReloadOutcome, request_reload
from clients.app_sdk import http_server
from clients.glasses import Frame, Glasses
from clients.recordings import Recording, recordings
from tests.system.conftest import SDK_APP
from tests.system.peers import wearer
from tests.system.sdk import PACKAGE, SdkApp, kill, sdk_app
from tests.system.server import PATIENCE_S, Server, eventually

ADA = "ada@example.org"
HELLO = "Hello from the SDK"
SILENCE = bytes(32_000)  # a second of it: the recogniser hears that a sentence is over


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("sdk"), "display.boot_screen_s=0.1") as server:
        yield server


@pytest.fixture(scope="module")
def named_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(
        tmp_path_factory.mktemp("named"), "display.boot_screen_s=0.1", "node_name=alpha"
    ) as server:
        yield server


@pytest.fixture
def unhurried_server(tmp_path: Path) -> Iterator[Server]:
    """One that drops no audio for a busy machine: the start of a second server is a second of a core."""
    settings = ("display.boot_screen_s=0.1", "overload.enter_s=60", "pocketsphinx.keep_s=60")
    with Server.start(tmp_path, *settings) as server:
        yield server


class Microphone:
    """What the phone sent, as the app should have heard it."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.sent_bytes = 0

    async def hear(self, phone: Glasses, recording: Recording) -> None:
        """Speak a recording in real time, and a second of silence after it. Every frame has to go out."""
        pcm = recording.pcm + SILENCE

        def note(frame: Frame) -> None:
            assert frame.was_sent
            self.hash.update(pcm[frame.offset_bytes : frame.offset_bytes + frame.size_bytes])
            self.sent_bytes += frame.size_bytes

        await phone.play(pcm, on_frame=note)


async def audio_is_heard(phone: Glasses, app: SdkApp) -> None:
    """Wait until the app has said all that it wants: it subscribes to the button after the microphone."""
    pressed = len(app.all("button"))

    async def press() -> None:
        while True:
            await phone.press_button("camera")
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(press)
        await app.told("button", pressed + 1)
        nursery.cancel_scope.cancel()
    await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)


async def final_after(app: SdkApp, phone: Glasses, known: int) -> str:
    """The final text that comes after `known` ones, once the wearer reads it too."""
    text = str((await app.told("final", known + 1))["text"])
    await phone.wait_for(lambda glasses: glasses.lens.text == text, timeout_s=PATIENCE_S)
    return text


async def heard(app: SdkApp, microphone: Microphone) -> None:
    """The app has got every byte that was sent, and no other."""
    await eventually(lambda: app.all("audio") and app.all("audio")[-1]["bytes"] >= microphone.sent_bytes)
    last = app.all("audio")[-1]
    assert (microphone.sent_bytes, microphone.hash.hexdigest()) == (last["bytes"], last["sha256"])


def likeness(text: str, recording: Recording) -> float:
    """How many of the words that were said were recognised, of 1."""
    said = recording.text.split()
    return sum(word in text.split() for word in said) / len(said)


async def test_app_on_the_official_sdk_lives_through_drops_deaths_and_stop(
    node: str, server: Server, closed_port: int
) -> None:
    _, young_man, _, _, amiable = recordings()
    async with (
        wearer(server, ADA) as phone,
        sdk_app(node, closed_port, server, "patient") as (app, process),
    ):
        # Hello, captions, audio, button.
        await phone.start_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.lens.text == HELLO, timeout_s=PATIENCE_S)
        await audio_is_heard(phone, app)
        microphone = Microphone()
        await microphone.hear(phone, young_man)
        first = await final_after(app, phone, 0)
        await heard(app, microphone)
        assert likeness(first, young_man) > 0.5 > likeness(first, amiable)
        assert "camera" == app.all("button")[0]["id"]
        assert (PACKAGE,) == phone.running_apps

        # The phone drops and returns: another recording, another caption, the same session.
        await phone.drop()
        await phone.wait_for(lambda glasses: glasses.is_microphone_on and glasses.connections == 2)
        known = len(app.finals())
        await microphone.hear(phone, amiable)
        second = await final_after(app, phone, known)
        await heard(app, microphone)
        assert likeness(second, amiable) > 0.5 > likeness(second, young_man)
        assert [f"{ADA}-{PACKAGE}"] == [told["sessionId"] for told in app.all("session")]
        assert 1 == app.webhooks()

        # Its server is killed and started again on the same port.
        process.send_signal(signal.SIGKILL)
        await process.wait()
        app.events.clear()
        async with trio.open_nursery() as nursery:
            await nursery.start(app.run)
            await app.told("session")
            await audio_is_heard(phone, app)
            microphone = Microphone()
            await microphone.hear(phone, young_man)
            third = await final_after(app, phone, 0)
            await heard(app, microphone)
            assert likeness(third, young_man) > 0.5
            assert (1, 1) == (len(app.all("session")), app.webhooks())
            assert (PACKAGE,) == phone.running_apps

            # The stop.
            await phone.stop_app(PACKAGE)
            await app.told("stop")
            await phone.wait_for(lambda glasses: glasses.running_apps == (), timeout_s=PATIENCE_S)
            await server.log_line(
                "app_socket_lost", f"package={PACKAGE}", "code=1000", 'reason="App stopped"'
            )
            nursery.cancel_scope.cancel()
        assert (1, 2) == (len(app.all("session")), app.webhooks())
        assert [] == app.all("error")


async def test_reload_in_the_middle_of_a_sentence_is_nothing_that_an_sdk_app_hears_of(
    node: str, unhurried_server: Server, closed_port: int
) -> None:
    server = unhurried_server
    user = "mary@example.org"
    _, young_man, _, _, _ = recordings()
    async with wearer(server, user) as phone, sdk_app(node, closed_port, server) as (app, _):
        await phone.start_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.lens.text == HELLO, timeout_s=PATIENCE_S)
        await audio_is_heard(phone, app)
        before = server.child
        microphone = Microphone()
        outcomes: list[ReloadOutcome] = []

        async def reload() -> None:
            outcomes.append(await request_reload(str(server.data)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reload)
            await microphone.hear(phone, young_man)
        await eventually(lambda: likeness(" ".join(app.finals()), young_man) > 0.5)
        await audio_is_heard(phone, app)
        await heard(app, microphone)

        assert [True] == [outcome.is_done for outcome in outcomes]
        assert before != server.child
        assert [f"{user}-{PACKAGE}"] == [told["sessionId"] for told in app.all("session")]
        assert [] == app.all("disconnected") == app.all("error")
        assert (1, 1) == (app.webhooks(), phone.connections)


async def test_killed_cloud_takes_an_sdk_app_back_with_the_session_it_has(
    node: str, server: Server, closed_port: int
) -> None:
    user = "grace@example.org"
    async with wearer(server, user) as phone, sdk_app(node, closed_port, server) as (app, _):
        await phone.start_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.lens.text == HELLO, timeout_s=PATIENCE_S)
        await audio_is_heard(phone, app)
        await server.has_kept(user, "button_press")

        os.kill(server.child, signal.SIGKILL)
        shown = len(phone.lens.history)
        await phone.wait_for(lambda glasses: len(glasses.lens.history) > shown, timeout_s=PATIENCE_S)
        await audio_is_heard(phone, app)
        frames = len(app.all("audio"))
        await phone.play(SILENCE)
        await app.told("audio", frames + 1)

        assert HELLO == phone.lens.history[shown].text
        assert [f"{user}-{PACKAGE}"] == [told["sessionId"] for told in app.all("session")]
        assert 1 == app.webhooks()
        assert (PACKAGE,) == phone.running_apps


async def test_same_app_works_below_an_owners_prefix(
    node: str, named_server: Server, closed_port: int
) -> None:
    recording = recordings()[1]
    async with (
        wearer(named_server, ADA, path="/o/alpha") as phone,
        sdk_app(node, closed_port, named_server) as (app, _),
    ):
        await phone.rest_start_app(PACKAGE)
        await phone.wait_for(lambda glasses: glasses.lens.text == HELLO, timeout_s=PATIENCE_S)
        await audio_is_heard(phone, app)
        microphone = Microphone()
        await microphone.hear(phone, recording)
        text = await final_after(app, phone, 0)
        await heard(app, microphone)
        stopped = await phone.rest_stop_app(PACKAGE)
        await app.told("stop")
        await phone.wait_for(lambda glasses: glasses.running_apps == (), timeout_s=PATIENCE_S)

    assert (200, b'{"success":true,"data":{"status":"stopped","isRunning":false}}') == (
        stopped.status,
        stopped.body,
    )
    assert likeness(text, recording) > 0.5
    assert 1 == len(app.all("session"))


async def test_sdk_keeps_the_owners_prefix_in_its_rest_calls(node: str, closed_port: int) -> None:
    """Asked of the SDK itself: it derives the base of its REST calls from the webhook's WebSocket URL."""
    script = """
        import { AppServer, AppSession } from "@mentra/sdk";
        const url = process.argv[1];
        const appServer = new AppServer({ packageName: "org.example.probe", apiKey: "key" });
        const options = { packageName: "org.example.probe", apiKey: "key", userId: "ada@example.org" };
        const session = new AppSession({ ...options, mentraOSWebsocketUrl: url, appServer });
        await session.simpleStorage.get("k");
        console.log(JSON.stringify({ event: "https", url: session.getHttpsServerUrl() }));
        process.exit();
    """
    asked: list[str] = []

    async def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        asked.append(f"{method} {path}")
        return 200, b'{"success": true, "data": {}}'

    async with trio.open_nursery() as nursery:
        port = await nursery.start(http_server.serve, answer, "127.0.0.1", 0)
        app = SdkApp(node, 0, closed_port)
        url = f"ws://127.0.0.1:{port}/o/alpha/app-ws"
        with trio.fail_after(PATIENCE_S):
            done = await trio.run_process(
                [node, "--input-type=module", "--eval", script, url],
                cwd=SDK_APP,
                env=app.environment,
                capture_stdout=True,
                capture_stderr=True,
                deliver_cancel=kill,
            )
        nursery.cancel_scope.cancel()

    assert ["GET /o/alpha/api/sdk/simple-storage/ada%40example.org"] == asked
    assert f'"url":"https://127.0.0.1:{port}/o/alpha"' in done.stdout.decode()
