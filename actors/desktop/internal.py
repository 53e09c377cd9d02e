"""What a user's desktops tell themselves, and what the journal answers them."""

from __future__ import annotations

import msgspec

from runtime import Terminated

from ..document_ports import StoredDocument
from ..journal import CommitDone, CommitFailed


class DeskLoaded(msgspec.Struct, frozen=True):
    """What the store has of the user: daemons, unfinished agents, and these agents' logs."""

    daemons: tuple[StoredDocument, ...]
    agents: tuple[StoredDocument, ...]
    logs: tuple[StoredDocument, ...]


class DeskNotLoaded(msgspec.Struct, frozen=True):
    error: Exception


class LoadDesk(msgspec.Struct, frozen=True):
    """The store is to be asked again."""


class AgentRead(msgspec.Struct, frozen=True):
    """What the store has of an agent, and of its log."""

    agent_id: str
    agent: StoredDocument | None
    log: StoredDocument | None


class AgentNotRead(msgspec.Struct, frozen=True):
    agent_id: str
    error: Exception


class AgentsDue(msgspec.Struct, frozen=True):
    """A deadline of an agent may have passed."""


class DaemonsDue(msgspec.Struct, frozen=True):
    """A daemon is to be asked whether it is there, or has been silent for too long."""


class LogsDue(msgspec.Struct, frozen=True):
    """What agents have printed is to be kept."""


class KeepAgain(msgspec.Struct, frozen=True):
    """What the store has refused is to be kept now."""


Internal = (
    DeskLoaded
    | DeskNotLoaded
    | LoadDesk
    | AgentRead
    | AgentNotRead
    | AgentsDue
    | DaemonsDue
    | LogsDue
    | KeepAgain
    | CommitDone
    | CommitFailed
    | Terminated
)
