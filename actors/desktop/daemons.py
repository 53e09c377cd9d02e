"""The daemons of a user's desktops: registered and removed, connected and gone, asked whether they are there.

A socket's facts come as messages and lie in `DeskSockets` besides: what a crash has lost of them is found
there. A daemon is online while its socket is open, and not a moment longer; its agents have the grace.
"""

from __future__ import annotations

from msgspec.structs import replace

from protocols.desktop import frames
from protocols.desktop.documents import FINAL
from protocols.desktop.frames import AgentAck, Hello, KillAgent, Ping, Pong, Welcome
from runtime import Ref, Terminated

from ..document_ports import RemoveDocument
from ..ports import Connection
from . import agent_machine as machine
from .agents import AgentKeeping
from .daemon_messages import (
    AdmitDaemon,
    Beat,
    DaemonClosed,
    DaemonSaid,
    DaemonWelcome,
    RegisterDaemon,
    RemoveDaemon,
)
from .internal import DaemonsDue
from .messages import IsIdle, Listen, StopListening
from .state import (
    DAEMONS,
    DaemonEntry,
    Order,
    Reply,
    daemon_document,
    daemons_due,
    view,
)

REVOKED = "Token revoked"
SILENT = "Heartbeat lost"
EXPECTED_S = 30.0
"""A daemon that was let in has opened its socket by then, or never will."""


