"""The MasterAgent over REST: queries, tasks, and the caller's agents (docs/desktop.md, desktop.md section 2).

Whose they are is said by the core token alone. A body may name the user as well, as clients of the original
do; one that names another user is refused, and nothing is ever looked up by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec
import trio
from quart import Blueprint, Response, request

from actors.assistant.messages import CancelTask, Query, TooManyQueriesError
from actors.assistant.tools import TASKS
from actors.desktop.messages import (
    AnswerApproval,
    ApprovalOutcome,
    Desk,
    EnsureDesk,
    FindAgent,
    Kill,
    KillOutcome,
    ListAgents,
    ListDaemons,
    ensure_desk,
    send_to_agent,
)
from actors.ports import StorageError, Store, Telemetry, Tokens
from adapters.http.application import json_response
from adapters.http.callers import caller_of, is_admitted
from adapters.http.refusals import Refusal, try_again
from protocols import timestamps
from protocols.desktop.documents import FINAL, AgentStatus, Decision, Document, SubAgent, Task
from runtime import Ref, ReplyTo, RuntimeFailure

LONGEST_QUERY: Final = 4_000
LONGEST_INPUT: Final = 4_000
"""Characters, before it is trimmed (desktop.md section 2)."""

_LONGEST_PATH: Final = 4_096
_LONGEST_ID: Final = 200
_LONGEST_MESSAGE: Final = 2_000
_HEALTH_S: Final = 2.0


class AssistantRoutes:
    """What the routes need, and one method for each.

    Args:
      desks: answers with a user's desk.
      wall: epoch seconds.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        desks: Ref[EnsureDesk],
        store: Store,
        telemetry: Telemetry,
        wall: Callable[[], float],
    ) -> None:
        self._tokens = tokens
        self._desks = desks
        self._store = store
        self._telemetry = telemetry
        self._wall = wall

    # -- tasks

    async def query(self, user_id: str) -> Response:
        task = await self._ask_the_assistant(user_id, await self._body(user_id), is_status=False)
        return json_response(
            {
                "success": True,
                "taskId": task.task_id,
                "task_id": task.task_id,
                "status": task.status,
                "message": "The query is being answered.",
                "userId": user_id,
            }
        )

    async def agent_status(self, user_id: str) -> Response:
        task = await self._ask_the_assistant(user_id, await self._body(user_id), is_status=True)
        desk = await self._desk(user_id)
        agents = await desk.desktops.ask(ListAgents)
        daemons = await desk.desktops.ask(ListDaemons)
        return json_response(
            {
                "success": True,
                "taskId": task.task_id,
                "task_id": task.task_id,
                "status": task.status,
                "message": "The status is being looked up.",
                "userId": user_id,
                "statusSummary": {
                    "totalAgents": len(agents),
                    "activeAgents": sum(agent.status not in FINAL for agent in agents),
                    "completedAgents": sum(agent.status == "completed" for agent in agents),
                    "failedAgents": sum(agent.status == "failed" for agent in agents),
                    "onlineDaemons": sum(daemon.is_online for daemon in daemons),
                },
            }
        )

    async def task(self, user_id: str, task_id: str) -> Response:
        task = await self._task(user_id, task_id)
        return json_response({"success": True, "task_id": task.task_id, **_view(task)})

    async def cancel(self, user_id: str, task_id: str) -> Response:
        task = await self._task(user_id, task_id)
        if task.status == "processing":
            desk = await self._desk(user_id)
            given_up = await desk.assistant.ask(_cancel(task_id))
            task = given_up or task
        if not task.is_cancelled:
            raise Refusal(409, f"The task is {task.status} already", "TASK_FINAL")
        return json_response(
            {"success": True, "taskId": task_id, "task_id": task_id, "status": "cancelled"}, status=202
        )

    async def health(self) -> Response:
        """Always 200; whether all is well is said in it."""
        is_connected = False
        with trio.move_on_after(_HEALTH_S):
            try:
                await self._store.find_document(TASKS, "")
                is_connected = True
            except StorageError:
                pass
        return json_response(
            {
                "status": "healthy" if is_connected else "degraded",
                "service": "master-agent",
                "database": "connected" if is_connected else "disconnected",
                "timestamp": timestamps.iso(self._wall()),
            }
        )

    async def _task(self, user_id: str, task_id: str) -> Task:
        """As it is kept, which is all that anybody is told of it."""
        stored = await self._store.find_document(TASKS, task_id)
        if stored is None:
            raise Refusal(404, "Task not found", "TASK_NOT_FOUND")
        if stored.user_id != user_id:
            raise Refusal(403, "Access denied", "ACCESS_DENIED")
        return msgspec.json.decode(stored.document, type=Task)

    async def _ask_the_assistant(self, user_id: str, body: Mapping[str, Any], *, is_status: bool) -> Task:
        query, directory = _query_of(body), _directory_of(body)
        resumes = None if is_status else _resumes_of(body)
        desk = await self._desk(user_id)
        if resumes is not None:
            await _must_be_resumable(desk, user_id, resumes)

        def make(reply_to: ReplyTo[Task]) -> Query:
            return Query(
                query=query,
                source="page" if is_admitted() else "rest",
                reply_to=reply_to,
                working_directory=directory,
                is_status=is_status,
                resumes=resumes,
            )

        return await desk.assistant.ask(make)

    # -- agents

    async def agents(self, user_id: str) -> Response:
        status = request.args.get("status")
        if status is not None and status not in get_args(AgentStatus):
            known = ", ".join(get_args(AgentStatus))
            raise Refusal(
                400, f"There is no status {status[:40]!r}; expected one of {known}", "INVALID_STATUS"
            )
        desk = await self._desk(user_id)
        agents = await desk.desktops.ask(ListAgents)
        shown = [_view(agent) for agent in agents if status is None or agent.status == status]
        return json_response({"agents": shown})

    async def agent(self, user_id: str, agent_id: str) -> Response:
        desk = await self._desk(user_id)
        agent = await desk.desktops.ask(_find_agent(agent_id))
        if agent is None or agent.user_id != user_id:
            raise _no_agent()
        return json_response(_view(agent))

    async def kill(self, user_id: str, agent_id: str) -> Response:
        desk = await self._desk(user_id)
        outcome = await desk.desktops.ask(_kill(agent_id))
        if outcome == "unknown":
            raise _no_agent()
        if outcome == "final":
            raise Refusal(409, "The agent has ended already", "AGENT_FINAL")
        return json_response({"status": outcome}, status=202)

    async def approval(self, user_id: str, agent_id: str) -> Response:
        answer = _approval_of(await self._body(user_id))
        desk = await self._desk(user_id)

        def make(reply_to: ReplyTo[ApprovalOutcome]) -> AnswerApproval:
            return AnswerApproval(
                agent_id=agent_id,
                approval_id=answer.approval_id,
                decision=answer.decision,
                choice=answer.choice,
                message=answer.message,
                reply_to=reply_to,
            )

        outcome = await desk.desktops.ask(make)
        if outcome == "unknown":
            raise _no_agent()
        if outcome == "stale":
            raise Refusal(409, "That approval is not open any more", "APPROVAL_STALE")
        return json_response({"success": True, "agentId": agent_id, "approvalId": answer.approval_id})

    async def type(self, user_id: str, agent_id: str) -> Response:
        text = (await self._body(user_id)).get("text")
        if not isinstance(text, str) or not text or len(text) > LONGEST_INPUT:
            raise Refusal(400, f"text must be 1 to {LONGEST_INPUT} characters", "INVALID_INPUT")
        desk = await self._desk(user_id)
        outcome = await desk.desktops.ask(send_to_agent(agent_id, text))
        if outcome == "unknown":
            raise _no_agent()
        if outcome == "final":
            raise Refusal(409, "The agent has ended already", "AGENT_FINAL")
        if outcome == "offline":
            raise Refusal(409, "Its computer is not connected", "NO_DAEMON")
        return json_response({"success": True, "agentId": agent_id})

    # -- both

    async def _desk(self, user_id: str) -> Desk:
        return await self._desks.ask(ensure_desk(user_id))

    async def _body(self, user_id: str) -> Mapping[str, Any]:
        """The request's JSON object, whose `userId` is the caller or nobody."""
        data: bytes = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        try:
            body = msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise Refusal(400, "The body must be a JSON object", "INVALID_REQUEST") from None
        named = body.get("userId")
        if named is not None and (not isinstance(named, str) or not named.strip()):
            raise Refusal(400, "userId must be an address, or left out", "INVALID_USER_ID")
        _must_be(user_id, named)
        return body


