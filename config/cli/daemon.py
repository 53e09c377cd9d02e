"""`glasshouse daemon`: the program on a user's own computer that runs terminal agents."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import trio

from actors.desktop_daemon.messages import AgentRecord
from adapters.desktop_state import Credentials, DocumentFolder
from adapters.desktop_uplink import ServerAddress, ServerAddressError, ServerHttp
from config.cli.options import Command, Failed
from config.cli.word import command_word
from config.daemon import login as logging_in
from config.daemon.board import read_board
from config.daemon.home import DaemonError, DaemonHome, read_token
from config.daemon.local import AGENT_ID, LocalServer
from config.daemon.program import daemon_system, is_running, run_daemon
from protocols.desktop import frames
from protocols.desktop.documents import Approval
from protocols.desktop.reports import CompleteReport
from runtime import RuntimeFailure

T = TypeVar("T")


def folder_option(command: Command) -> Command:
    """`--folder DIR`."""
    return click.option(
        "--folder",
        metavar="DIR",
        help="The daemon's own folder. [default: GLASSHOUSE_DAEMON, else in your data folder]",
    )(command)


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it; what it cannot do ends the command with one sentence."""
    failures: list[str] = []
    try:
        return trio.run(work)
    except* DaemonError as group:
        failures.extend(_sentences(group))
    except* RuntimeFailure as group:
        failures.extend(_sentences(group))
    except* KeyboardInterrupt:
        failures.append("stopped")
    raise Failed(failures[0])