class DaemonKeeping(AgentKeeping):
    """What the desktops do about daemons."""

    # -- which there are ----------------------------------------------------------------------------------

    def _register(self, asked: RegisterDaemon) -> None:
        daemon = asked.daemon
        if len(self.state.daemons) >= self.settings.daemons_per_user:
            asked.reply_to.tell(None)
            return
        entry = DaemonEntry(daemon)
        self._put_daemon(entry)
        self.telemetry.info("daemon_registered", user=self.user_id, daemon=daemon.daemon_id)
        shown = view(self.state, entry, self._moment(daemon.daemon_id))
        self._keep([daemon_document(daemon)], [Reply(asked.reply_to, shown)])
        self._daemons_changed()

    def _remove(self, asked: RemoveDaemon) -> None:
        daemon_id = asked.daemon_id
        entry = self.state.daemons.get(daemon_id)
        if entry is None:
            self._keep((), [Reply(asked.reply_to, False)])
            return
        self.telemetry.info("daemon_removed", user=self.user_id, daemon=daemon_id)
        for agent_id in sorted(self._unfinished_of(daemon_id)):
            self._order(daemon_id, KillAgent(agent_id=agent_id))
        self._about_all_of(daemon_id, machine.DaemonRemoved())
        if entry.connection is not None:
            self.perform(entry.connection.close, frames.TOKEN_REVOKED, REVOKED)
        rest = {known: other for known, other in self.state.daemons.items() if known != daemon_id}
        self.state = replace(self.state, daemons=rest)
        self._keep([RemoveDocument(DAEMONS, daemon_id)], [Reply(asked.reply_to, True)])
        self._daemons_changed()
        self._arm_daemons()

    def _admit(self, asked: AdmitDaemon) -> None:
        is_known = asked.daemon_id in self.state.daemons
        if is_known:
            self.state = replace(self.state, expected_until=self.now + EXPECTED_S)
        asked.reply_to.tell(DaemonWelcome(self.ref, self.sockets) if is_known else None)

    # -- their sockets ------------------------------------------------------------------------------------

    def _opened(self, daemon_id: str, connection: Connection) -> None:
        entry = self.state.daemons.get(daemon_id)
        if entry is None:
            self.perform(connection.close, frames.TOKEN_REVOKED, REVOKED)  # removed while it dialled
            return
        if entry.connection is connection or not self.sockets.is_of(daemon_id, connection):
            return
        self.telemetry.info(
            "daemon_connected",
            user=self.user_id,
            daemon=daemon_id,
            connection=connection.id,
            peer=connection.peer,
        )
        entry = replace(
            entry, connection=connection, is_greeted=False, pinged_at=self.now, active_at=self.now
        )
        self._put_daemon(entry)
        self._seen(daemon_id)
        self._daemons_changed()
        self._arm_daemons()

    def _said(self, said: DaemonSaid) -> None:
        self._opened(said.daemon_id, said.connection)  # a crash may have lost that
        entry = self.state.daemons.get(said.daemon_id)
        if entry is None or entry.connection is not said.connection:
            return
        match said.frame:
            case Hello():
                self._greet(entry, said.frame)
            case AgentAck():
                self._active(said.daemon_id)
                self._acked(said.daemon_id, said.frame)
            case Pong():
                pass  # its bytes were seen

    def _greet(self, entry: DaemonEntry, hello: Hello) -> None:
        """It has said what it holds; it hears what to kill, and what it was to be told meanwhile."""
        daemon_id = entry.daemon.daemon_id
        self._put_daemon(replace(entry, is_greeted=True, adapters=hello.adapters[:20]))
        held = {one.agent_id: one for one in hello.agents}
        own = self._unfinished_of(daemon_id)
        welcome = Welcome(
            server_time=self._wall_ms(),
            resume=tuple(agent_id for agent_id in held if agent_id in own),
            lost=tuple(agent_id for agent_id in held if agent_id not in own),
            heartbeat_ms=round(self.settings.ping_s * 1000),
            max_result_bytes=self.settings.max_result_bytes,
        )
        self._keep((), [Order(daemon_id, welcome)])
        for agent_id in sorted(own):
            self._about_own(daemon_id, agent_id, machine.DaemonBack(held.get(agent_id)))
        self._daemons_changed()

    def _unfinished_of(self, daemon_id: str) -> set[str]:
        return {
            agent_id
            for agent_id, known in self.state.agents.items()
            if known.machine.agent.daemon_id == daemon_id and known.machine.agent.status not in FINAL
        }

    def _closed(self, closed: DaemonClosed) -> None:
        entry = self.state.daemons.get(closed.daemon_id)
        if entry is None or entry.connection is not closed.connection:
            return
        if closed.daemon_id in self.sockets.all:
            return  # its next one is open already, and will say so
        info = closed.info
        self.telemetry.info(
            "daemon_lost",
            user=self.user_id,
            daemon=closed.daemon_id,
            connection=closed.connection.id,
            code=info.code,
            was_reset=info.was_reset,
        )
        self._lost(entry)

    def _lost(self, entry: DaemonEntry) -> None:
        self._put_daemon(replace(entry, connection=None, is_greeted=False))
        self._seen(entry.daemon.daemon_id)
        self._about_all_of(entry.daemon.daemon_id, machine.DaemonAway())
        self._daemons_changed()
        self._arm_daemons()

    def _look_at_sockets(self) -> None:
        """What a crash may have lost: sockets that have opened, said hello, or ended."""
        for entry in tuple(self.state.daemons.values()):
            if entry.connection is not None and not self.sockets.is_of(
                entry.daemon.daemon_id, entry.connection
            ):
                self._lost(entry)
        for daemon_id, socket in self.sockets.all.items():
            self._opened(daemon_id, socket.connection)
            known = self.state.daemons.get(daemon_id)
            if known is not None and socket.hello is not None and not known.is_greeted:
                self._greet(known, socket.hello)

    # -- whether they are there ---------------------------------------------------------------------------

    def _daemons_due(self) -> None:
        for entry in tuple(self.state.daemons.values()):
            connection = entry.connection
            if connection is None:
                continue
            silent_s = self.now - connection.health.last_activity_at
            if silent_s >= self.settings.silence_s:
                self.telemetry.info(
                    "daemon_silent", user=self.user_id, daemon=entry.daemon.daemon_id, silent_s=silent_s
                )
                # It cannot answer a close frame: it is gone now, whatever its socket does.
                self.perform(connection.close, frames.HEARTBEAT_LOST, SILENT)
                self._lost(entry)
            elif self.now >= entry.pinged_at + self.settings.ping_s:
                self._put_daemon(replace(entry, pinged_at=self.now))
                self._order(entry.daemon.daemon_id, Ping())
        self._arm_daemons()

    def _arm_daemons(self) -> None:
        due = daemons_due(self.state, self.settings.ping_s, self.settings.silence_s)
        if due is None:
            self.cancel_timer("daemons")
        else:
            self.set_timer("daemons", max(0.0, due - self.now), DaemonsDue())

    def _beat(self, beat: Beat) -> None:
        if beat.daemon_id not in self.state.daemons:
            beat.reply_to.tell(False)
            return
        for agent_id in beat.heartbeat.agent_ids:
            self._about_own(beat.daemon_id, agent_id, machine.Mentioned())
        beat.reply_to.tell(True)

    def _seen(self, daemon_id: str) -> None:
        """Keep when it was here last: at each of its sockets' beginnings and ends."""
        entry = self.state.daemons[daemon_id]
        daemon = replace(entry.daemon, last_seen=self._wall_ms())
        self._put_daemon(replace(entry, daemon=daemon))
        self._keep([daemon_document(daemon)])

    # -- who listens --------------------------------------------------------------------------------------

    def _listen(self, listen: Listen) -> None:
        if listen.listener not in self.state.listeners:
            self.state = replace(self.state, listeners=(*self.state.listeners, listen.listener))
            if isinstance(listen.listener, Ref):
                self.watch(listen.listener)

    def _stop_listening(self, gone: StopListening | Terminated) -> None:
        who = gone.ref if isinstance(gone, Terminated) else gone.listener
        rest = tuple(one for one in self.state.listeners if one is not who)
        self.state = replace(self.state, listeners=rest)
        if isinstance(gone, StopListening) and isinstance(who, Ref):
            self.unwatch(who)

    def _is_idle(self, asked: IsIdle) -> None:
        state = self.state
        asked.reply_to.tell(
            state.is_loaded
            and not state.agents
            and not state.reading
            and not state.listeners
            and state.ledger.is_idle
            and self.now >= state.expected_until
            and not self.sockets.all
        )
