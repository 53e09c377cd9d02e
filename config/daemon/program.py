"""The daemon, put together and run until it is told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import msgspec
import trio

from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.parts import DaemonParts
from actors.desktop_daemon.ports import Dialler, Reports, StateError
from actors.desktop_daemon.server_time import ServerTime
from actors.desktop_daemon.tree import daemon_spec
from actors.service import ServiceSpec
from adapters.desktop_state import AllowedPlaces, DocumentFolder
from adapters.desktop_uplink import (
    ServerAddress,
    ServerAddressError,
    ServerDialler,
    ServerHttp,
    ServerReports,
)
from adapters.listener.lock import lock_holder, take_data_lock
from adapters.telemetry import Allowances, LineLimits, LogTelemetry
from adapters.terminal import Terminals, TerminalSettings, end_left_over
from config import __version__
from config.daemon.board import keep_board
from config.daemon.home import DEFAULT_ROOT, DaemonError, DaemonFile, DaemonHome
from config.daemon.observer import observer_of
from config.runtime_events import report
from runtime import ActorSystem, open_system

PREDECESSOR_S = 3.0
"""How long a new daemon waits for one that is just ending, or for somebody who only looks."""


async def run_daemon(home: DaemonHome, *, token_file: str | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
      DaemonError: it cannot begin: not logged in, settings that are wrong, another daemon on its folder.
    """
    file = home.read_settings()
    credentials = home.read_credentials(token_file)
    try:
        address = ServerAddress.of(credentials.server, allow_plaintext=file.plaintext)
    except ServerAddressError as error:
        raise DaemonError(str(error)) from error

    def token() -> str:
        # A login while it runs exchanges the token; for a moment there may be none.
        try:
            return home.read_credentials(token_file).token
        except DaemonError:
            return ""

    lock = await _lock(home)
    try:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            http = ServerHttp(address)
            dialler, reports = ServerDialler(address, token), ServerReports(http, token)
            async with (
                daemon_system(home, file, dialler, reports, log_to=sys.stderr) as system,
                trio.open_nursery() as nursery,
            ):
                name = file.desktop_name
                nursery.start_soon(partial(keep_board, home.status, system, server=address.url, name=name))
                async for _ in signals:
                    break
                nursery.cancel_scope.cancel()
            await http.aclose()
    finally:
        os.close(lock)


@asynccontextmanager
async def daemon_system(
    home: DaemonHome,
    file: DaemonFile,
    dialler: Dialler,
    reports: Reports,
    *,
    log_to: TextIO,
    agents: Path | None = None,
) -> AsyncIterator[ActorSystem]:
    """The daemon's tree, running; stopped in order with the block.

    Args:
      agents: where the agents' documents are, instead of in the folder.
    """
    _make_root(file)
    async with open_system("daemon") as system:
        telemetry = open_log(file, system, log_to)
        system.events.listen(lambda event: report(event, telemetry))
        observer = observer_of(file, telemetry)
        services = () if observer is None else (ServiceSpec("observer", observer.run),)
        terminals = Terminals(_terminal_settings(home, file), observer=observer)
        folder = DocumentFolder(agents or home.agents)
        await end_left_over(await _unfinished(folder))
        parts = DaemonParts(
            settings=file.settings,
            terminals=terminals,
            places=AllowedPlaces(file.root, file.directories),
            folder=folder,
            dialler=dialler,
            reports=reports,
            telemetry=telemetry,
            time=ServerTime(system.clock),
            name=file.desktop_name,
            version=__version__,
            services=services,
        )
        await system.spawn(daemon_spec(parts))
        telemetry.info(
            "daemon_runs",
            name=parts.name,
            adapters=",".join(terminals.names),
            root=file.root,
            observer=file.observer.model or "none",
        )
        yield system


async def _unfinished(folder: DocumentFolder) -> list[str]:
    """The agents that the daemon before this one had not finished."""
    try:
        documents = await folder.load()
    except StateError:
        return []  # the ledger reads it too, and says what is wrong
    return [agent_id for agent_id, body in documents.items() if not _is_over(body)]


def _is_over(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=AgentRecord).is_over
    except msgspec.DecodeError:
        return False  # what nobody can read may have left something running too


def open_log(file: DaemonFile, system: ActorSystem, stream: TextIO) -> LogTelemetry:
    """The log, as the settings want it."""
    return LogTelemetry(stream, level=file.log_level, limits=Allowances(LineLimits()), wall=system.clock.wall)


def _terminal_settings(home: DaemonHome, file: DaemonFile) -> TerminalSettings:
    config = file.terminal.claude_config
    return TerminalSettings(
        folder=home.terminals,
        kept_environment=file.terminal.kept_environment,
        claude=file.terminal.claude,
        claude_config=Path(config).expanduser() if config else None,
        claude_mode=file.terminal.claude_mode,
        shares_claude=file.terminal.shares_claude,
    )


async def _lock(home: DaemonHome) -> int:
    """The descriptor that holds the folder's lock. Raises DaemonError."""
    home.make()
    with trio.move_on_after(PREDECESSOR_S):
        while True:
            lock = take_data_lock(str(home.path))
            if lock is not None:
                return lock
            await trio.sleep(0.1)
    raise DaemonError(f"another daemon runs on {home.path} (process {lock_holder(str(home.path))})")


def is_running(home: DaemonHome) -> bool:
    """Whether a daemon runs on the folder."""
    try:
        lock = take_data_lock(str(home.path))
    except OSError:
        return False
    if lock is None:
        return True
    os.close(lock)
    return False


def _make_root(file: DaemonFile) -> None:
    """The default root is made for the user; one that they chose is theirs to make."""
    if file.root == DEFAULT_ROOT:
        with contextlib.suppress(OSError):
            Path(DEFAULT_ROOT).expanduser().mkdir(mode=0o700, exist_ok=True)
