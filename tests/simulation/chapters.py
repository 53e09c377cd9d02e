"""What the sweep of crashes plays: between them the chapters send every message that an actor handles."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec
import trio

from actors.document_ports import StoredDocument
from actors.ports import Claim
from actors.webrtc.ports import PeerFault, PeerState
from adapters.simulated.store import StoreFaults
from protocols import from_app, from_phone
from protocols.speech_url import speech_url
from protocols.transcription import TranslationData
from runtime.testing import Link
from tests.simulation.campaign import CLOUD_URL
from tests.simulation.peers import BUTTONS, CAPTIONS, KEY
from tests.simulation.stage import ADA, GRACE_S, Play, Stage
from tests.simulation.webrtc import WAY, Negotiator, speak

PUBLIC_URL: Final = "https://glasshouse.example"

CHAPTERS: Final[dict[str, Play]] = {}


def chapter(play: Play) -> Play:
    CHAPTERS[play.__name__] = play
    return play


async def _is_reset(stage: Stage, link: Link | None, *, pause_s: float) -> None:
    assert link is not None
    link.reset()
    await trio.sleep(pause_s)
    await stage.well()
    await stage.use(stage.ada)


async def _goes_silent(stage: Stage, link: Link | None) -> None:
    assert link is not None
    link.lose()
    stage.campaign.half_open.append(link)
    await trio.sleep(5.0)
    await stage.well()


@chapter
async def the_wearer_speaks_and_presses(stage: Stage) -> None:
    glasses = stage.ada.glasses
    await stage.use(stage.ada)
    await glasses.move_head("up")
    await glasses.detect_voice(True)
    await glasses.detect_voice(False)
    await glasses.report_battery(0.5)
    await glasses.report_glasses(model_name="Even Realities G1")
    await glasses.send(from_phone.RequestSettings())
    await glasses.rest("POST", "/api/client/audio/configure", b'{"format":"pcm"}')
    await glasses.move_head("down")
    await stage.use(stage.ada)


@chapter
async def apps_show_and_ask(stage: Stage) -> None:
    for package in (CAPTIONS, BUTTONS):
        session = stage.app(package).session_of(ADA)
        assert session is not None
        session.layouts.show_text_wall("a moment", duration_ms=300)
        session.send(from_app.DashboardContentUpdate(package_name=package, content="a line", modes=("main",)))
        session.send(from_app.DashboardModeChange(package_name=package, mode="expanded"))
        session.send(from_app.DashboardSystemUpdate(package_name=package, section="topLeft", content="12:00"))
        session.send(from_app.Ping())
    await stage.use(stage.ada)


@chapter
async def apps_want_to_be_heard(stage: Stage) -> None:
    """Its speaker plays what there is, is stopped in mid-word, and falls silent in the end."""
    session = stage.app(BUTTONS).session_of(ADA)
    assert session is not None
    for number, url in enumerate((f"{CLOUD_URL}/nothing.mp3", speech_url(PUBLIC_URL, "a few words"))):
        session.send(from_app.AudioPlayRequest(request_id=f"sound {number}", audio_url=url, track_id=number))
    await trio.sleep(0.3)
    session.send(from_app.AudioStopRequest(package_name=BUTTONS))
    await stage.use(stage.ada)
    stage.ada.glasses.speaker.is_deaf = True
    session = stage.app(BUTTONS).session_of(ADA)
    assert session is not None
    session.send(from_app.AudioPlayRequest(request_id="unheard", audio_url=f"{CLOUD_URL}/nothing.mp3"))
    await trio.sleep(56.0)
    await stage.use(stage.ada)


@chapter
async def a_phone_uses_rest(stage: Stage) -> None:
    """Its home screen, its settings, its reports; and an app keeps something for its wearer."""
    rest = stage.rest
    await rest("GET", "/api/client/apps")
    await rest("POST", "/api/client/device/state", '{"connected":true,"modelName":"Mentra Live"}')
    await rest("POST", "/api/client/location", '{"lat":1,"lng":2}')
    await rest("POST", "/api/user-data/set-datetime", '{"datetime":"2026-11-22T15:00:00Z"}')
    await rest("PUT", "/api/client/user/settings", '{"settings":{"brightness":7}}')
    await rest("DELETE", "/api/client/user/settings/key/brightness")
    await rest("POST", "/api/apps/install/org.example.unknown")
    storage = f"/api/sdk/simple-storage/{ADA}"
    await rest("PUT", storage, '{"data":{"a":"1"}}', key=f"{CAPTIONS}:{KEY}")
    await rest("DELETE", storage, key=f"{CAPTIONS}:{KEY}")
    answer = await rest("POST", "/api/auth/generate-webview-token", f'{{"packageName":"{CAPTIONS}"}}')
    token = msgspec.json.decode(answer.body)["token"]
    body = f'{{"aos_temp_token":"{token}","packageName":"{CAPTIONS}"}}'
    await rest("POST", "/api/auth/exchange-user-token", body, key=f"{CAPTIONS}:{KEY}")
    await stage.use(stage.ada)


@chapter
async def settings_are_changed_while_the_store_is_not_well(stage: Stage) -> None:
    """It is out, then slow, then out between the reading and the writing of one change."""
    store = stage.campaign.server.store
    path, body = "/api/client/user/settings", b'{"settings":{"brightness":%d}}'
    find = store.find_document
    store.outage = "the simulated disk is full"
    await stage.ada.glasses.rest("PUT", path, body % 1)
    store.outage = None
    store.faults = StoreFaults(max_delay_s=9.0)
    with contextlib.suppress(TimeoutError):
        await stage.ada.glasses.rest("PUT", path, body % 2)
    store.faults = StoreFaults()
    await trio.sleep(9.0)

    async def find_and_fail(collection: str, key: str) -> StoredDocument | None:
        found = await find(collection, key)
        store.outage = "the simulated disk is full"
        return found

    store.find_document = find_and_fail  # type: ignore[method-assign]
    await stage.ada.glasses.rest("PUT", path, body % 3)
    store.find_document = find  # type: ignore[method-assign]
    store.outage = None
    await stage.rest("PUT", path, (body % 4).decode())
    await stage.use(stage.ada)


@chapter
async def apps_ask_for_what_a_phone_has(stage: Stage) -> None:
    """A photo and a light that fail, a stream that begins and ends."""
    session = stage.app(BUTTONS).session_of(ADA)
    assert session is not None
    glasses = stage.ada.glasses
    await glasses.report_glasses(model_name="Mentra Live")
    session.send(from_app.PhotoRequest(request_id="p1"))
    session.send(from_app.RgbLedControl(request_id="l1", action="on"))
    session.send(from_app.RtmpStreamRequest(rtmp_url="rtmp://example.org/live"))
    await trio.sleep(0.5)
    await glasses.send(from_phone.PhotoResponse(request_id="p1", success=False))
    await trio.sleep(1.5)
    session.send(from_app.RtmpStreamStop())
    await glasses.report_glasses(model_name="Even Realities G1")
    await stage.use(stage.ada)


@chapter
async def apps_are_stopped_and_started(stage: Stage) -> None:
    await stage.stop(stage.ada, BUTTONS)
    await stage.start(stage.ada, BUTTONS)
    await stage.ada.glasses.rest_stop_app(CAPTIONS)
    stage.ada.wanted.discard(CAPTIONS)
    await stage.stop(stage.ada, CAPTIONS)
    await trio.sleep(6.0)  # nobody wants the transcription any more
    await stage.ada.glasses.rest_start_app(CAPTIONS)
    await stage.start(stage.ada, CAPTIONS)
    await stage.use(stage.ada)


@chapter
async def a_start_fails(stage: Stage) -> None:
    app = stage.app(CAPTIONS)
    await stage.stop(stage.ada, CAPTIONS)
    app.is_failing = True
    await stage.ada.glasses.start_app(CAPTIONS)
    await trio.sleep(4.0)
    app.is_failing = False
    await stage.start(stage.ada, CAPTIONS)


@chapter
async def an_apps_socket_is_reset(stage: Stage) -> None:
    await _is_reset(stage, stage.campaign.link_of(ADA, CAPTIONS), pause_s=0.3)


@chapter
async def an_app_lets_go_of_its_socket(stage: Stage) -> None:
    session = stage.app(BUTTONS).session_of(ADA)
    assert session is not None
    stage.nursery.start_soon(session.release)
    await trio.sleep(1.0)
    await stage.ada.glasses.drop()
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def an_apps_socket_is_half_open(stage: Stage) -> None:
    await _goes_silent(stage, stage.campaign.link_of(ADA, BUTTONS))


@chapter
async def an_app_server_dies_and_comes_back(stage: Stage) -> None:
    app = stage.app(BUTTONS)
    app.down()
    await trio.sleep(1.5)
    app.up()
    await stage.well()
    await stage.use(stage.ada)


@chapter
async def an_app_server_fails_for_a_while(stage: Stage) -> None:
    """Until its breaker opens; then it is stopped amid it."""
    app = stage.app(BUTTONS)
    app.down()
    app.is_failing = True
    app.up()
    await trio.sleep(5.0)
    await stage.call("/api/admin/app-servers")
    stage.bob.wanted.discard(BUTTONS)
    await stage.stop(stage.bob, BUTTONS)
    app.is_failing = False
    await stage.start(stage.bob, BUTTONS)
    await stage.well()


@chapter
async def an_app_server_hangs(stage: Stage) -> None:
    app = stage.app(BUTTONS)
    app.down()
    webhooks = stage.campaign.server.webhooks
    webhooks.faults[app.url] = "timeout"
    app.up()
    await trio.sleep(14.0)
    await stage.stop(stage.ada, BUTTONS)
    await stage.ada.glasses.start_app(BUTTONS)
    await trio.sleep(1.0)
    await stage.stop(stage.ada, BUTTONS)
    webhooks.faults.pop(app.url)
    await stage.start(stage.ada, BUTTONS)
    await stage.well()


@chapter
async def an_app_server_registers(stage: Stage) -> None:
    app = stage.app(BUTTONS)
    await stage.call_for(app, "heartbeat")
    await stage.call_for(app, "register")
    await trio.sleep(1.0)
    app.down()
    app.up()
    await stage.call_for(app, "restart")
    await stage.well()


@chapter
async def an_app_talks_nonsense_and_too_much(stage: Stage) -> None:
    session = stage.app(BUTTONS).session_of(ADA)
    assert session is not None
    socket = session._socket
    assert socket is not None
    for text in ("no json", "and again"):
        await socket.send(text)
    for number in range(600):
        await socket.send(f'{{"type":"ping","number":{number}}}')
    await trio.sleep(2.0)
    await stage.use(stage.ada)


@chapter
async def a_phone_is_reset_and_returns(stage: Stage) -> None:
    await _is_reset(stage, stage.campaign.phone_link(ADA), pause_s=1.0)


@chapter
async def a_phone_is_half_open(stage: Stage) -> None:
    await _goes_silent(stage, stage.campaign.phone_link(ADA))


@chapter
async def phones_take_over_from_each_other(stage: Stage) -> None:
    other = stage.campaign.glasses_of(ADA, is_second=True)
    with trio.move_on_after(9.0):
        await other.run()
    await stage.well()


@chapter
async def a_phone_stays_away_for_the_whole_grace(stage: Stage) -> None:
    stage.campaign.take_off(stage.ada)
    await trio.sleep(GRACE_S + 3.0)
    stage.campaign.switch_on(stage.ada)
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def a_wearer_says_goodbye(stage: Stage) -> None:
    answer = await stage.ada.glasses.rest("POST", "/api/client/goodbye")
    while answer.status >= 500:
        answer = await stage.ada.glasses.rest("POST", "/api/client/goodbye")
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def a_wearer_without_captions_is_heard(stage: Stage) -> None:
    """Audio that nobody asked for: his phone was not told that the microphone is off."""
    await stage.use(stage.bob)
    for _ in range(3):
        await stage.bob.glasses._send_frame(bytes(3200))
        await trio.sleep(0.1)
    await trio.sleep(2.0)


@chapter
async def a_phone_is_heard_over_webrtc(stage: Stage) -> None:
    """Its peer stalls, is lost and comes back, fails and is tried again; presses go on all the while."""
    glasses, media = stage.ada.glasses, stage.campaign.media
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Negotiator(glasses).run)
        await trio.sleep(1.0)
        for state in (PeerState.CONNECTED, PeerState.DISCONNECTED, PeerState.CONNECTED):
            for peer in media.living():
                peer.listener.state(state)
                peer.listener.candidate(WAY, 0, "0")
            nursery.start_soon(speak, media.living(), 0.8)
            await stage.use(stage.ada)
        await glasses.send(from_phone.WebrtcAudioStop())
        await stage.use(stage.ada)
        for peer in media.living():
            peer.fail(PeerFault.ICE, "the network has changed")
        await trio.sleep(3.0)
        await speak(media.living(), 0.4)
        await stage.use(stage.ada)
        nursery.cancel_scope.cancel()


@chapter
async def an_app_wants_a_translation(stage: Stage) -> None:
    """And the translator is slow at first, then fails, and is well."""
    session = stage.app(CAPTIONS).session_of(ADA)
    assert session is not None
    translator = stage.campaign.server.translator
    translator.take(7.0)
    translator.fail("overloaded")
    unsubscribe = session.events.on_translation(_read, "en-US", "fr-FR")
    await trio.sleep(0.3)
    for _ in range(3):
        await stage.use(stage.ada)
        await trio.sleep(2.5)
    unsubscribe()
    await trio.sleep(6.0)  # nobody wants it any more
    session = stage.app(CAPTIONS).session_of(ADA)
    assert session is not None
    session.events.on_translation(_read, "en-US", "fr-FR")
    await trio.sleep(0.3)
    await stage.use(stage.ada)


@chapter
async def an_app_asks_what_was_said(stage: Stage) -> None:
    """And the store is out for a while, and the server is killed."""
    headers = {"X-API-Key": KEY, "X-Package-Name": CAPTIONS}
    path = f"/api/transcripts/{ADA}-{CAPTIONS}?duration=60"
    await stage.use(stage.ada)
    await stage.get(path, headers)
    store = stage.campaign.server.store
    store.outage = "the simulated disk is full"
    await stage.use(stage.ada)
    await trio.sleep(2.0)
    store.outage = None
    await stage.use(stage.ada)
    await trio.sleep(1.5)
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server()
    await trio.sleep(1.0)
    await stage.well()
    await stage.use(stage.ada)
    await stage.get(path, headers)


def _read(_: TranslationData) -> None:
    """What it says is not looked at here."""


@chapter
async def the_recogniser_fails(stage: Stage) -> None:
    stage.campaign.speech.fail()
    await trio.sleep(0.1)
    await stage.ada.glasses.send(from_phone.LocalTranscription(text="we hear", is_final=True))
    await stage.use(stage.ada)
    await trio.sleep(2.0)
    stage.campaign.speech.end()
    await trio.sleep(2.0)
    await stage.use(stage.ada)


@chapter
async def the_store_fails(stage: Stage) -> None:
    store = stage.campaign.server.store
    store.outage = "the simulated disk is full"
    await stage.ada.glasses.stop_app(BUTTONS)
    await trio.sleep(0.5)
    await stage.ada.glasses.start_app(BUTTONS)
    await trio.sleep(1.5)
    store.outage = None
    await stage.start(stage.ada, BUTTONS)
    await trio.sleep(2.0)


@chapter
async def the_store_is_slow(stage: Stage) -> None:
    store = stage.campaign.server.store
    store.faults = StoreFaults(max_delay_s=5.0)
    await stage.ada.glasses.stop_app(BUTTONS)
    await trio.sleep(6.0)
    store.faults = StoreFaults()
    await stage.stop(stage.ada, BUTTONS)
    await stage.start(stage.ada, BUTTONS)
    await trio.sleep(5.0)


@chapter
async def the_server_is_killed(stage: Stage) -> None:
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server()
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def the_server_is_killed_and_its_store_is_out(stage: Stage) -> None:
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server(outage="the simulated disk is not there yet")
    await trio.sleep(8.0)
    stage.campaign.server.store.outage = None
    await stage.well()


@chapter
async def the_server_is_killed_and_its_store_is_slow(stage: Stage) -> None:
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server()
    store = stage.campaign.server.store
    claim = store.claim_user

    async def claim_slowly(user_id: str) -> Claim:
        await trio.sleep(5.7)
        return await claim(user_id)

    store.claim_user = claim_slowly  # type: ignore[method-assign]
    await trio.sleep(10.0)
    await stage.well()


@chapter
async def the_catalogue_is_out(stage: Stage) -> None:
    """A server that finds its users and not the apps they ran: nothing was in the snapshots."""
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    stage.campaign.documents.owners.clear()
    await stage.campaign.start_server(catalogue_outage_s=7.0)
    await trio.sleep(7.0)
    await stage.well()


@chapter
async def the_server_is_stopped(stage: Stage) -> None:
    await stage.campaign.stop_server()
    await stage.campaign.start_server()
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def nobody_comes_after_a_restart(stage: Stage) -> None:
    for wearer in stage.campaign.wearers:
        stage.campaign.take_off(wearer)
    for app in stage.campaign.apps.values():
        app.down()
    stage.campaign.kill_server()
    await trio.sleep(0.3)
    await stage.campaign.start_server()
    await trio.sleep(GRACE_S + 2.0)
    for app in stage.campaign.apps.values():
        app.up()
    for wearer in stage.campaign.wearers:
        stage.campaign.switch_on(wearer)
    await trio.sleep(1.0)
    await stage.well()


@chapter
async def strangers_are_at_the_door(stage: Stage) -> None:
    init = '{{"type":"tpa_connection_init","sessionId":"{}-{}","packageName":"{}","apiKey":"{}"}}'
    good = init.format("eve@example.org", CAPTIONS, CAPTIONS, KEY)
    store = stage.campaign.server.store
    await stage.stranger("no json", for_s=0.5)
    await stage.stranger(good, for_s=1.0)
    await stage.stranger(init.format("eve@example.org", CAPTIONS, CAPTIONS, "a wrong key"), for_s=1.0)
    await stage.stranger(init.format("eve", "nothing of ours", CAPTIONS, KEY), for_s=1.0)
    store.outage = "the simulated disk is full"
    await stage.stranger(good, for_s=1.0)
    store.outage = None
    await stage.stranger(for_s=20.0)
    await stage.well()


@chapter
async def a_session_crashes(stage: Stage) -> None:
    stage.crash(f"users/{ADA}/session")
    await trio.sleep(0.5)
    await stage.use(stage.ada)


@chapter
async def a_link_crashes(stage: Stage) -> None:
    stage.crash(f"users/{ADA}/link")
    await trio.sleep(0.5)
    await stage.use(stage.ada)


@chapter
async def the_others_crash(stage: Stage) -> None:
    for place in ("display", "audio", "speech/en-US", f"apps/{CAPTIONS}"):
        stage.crash(f"users/{ADA}/{place}")
        await trio.sleep(0.2)
    await stage.use(stage.ada)


@chapter
async def the_apps_lose_their_supervisor(stage: Stage) -> None:
    stage.crash(f"users/{ADA}/apps")
    await trio.sleep(0.5)
    await stage.well()
    await stage.use(stage.ada)


@chapter
async def an_app_session_crashes_until_it_starts_clean(stage: Stage) -> None:
    for _ in range(3):
        stage.crash(f"users/{ADA}/apps/{CAPTIONS}")
        await trio.sleep(2.6)  # a fourth is within its supervisor's patience, three in five seconds
    await stage.well()
    await stage.use(stage.ada)


@chapter
async def a_doorman_crashes_while_an_app_is_at_the_door(stage: Stage) -> None:
    link = stage.campaign.link_of(ADA, CAPTIONS)
    assert link is not None
    link.reset()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stand_at_the_door, stage)
        await trio.sleep(0.5)
        stage.crash("front door/doorman")
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    await stage.well()


async def _stand_at_the_door(stage: Stage) -> None:
    await stage.stranger(for_s=5.0)
