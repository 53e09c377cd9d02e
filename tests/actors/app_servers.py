"""App servers with many sessions, for tests: a meter of webhooks, wearers, and what the directory knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import trio

from actors.directory import Call, CallTaken, ListServers, ProbeServer, ServerReport, call_server
from actors.ports import ProbeOutcome, WebhookAnswer
from actors.session.messages import start_app
from adapters.simulated.webhooks import Call as HttpCall
from runtime import ReplyTo
from tests.actors.world import ADA, CAPTIONS, AppServer, FakeConnection, World

BACK_S = 1.0  # DESIGN section 6


class Meter:
    """Looks at an app server's webhooks: when each came, and how many were open at once.

    Attributes:
      answer_s: what the server takes before it dials.
    """

    def __init__(self, server: AppServer, *, answer_s: float = 0.0) -> None:
        self.server = server
        self.answer_s = answer_s
        self.times: list[float] = []
        self.sessions: list[str] = []
        self.most_open = 0
        self._open = 0

    def up(self) -> None:
        self.server.world.webhooks.serve(self.server.url, self._answer)

    def burst(self, within_s: float) -> int:
        """The most webhooks that came within so long."""
        return max(sum(begin <= other < begin + within_s for other in self.times) for begin in self.times)

    async def _answer(self, call: HttpCall) -> WebhookAnswer:
        if call.path != "/webhook":
            return WebhookAnswer(200)
        self.times.append(trio.current_time())
        self.sessions.append(msgspec.json.decode(call.body)["sessionId"])
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        try:
            await trio.sleep(self.answer_s)
            return await self.server._answer(call)
        finally:
            self._open -= 1


def user(number: int) -> str:
    return f"user{number:03}@example.org"


async def wearers(world: World, server: AppServer, count: int) -> list[FakeConnection]:
    """Phones of so many users, each with the app running."""
    phones = []
    for number in range(count):
        phone = await world.phone(user(number))
        phone.say({"type": "start_app", "packageName": server.package})
        phones.append(phone)
    await trio.sleep(3)
    assert all([server.package] == phone.running() for phone in phones)
    return phones


def connected(server: AppServer) -> set[str]:
    """Sessions with an open socket that was acknowledged."""
    return {
        connection.heard("tpa_connection_ack")[-1]["sessionId"]
        for connection in server.connections
        if connection.is_open and connection.heard("tpa_connection_ack")
    }


async def call(world: World, kind: Call, package: str = CAPTIONS) -> CallTaken:
    taken: CallTaken = await world.find("directory").ask(call_server(package, kind))
    return taken


async def known(world: World, package: str = CAPTIONS) -> ServerReport:
    reports: Sequence[ServerReport] = await world.find("directory").ask(ListServers)
    (report,) = (report for report in reports if report.package_name == package)
    return report


async def until(world: World, holds: Callable[[ServerReport], bool]) -> None:
    while not holds(await known(world)):  # noqa: ASYNC110 - a report is asked for
        await trio.sleep(0.01)


async def until_up(world: World) -> None:
    """Until a probe or a webhook was answered."""
    await until(world, lambda report: report.is_up is True)


async def start(world: World, who: str = ADA) -> bool | None:
    outcome: bool | None = await world.find(f"users/{who}/session").ask(start_app(CAPTIONS), timeout_s=60)
    return outcome


async def probed(world: World, url: str) -> ProbeOutcome:
    """The directory's word on the app's server."""

    def ask(reply_to: ReplyTo[ProbeOutcome]) -> ProbeServer:
        return ProbeServer(CAPTIONS, url, reply_to)

    outcome: ProbeOutcome = await world.find("directory").ask(ask)
    return outcome
