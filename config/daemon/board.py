"""How the running daemon stands, in a file that `glasshouse daemon status` reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from runtime import ActorSystem

LOOK_S: Final = 1.0


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What it says.

    Attributes:
      server: the base URL.
      uplink, outbox, ledger, foreman: what each of these actors has to show of itself.
      agents: the same of each terminal agent.
    """

    process: int
    server: str
    name: str
    uplink: Mapping[str, Any] = {}
    outbox: Mapping[str, Any] = {}
    ledger: Mapping[str, Any] = {}
    foreman: Mapping[str, Any] = {}
    agents: tuple[Mapping[str, Any], ...] = ()


def board_of(system: ActorSystem, *, server: str, name: str) -> Board:
    """How the daemon stands now."""
    nodes = {node.path: node for node in system.tree().walk()}
    facts = {
        actor: dict(nodes[path].facts) if (path := f"/daemon/{actor}") in nodes else {}
        for actor in ("uplink", "outbox", "ledger", "foreman")
    }
    agents = nodes["/daemon/agents"].children if "/daemon/agents" in nodes else ()
    return Board(
        process=os.getpid(),
        server=server,
        name=name,
        agents=tuple(dict(agent.facts) for agent in agents),
        **facts,
    )


async def keep_board(path: Path, system: ActorSystem, *, server: str, name: str) -> None:
    """Write it whenever it has changed, once a second at most; take it away in the end."""
    written: Board | None = None
    try:
        while True:
            board = board_of(system, server=server, name=name)
            if board != written:
                _write(path, board)
                written = board
            await trio.sleep(LOOK_S)
    finally:
        _remove(path)


def read_board(path: Path) -> Board | None:
    """What the daemon wrote last; None where there is nothing of use."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Board)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _write(path: Path, board: Board) -> None:
    """It is only looked at, so it need not outlive a power cut; a full disk leaves the last one."""
    draft = path.with_name(path.name + ".draft")
    with contextlib.suppress(OSError):
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.encode(board))
        draft.replace(path)
