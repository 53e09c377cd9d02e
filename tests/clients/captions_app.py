"""The app of these tests, and what a scripted cloud does to bring it up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from clients.app_sdk import AppServer, AppSession
from protocols import webhooks
from tests.clients.scripted_cloud import Peer, ScriptedCloud

PACKAGE = "org.example.captions"
USER = "ada-b@example.org"
SESSION = f"{USER}-{PACKAGE}"
URL = "ws://cloud:8002/app-ws"
NOW = 1_795_240_800.0
STAMP = "2026-11-21T06:00:00.000Z"


class Captions(AppServer):
    """An app that notes what happens to it."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        super().__init__(PACKAGE, "key", port=None, connect=cloud.connect, wall=lambda: NOW)
        self.begun: list[AppSession] = []
        self.stops: list[tuple[str, str, str]] = []
        self.may_begin = trio.Event()
        self.may_begin.set()

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        assert (SESSION, USER) == (session_id, user_id)
        self.begun.append(session)
        session.layouts.show_text_wall("hello")
        await self.may_begin.wait()

    async def on_stop(self, session_id: str, user_id: str, reason: str) -> None:
        self.stops.append((session_id, user_id, reason))


class Call:
    """A POST /webhook that runs beside the test."""

    def __init__(self, app: AppServer, nursery: trio.Nursery, body: bytes | None = None) -> None:
        self.answer: tuple[int, Any] | None = None
        self.took_s = 0.0
        self.is_over = trio.Event()
        nursery.start_soon(self._run, app, body or request())

    async def _run(self, app: AppServer, body: bytes) -> None:
        began = trio.current_time()
        status, answer = await app.handle("POST", "/webhook", body)
        self.answer = status, msgspec.json.decode(answer)
        self.took_s = trio.current_time() - began
        self.is_over.set()

    async def result(self) -> tuple[int, Any]:
        await self.is_over.wait()
        assert self.answer is not None
        return self.answer


def request(**fields: str) -> bytes:
    body = {"type": "session_request", "sessionId": SESSION, "userId": USER, "timestamp": STAMP}
    return msgspec.json.encode(body | (fields or {"mentraOSWebsocketUrl": URL}))


def stop_request() -> bytes:
    return webhooks.stop_request(session_id=SESSION, user_id=USER, reason="user_disabled", timestamp=STAMP)


async def started(cloud: ScriptedCloud, app: AppServer, nursery: trio.Nursery, **ack: object) -> Peer:
    """An app session in full swing; what it sent at its start is read."""
    call = Call(app, nursery)
    peer = await cloud.accept()
    await peer.acknowledge_app(**ack)
    assert (200, {"status": "success"}) == await call.result()
    await peer.receive_type("subscription_update")
    await peer.receive_type("display_event")
    return peer


async def subscriptions(peer: Peer) -> list[str]:
    update: Mapping[str, Any] = await peer.receive_type("subscription_update")
    return list(update["subscriptions"])


async def stream(peer: Peer, name: str, data: Mapping[str, object]) -> None:
    await peer.send({"type": "data_stream", "sessionId": SESSION, "streamType": name, "data": data})
