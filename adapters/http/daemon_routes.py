"""What a desktop daemon reports, and asks about itself (docs/desktop.md, desktop.md section 3).

Who it is is said by its token. What it reports is answered once it is kept, so a daemon may forget what was
answered and must send again what was not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Blueprint, Response, request

from actors.desktop.daemon_messages import AgentReport, beat, reported
from actors.desktop.entrance import DaemonEntrance, NotADaemonError
from actors.desktop.messages import DaemonView, ListAgents, ListDaemons
from actors.ports import StorageError
from adapters.http.application import json_response
from adapters.http.refusals import REPORT_BYTES, Refusal, read_body, try_again
from protocols.desktop.documents import Daemon, SubAgent
from protocols.desktop.reports import CompleteReport, Heartbeat, LogReport, StatusReport
from runtime import ReplyTo, RuntimeFailure

View = Callable[..., Awaitable[Response]]


def daemon_routes(*, entrance: DaemonEntrance) -> Blueprint:
    """`/daemon-api/daemon/...` and `/daemon-api/subagent/...`."""
    blueprint = Blueprint("daemons", __name__)
    settings = entrance.settings

    async def heartbeat(daemon: Daemon) -> Response:
        body = await read_body(Heartbeat, REPORT_BYTES)
        await entrance.ask(daemon.user_id, beat(daemon.daemon_id, body))
        return json_response({"ok": True})

    async def status(daemon: Daemon, agent_id: str) -> Response:
        return await _report(daemon, agent_id, await read_body(StatusReport, REPORT_BYTES))

    async def log(daemon: Daemon, agent_id: str) -> Response:
        body = await read_body(LogReport, REPORT_BYTES)
        if not body.content:
            raise Refusal(400, "content must not be empty", "INVALID_REPORT")
        return await _report(daemon, agent_id, body)

    async def complete(daemon: Daemon, agent_id: str) -> Response:
        body = await read_body(CompleteReport, None)
        longest = max(len((text or "").encode()) for text in (body.result, body.error))
        if longest > settings.max_result_bytes:
            limit = settings.max_result_bytes
            message = f"the result has {longest} bytes, at most {limit} are taken"
            raise Refusal(413, message, "RESULT_TOO_LARGE", maxResultBytes=limit)
        return await _report(daemon, agent_id, body)

    async def _report(daemon: Daemon, agent_id: str, report: AgentReport) -> Response:
        outcome = await entrance.ask(daemon.user_id, reported(daemon.daemon_id, agent_id, report))
        if outcome == "unknown":
            raise Refusal(404, "Agent not found", "AGENT_NOT_FOUND")
        if outcome == "foreign":
            raise Refusal(403, "The agent runs on another daemon", "FORBIDDEN")
        return json_response({"ok": True} if outcome == "taken" else {"ok": True, "ignored": True})

    async def show(daemon: Daemon) -> Response:
        daemons = await entrance.ask(daemon.user_id, ListDaemons)
        agents = await entrance.ask(daemon.user_id, list_agents)
        view = next((one for one in daemons if one.daemon_id == daemon.daemon_id), None)
        if view is None:
            raise Refusal(404, "Daemon not found", "DAEMON_NOT_FOUND")
        own = [agent for agent in agents if agent.daemon_id == daemon.daemon_id]
        return json_response({"daemon": _daemon(view), "agents": [_agent(agent) for agent in own]})

    for path, name, view, method in (
        ("daemon/heartbeat", "heartbeat", heartbeat, "POST"),
        ("daemon/status", "show", show, "GET"),
        ("subagent/<agent_id>/status", "status", status, "POST"),
        ("subagent/<agent_id>/complete", "complete", complete, "POST"),
        ("subagent/<agent_id>/log", "log", log, "POST"),
    ):
        blueprint.add_url_rule(f"/daemon-api/{path}", name, for_daemons(entrance, view), methods=[method])
    return blueprint


def for_daemons(entrance: DaemonEntrance, view: View) -> View:
    """`view`, given the daemon that calls; a caller that is none gets a 401, a server that cannot a 503."""

    async def answer(**named: Any) -> Response:
        headers = request.headers
        try:
            daemon = await entrance.identify(
                headers.get("Authorization", ""), headers.get("X-Daemon-Email", "")
            )
            return await view(daemon, **named)
        except NotADaemonError as error:
            entrance.telemetry.warning("daemon_report_refused", cause=error.cause)
            return json_response({"error": error.message, "code": "INVALID_TOKEN"}, status=401)
        except Refusal as refusal:
            return refusal.answer
        except (StorageError, RuntimeFailure) as error:
            entrance.telemetry.warning("daemon_report_not_kept", cause=str(error))
            return try_again(error)

    return answer


def list_agents(reply_to: ReplyTo[tuple[SubAgent, ...]]) -> ListAgents:
    """What an ask for a user's newest agents is made with."""
    return ListAgents(reply_to)


def _daemon(view: DaemonView) -> dict[str, object]:
    return {
        "id": view.daemon_id,
        "status": "online" if view.is_online else "offline",
        "lastSeen": view.last_seen,
        "activeAgents": view.active_agents,
    }


def _agent(agent: SubAgent) -> dict[str, object]:
    return {
        "id": agent.agent_id,
        "type": agent.type,
        "status": agent.status,
        "goal": agent.goal,
        "createdAt": agent.created_at,
    }
