"""What the console's pages need of the server behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.console.ports import SessionLogs
from actors.directory import DirectoryMessage
from actors.ports import Store
from actors.users.roster import RosterMessage
from runtime import Ref


@dataclass(frozen=True)
class House:
    """Attributes:
    path: of the application's tree.
    logs: the end of each session's log.
    allow_kill: an operator may crash an actor.
    make_key: a key for an app, that nobody can guess.
    """

    path: str
    directory: Ref[DirectoryMessage]
    roster: Ref[RosterMessage]
    store: Store
    logs: SessionLogs
    allow_kill: bool
    make_key: Callable[[], str]
