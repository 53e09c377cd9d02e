"""A user's desktops: which daemons there are, what their agents do, and who is told.

It begins with what the store has: the user's daemons and unfinished agents. Until then its mail waits. The
agents that it finds are lost until their daemon speaks of them, and have the grace from here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from runtime import Ref, RestartInfo, StashFull, Terminated

from ..document_ports import StoredDocument
from ..journal import CommitDone, CommitFailed
from .core import DesktopsInbox
from .daemon_messages import (
    AdmitDaemon,
    Beat,
    DaemonClosed,
    DaemonOpened,
    DaemonSaid,
    RegisterDaemon,
    RemoveDaemon,
    Reported,
)
from .daemons import DaemonKeeping
from .internal import (
    AgentNotRead,
    AgentRead,
    AgentsDue,
    DaemonsDue,
    DeskLoaded,
    DeskNotLoaded,
    KeepAgain,
    LoadDesk,
    LogsDue,
)
from .messages import (
    AnswerApproval,
    Desk,
    DesktopsBack,
    FindAgent,
    IsIdle,
    Kill,
    ListAgents,
    ListDaemons,
    Listen,
    ReadLog,
    SendToAgent,
    Spawn,
    StopListening,
)
from .roster import DeskReady
from .state import AGENTS, DAEMONS, LOGS, DaemonEntry, read_daemon

MOST_UNFINISHED = 1_000


class Desktops(DaemonKeeping):
    """One user's. Its state is `DesktopsState`, kept across crashes; a clean start reads the store anew."""

    def facts(self) -> Mapping[str, object]:
        """How many computers are there, and what runs on them."""
        return {
            "daemons": len(self.state.daemons),
            "online": sum(entry.connection is not None for entry in self.state.daemons.values()),
            "agents": sum(not entry.machine.is_final for entry in self.state.agents.values()),
        }

    def started(self, restart: RestartInfo | None) -> None:
        if not self.state.is_loaded:
            # No commit of a former incarnation is to be taken for one of this.
            first = self.system.random.getrandbits(40)
            self.state = replace(self.state, ledger=replace(self.state.ledger, token=first))
            self._load()
        else:
            self._go_on()
        if restart is not None:
            self.assistant.tell(DesktopsBack())
        self.roster.tell(DeskReady(Desk(self.user_id, self.assistant, self.ref)))

    def receive(self, message: DesktopsInbox) -> None:
        match message:
            case DeskLoaded():
                self._loaded(message)
            case DeskNotLoaded(error):
                self.telemetry.error("desk_not_loaded", user=self.user_id, cause=str(error))
                self.set_timer("load", self.settings.retry_s, LoadDesk())
            case LoadDesk():
                self._load()
            case _ if not self.state.is_loaded:
                self._wait(message)
            case Spawn() | Kill() | AnswerApproval() | SendToAgent() | FindAgent() | Reported():
                self._about(message)
            case AgentRead():
                self._agent_read(message)
            case AgentNotRead():
                self._agent_not_read(message)
            case CommitDone(token):
                self._kept(token)
            case CommitFailed(token, retry_after_s):
                self._not_kept(token, retry_after_s)
            case KeepAgain():
                self._keep_again()
            case DaemonOpened(daemon_id, connection):
                self._opened(daemon_id, connection)
            case DaemonSaid():
                self._said(message)
            case DaemonClosed():
                self._closed(message)
            case Beat():
                self._beat(message)
            case AgentsDue():
                self._agents_due()
            case DaemonsDue():
                self._daemons_due()
            case LogsDue():
                self._logs_due()
            case ListAgents():
                self._list_agents(message)
            case ReadLog():
                self._read_log(message)
            case ListDaemons(reply_to):
                reply_to.tell(self._views())
            case RegisterDaemon():
                self._register(message)
            case RemoveDaemon():
                self._remove(message)
            case AdmitDaemon():
                self._admit(message)
            case Listen():
                self._listen(message)
            case StopListening() | Terminated():
                self._stop_listening(message)
            case IsIdle():
                self._is_idle(message)

    # -- the beginning ------------------------------------------------------------------------------------

    def _wait(self, message: DesktopsInbox) -> None:
        if isinstance(message, IsIdle):
            message.reply_to.tell(False)
            return
        try:
            self.stash()
        except StashFull:
            self.unhandled(message)

    def _load(self) -> None:
        self.start(self._read, then=lambda loaded: loaded, failed=DeskNotLoaded, name="load desk")

    async def _read(self) -> DeskLoaded:
        store = self.domain.ports.store
        user_id = self.user_id
        return DeskLoaded(
            daemons=await store.list_documents(DAEMONS, user_id, MOST_UNFINISHED),
            agents=await store.list_documents(AGENTS, user_id, MOST_UNFINISHED, only_unfinished=True),
            logs=await store.list_documents(LOGS, user_id, MOST_UNFINISHED, only_unfinished=True),
        )

    def _loaded(self, loaded: DeskLoaded) -> None:
        if self.state.is_loaded:
            return
        self.state = replace(self.state, is_loaded=True)
        for document in loaded.daemons:
            self._take_up_daemon(document)
        logs = {log.key: log for log in loaded.logs}
        for document in loaded.agents:
            self._take_up(document, logs.get(document.key))
        self._go_on()
        self.unstash()

    def _take_up_daemon(self, document: StoredDocument) -> None:
        try:
            self._put_daemon(DaemonEntry(read_daemon(document.document)))
        except msgspec.DecodeError as error:
            self.telemetry.error("daemon_unreadable", daemon=document.key, cause=str(error))

    def _go_on(self) -> None:
        """With everything known: arm what hangs on time, and look for what a crash has lost."""
        living = tuple(one for one in self.state.listeners if not isinstance(one, Ref) or one.is_alive)
        self.state = replace(self.state, listeners=living)
        self._keep_again()
        for agent_id in self.state.reading:
            self._read_agent(agent_id)
        if any(not entry.log.is_kept for entry in self.state.agents.values()):
            self.set_timer("logs", self.settings.log_flush_s, LogsDue())
        self._look_at_sockets()
        self._arm_agents()
        self._arm_daemons()
