"""A user's desk that does what a test says, behind the messages of the real one."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from actors.assistant.messages import AssistantMessage, CancelTask, FindTask, ListTasks, Query
from actors.desktop.daemon_messages import RegisterDaemon, RemoveDaemon
from actors.desktop.messages import (
    AgentChanged,
    AgentLogged,
    AnswerApproval,
    DaemonsChanged,
    DaemonView,
    Desk,
    DeskEvent,
    DesktopsMessage,
    EnsureDesk,
    FindAgent,
    Kill,
    ListAgents,
    ListDaemons,
    Listen,
    ReadLog,
    SendToAgent,
    StopListening,
    TaskChanged,
)
from actors.document_ports import PutDocument
from adapters.simulated.store import SimulatedDocuments
from protocols.desktop.documents import FINAL, Approval, Option, SubAgent, Task, TaskResult
from runtime import Actor, ActorSystem, ChildSpec, Recipient, Ref

ADA = "ada@example.org"
BOB = "bob@example.org"


def now_ms() -> int:
    return round(time.time() * 1000)


class Book:
    """What one user's scripted desk holds, and who listens to it.

    Attributes:
      heard: every message but the questions, in order.
      on_query: what follows a query, after it was answered.
    """

    def __init__(self, user_id: str, documents: SimulatedDocuments) -> None:
        self.user_id = user_id
        self._documents = documents
        self.tasks: dict[str, Task] = {}
        self.agents: dict[str, SubAgent] = {}
        self.logs: dict[str, list[AgentLogged]] = defaultdict(list)
        self.daemons: tuple[DaemonView, ...] = ()
        self.heard: list[Any] = []
        self.listeners: list[Recipient[DeskEvent]] = []
        self.on_query: Callable[[Task], None] = lambda task: None

    # what the test does

    def task(self, query: str, **fields: Any) -> Task:
        """Put a new task, or one that has changed, and tell it."""
        return self.put_task(
            Task(
                task_id=f"task_{now_ms()}_{len(self.tasks):06x}",
                user_id=self.user_id,
                conversation_id="conv_1",
                query=query,
                **{"created_at": now_ms(), "updated_at": now_ms(), **fields},
            )
        )

    def put_task(self, task: Task) -> Task:
        self.tasks[task.task_id] = task
        self._documents.documents["tasks", task.task_id] = PutDocument(
            collection="tasks",
            key=task.task_id,
            user_id=self.user_id,
            document=msgspec.json.encode(task),
            updated_at_ms=task.updated_at,
        )
        self.tell(TaskChanged(task))
        return task

    def finish(self, task: Task, markdown: str, **fields: Any) -> Task:
        """Complete a task with a direct answer."""
        result = TaskResult(type="direct_response", glasses_display="Done.", webview_content=markdown)
        return self.put_task(
            replace(task, status="completed", phase=None, result=result, processing_time_ms=4_200, **fields)
        )

    def agent(self, goal: str, **fields: Any) -> SubAgent:
        """Put a new agent and tell it."""
        agent = SubAgent(
            agent_id=f"agent_{now_ms()}_{len(self.agents):06x}",
            daemon_id="daemon_1",
            user_id=self.user_id,
            session_id="master_1",
            goal=goal,
            **{"status": "running", "created_at": now_ms(), "updated_at": now_ms(), **fields},
        )
        return self.put_agent(agent)

    def put_agent(self, agent: SubAgent) -> SubAgent:
        self.agents[agent.agent_id] = agent
        self.tell(AgentChanged(agent))
        return agent

    def asks(self, agent: SubAgent, title: str, **fields: Any) -> SubAgent:
        """Let an agent wait for an approval."""
        approval = Approval(
            approval_id=f"approval_{now_ms()}",
            title=title,
            **{"options": (Option(id="2", label="Yes, and do not ask again"),), **fields},
        )
        return self.put_agent(replace(agent, status="needs_approval", approval=approval, updated_at=now_ms()))

    def log(self, agent: SubAgent, content: str, kind: Any = "stdout") -> None:
        piece = AgentLogged(agent.agent_id, kind, content, now_ms())
        self.logs[agent.agent_id].append(piece)
        self.tell(piece)

    def put_daemons(self, *daemons: DaemonView) -> None:
        self.daemons = daemons
        self.tell(DaemonsChanged(daemons))

    def tell(self, event: DeskEvent) -> None:
        for listener in self.listeners:
            listener.tell(event)

    def heard_of(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.heard if isinstance(one, kind)]


class ScriptedAssistant(Actor[AssistantMessage]):
    def __init__(self, book: Book) -> None:
        self.book = book

    def receive(self, message: AssistantMessage) -> None:
        match message:
            case Query(query=query, reply_to=reply_to):
                self.book.heard.append(message)
                task = self.book.task(query, source=message.source, resumes=message.resumes)
                reply_to.tell(task)
                self.book.on_query(task)
            case FindTask(task_id, reply_to):
                reply_to.tell(self.book.tasks.get(task_id))
            case ListTasks(limit, reply_to):
                newest = sorted(self.book.tasks.values(), key=lambda task: -task.created_at)
                reply_to.tell(tuple(newest[:limit]))
            case CancelTask(task_id, reply_to):
                self.book.heard.append(message)
                cancelled = replace(
                    self.book.tasks[task_id],
                    status="failed",
                    phase=None,
                    is_cancelled=True,
                    error="Cancelled.",
                )
                reply_to.tell(self.book.put_task(cancelled))
            case Listen(listener):
                if listener not in self.book.listeners:
                    self.book.listeners.append(listener)
            case StopListening(listener):
                if listener in self.book.listeners:
                    self.book.listeners.remove(listener)
            case _:
                raise AssertionError(message)


class ScriptedDesktops(Actor[DesktopsMessage]):
    def __init__(self, book: Book) -> None:
        self.book = book

    def receive(self, message: DesktopsMessage) -> None:
        match message:
            case Kill(agent_id, reply_to):
                self.book.heard.append(message)
                assert reply_to is not None
                agent = self.book.agents.get(agent_id)
                if agent is None or agent.status in FINAL:
                    reply_to.tell("unknown" if agent is None else "final")
                else:
                    self.book.put_agent(replace(agent, status="cancelled", approval=None))
                    reply_to.tell("cancelled")
            case SendToAgent(agent_id, _, type_reply):
                self.book.heard.append(message)
                agent = self.book.agents.get(agent_id)
                if agent is None or agent.status in FINAL:
                    type_reply.tell("unknown" if agent is None else "final")
                else:
                    type_reply.tell("sent")
            case AnswerApproval(agent_id=agent_id, approval_id=approval_id, reply_to=reply_to):
                self.book.heard.append(message)
                assert reply_to is not None
                agent = self.book.agents.get(agent_id)
                if agent is None:
                    reply_to.tell("unknown")
                elif agent.approval is None or agent.approval.approval_id != approval_id:
                    reply_to.tell("stale")
                else:
                    self.book.put_agent(replace(agent, status="running", approval=None))
                    reply_to.tell("taken")
            case FindAgent(agent_id, reply_to):
                reply_to.tell(self.book.agents.get(agent_id))
            case ListAgents(reply_to):
                newest = sorted(self.book.agents.values(), key=lambda agent: -agent.created_at)
                reply_to.tell(tuple(newest))
            case ReadLog(agent_id, reply_to):
                is_known = agent_id in self.book.agents
                reply_to.tell(tuple(self.book.logs[agent_id]) if is_known else None)
            case ListDaemons(reply_to):
                reply_to.tell(self.book.daemons)
            case RegisterDaemon(daemon, registered):
                self.book.heard.append(message)
                view = DaemonView(daemon.daemon_id, daemon.name, False, 0, (), None)
                self.book.put_daemons(*self.book.daemons, view)
                registered.tell(view)
            case RemoveDaemon(daemon_id, removed):
                self.book.heard.append(message)
                rest = [one for one in self.book.daemons if one.daemon_id != daemon_id]
                removed.tell(len(rest) < len(self.book.daemons))
                self.book.put_daemons(*rest)
            case Listen() | StopListening():
                pass  # the book's listeners hear everything, by the assistant
            case _:
                raise AssertionError(message)


class ScriptedDesks(Actor[EnsureDesk]):
    """The roster: a desk for everybody who has a book."""

    def __init__(self, desks: dict[str, Desk]) -> None:
        self.desks = desks

    def receive(self, message: EnsureDesk) -> None:
        message.reply_to.tell(self.desks[message.user_id])


async def scripted_desks(
    system: ActorSystem, documents: SimulatedDocuments
) -> tuple[Ref[EnsureDesk], dict[str, Desk], dict[str, Book]]:
    """The roster of desks for Ada and Bob, the desks, and their books."""
    books = {user_id: Book(user_id, documents) for user_id in (ADA, BOB)}
    desks: dict[str, Desk] = {}
    for user_id, book in books.items():
        name = user_id.partition("@")[0]
        assistant = await system.spawn(ChildSpec(f"{name} assistant", partial(ScriptedAssistant, book)))
        desktops = await system.spawn(ChildSpec(f"{name} desktops", partial(ScriptedDesktops, book)))
        desks[user_id] = Desk(user_id, assistant, desktops)
    return await system.spawn(ChildSpec("desks", lambda: ScriptedDesks(desks))), desks, books
