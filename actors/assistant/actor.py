"""The MasterAgent: one user's questions, each a task of its own, and their conversation.

Tasks run side by side, each by its own machine (`flow.py`); what the machines ask for runs here as tasks of
the actor, or is told to the desktops. Nothing is told before it is durable: a query is answered when its task
is kept, and listeners hear of a change when it is. What is kept is enough to go on from: a process that is
killed leaves tasks that the next one takes up, without an agent from the query, with one from where it
stands.

A crash of the actor keeps the machines. What they had asked for is asked again, under a new number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from protocols.desktop.documents import Conversation, SubAgent, Task
from runtime import Actor, Recipient, Ref, ReplyTo, RestartInfo, TaskHandle, Terminated

from ..desktop.messages import (
    AgentChanged,
    AgentSpawned,
    DeskEvent,
    DesktopsBack,
    DesktopsMessage,
    IsIdle,
    Kill,
    KillOutcome,
    ListAgents,
    ListDaemons,
    Listen,
    Spawn,
    SpawnRefused,
    StopListening,
    TaskChanged,
)
from ..document_ports import KeepNewest, PutDocument
from ..journal import Commit, CommitDone, CommitFailed
from ..language_ports import LanguageModelError, ToolResult
from ..ports import Change, StorageError, retry_after_s
from . import conversation as conversations
from . import flow
from .messages import CancelTask, FindTask, ListTasks, Query, TooManyQueriesError
from .state import (
    AgentKilled,
    AgentNotKilled,
    AgentsKnown,
    AgentsUnknown,
    AssistantInbox,
    AssistantState,
    DaemonsKnown,
    Entry,
    KillAgain,
    LoadAgain,
    Loaded,
    ModelFailed,
    ModelSaid,
    NotLoaded,
    TakeUp,
    TaskDue,
    ToolsDone,
    WriteOverdue,
)
from .tools import TASKS, ToolBox, named_daemon

if TYPE_CHECKING:
    from ..domain import Domain

CONVERSATIONS: Final = "conversations"

_CONVERSATIONS_KEPT: Final = 20
_MOST_UNFINISHED: Final = 1_000
_OVERDUE_S: Final = 10.0
_ASK_S: Final = 5.0
_AGAIN_S: Final = 1.0
_MINUTE_S: Final = 60.0


class Assistant(Actor[AssistantInbox]):
    """One for a user, with glasses or without.

    Args:
      desktops: the user's.
    """

    mailbox_size = 4_096
    transient = ("asked_at", "jobs")

    def __init__(self, *, user_id: str, domain: Domain, desktops: Ref[DesktopsMessage]) -> None:
        self.user_id = user_id
        self.desktops = desktops
        self.store = domain.ports.store
        self.model = domain.ports.language_model
        self.telemetry = domain.ports.telemetry
        self.journal = domain.journal
        self.settings = domain.settings.assistant
        self.tools = ToolBox(user_id, self.store, desktops, self.telemetry)
        self.jobs: dict[tuple[str, int], TaskHandle] = {}
        self.asked_at: deque[float] = deque()
        self.state = AssistantState()

    def facts(self) -> Mapping[str, object]:
        """How much it has to do."""
        conversation = self.state.conversation
        return {
            "tasks": len(self.state.entries),
            "turns": 0 if conversation is None else len(conversation.turns),
            "listeners": len(self.state.listeners),
            "model": self.model.name,
        }

    def started(self, restart: RestartInfo | None) -> None:
        for listener in self.state.listeners:
            self.watch(listener)
        for agent_id in self.state.to_kill:
            self._kill(agent_id)
        if not self.state.is_loaded:
            self._load()
            return
        for task_id, entry in tuple(self.state.entries.items()):
            self._put(task_id, replace(entry, is_begun=False))
            if entry.kept != entry.work.task:
                self._write(task_id, is_again=True)
        self._take_up()

    def receive(self, message: AssistantInbox) -> None:
        match message:
            case Query():
                self._query(message)
            case FindTask(task_id, reply_to):
                self._find(task_id, reply_to)
            case ListTasks(limit, reply_to):
                self.start(self._list, limit, reply_to, name="list tasks")
            case CancelTask():
                self._cancel(message)
            case Listen(listener):
                self._listen(listener)
            case StopListening(listener):
                self._forget(listener)
            case Terminated():
                self._forget(message.ref)
            case AgentSpawned():
                self._agent_spawned(message)
            case SpawnRefused(task_id, cause):
                self._step(task_id, flow.NotSpawned(cause))
            case AgentChanged(agent):
                self._step(agent.task_id, flow.AgentMoved(agent))
            case DaemonsKnown():
                self._spawn(message)
            case ModelSaid(task_id, job, answer):
                self.jobs.pop((task_id, job), None)
                self._step(task_id, flow.Answered(job, answer))
            case ModelFailed(task_id, job, error):
                self.jobs.pop((task_id, job), None)
                self._model_failed(task_id, job, error)
            case ToolsDone(task_id, job, results):
                self.jobs.pop((task_id, job), None)
                self._step(task_id, flow.ToolsRan(job, results))
            case TaskDue(task_id):
                self._step(task_id, flow.Looked())
            case CommitDone(token):
                self._kept(token)
            case CommitFailed(token):
                self._not_kept(token, message.retry_after_s)
            case WriteOverdue(task_id):
                self._write(task_id, is_again=True)
            case Loaded():
                self._loaded(message)
            case NotLoaded(error):
                self._not_loaded(error)
            case LoadAgain():
                self._load()
            case AgentsKnown(agents):
                self._agents_known(agents)
            case AgentsUnknown(error):
                self.telemetry.warning("assistant_agents_unknown", user=self.user_id, cause=str(error))
                self.set_timer("take up", _AGAIN_S, TakeUp())
            case TakeUp():
                self._take_up()
            case DesktopsBack():
                self._desktops_back()
            case AgentKilled(agent_id):
                left = tuple(one for one in self.state.to_kill if one != agent_id)
                self.state = replace(self.state, to_kill=left)
            case AgentNotKilled(agent_id):
                self.set_timer(f"kill {agent_id}", _AGAIN_S, KillAgain(agent_id))
            case KillAgain(agent_id):
                self._kill(agent_id)
            case IsIdle(reply_to):
                state = self.state
                is_busy = state.entries or state.to_kill or state.listeners
                reply_to.tell(state.is_loaded and not is_busy)

    def _now_ms(self) -> int:
        return round(self.system.clock.wall() * 1000)

    # -- what was kept

    def _load(self) -> None:
        self.start(self._read, then=lambda loaded: loaded, failed=NotLoaded, name="load")

    async def _read(self) -> Loaded:
        newest = await self.store.list_documents(CONVERSATIONS, self.user_id, 1)
        tasks = await self.store.list_documents(TASKS, self.user_id, _MOST_UNFINISHED, only_unfinished=True)
        return Loaded(
            msgspec.json.decode(newest[0].document, type=Conversation) if newest else None,
            tuple(msgspec.json.decode(one.document, type=Task) for one in tasks),
        )

    def _loaded(self, loaded: Loaded) -> None:
        conversation = loaded.conversation
        before = () if conversation is None else conversations.history(conversation, self.settings)
        entries = {
            task.task_id: Entry(work=flow.resumed(task, before), kept=task) for task in reversed(loaded.tasks)
        }
        if entries:
            self.telemetry.info("assistant_resumed", user=self.user_id, tasks=len(entries))
        self.state = replace(
            self.state, is_loaded=True, trouble=None, conversation=conversation, entries=entries
        )
        self.unstash()
        self._take_up()

    def _not_loaded(self, error: Exception) -> None:
        self.telemetry.error("assistant_not_loaded", user=self.user_id, cause=str(error))
        trouble = error if isinstance(error, StorageError) else StorageError(str(error))
        self.state = replace(self.state, trouble=trouble)
        self.unstash()
        self.set_timer("load", retry_after_s(error), LoadAgain())

    def _take_up(self) -> None:
        """Begin the machines that do not run, as soon as it is known which agents they have."""
        if any(not entry.is_begun and entry.kept is not None for entry in self.state.entries.values()):
            self.ask(self.desktops, ListAgents, then=AgentsKnown, failed=AgentsUnknown, timeout_s=_ASK_S)

    def _desktops_back(self) -> None:
        """What they have told of agents may be lost: ask for every agent that is waited for."""
        for task_id, entry in tuple(self.state.entries.items()):
            if entry.work.task.phase in ("spawning", "running", "needs_approval"):
                self._put(task_id, replace(entry, is_begun=False))
        self._take_up()

    def _agents_known(self, agents: tuple[SubAgent, ...]) -> None:
        of_tasks = {agent.task_id: agent for agent in agents if agent.user_id == self.user_id}
        for task_id, entry in tuple(self.state.entries.items()):
            if not entry.is_begun and entry.kept is not None and not entry.work.is_over:
                self._put(task_id, replace(entry, is_begun=True))
                self._step(task_id, flow.Began(of_tasks.get(task_id)))

    # -- who asks

    def _query(self, query: Query) -> None:
        if not self.state.is_loaded:
            if self.state.trouble is not None:
                query.reply_to.fail(self.state.trouble)
            else:
                self.stash()
            return
        wait_s = self._wait_s()
        if wait_s > 0:
            self.telemetry.warning("assistant_query_refused", user=self.user_id, source=query.source)
            query.reply_to.fail(TooManyQueriesError(wait_s))
            return
        now_ms = self._now_ms()
        conversation = conversations.going_on(self.state.conversation, now_ms, self.settings)
        if conversation is None:
            conversation = conversations.begun(self.user_id, now_ms)
        task = Task(
            task_id=self._new_id("task_status" if query.is_status else "task", now_ms),
            user_id=self.user_id,
            conversation_id=conversation.conversation_id,
            query=query.query,
            source=query.source,
            phase="deciding" if query.resumes is None else "spawning",
            working_directory=query.working_directory,
            resumes=query.resumes,
            created_at=now_ms,
            updated_at=now_ms,
        )
        conversation = conversations.asked(conversation, task, self.settings)
        before = conversations.history(conversation, self.settings)
        self.state = replace(self.state, conversation=conversation)
        self._put(task.task_id, Entry(work=flow.resumed(task, before), asker=query.reply_to))
        self.telemetry.count("assistant_queries")
        self._write(task.task_id)

    def _wait_s(self) -> float:
        """When one more query is let in; 0 for now."""
        while self.asked_at and self.asked_at[0] <= self.now - _MINUTE_S:
            self.asked_at.popleft()
        if len(self.asked_at) >= self.settings.queries:
            return self.asked_at[0] + _MINUTE_S - self.now
        if len(self.state.entries) >= self.settings.tasks_at_once:
            return _AGAIN_S
        self.asked_at.append(self.now)
        return 0.0

    def _new_id(self, prefix: str, now_ms: int) -> str:
        while True:
            letters = "".join(self.system.random.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=6))
            task_id = f"{prefix}_{now_ms}_{letters}"
            if task_id not in self.state.entries:
                return task_id

    def _find(self, task_id: str, reply_to: ReplyTo[Task | None]) -> None:
        entry = self.state.entries.get(task_id)
        if entry is not None and entry.kept is not None:
            reply_to.tell(entry.kept)
        else:
            self.start(self._find_kept, task_id, reply_to, name="find task")

    async def _find_kept(self, task_id: str, reply_to: ReplyTo[Task | None]) -> None:
        try:
            stored = await self.store.find_document(TASKS, task_id)
        except StorageError as error:
            reply_to.fail(error)
            return
        is_ours = stored is not None and stored.user_id == self.user_id
        reply_to.tell(msgspec.json.decode(stored.document, type=Task) if stored and is_ours else None)

    async def _list(self, limit: int, reply_to: ReplyTo[tuple[Task, ...]]) -> None:
        try:
            stored = await self.store.list_documents(TASKS, self.user_id, limit)
        except StorageError as error:
            reply_to.fail(error)
            return
        reply_to.tell(tuple(msgspec.json.decode(one.document, type=Task) for one in stored))

    def _cancel(self, cancel: CancelTask) -> None:
        entry = self.state.entries.get(cancel.task_id)
        if entry is None:
            self._find(cancel.task_id, cancel.reply_to)
            return
        self._put(cancel.task_id, replace(entry, cancellers=(*entry.cancellers, cancel.reply_to)))
        self._step(cancel.task_id, flow.Cancelled())

    def _listen(self, listener: Recipient[DeskEvent]) -> None:
        assert isinstance(listener, Ref), "a listener is watched, so it is an actor"
        if listener not in self.state.listeners:
            self.watch(listener)
            self.state = replace(self.state, listeners=(*self.state.listeners, listener))

    def _forget(self, listener: object) -> None:
        left = tuple(one for one in self.state.listeners if one is not listener)
        self.state = replace(self.state, listeners=left)

    # -- the machines

    def _step(self, task_id: str, event: flow.FlowEvent) -> None:
        entry = self.state.entries.get(task_id)
        if entry is None:
            return
        was_over = entry.work.is_over
        work, effects = flow.step(entry.work, event, self.now, self._now_ms(), self.settings)
        self._put(task_id, replace(entry, work=work))
        self.cancel_timer(f"look {task_id}")
        for effect in effects:
            self._perform(task_id, effect)
        if work.is_over and not was_over:
            self._ended(work.task)
        if work.task != entry.work.task:
            self._write(task_id)

    def _perform(self, task_id: str, effect: flow.FlowEffect) -> None:
        match effect:
            case flow.Ask():
                self._ask(task_id, effect)
            case flow.RunTools(job, calls):
                self.jobs[task_id, job] = self.start(
                    self._run_tools,
                    task_id,
                    calls,
                    self.state.conversation,
                    then=lambda results: ToolsDone(task_id, job, results),
                    name=f"tools of {task_id}",
                )
            case flow.Start():
                self.ask(
                    self.desktops,
                    ListDaemons,
                    then=lambda daemons: DaemonsKnown(task_id, effect, daemons),
                    failed=lambda _: DaemonsKnown(task_id, effect, ()),
                    timeout_s=_ASK_S,
                )
            case flow.Kill(agent_id):
                self._kill(agent_id)
            case flow.Drop(job):
                running = self.jobs.pop((task_id, job), None)
                if running is not None:
                    self.cancel_task(running)
            case flow.LookAgain(after_s):
                self.set_timer(f"look {task_id}", after_s, TaskDue(task_id))

    def _ask(self, task_id: str, ask: flow.Ask) -> None:
        job = ask.job
        self.jobs[task_id, job] = self.start(
            partial(self.model.answer, timeout_s=ask.within_s),
            ask.request,
            then=lambda answer: ModelSaid(task_id, job, answer),
            failed=lambda error: ModelFailed(task_id, job, error),
            name=f"model for {task_id}",
        )

    async def _run_tools(
        self, task_id: str, calls: tuple[Any, ...], conversation: Conversation
    ) -> tuple[ToolResult, ...]:
        return tuple([await self.tools.run(call, conversation, task_id) for call in calls])

    def _model_failed(self, task_id: str, job: int, error: Exception) -> None:
        failure = flow.NotAnswered(job, "protocol", repr(error))
        if isinstance(error, LanguageModelError):
            failure = flow.NotAnswered(job, error.kind, error.cause, error.retry_after_s)
        self.telemetry.warning(
            "assistant_model_failed",
            user=self.user_id,
            task=task_id,
            kind=failure.kind,
            cause=failure.cause,
        )
        self._step(task_id, failure)

    def _spawn(self, known: DaemonsKnown) -> None:
        entry = self.state.entries.get(known.task_id)
        if entry is None or entry.work.is_over:
            return
        task = entry.work.task
        self.desktops.tell(
            Spawn(
                task_id=task.task_id,
                session_id=f"master_{task.created_at}",
                goal=known.start.goal,
                working_directory=known.start.working_directory,
                daemon_hint=named_daemon(task.query, known.daemons),
                resumes=known.start.resumes,
                listener=self.ref,
            )
        )

    def _agent_spawned(self, spawned: AgentSpawned) -> None:
        if spawned.task_id in self.state.entries:
            self._step(spawned.task_id, flow.Spawned(spawned.agent))
        else:
            self._kill(spawned.agent.agent_id)  # its task was given up meanwhile

    def _kill(self, agent_id: str) -> None:
        """End an agent, and see to it that the desktops have heard it."""

        def make(reply_to: ReplyTo[KillOutcome]) -> Kill:
            return Kill(agent_id, reply_to)

        if agent_id not in self.state.to_kill:
            self.state = replace(self.state, to_kill=(*self.state.to_kill, agent_id))
        self.ask(
            self.desktops,
            make,
            then=lambda _: AgentKilled(agent_id),
            failed=lambda _: AgentNotKilled(agent_id),
            timeout_s=_ASK_S,
        )

    def _ended(self, task: Task) -> None:
        if self.state.conversation is not None:
            said = conversations.answered(self.state.conversation, task, self.settings)
            self.state = replace(self.state, conversation=said)
        self.telemetry.info(
            "assistant_task_ended",
            user=self.user_id,
            task=task.task_id,
            status=task.status,
            type=None if task.result is None else task.result.type,
            took_ms=task.processing_time_ms,
            cost_usd=task.cost_usd,
            cause=task.error_detail or task.error,
        )

    # -- the store

    def _write(self, task_id: str, *, is_again: bool = False) -> None:
        """Have the newest document of a task kept, and the conversation with its first and its last.

        One at a time: what changes meanwhile is written when this one is kept. Only one that seems to be lost
        is written `again`.
        """
        entry = self.state.entries.get(task_id)
        if entry is None or (entry.token and not is_again):
            return
        task = entry.work.task
        token = self.state.tokens + 1
        changes: list[Change] = [
            PutDocument(
                collection=TASKS,
                key=task_id,
                user_id=self.user_id,
                document=msgspec.json.encode(task),
                updated_at_ms=task.created_at,
                is_unfinished=task.status == "processing",
            )
        ]
        if entry.kept is None or task.status != "processing":
            changes += self._conversation_changes()
        if task.status != "processing":
            changes.append(KeepNewest(TASKS, self.user_id, self.settings.tasks_kept))
        self.state = replace(self.state, tokens=token)
        self._put(task_id, replace(entry, writing=task, token=token))
        self.journal.tell(Commit(tuple(changes), token, self.ref))
        self.set_timer(f"write {task_id}", _OVERDUE_S, WriteOverdue(task_id))

    def _conversation_changes(self) -> tuple[Change, ...]:
        conversation = self.state.conversation
        if conversation is None:
            return ()
        put = PutDocument(
            collection=CONVERSATIONS,
            key=conversation.conversation_id,
            user_id=self.user_id,
            document=msgspec.json.encode(conversation),
            updated_at_ms=conversation.updated_at,
        )
        return (put, KeepNewest(CONVERSATIONS, self.user_id, _CONVERSATIONS_KEPT))

    def _kept(self, token: int) -> None:
        task_id, entry = self._of_token(token)
        if entry is None or entry.writing is None:
            return
        is_first, task = entry.kept is None, entry.writing
        entry = replace(entry, kept=task, writing=None, token=0)
        self.cancel_timer(f"write {task_id}")
        if entry.asker is not None:
            entry.asker.tell(task)
        for listener in self.state.listeners:
            listener.tell(TaskChanged(task))
        if task.status != "processing":
            for canceller in entry.cancellers:
                canceller.tell(task)
            self._remove(task_id)
            return
        self._put(task_id, replace(entry, asker=None, is_begun=entry.is_begun or is_first))
        if is_first:
            self._step(task_id, flow.Began())
        if self.state.entries[task_id].work.task != task:
            self._write(task_id)

    def _not_kept(self, token: int, wait_s: float) -> None:
        task_id, entry = self._of_token(token)
        if entry is None:
            return
        if entry.kept is not None:
            self._put(task_id, replace(entry, writing=None, token=0))
            self.set_timer(f"write {task_id}", wait_s, WriteOverdue(task_id))
            return
        error = StorageError("the task could not be kept", retry_after_s=wait_s)
        if entry.asker is not None:
            entry.asker.fail(error)
        for canceller in entry.cancellers:
            canceller.tell(None)
        if self.state.conversation is not None:
            left = conversations.without(self.state.conversation, task_id)
            self.state = replace(self.state, conversation=left)
        self._remove(task_id)

    def _of_token(self, token: int) -> tuple[str, Entry | None]:
        for task_id, entry in self.state.entries.items():
            if entry.token == token:
                return task_id, entry
        return "", None

    def _put(self, task_id: str, entry: Entry) -> None:
        self.state = replace(self.state, entries={**self.state.entries, task_id: entry})

    def _remove(self, task_id: str) -> None:
        self.cancel_timer(f"write {task_id}")
        self.cancel_timer(f"look {task_id}")
        left = {key: entry for key, entry in self.state.entries.items() if key != task_id}
        self.state = replace(self.state, entries=left)
