"""What the original calls its test routes: an agent without an assistant, for trying a daemon out.

They are there only with the setting `desktop.test_endpoints`, ask for a daemon's token like the reports, and
reach what belongs to that daemon's user and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from quart import Blueprint, Response

from actors.desktop.entrance import DaemonEntrance
from actors.desktop.messages import (
    AgentChanged,
    AgentSpawned,
    ListDaemons,
    Spawn,
    SpawnNews,
    SpawnRefused,
    find_agent,
)
from adapters.http.application import json_response
from adapters.http.daemon_routes import for_daemons
from adapters.http.refusals import REPORT_BYTES, Refusal, read_body
from protocols.desktop.documents import FINAL, Daemon
from runtime import ReplyTo

LONGEST_GOAL = 4_000


class TrialOrder(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `POST /daemon-api/test/spawn`; whose it is is the token's to say."""

    goal: str
    working_directory: str | None = None


class FirstNews:
    """Hears the answer to an order, and not what becomes of the agent."""

    def __init__(self, reply_to: ReplyTo[AgentSpawned | SpawnRefused]) -> None:
        self._reply_to = reply_to

    def tell(self, news: SpawnNews, /) -> bool:
        return not isinstance(news, AgentChanged) and self._reply_to.tell(news)


def daemon_test_routes(*, entrance: DaemonEntrance, wall: Callable[[], float]) -> Blueprint:
    """`POST /daemon-api/test/spawn`, `GET /daemon-api/test/agent/<id>`, `GET /daemon-api/test/daemons`."""
    blueprint = Blueprint("daemon tests", __name__)

    async def spawn(daemon: Daemon) -> Response:
        order = await read_body(TrialOrder, REPORT_BYTES)
        if not order.goal.strip() or len(order.goal) > LONGEST_GOAL:
            raise Refusal(400, f"goal must be 1 to {LONGEST_GOAL} characters", "INVALID_GOAL")
        news = await entrance.ask(daemon.user_id, _order(order, f"test_{round(wall() * 1000)}", daemon.name))
        if isinstance(news, SpawnRefused):
            raise Refusal(404, news.cause, "NO_DAEMON")
        agent = news.agent
        message = f"Started on {news.daemon_name}"
        ids = {"agentId": agent.agent_id, "daemonId": agent.daemon_id}
        return json_response({"success": True, **ids, "message": message})

    async def show(daemon: Daemon, agent_id: str) -> Response:
        agent = await entrance.ask(daemon.user_id, find_agent(agent_id))
        if agent is None:
            raise Refusal(404, "Agent not found", "AGENT_NOT_FOUND")
        return json_response({"memory": None if agent.status in FINAL else agent, "database": agent})

    async def daemons(daemon: Daemon) -> Response:
        every = await entrance.ask(daemon.user_id, ListDaemons)
        return json_response({"count": len(every), "daemons": every})

    for path, name, view, method in (
        ("spawn", "spawn", spawn, "POST"),
        ("agent/<agent_id>", "show", show, "GET"),
        ("daemons", "list", daemons, "GET"),
    ):
        blueprint.add_url_rule(
            f"/daemon-api/test/{path}", name, for_daemons(entrance, view), methods=[method]
        )
    return blueprint


def _order(
    order: TrialOrder, session_id: str, daemon_name: str
) -> Callable[[ReplyTo[AgentSpawned | SpawnRefused]], Spawn]:
    def make(reply_to: ReplyTo[AgentSpawned | SpawnRefused]) -> Spawn:
        return Spawn(
            task_id="",
            session_id=session_id,
            goal=order.goal,
            working_directory=order.working_directory,
            daemon_hint=daemon_name,
            listener=FirstNews(reply_to),
        )

    return make
