from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from clients.glasses import Frame, Glasses
from protocols import to_phone
from tests.clients.scripted_cloud import Peer, ScriptedCloud, user

NOW = 1_795_240_800.5
MICROPHONE = {
    "type": "microphone_state_change",
    "sessionId": "ada@example.org",
    "isMicrophoneEnabled": True,
    "requiredData": ["pcm"],
    "bypassVad": True,
}


@asynccontextmanager
async def switched_on(cloud: ScriptedCloud) -> AsyncIterator[Glasses]:
    async with trio.open_nursery() as nursery:
        glasses = Glasses("http://cloud:8002/", "a+token", connect=cloud.connect, wall=lambda: NOW)
        await nursery.start(glasses.run)
        yield glasses
        nursery.cancel_scope.cancel()


@pytest.fixture
async def glasses(cloud: ScriptedCloud) -> AsyncIterator[Glasses]:
    async with switched_on(cloud) as glasses:
        yield glasses


async def connected(cloud: ScriptedCloud, *running: str) -> Peer:
    peer = await cloud.accept()
    await peer.receive_type("ping")
    await peer.send({"type": "pong"})
    await peer.acknowledge_phone(*running)
    return peer


async def answer_pings(peer: Peer) -> None:
    while True:
        if (await peer.receive())["type"] == "ping":
            await peer.send({"type": "pong"})


async def test_the_token_goes_in_the_query_of_glasses_ws(cloud: ScriptedCloud, glasses: Glasses) -> None:
    peer = await cloud.accept()

    assert ["ws://cloud:8002/glasses-ws?token=a%2Btoken"] == cloud.urls
    assert "/glasses-ws?token=a%2Btoken" == peer.path


async def test_the_ack_and_the_changes_after_it_say_what_runs(cloud: ScriptedCloud, glasses: Glasses) -> None:
    assert not glasses.is_connected

    peer = await connected(cloud, "org.example.a")
    await glasses.wait_for(lambda phone: phone.is_connected)
    at_first = glasses.running_apps
    await peer.send({"type": "app_state_change", "sessionId": "x", "userSession": user("org.example.b")})
    await glasses.wait_for(lambda phone: phone.running_apps == ("org.example.b",))

    assert ("org.example.a",) == at_first
    assert [to_phone.Pong, to_phone.ConnectionAck, to_phone.AppStateChange] == [
        type(received.message) for received in glasses.received
    ]


async def test_a_ping_goes_out_every_five_seconds(cloud: ScriptedCloud, glasses: Glasses) -> None:
    peer = await cloud.accept()
    times = []
    for _ in range(3):
        await peer.receive_type("ping")
        times.append(trio.current_time() - cloud.dials[0])
        await peer.send({"type": "pong"})

    assert [0, 5, 10] == pytest.approx(times)


async def test_without_a_pong_within_five_seconds_it_closes_and_dials_again_five_later(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    first = await cloud.accept()
    ended = await first.ended()
    again = await cloud.accept()

    assert (1005, None) == ended
    assert 1 == glasses.pong_timeouts
    assert 10 == pytest.approx(cloud.dials[1] - cloud.dials[0])
    await again.acknowledge_phone()
    await glasses.wait_for(lambda phone: phone.is_connected)


async def test_a_half_open_socket_is_given_up_after_half_a_second(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    cloud.answer = "accept"
    peer = await cloud.accept()
    peer.connection._reader_running = False  # the peer no longer reads, nor answers a close
    await cloud.accept()

    assert 1 == glasses.pong_timeouts
    assert 10 <= cloud.dials[1] - cloud.dials[0] <= 10.6


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1013])
async def test_after_any_close_it_dials_again_after_five_seconds(
    cloud: ScriptedCloud, glasses: Glasses, code: int
) -> None:
    peer = await connected(cloud)
    await glasses.wait_for(lambda phone: phone.is_connected)
    await peer.close(code, "for a reason")
    await glasses.wait_for(lambda phone: not phone.is_connected)
    await connected(cloud)

    assert 5 == pytest.approx(cloud.dials[1] - cloud.dials[0])
    assert f"the WebSocket was closed with {code} 'for a reason'" == str(glasses.last_end)
    assert 2 == glasses.connections


@pytest.mark.parametrize("answer", ["refuse", "hang_up"])
async def test_a_failed_dial_is_tried_again_every_five_seconds(cloud: ScriptedCloud, answer: str) -> None:
    cloud.answer = answer
    async with switched_on(cloud) as glasses:
        await trio.sleep(12)
        dials = len(cloud.dials)
        cloud.answer = "accept"
        await connected(cloud)
        await glasses.wait_for(lambda phone: phone.is_connected)

    assert 3 == dials


async def test_a_cloud_that_says_nothing_is_given_up_after_ten_seconds(cloud: ScriptedCloud) -> None:
    cloud.answer = "hang"
    async with switched_on(cloud) as glasses:
        await glasses.wait_for(lambda phone: phone.last_end, timeout_s=11)

    assert isinstance(glasses.last_end, TimeoutError)