def _sentences(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [sentence for part in error.exceptions for sentence in _sentences(part)]
    return [str(error)]


@click.group()
def daemon() -> None:
    """Run terminal agents for your glasses on this computer.

    \b
      glasshouse daemon login https://glasses.example.org
      glasshouse daemon start

    `daemon.toml` in the daemon's folder says where agents may work and what they may do unasked; the server
    cannot change it. docs/desktop.md has the rest.
    """


@daemon.command()
@click.option("--token-file", metavar="FILE", help="A file with this desktop's token, instead of a login.")
@folder_option
def start(token_file: str | None, folder: str | None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C. Logs go to standard error.

    Agents that a kill or a crash cut off go on where they were, as far as their program can.
    """
    _run(partial(run_daemon, DaemonHome(folder), token_file=token_file))


@daemon.command()
@click.argument("server")
@click.option("--name", help="What this desktop is called. [default: its own name]")
@click.option("--root", metavar="DIR", help="Where agents work; written to a new daemon.toml.")
@click.option("--token-file", metavar="FILE", help="A token that was made already, instead of a code.")
@folder_option
def login(
    server: str, name: str | None, root: str | None, token_file: str | None, folder: str | None
) -> None:
    """Make this computer one of your desktops at SERVER.

    Shows a short code; allow it on the server's page /console/agent, or with `glasshouse daemon approve`.
    """
    home = DaemonHome(folder)
    _run(partial(_login, home, server, name, root, token_file))


async def _login(
    home: DaemonHome, server: str, name: str | None, root: str | None, token_file: str | None
) -> None:
    home.make()
    if root is not None:
        _write_root(home, root)
    file = home.read_settings()
    address = _address(server, plaintext=file.plaintext)
    desktop = name or file.desktop_name
    http = ServerHttp(address)
    try:
        if token_file is not None:
            credentials = Credentials(server=address.url, token=read_token(token_file), name=desktop)
        else:
            code = await logging_in.ask_for_code(http, desktop)
            click.echo(f"Allow this desktop ({desktop}) on {address.url}/console/agent, code:")
            click.echo(f"\n    {code.user_code}\n")
            click.echo(
                f"or, where your phone's token is: {command_word()} daemon approve {code.user_code}"
                f" --server {address.url} --core-token-file FILE"
            )
            credentials = await logging_in.wait_for_token(http, address.url, code)
    finally:
        await http.aclose()
    try:
        home.credentials.write(credentials)
    except OSError as error:
        raise DaemonError(f"{home.credentials.path} cannot be written: {error.strerror}") from error
    owner = f" for {credentials.user_id}" if credentials.user_id else ""
    click.echo(f"logged in as {credentials.name or desktop}{owner}; agents work in {file.root}")
    if is_running(home):
        click.echo("a daemon runs here: it takes the new token by itself; for another server, start it anew")
    else:
        click.echo(f"start it with {command_word()} daemon start")


def _write_root(home: DaemonHome, root: str) -> None:
    if home.settings_file.exists():
        raise DaemonError(f"{home.settings_file} is there already; set root in it")
    path = Path(root).expanduser().absolute()
    if not path.is_dir():
        raise DaemonError(f"{root} is not a directory")
    home.settings_file.write_text(f"root = {msgspec.json.encode(str(path)).decode()}\n", encoding="utf-8")


@daemon.command()
@click.argument("code")
@click.option("--server", required=True, metavar="URL", help="The server that gave the code.")
@click.option(
    "--core-token-file", required=True, metavar="FILE", help="A file with your core token, - for stdin."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def approve(code: str, server: str, core_token_file: str, yes: bool) -> None:
    """Let the desktop that shows CODE be yours: its daemon may then be sent goals by you alone.

    The core token is your own login, as `glasshouse user token` prints it.
    """

    def allows(waiting: logging_in.WaitingCode) -> bool:
        return yes or click.confirm(f"Does {waiting.name} show {waiting.user_code}, and is it yours?")

    async def answer() -> str:
        file = "/dev/stdin" if core_token_file == "-" else core_token_file
        core_token = read_token(file)
        http = ServerHttp(_address(server, plaintext=False))
        try:
            return await logging_in.answer_code(http, core_token, code, allows=allows)
        finally:
            await http.aclose()

    click.echo(_run(answer))


def _address(server: str, *, plaintext: bool) -> ServerAddress:
    try:
        return ServerAddress.of(server, allow_plaintext=plaintext)
    except ServerAddressError as error:
        raise DaemonError(str(error)) from error


@daemon.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@folder_option
def status(as_json: bool, folder: str | None) -> None:
    """Show the connection, the agents that run, and what waits for the server."""
    home = DaemonHome(folder)
    board = read_board(home.status) if is_running(home) else None
    credentials = home.credentials.read()
    if as_json:
        click.echo(msgspec.json.encode({"isRunning": board is not None, "board": board}).decode())
        return
    if credentials is None:
        click.echo(f"not logged in ({command_word()} daemon login SERVER)")
    else:
        owner = f" of {credentials.user_id}" if credentials.user_id else ""
        click.echo(f"desktop: {credentials.name or 'unnamed'}{owner} at {credentials.server}")
    if board is None:
        click.echo("daemon: not running")
        return
    click.echo(f"daemon: runs as process {board.process}")
    cause = board.uplink.get("cause")
    click.echo(f"connection: {board.uplink.get('phase', 'unknown')}{f' ({cause})' if cause else ''}")
    click.echo(f"agents: {board.foreman.get('agents', 0)} of {board.foreman.get('most', 0)}")
    for agent in board.agents:
        click.echo("  {agent}  {status}  {adapter}  {cwd}  {step}".format_map(agent).rstrip())
    click.echo(f"outbox: {board.outbox.get('outcomes', 0)} results wait for the server")
    unwritten = board.ledger.get("unwritten", 0)
    if unwritten:
        click.echo(f"disk: {unwritten} documents could not be written")


@daemon.command(name="list")
@folder_option
def list_agents(folder: str | None) -> None:
    """List the agents of this desktop, the finished ones that are remembered included."""
    home = DaemonHome(folder)

    async def load() -> dict[str, bytes]:
        return await DocumentFolder(home.agents).load() if home.agents.is_dir() else {}

    records = sorted(_records(_run(load)), key=lambda record: record.began_ms)
    for record in records:
        goal = record.order.goal.partition("\n")[0][:60]
        click.echo(f"{record.order.agent_id}  {_state(record)}  {record.order.adapter}  {goal}")
    if not records:
        click.echo("no agents")


def _records(documents: dict[str, bytes]) -> list[AgentRecord]:
    records = []
    for body in documents.values():
        try:
            records.append(msgspec.json.decode(body, type=AgentRecord))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # the daemon says so when it starts
    return records


def _state(record: AgentRecord) -> str:
    if record.is_over:
        return "over"
    return "unfinished" if record.outcome is None else f"{record.outcome.status}, to be delivered"


@daemon.command()
@click.argument("goal")
@click.option("--cwd", metavar="DIR", help="Where it works. [default: the root of daemon.toml]")
@click.option("--verbose", is_flag=True, help="With the daemon's log.")
@folder_option
def test(goal: str, cwd: str | None, verbose: bool, folder: str | None) -> None:
    """Run an agent for GOAL here and now, without a server. What it may not do unasked is asked here."""
    outcome = _run(partial(_test, DaemonHome(folder), goal, cwd, verbose))
    if outcome.result:
        click.echo(outcome.result)
    if outcome.error:
        click.echo(outcome.error, err=True)
    click.echo(f"{outcome.status} after {outcome.execution_time_ms / 1000:.1f} s", err=True)
    if outcome.status != "completed":
        sys.exit(1)


async def _test(home: DaemonHome, goal: str, cwd: str | None, verbose: bool) -> CompleteReport:
    home.make()
    file = home.read_settings()
    if not verbose:
        file = msgspec.structs.replace(file, log_level="error")
    server = LocalServer(goal, cwd, tell=lambda line: click.echo(line, err=True), ask=_ask)
    folder = tempfile.mkdtemp(prefix="glasshouse-test-")
    try:
        async with daemon_system(home, file, server, server, log_to=sys.stderr, agents=Path(folder)):
            return await server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ask(approval: Approval) -> frames.ApproveAgent:
    """The answer to an approval, from this terminal. Without anybody there: no."""
    if approval.detail:
        click.echo(approval.detail, err=True)
    labels = ", ".join(f"{number} {option.label}" for number, option in enumerate(approval.options, 1))
    click.echo(f"{approval.title}  [y, n{f', or a number: {labels}' if labels else ''}] ", err=True, nl=False)
    answer = sys.stdin.readline().strip().lower()
    if answer.isdecimal() and 1 <= int(answer) <= len(approval.options):
        choice = approval.options[int(answer) - 1].id
        return frames.ApproveAgent(
            agent_id=AGENT_ID, approval_id=approval.approval_id, decision="choose", choice=choice
        )
    return frames.ApproveAgent(
        agent_id=AGENT_ID,
        approval_id=approval.approval_id,
        decision="approve" if answer in ("y", "yes") else "deny",
    )


@daemon.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@folder_option
def reset(yes: bool, folder: str | None) -> None:
    """Forget the token and all agents of this desktop; daemon.toml stays.

    Results that the server does not have yet are lost. The server still lists the desktop: remove it there.
    """
    home = DaemonHome(folder)
    if is_running(home):
        raise Failed("a daemon runs on this folder; stop it first")
    if not yes:
        click.confirm(f"Forget the token and the agents in {home.path}?", abort=True)
    try:
        home.credentials.forget()
        for path in (home.agents, home.terminals):
            if path.exists():
                shutil.rmtree(path)
        home.status.unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"{error.filename} cannot be removed: {error.strerror}") from error
    click.echo("forgotten")
