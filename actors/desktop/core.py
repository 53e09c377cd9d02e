"""What the parts of a user's desktops share: what is known, how it is kept, how something is said.

The actor is one class in a chain of files, each with one idea: this core, the agents (`agents.py`), the
daemons (`daemons.py`), and its own life (`actor.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from protocols.desktop import frames
from protocols.desktop.frames import ToDaemon
from runtime import Actor, Ref

from ..document_ports import DocumentChange
from ..journal import Commit
from ..ports import Outgoing, StorageError
from . import ledger
from .agent_machine import Moment
from .daemon_messages import FromDaemons
from .internal import Internal, KeepAgain
from .messages import AgentChanged, DaemonsChanged, DaemonView, DeskEvent, DesktopsQuery
from .sockets import DeskSockets
from .state import AGENTS, LOGS, After, DaemonEntry, DesktopsState, Order, Publish, Reply, Tell, views

if TYPE_CHECKING:
    from ..assistant.messages import AssistantMessage
    from ..domain import Domain
    from .roster import DeskRosterMessage

OVERDUE_S = 10.0
"""A commit that nobody has answered by then is written again."""


DesktopsInbox = DesktopsQuery | FromDaemons | Internal
"""`DesktopsMessage`, spelled out."""


class DesktopsCore(Actor[DesktopsInbox]):
    """Its state is `DesktopsState`, kept across crashes; timers are armed again from it."""

    mailbox_size = 4096

    def __init__(
        self,
        *,
        user_id: str,
        domain: Domain,
        sockets: DeskSockets,
        assistant: Ref[AssistantMessage],
        roster: Ref[DeskRosterMessage],
    ) -> None:
        self.user_id = user_id
        self.domain = domain
        self.sockets = sockets
        self.assistant = assistant
        self.roster = roster
        self.settings = domain.settings.desktop
        self.telemetry = domain.ports.telemetry
        self.state = DesktopsState()

    # -- now ----------------------------------------------------------------------------------------------

    def _wall_ms(self) -> int:
        return round(self.system.clock.wall() * 1000)

    def _moment(self, daemon_id: str) -> Moment:
        return Moment(now=self.now, wall_ms=self._wall_ms(), is_online=self._is_online(daemon_id))

    def _is_online(self, daemon_id: str) -> bool:
        entry = self.state.daemons.get(daemon_id)
        return entry is not None and entry.connection is not None

    # -- keeping ------------------------------------------------------------------------------------------

    def _keep(self, changes: Iterable[DocumentChange], after: Iterable[After] = ()) -> None:
        """Keep `changes`; `after` happens once they are durable, and all that was to be before them."""
        changes, after = tuple(changes), tuple(after)
        if not changes and self.state.ledger.is_idle:
            self._say(after)
            return
        self.state = replace(self.state, ledger=ledger.noted(self.state.ledger, changes, after))
        self._write()

    def _write(self) -> None:
        begun, changes = ledger.begin(self.state.ledger)
        if changes is not None:
            self.state = replace(self.state, ledger=begun)
            self.domain.journal.tell(Commit(changes, begun.token, self.ref))
            self.set_timer("keep", OVERDUE_S, KeepAgain())

    def _kept(self, token: int) -> None:
        rest, after = ledger.done(self.state.ledger, token)
        self.state = replace(self.state, ledger=rest)
        if rest.is_idle:
            self.cancel_timer("keep")
        self._say(after)
        self._write()
        self._evict()

    def _not_kept(self, token: int, retry_after_s: float) -> None:
        if token != self.state.ledger.token:
            return
        waiting = ledger.undone(self.state.ledger)
        rest = tuple(one for one in waiting.after if not isinstance(one, Reply))
        self.state = replace(self.state, ledger=replace(waiting, after=rest))
        error = StorageError("the store refuses to keep it", retry_after_s=retry_after_s)
        for one in waiting.after:
            if isinstance(one, Reply):
                one.reply_to.fail(error)
        self.set_timer("keep", retry_after_s, KeepAgain())

    def _keep_again(self) -> None:
        """Nobody knows what became of the last commit, or the store has refused it."""
        self.state = replace(self.state, ledger=ledger.undone(self.state.ledger))
        self._write()

    def _evict(self) -> None:
        """Agents that are over, and kept so, live in the store alone."""
        kept = {
            agent_id: entry
            for agent_id, entry in self.state.agents.items()
            if not entry.machine.is_final
            or self.state.ledger.holds((AGENTS, agent_id))
            or self.state.ledger.holds((LOGS, agent_id))
        }
        if len(kept) < len(self.state.agents):
            self.state = replace(self.state, agents=kept)

    # -- saying -------------------------------------------------------------------------------------------

    def _say(self, after: Iterable[After]) -> None:
        for one in after:
            match one:
                case Tell(recipient, message):
                    recipient.tell(message)
                case Reply(reply_to, answer):
                    reply_to.tell(answer)
                case Order(daemon_id, frame):
                    self._order(daemon_id, frame)
                case Publish(event):
                    self._publish(event)

    def _order(self, daemon_id: str, frame: ToDaemon) -> None:
        entry = self.state.daemons.get(daemon_id)
        if entry is not None and entry.connection is not None:
            self.perform(entry.connection.send, Outgoing(frames.encode(frame)))

    def _publish(self, event: DeskEvent) -> None:
        for listener in self.state.listeners:
            listener.tell(event)
        if isinstance(event, AgentChanged):
            entry = self.state.agents.get(event.agent.agent_id)
            if entry is not None and entry.follower is not None:
                entry.follower.tell(event)
            elif event.agent.task_id:
                self.assistant.tell(event)

    def _daemons_changed(self) -> None:
        """Behind what is being kept."""
        self._keep((), [Publish(DaemonsChanged(self._views()))])

    def _views(self) -> tuple[DaemonView, ...]:
        return views(self.state, self._moment(""))

    # -- daemons, as the agents need them -----------------------------------------------------------------

    def _active(self, daemon_id: str) -> None:
        """It did something for the user."""
        entry = self.state.daemons.get(daemon_id)
        if entry is not None:
            self._put_daemon(replace(entry, active_at=self.now))

    def _put_daemon(self, entry: DaemonEntry) -> None:
        daemons = {**self.state.daemons, entry.daemon.daemon_id: entry}
        self.state = replace(self.state, daemons=daemons)