def assistant_routes(
    *,
    tokens: Tokens,
    desks: Ref[EnsureDesk],
    store: Store,
    telemetry: Telemetry,
    wall: Callable[[], float],
) -> Blueprint:
    """`/api/master-agent/...` and `/api/agents...`."""
    blueprint = Blueprint("assistant", __name__)
    routes = AssistantRoutes(tokens=tokens, desks=desks, store=store, telemetry=telemetry, wall=wall)

    def add(method: str, path: str, view: Callable[..., Any]) -> None:
        async def answer(**arguments: str) -> Response:
            user_id = caller_of(request, tokens, telemetry)
            if isinstance(user_id, Response):
                return user_id
            try:
                _must_be(user_id, request.args.get("userId"))
                answered: Response = await view(user_id, **arguments)
            except Refusal as refusal:
                return refusal.answer
            except TooManyQueriesError as error:
                return _later(429, "Too many queries", "RATE_LIMITED", error.retry_after_s)
            except StorageError as error:
                telemetry.warning("rest_assistant_failed", path=path, cause=str(error))
                return _later(503, "Database not connected", "DB_NOT_CONNECTED", error.retry_after_s)
            except RuntimeFailure as error:
                telemetry.warning("rest_assistant_failed", path=path, cause=str(error))
                return try_again(error)
            return answered

        blueprint.add_url_rule(path, view.__name__, answer, methods=[method])

    add("POST", "/api/master-agent/query", routes.query)
    add("POST", "/api/master-agent/agent-status", routes.agent_status)
    add("GET", "/api/master-agent/task/<task_id>", routes.task)
    add("POST", "/api/master-agent/task/<task_id>/cancel", routes.cancel)
    add("GET", "/api/agents", routes.agents)
    add("GET", "/api/agents/<agent_id>", routes.agent)
    add("POST", "/api/agents/<agent_id>/kill", routes.kill)
    add("POST", "/api/agents/<agent_id>/approval", routes.approval)
    add("POST", "/api/agents/<agent_id>/input", routes.type)
    blueprint.add_url_rule("/api/master-agent/health", "health", routes.health, methods=["GET"])
    return blueprint


