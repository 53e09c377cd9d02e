"""The five tools that a model looks with (desktop.md sections 6, 13.7 and 13.9).

Whose data they read is fixed when the box is made, on the server. No argument names a user, and one that does
is ignored like every unknown one: what a model says may be what somebody else has talked it into.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from protocols.desktop.documents import FINAL, Conversation, SubAgent, Task
from runtime import Ref, ReplyTo

from ..desktop.messages import DaemonView, DesktopsMessage, FindAgent, ListAgents, ListDaemons
from ..language_ports import ToolCall, ToolResult
from ..ports import Store, Telemetry

TASKS: Final = "tasks"

_ASK_S: Final = 5.0
_MOST: Final = 20
_LOOKED_THROUGH: Final = 200
_PREVIEW: Final = 200
_GOAL: Final = 100
_TURN: Final = 100
_NOTES: Final = 5
_RESULT: Final = 2_000
_STATUSES: Final = ("processing", "completed", "failed")

_decoder = msgspec.json.Decoder(Task)


class ToolBox:
    """One user's tools.

    Args:
      user_id: whose data they read, and nobody else's.
    """

    def __init__(
        self, user_id: str, store: Store, desktops: Ref[DesktopsMessage], telemetry: Telemetry
    ) -> None:
        self._user_id = user_id
        self._telemetry = telemetry
        self._store = store
        self._desktops = desktops
        self._tools: Mapping[str, Callable[[Mapping[str, Any], Conversation, str], Awaitable[object]]] = {
            "get_recent_tasks": self._recent_tasks,
            "get_running_agents": self._running_agents,
            "get_agent_status": self._agent_status,
            "get_daemon_status": self._daemon_status,
            "get_conversation_summary": self._conversation_summary,
        }

    async def run(self, call: ToolCall, conversation: Conversation, task_id: str) -> ToolResult:
        """What a call gives, as JSON; an error where the tool is unknown or cannot say.

        Args:
          conversation: as it stood when the question came.
          task_id: of the question itself, which no tool shows.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            return _result(call, {"error": f"there is no tool {call.name}"}, is_error=True)
        try:
            return _result(call, await tool(call.arguments, conversation, task_id))
        except Exception as error:  # whatever it is, the model is told and goes on
            self._telemetry.warning(
                "assistant_tool_failed", user=self._user_id, tool=call.name, cause=repr(error)
            )
            return _result(call, {"error": "that is not known right now"}, is_error=True)

    async def _recent_tasks(
        self, arguments: Mapping[str, Any], conversation: Conversation, task_id: str
    ) -> object:
        limit = _count(arguments.get("limit"), 5)
        status = arguments.get("status")
        if status is not None and status not in _STATUSES:
            return {"error": f"status is one of {', '.join(_STATUSES)}"}
        wanted = limit + 1 if status is None else _LOOKED_THROUGH
        stored = await self._store.list_documents(TASKS, self._user_id, wanted)
        tasks = [_decoder.decode(one.document) for one in stored if one.user_id == self._user_id]
        shown = [
            _task_view(task)
            for task in tasks
            if task.task_id != task_id and (status is None or task.status == status)
        ][:limit]
        return {"count": len(shown), "tasks": shown}

    async def _running_agents(
        self, arguments: Mapping[str, Any], conversation: Conversation, task_id: str
    ) -> object:
        agents = await self._desktops.ask(_unfinished, timeout_s=_ASK_S)
        shown = [
            {
                "agentId": agent.agent_id,
                "type": agent.type,
                "status": agent.status,
                "goal": _short(agent.goal, _GOAL),
                "currentStep": agent.current_step,
                "createdAt": agent.created_at,
            }
            for agent in agents
            if self._is_ours(agent) and agent.status not in FINAL
        ]
        return {"count": len(shown), "agents": shown}

    async def _agent_status(
        self, arguments: Mapping[str, Any], conversation: Conversation, task_id: str
    ) -> object:
        agent_id = arguments.get("agentId")
        if not isinstance(agent_id, str) or not agent_id:
            return {"error": "agentId is missing"}
        agent = await self._desktops.ask(_agent(agent_id), timeout_s=_ASK_S)
        if agent is None or not self._is_ours(agent):
            return {"error": f"there is no agent {_short(agent_id, _GOAL)}"}
        return {
            "agentId": agent.agent_id,
            "type": agent.type,
            "status": agent.status,
            "goal": agent.goal,
            "currentStep": agent.current_step,
            "notes": agent.notes[-_NOTES:],
            "result": None if agent.result is None else _short(agent.result, _RESULT),
            "error": agent.error,
            "executionTimeMs": agent.execution_time_ms,
            "createdAt": agent.created_at,
            "completedAt": agent.completed_at,
        }

    async def _daemon_status(
        self, arguments: Mapping[str, Any], conversation: Conversation, task_id: str
    ) -> object:
        return daemon_status(await self._desktops.ask(ListDaemons, timeout_s=_ASK_S))

    async def _conversation_summary(
        self, arguments: Mapping[str, Any], conversation: Conversation, task_id: str
    ) -> object:
        turns = [turn for turn in conversation.turns if turn.task_id != task_id]
        shown = turns[-_count(arguments.get("turns"), 10) :]
        return {
            "conversationId": conversation.conversation_id,
            "turnCount": len(turns),
            "turns": [
                {"role": turn.role, "content": _short(turn.content, _TURN), "timestamp": turn.timestamp}
                for turn in shown
            ],
        }

    def _is_ours(self, agent: SubAgent) -> bool:
        return agent.user_id == self._user_id


