"""What each message of an app needs: a permission, to be the dashboard, or nothing (protocol.md 2.3, 9.5).

A message that has no line here fails: who adds one says what it needs. Streams have their own table, in
`test_subscriptions.py`; routes have theirs, in tests/adapters/http/test_owners.py.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
import trio
from trio.testing import MockClock

from actors.display.arbitration import DisplaySettings
from protocols import from_app, permissions
from protocols.from_app import AppMessage
from tests.actors.world import CAPTIONS, AppServer, FakeConnection, World, open_world

NOTHING, PER_STREAM, DASHBOARD, NOT_OFFERED = "nothing", "per stream", "to be the dashboard", "not offered"

NEEDS: dict[type[Any], str] = {
    from_app.TpaConnectionInit: NOTHING,
    from_app.OwnershipRelease: NOTHING,
    from_app.Ping: NOTHING,
    from_app.TelemetryResponse: NOTHING,
    from_app.SubscriptionUpdate: PER_STREAM,
    from_app.DisplayEvent: NOTHING,
    from_app.DashboardContentUpdate: NOTHING,
    from_app.DashboardModeChange: DASHBOARD,
    from_app.DashboardSystemUpdate: DASHBOARD,
    from_app.LocationPollRequest: permissions.LOCATION,
    from_app.AudioPlayRequest: NOTHING,
    from_app.AudioStopRequest: NOTHING,
    from_app.AudioStreamStart: NOT_OFFERED,
    from_app.AudioStreamEnd: NOT_OFFERED,
    from_app.PhotoRequest: permissions.CAMERA,
    from_app.RgbLedControl: NOTHING,
    from_app.RequestWifiSetup: NOTHING,
    from_app.RtmpStreamRequest: permissions.CAMERA,
    from_app.RtmpStreamStop: NOTHING,  # of its own stream
    from_app.ManagedStreamRequest: NOT_OFFERED,
    from_app.ManagedStreamStop: NOT_OFFERED,
    from_app.StreamStatusCheck: NOTHING,
    from_app.AppBroadcastMessage: NOT_OFFERED,
    from_app.AppDirectMessage: NOT_OFFERED,
    from_app.AppUserDiscovery: NOT_OFFERED,
    from_app.AppRoomJoin: NOT_OFFERED,
    from_app.AppRoomLeave: NOT_OFFERED,
}

DASHBOARD_PACKAGE = DisplaySettings().dashboard_package

TRIED: dict[type[Any], tuple[dict[str, object], str]] = {
    from_app.LocationPollRequest: (
        {"type": "location_poll_request", "correlationId": "c1", "accuracy": "high"},
        "request_single_location",
    ),
    from_app.PhotoRequest: ({"type": "photo_request", "requestId": "p1"}, "photo_request"),
    from_app.RtmpStreamRequest: (
        {"type": "rtmp_stream_request", "rtmpUrl": "rtmp://example.org/live"},
        "start_rtmp_stream",
    ),
    from_app.DashboardModeChange: ({"type": "dashboard_mode_change", "mode": "expanded"}, "display_event"),
    from_app.DashboardSystemUpdate: (
        {"type": "dashboard_system_update", "section": "topLeft", "content": "mine"},
        "display_event",
    ),
}
"""What is sent, and what the phone would hear of it."""


def test_every_message_of_an_app_says_what_it_needs_and_what_needs_something_is_tried() -> None:
    assert set(get_args(AppMessage)) == set(NEEDS)
    needy = set(NEEDS.values()) - {NOTHING, PER_STREAM, NOT_OFFERED}
    assert {kind for kind, needed in NEEDS.items() if needed in needy} == set(TRIED)


async def told_the_phone(world: World, phone: FakeConnection, server: AppServer, kind: type[Any]) -> int:
    """How often the phone hears of one such message."""
    message, answer = TRIED[kind]
    before = len(phone.heard(answer))
    server.connection.say(message)
    await trio.sleep(2)
    return len(phone.heard(answer)) - before


@pytest.mark.parametrize("kind", TRIED)
async def test_what_an_app_may_not_ask_reaches_nobody(autojump_clock: MockClock, kind: type[Any]) -> None:
    others = sorted(permissions.PERMISSIONS - {NEEDS[kind], permissions.ALL})
    async with open_world() as world:
        phone = await world.phone()
        phone.say({"type": "glasses_connection_state", "modelName": "Mentra Live", "status": "CONNECTED"})
        server = await world.running_app(phone, permissions=others)

        assert 0 == await told_the_phone(world, phone, server, kind)


@pytest.mark.parametrize("kind", TRIED)
async def test_what_an_app_may_ask_reaches_the_phone(autojump_clock: MockClock, kind: type[Any]) -> None:
    needed = NEEDS[kind]
    async with open_world() as world:
        phone = await world.phone()
        phone.say({"type": "glasses_connection_state", "modelName": "Mentra Live", "status": "CONNECTED"})
        package = CAPTIONS
        if needed == DASHBOARD:
            package, needed = DASHBOARD_PACKAGE, permissions.CALENDAR
        server = await world.running_app(phone, package, permissions=(needed,))
        if kind is from_app.DashboardModeChange:
            section = {"type": "dashboard_system_update", "section": "topLeft", "content": "12:00"}
            server.connection.say(section)
            await trio.sleep(2)

        assert 1 <= await told_the_phone(world, phone, server, kind)