async def test_a_refusal_is_kept_and_tried_again(cloud: ScriptedCloud) -> None:
    cloud.answer = "reject"
    async with switched_on(cloud) as glasses:
        refusal = await glasses.wait_for(lambda phone: phone.refusal)
        cloud.answer = "accept"
        await connected(cloud)
        await glasses.wait_for(lambda phone: phone.is_connected)

    assert refusal is not None
    assert (401, b'{"type":"connection_error"}') == (refusal.status, refusal.body)
    assert glasses.refusal is None
    assert 5 == pytest.approx(cloud.dials[1] - cloud.dials[0])


async def test_a_dropped_connection_ends_without_a_close_frame(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    peer = await connected(cloud)
    await glasses.wait_for(lambda phone: phone.is_connected)
    await glasses.drop()

    assert (1006, None) == await peer.ended()
    assert not await glasses.press_button()
    await glasses.drop()
    await connected(cloud)
    assert 5 == pytest.approx(cloud.dials[1] - cloud.dials[0])


async def test_audio_goes_out_only_after_the_ack_and_while_data_is_wanted(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    frames: list[Frame] = []
    frame = b"\x01\x02" * 1600

    before = await glasses.play(frame)
    peer = await connected(cloud)
    await glasses.wait_for(lambda phone: phone.is_connected)
    off = await glasses.play(frame)
    await peer.send(MICROPHONE)
    await glasses.wait_for(lambda phone: phone.is_microphone_on)
    on = await glasses.play(frame * 2 + b"\x03\x04", on_frame=frames.append)
    received = [await peer.receive() for _ in range(3)]
    await peer.send(MICROPHONE | {"requiredData": []})
    await glasses.wait_for(lambda phone: not phone.is_microphone_on)
    off_again = await glasses.play(frame)

    assert (0, 0, 3, 0) == (before, off, on, off_again)
    assert [frame, frame, b"\x03\x04"] == received
    assert [(0, 3200), (3200, 3200), (6400, 2)] == [(one.offset_bytes, one.size_bytes) for one in frames]


async def test_a_microphone_stays_wanted_through_a_reconnect_but_waits_for_the_ack(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    peer = await connected(cloud)
    await peer.send(MICROPHONE)
    await glasses.wait_for(lambda phone: phone.is_microphone_on)
    await peer.vanish()
    again = await cloud.accept()

    assert not glasses.is_microphone_on
    await again.acknowledge_phone()
    await glasses.wait_for(lambda phone: phone.is_microphone_on)


async def test_in_real_time_a_frame_goes_out_when_its_last_sample_is_spoken(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    peer = await connected(cloud)
    await peer.send(MICROPHONE)
    await glasses.wait_for(lambda phone: phone.is_microphone_on)
    began = trio.current_time()
    times: list[float] = []

    await glasses.play(b"\0" * 3200 * 3, on_frame=lambda one: times.append(one.at - began))
    fast_began = trio.current_time()
    await glasses.play(b"\0" * 3200 * 3, chunk_ms=20, realtime=False)

    assert [0.1, 0.2, 0.3] == pytest.approx(times)
    assert fast_began == trio.current_time()
    assert [3200] * 3 + [640] * 15 == [len(await peer.receive()) for _ in range(18)]


async def test_the_lens_keeps_what_is_shown_in_each_view(cloud: ScriptedCloud, glasses: Glasses) -> None:
    peer = await connected(cloud)
    shown = {"type": "display_event", "packageName": "org.example.a", "timestamp": "t"}
    text = {"layoutType": "text_wall", "text": "hello"}
    card = {"layoutType": "reference_card", "title": "up", "text": "down"}

    await peer.send(shown | {"view": "main", "layout": text, "durationMs": 500})
    await peer.send(shown | {"view": "dashboard", "layout": card})
    await glasses.wait_for(lambda phone: phone.lens.dashboard)

    assert glasses.lens.main is not None
    assert glasses.lens.dashboard is not None
    assert ("hello", 500, "org.example.a") == (
        glasses.lens.text,
        glasses.lens.main.duration_ms,
        glasses.lens.main.package_name,
    )
    assert "up\ndown" == glasses.lens.dashboard.text
    assert ["main", "dashboard"] == [one.view for one in glasses.lens.history]
    assert all(one.at == pytest.approx(trio.current_time(), abs=1) for one in glasses.lens.history)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ({"layoutType": "double_text_wall", "topText": "a", "bottomText": "b"}, "a\nb"),
        ({"layoutType": "dashboard_card", "leftText": "a", "rightText": "b"}, "a\nb"),
        ({"layoutType": "bitmap_view", "data": "00"}, ""),
        ({"layoutType": "clear_view"}, ""),
    ],
)
async def test_every_layout_has_a_text(
    cloud: ScriptedCloud, glasses: Glasses, layout: dict[str, str], text: str
) -> None:
    peer = await connected(cloud)
    event = {"type": "display_event", "view": "main", "packageName": "a", "layout": layout}

    await peer.send(event | {"layout": {"layoutType": "text_wall", "text": "before"}})
    await peer.send(event)
    await glasses.wait_for(lambda phone: len(phone.lens.history) == 2)

    assert text == glasses.lens.text


async def test_what_it_does_not_understand_is_counted_and_the_connection_stays(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    peer = await connected(cloud)
    bad_layout = {
        "type": "display_event",
        "view": "main",
        "packageName": "a",
        "layout": {"layoutType": "hologram"},
    }

    await peer.send(b"binary")
    await peer.send("not json")
    await peer.send(bad_layout)
    await peer.send({"type": "something_new"})
    await peer.send({"type": "ping"})
    await glasses.wait_for(
        lambda phone: phone.received and isinstance(phone.received[-1].message, to_phone.Ping)
    )

    assert 3 == glasses.malformed
    assert glasses.is_connected


async def test_everything_the_wearer_does_is_a_message_with_a_time(
    cloud: ScriptedCloud, glasses: Glasses
) -> None:
    peer = await connected(cloud)
    await glasses.wait_for(lambda phone: phone.is_connected)
    stamp = {"timestamp": 1_795_240_800_500}

    await glasses.start_app("org.example.a")
    await glasses.stop_app("org.example.a")
    await glasses.press_button(press_type="long")
    await glasses.move_head("up")
    await glasses.touch("single_tap")
    await glasses.detect_voice(True)
    await glasses.report_battery(80, is_charging=True)
    await glasses.report_glasses()

    assert [
        {"type": "start_app", "packageName": "org.example.a"} | stamp,
        {"type": "stop_app", "packageName": "org.example.a"} | stamp,
        {"type": "button_press", "buttonId": "main", "pressType": "long"} | stamp,
        {"type": "head_position", "position": "up"} | stamp,
        {"type": "touch_event", "gesture_name": "single_tap"} | stamp,
        {"type": "VAD", "status": True} | stamp,
        {"type": "glasses_battery_update", "level": 80, "charging": True} | stamp,
        {"type": "glasses_connection_state", "status": "CONNECTED", "modelName": "Even Realities G1"} | stamp,
    ] == [await peer.receive() for _ in range(8)]


async def test_apps_are_started_and_stopped_over_rest_too(cloud: ScriptedCloud, glasses: Glasses) -> None:
    cloud.http = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n" + b'{"success":true}'

    started = await glasses.rest_start_app("org.example/a")
    stopped = await glasses.rest_stop_app("org.example.a")

    assert (200, b'{"success":true}') == (started.status, started.body)
    assert started == stopped
    heads = [request.decode().lower().split("\r\n") for request in cloud.http_requests]
    assert ["post /apps/org.example/a/start http/1.1", "post /apps/org.example.a/stop http/1.1"] == [
        head[0] for head in heads
    ]
    assert all("authorization: bearer a+token" in head and "host: cloud:8002" in head for head in heads)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"])
async def test_an_answer_that_breaks_off_is_an_error(
    cloud: ScriptedCloud, glasses: Glasses, answer: bytes
) -> None:
    cloud.http = answer

    with pytest.raises(ConnectionError):
        await glasses.rest("GET", "/health")


async def test_a_rest_call_without_an_answer_ends(cloud: ScriptedCloud, glasses: Glasses) -> None:
    async def silence(url: str) -> trio.abc.Stream:
        return trio.testing.memory_stream_pair()[0]

    glasses = Glasses("http://cloud", "t", connect=silence)

    with pytest.raises(TimeoutError, match="no answer within 10 s"):
        await glasses.rest("GET", "/health")


async def test_waiting_in_vain_says_what_the_phone_knew(cloud: ScriptedCloud, glasses: Glasses) -> None:
    peer = await connected(cloud, "org.example.a")
    await glasses.wait_for(lambda phone: phone.is_connected)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_pings, peer)
        with pytest.raises(
            TimeoutError, match=r"not within 5 s: connected=True, apps=\('org.example.a',\), lens=''"
        ):
            await glasses.wait_for(lambda phone: phone.lens.main)
        nursery.cancel_scope.cancel()


async def test_switched_off_it_closes_its_socket(cloud: ScriptedCloud) -> None:
    async with trio.open_nursery() as nursery:
        glasses = Glasses("https://cloud", "t", connect=cloud.connect)
        await nursery.start(glasses.run)
        peer = await connected(cloud)
        await glasses.wait_for(lambda phone: phone.is_connected)
        nursery.cancel_scope.cancel()

    assert (1005, None) == await peer.ended()
    assert ["wss://cloud/glasses-ws?token=t"] == cloud.urls