def _unfinished(reply_to: ReplyTo[tuple[SubAgent, ...]]) -> ListAgents:
    return ListAgents(reply_to, only_unfinished=True)


def _agent(agent_id: str) -> Callable[[ReplyTo[SubAgent | None]], FindAgent]:
    return lambda reply_to: FindAgent(agent_id, reply_to)


def daemon_status(daemons: tuple[DaemonView, ...]) -> dict[str, object]:
    """The daemon that an agent would run on now, and all of them by name."""
    online = [daemon for daemon in daemons if daemon.is_online]
    if not online:
        return {
            "online": False,
            "message": "No computer is online." if daemons else "No computer is registered.",
            "hint": "Run `glasshouse daemon start` on the computer.",
            "daemons": [_daemon_view(daemon) for daemon in daemons],
        }
    best = max(online, key=lambda daemon: daemon.last_seen or 0)
    return {
        "online": True,
        "daemonId": best.daemon_id,
        "status": "online",
        "activeAgents": best.active_agents,
        "lastSeen": best.last_seen,
        "message": f"{best.name} is online.",
        "daemons": [_daemon_view(daemon) for daemon in daemons],
    }


def _daemon_view(daemon: DaemonView) -> dict[str, object]:
    return {
        "name": daemon.name,
        "online": daemon.is_online,
        "activeAgents": daemon.active_agents,
        "lastSeen": daemon.last_seen,
    }


def _task_view(task: Task) -> dict[str, object]:
    result = task.result
    preview = task.error if result is None else result.webview_content or result.glasses_display
    return {
        "taskId": task.task_id,
        "query": task.query,
        "status": task.status,
        "resultType": None if result is None else result.type,
        "resultPreview": None if preview is None else _short(preview, _PREVIEW),
        "agentSpawned": task.agent_spawned,
        "createdAt": task.created_at,
        "completedAt": task.completed_at,
    }


def _count(value: object, usual: int) -> int:
    """A number of things that a model asks for; what is none, or none of ours, is the usual one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
        return usual
    return int(min(value, _MOST))


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _result(call: ToolCall, said: object, *, is_error: bool = False) -> ToolResult:
    return ToolResult(call.id, msgspec.json.encode(said).decode(), is_error=is_error)


def named_daemon(query: str, daemons: tuple[DaemonView, ...]) -> str | None:
    """The name of the daemon that the query speaks of, the longest where there are several."""
    said = _words(query)
    named = [daemon.name for daemon in daemons if _words(daemon.name).strip() and _words(daemon.name) in said]
    return max(named, key=len, default=None)


def _words(text: str) -> str:
    kept = "".join(character if character.isalnum() else " " for character in text.casefold())
    return f" {' '.join(kept.split())} "
