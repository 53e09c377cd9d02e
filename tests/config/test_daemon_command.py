"""`glasshouse daemon`, as far as it goes without a server."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from actors.desktop_daemon.messages import AgentRecord
from actors.desktop_daemon.ports import AgentOrder
from actors.desktop_daemon.settings import DaemonSettings
from adapters.desktop_state import Credentials, write_whole
from adapters.listener.lock import take_data_lock
from adapters.simulated.telemetry import RecordingTelemetry
from config.cli.daemon import daemon
from config.daemon.board import Board
from config.daemon.home import DaemonError, DaemonFile, DaemonHome, read_observer_key, read_token
from config.daemon.observer import observer_of
from protocols.desktop.reports import CompleteReport


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DaemonHome:
    for name in os.environ:
        if name.startswith("GLASSHOUSE_") or name == "DAEMON_SERVER_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GLASSHOUSE_DAEMON", str(tmp_path / "daemon"))
    home = DaemonHome()
    home.make()
    return home


def _call(*words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(daemon, words, input=stdin)


def _allow(home: DaemonHome, *allowed: str) -> Path:
    work = home.path.parent / "work"
    work.mkdir()
    directory = f'[[directories]]\npath = "{work}"\nallow = {list(allowed)}\n'
    home.settings_file.write_text(f'root = "{work}"\n{directory}')
    return work


def test_daemon_that_is_not_logged_in_says_so(home: DaemonHome) -> None:
    assert (1, "glasshouse: this desktop is not logged in\n") == (
        (started := _call("start")).exit_code,
        started.stderr,
    )
    assert "not logged in (glasshouse daemon login SERVER)\ndaemon: not running\n" == _call("status").stdout


@pytest.mark.parametrize(
    ("server", "cause"),
    [
        ("http://glasses.example.org", "in the clear"),
        ("glasses.example.org", "expected the server's URL"),
    ],
)
def test_login_says_what_is_wrong_with_its_server(home: DaemonHome, server: str, cause: str) -> None:
    refused = _call("login", server)

    assert 1 == refused.exit_code
    assert cause in refused.stderr
    assert home.credentials.read() is None


def test_login_at_a_server_that_is_not_there_says_so(home: DaemonHome) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens

        refused = _call("login", f"http://127.0.0.1:{taken.getsockname()[1]}")

    assert 1 == refused.exit_code
    assert "the server does not answer" in refused.stderr


def test_login_with_a_token_file_keeps_it_and_shows_it_to_nobody(home: DaemonHome) -> None:
    (home.path / "given").write_text("the-secret\n")
    (home.path.parent / "code").mkdir()
    root = str(home.path.parent / "code")
    words = ("login", "https://glasses.example.org/", "--root", root, "--name", "study")

    done = _call(*words, "--token-file", str(home.path / "given"))

    assert (0, "") == (done.exit_code, done.stderr)
    assert "the-secret" not in done.output
    kept = home.credentials.read()
    assert kept is not None
    assert ("https://glasses.example.org", "the-secret") == (kept.server, kept.token)
    assert root == home.read_settings().root
    again = _call(*words)
    assert "daemon.toml is there already" in again.stderr


def test_goal_is_tried_here_and_its_command_asked_for(home: DaemonHome) -> None:
    work = _allow(home)

    denied = _call("test", "bash: echo ran > file", stdin="n\n")
    unanswered = _call("test", "bash: echo ran > file")
    refused = _call("test", "bash: true", "--cwd", "/")

    assert (1, False) == (denied.exit_code, (work / "file").exists())
    assert "Run in bash: echo ran > file" in denied.stderr
    assert "You did not allow it." in denied.stderr
    assert 1 == unanswered.exit_code
    assert "not in a directory that agents may work in" in refused.stderr


@pytest.mark.parametrize("answer", ["y\n", "1\n"])
def test_goal_that_is_allowed_gives_its_result(home: DaemonHome, answer: str) -> None:
    work = _allow(home)

    done = _call("test", "bash: pwd", stdin=answer)

    assert 0 == done.exit_code, done.stderr
    assert str(work) in done.stdout


def test_goal_runs_unasked_where_its_adapter_is_allowed(home: DaemonHome) -> None:
    _allow(home, "bash")

    done = _call("test", "bash: echo $((6 * 7))")

    assert 0 == done.exit_code, done.stderr
    assert "42" in done.stdout
    assert not list(home.agents.glob("*")), "a trial leaves nothing behind"


def test_agents_are_listed_as_they_stand(home: DaemonHome) -> None:
    assert "no agents\n" == _call("list").stdout
    home.agents.mkdir()
    for number, more in enumerate(
        (
            {"is_over": True},
            {},
            {"outcome": CompleteReport(status="failed", error="no")},
        )
    ):
        order = AgentOrder(
            agent_id=f"agent_{number}", adapter="bash", goal="make\nall", cwd="/srv", session_uuid="u"
        )
        record = AgentRecord(order=order, began_ms=number, **more)  # type: ignore[arg-type]
        write_whole(home.agents / f"agent_{number}.json", msgspec.json.encode(record))
    write_whole(home.agents / "agent_9.json", b"damaged")

    assert [
        "agent_0  over  bash  make",
        "agent_1  unfinished  bash  make",
        "agent_2  failed, to be delivered  bash  make",
    ] == _call("list").stdout.splitlines()


def test_reset_asks_forgets_and_leaves_the_settings(home: DaemonHome) -> None:
    _allow(home)
    home.credentials.write(Credentials(server="https://a", token="t"))
    home.agents.mkdir()
    (home.agents / "agent_1.json").write_bytes(b"{}")

    assert 1 == _call("reset", stdin="n\n").exit_code
    assert home.credentials.read() is not None
    assert 0 == _call("reset", stdin="y\n").exit_code
    assert home.credentials.read() is None
    assert (False, True) == (home.agents.exists(), home.settings_file.exists())


def test_running_daemon_is_shown_and_not_reset(home: DaemonHome) -> None:
    lock = take_data_lock(str(home.path))
    assert lock is not None
    board = Board(
        process=1234,
        server="https://a",
        name="study",
        uplink={"phase": "waiting", "cause": "nobody answers"},
        outbox={"outcomes": 2},
        ledger={"unwritten": 1},
        foreman={"agents": 1, "most": 3},
        agents=({"agent": "agent_1", "status": "running", "adapter": "bash", "cwd": "/srv", "step": "x"},),
    )
    write_whole(home.status, msgspec.json.encode(board))
    try:
        shown = _call("status").stdout.splitlines()
        refused = _call("reset", "--yes")
    finally:
        os.close(lock)

    assert [
        "daemon: runs as process 1234",
        "connection: waiting (nobody answers)",
        "agents: 1 of 3",
        "  agent_1  running  bash  /srv  x",
        "outbox: 2 results wait for the server",
        "disk: 1 documents could not be written",
    ] == shown[1:]
    assert "stop it first" in refused.stderr
    assert "daemon: not running" in _call("status").stdout, "what a dead daemon wrote is not shown"


@pytest.mark.parametrize(
    "text",
    [
        "root = 1",
        "roots = '/'",
        "[agents]\nmost = 0",
        "[agents]\nmoist = 3",
        "[reconnect]\njitter = 2.0",
        "[[directories]]\nallow = ['Read']",
        "not toml",
        "log_level = 'loud'",
    ],
)
def test_settings_that_make_no_sense_stop_the_daemon_with_the_reason(home: DaemonHome, text: str) -> None:
    home.credentials.write(Credentials(server="https://a", token="t"))
    home.settings_file.write_text(text)

    started = _call("start")

    assert 1 == started.exit_code
    assert "daemon.toml" in started.stderr


def test_no_settings_are_the_defaults(home: DaemonHome) -> None:
    assert DaemonFile() == home.read_settings()
    assert DaemonSettings() == home.read_settings().settings


def test_token_and_server_may_come_from_the_environment(
    home: DaemonHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.credentials.write(Credentials(server="https://kept", token="kept"))
    monkeypatch.setenv("DAEMON_SERVER_URL", "https://other")
    assert ("https://other", "kept") == ((read := home.read_credentials()).server, read.token)
    monkeypatch.setenv("GLASSHOUSE_DAEMON_TOKEN", "given")
    assert ("https://other", "given") == ((read := home.read_credentials()).server, read.token)
    monkeypatch.delenv("DAEMON_SERVER_URL")
    assert "https://kept" == home.read_credentials().server
    home.credentials.forget()
    with pytest.raises(DaemonError, match="no server"):
        home.read_credentials()


@pytest.mark.parametrize("content", ["", "  \n", "two words", "two\nlines", "ä"])
def test_file_that_holds_no_token_is_not_taken_for_one(home: DaemonHome, content: str) -> None:
    (home.path / "given").write_text(content)

    with pytest.raises(DaemonError, match="holds no token"):
        read_token(str(home.path / "given"))


def test_no_screen_goes_anywhere_unless_the_user_names_a_model(home: DaemonHome) -> None:
    assert observer_of(home.read_settings(), RecordingTelemetry()) is None


@pytest.mark.parametrize(
    ("mode", "content", "problem"),
    [
        (0o600, "sk-key\n", ""),
        (0o640, "sk-key\n", "chmod 600"),
        (0o604, "sk-key\n", "chmod 600"),
        (0o600, "", "holds no key"),
        (0o600, "sk key", "holds no key"),
        (None, "", "cannot be read"),
    ],
)
def test_an_observers_key_file_is_for_its_users_eyes_alone(
    home: DaemonHome, mode: int | None, content: str, problem: str
) -> None:
    path = home.path / "key"
    if mode is not None:
        path.write_text(content)
        path.chmod(mode)

    if not problem:
        assert "sk-key" == read_observer_key(str(path))
        return
    with pytest.raises(DaemonError, match=problem):
        read_observer_key(str(path))


def test_an_observer_without_a_key_stops_the_daemon_with_a_sentence(home: DaemonHome) -> None:
    _allow(home)
    with home.settings_file.open("a") as settings:
        settings.write('[observer]\nmodel = "claude-haiku-4-5"\n')

    refused = _call("test", "bash: true")

    assert 1 == refused.exit_code
    assert "glasshouse: the observer has a model and no key" in refused.stderr


@pytest.mark.parametrize(
    "wrong", ['[terminal]\nclaude_mode = "screen"\n', '[observer]\nbase_url = "example.org"\n']
)
def test_a_setting_that_does_not_exist_is_named(home: DaemonHome, wrong: str) -> None:
    home.settings_file.write_text(wrong)

    with pytest.raises(DaemonError, match=r"\$\.(terminal|observer)\."):
        home.read_settings()