def _later(status: int, error: str, code: str, wait_s: float) -> Response:
    """A refusal that says when the same is worth asking again."""
    answer = Refusal(status, error, code).answer
    answer.headers["Retry-After"] = str(max(1, round(wait_s)))
    return answer


def _must_be(user_id: str, named: str | None) -> None:
    if named is not None and named.strip().lower() != user_id:
        raise Refusal(403, "Access denied", "ACCESS_DENIED")


def _no_agent() -> Refusal:
    """Of another user's agent too: that it is there is nobody else's business."""
    return Refusal(404, "Agent not found", "AGENT_NOT_FOUND")


def _query_of(body: Mapping[str, Any]) -> str:
    query = body.get("query")
    if query is None or query == "":
        raise Refusal(400, "query is required", "MISSING_QUERY")
    if not isinstance(query, str) or not query.strip():
        raise Refusal(400, "query must be a text that is not blank", "INVALID_QUERY")
    if len(query) > LONGEST_QUERY:
        raise Refusal(
            400, f"query has {len(query)} characters, at most {LONGEST_QUERY} are taken", "QUERY_TOO_LONG"
        )
    return query.strip()


def _directory_of(body: Mapping[str, Any]) -> str | None:
    directory = body.get("workingDirectory")
    if directory is None or directory == "":
        return None
    if not isinstance(directory, str) or len(directory) > _LONGEST_PATH or not directory.isprintable():
        raise Refusal(400, "workingDirectory must be a path", "INVALID_REQUEST")
    return directory


def _resumes_of(body: Mapping[str, Any]) -> str | None:
    agent_id = body.get("resumes")
    if agent_id is None:
        return None
    if not isinstance(agent_id, str) or not 0 < len(agent_id) <= _LONGEST_ID:
        raise Refusal(400, "resumes must be an agent's id", "INVALID_REQUEST")
    return agent_id


async def _must_be_resumable(desk: Desk, user_id: str, agent_id: str) -> None:
    """Say at once what stands in the way; what comes up later fails the task."""
    agent = await desk.desktops.ask(_find_agent(agent_id))
    if agent is None or agent.user_id != user_id:
        raise _no_agent()
    if agent.status not in FINAL:
        raise Refusal(409, "The agent is still at work: say it to it instead", "AGENT_RUNNING")
    if not agent.can_resume:
        raise Refusal(409, "That agent cannot be gone on with", "NOT_RESUMABLE")
    daemons = await desk.desktops.ask(ListDaemons)
    if not any(one.daemon_id == agent.daemon_id and one.is_online for one in daemons):
        raise Refusal(409, "Its computer is not connected", "NO_DAEMON")


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an approval's answer."""

    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


def _approval_of(body: Mapping[str, Any]) -> _Answer:
    try:
        answer = msgspec.convert(body, _Answer)
    except msgspec.ValidationError as error:
        raise Refusal(400, str(error), "INVALID_REQUEST") from None
    if answer.decision == "choose" and not answer.choice:
        raise Refusal(400, "choose needs a choice", "INVALID_REQUEST")
    if len(answer.message or "") > _LONGEST_MESSAGE:
        raise Refusal(400, f"message has more than {_LONGEST_MESSAGE} characters", "INVALID_REQUEST")
    return answer


def _view(document: Document) -> dict[str, Any]:
    """A document as it is shown: what it has not got is left out."""
    said: dict[str, Any] = msgspec.to_builtins(document)
    return {name: value for name, value in said.items() if value is not None}


def _cancel(task_id: str) -> Callable[[ReplyTo[Task | None]], CancelTask]:
    return lambda reply_to: CancelTask(task_id, reply_to)


def _find_agent(agent_id: str) -> Callable[[ReplyTo[SubAgent | None]], FindAgent]:
    return lambda reply_to: FindAgent(agent_id, reply_to)


def _kill(agent_id: str) -> Callable[[ReplyTo[KillOutcome]], Kill]:
    return lambda reply_to: Kill(agent_id, reply_to)
