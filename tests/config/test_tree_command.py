"""`glasshouse tree`: what it draws, whom it asks, what it says when nobody answers."""

from __future__ import annotations

import json
import re
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from config.cli.commands import main
from config.data_directory import SERVER_NAME, ServerFile

TREE = {
    "tree": {
        "name": "glasshouse",
        "children": [
            {
                "name": "users",
                "status": "down",
                "state": "Open",
                "depth": 1,
                "high_water": 2,
                "oldest_age_s": 0.1,
                "handled": 30,
                "restarts": 4,
                "last_error": "Boom: \x1b[31m\n",
                "children": [{"name": "ada@example.org", "status": "running", "state": "Idle"}],
                "unknown": "ignored",
            },
            {"name": "journal", "status": "running", "state": "dict"},  # the name of a type says nothing
        ],
    }
}


def _run(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, words)
    assert status == result.exit_code, result.output
    return result


class _Server:
    """A server that answers every request with `status` and `body`, and remembers who asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["authorization"]))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.handle_request)

    def __enter__(self) -> _Server:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._thread.join()
        self._server.server_close()


def _announce(data: Path, url: str) -> ServerFile:
    data.mkdir()
    file = ServerFile.fresh(url)
    file.write(str(data))
    return file


def test_tree_draws_what_the_server_tells(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with _Server(200, json.dumps(TREE).encode()) as server:
        file = _announce(data, server.url)

        lines = _run("tree").output.splitlines()

    assert [("/api/admin/tree", f"Bearer {file.admin_token}")] == server.asked
    title, root, *drawn = (re.split(r" {2,}", line) for line in lines)
    assert ["actor", "state", "mail", "high", "oldest", "handled", "restarts", "last error", "facts"] == title
    assert ["glasshouse", "0", "0", "0", "0"] == root
    assert ["├── users", "down Open", "1", "2", "0.100 s", "30", "4", r"Boom: \x1b[31m\n"] == drawn[0]
    assert ["│", "└── ada@example.org", "Idle", "0", "0", "0", "0"] == drawn[1]
    assert ["└── journal", "0", "0", "0", "0"] == drawn[2]


def test_tree_as_json_is_what_the_server_said(data: Path) -> None:
    with _Server(200, json.dumps(TREE).encode()) as server:
        _announce(data, server.url)

        assert TREE == json.loads(_run("tree", "--json").output)


@pytest.mark.parametrize(
    ("status", "body", "words", "expected"),
    [
        (401, b"", [], "answered 401"),
        (200, b'{"tree": 3}', [], "something else than a tree"),
        (200, b"<html>", ["--json"], "something else than a tree"),
    ],
)
def test_tree_says_what_was_wrong_with_the_answer(
    data: Path, status: int, body: bytes, words: list[str], expected: str
) -> None:
    with _Server(status, body) as server:
        _announce(data, server.url)

        assert expected in _run("tree", *words, status=1).stderr


def test_tree_of_a_port_that_speaks_something_else_says_so(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.send(b"SSH-2.0-OpenSSH\r\n")

        thread = Thread(target=talk)
        thread.start()
        _announce(data, f"http://127.0.0.1:{listening.getsockname()[1]}")
        result = _run("tree", status=1)
        thread.join()

    assert "does not answer" in result.stderr


def test_tree_without_a_server_says_how_to_start_one(data: Path) -> None:
    assert "start one with glasshouse serve" in _run("tree", status=1).stderr


def test_tree_of_a_server_that_died_says_that_it_does_not_answer(data: Path) -> None:
    _announce(data, "http://127.0.0.1:1")

    result = _run("tree", status=1)

    assert "does not answer" in result.stderr
    assert (data / SERVER_NAME).exists()


def _node(name: str, kind: str = "", **fields: object) -> dict[str, object]:
    return {"name": name, "kind": kind, "path": f"/{name}", "status": "running", **fields}


WATCHED = {
    "tree": _node(
        "/",
        children=[
            _node(
                "glasshouse",
                children=[
                    _node(
                        "users",
                        children=[
                            _node(
                                "ada@example.org",
                                children=[
                                    _node("session", "UserSession", handled=1_234, facts={"session_s": 90.0}),
                                    _node(
                                        "link",
                                        "GlassesLink",
                                        facts={"connection": "c", "open_s": 90.0, "round_trip_ms": 4.2},
                                    ),
                                    _node(
                                        "display",
                                        status="down",
                                        restarts=2,
                                        last_error="Boom: \x1b[31m",
                                        depth=7,
                                        high_water=9,
                                    ),
                                    _node("org.example.a", "AppSession", facts={"phase": "grace"}),
                                ],
                            )
                        ],
                    ),
                    _node("directory", "Directory"),
                ],
            )
        ],
    )
}


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which nothing is cut."""
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.usefixtures("wide")
def test_watching_shows_who_is_connected_and_the_servers_own_actors(data: Path) -> None:
    with _Server(200, json.dumps(WATCHED).encode()) as server:
        _announce(data, server.url)

        shown = _run("tree", "--watch", "--times", "1").output

    assert re.search(r"1 user · 1 phone \(1 session\) · ", shown)
    assert re.search(r"ada@example\.org +here +4 ms +org\.example\.a \(grace\) +7 +2$", shown, re.MULTILINE)
    assert re.search(r"^directory +Running +0", shown, re.MULTILINE)
    assert "display" not in shown


@pytest.mark.usefixtures("wide")
def test_watching_one_user_shows_their_actors_and_no_ones_escapes(data: Path) -> None:
    with _Server(200, json.dumps(WATCHED).encode()) as server:
        _announce(data, server.url)

        shown = _run("tree", "--watch", "--times", "1", "--of", "ada@example.org").output

    assert re.search(r"^  session +Running +0 +0 +1,234 +0", shown, re.MULTILINE)
    assert re.search(r"^  display +Down, coming back +7 +9 +0 +2 +Boom", shown, re.MULTILINE)
    assert "round trip 4 ms" in shown
    assert "\x1b" not in shown
    assert "directory" not in shown


@pytest.mark.usefixtures("wide")
def test_watching_says_what_is_wrong_and_tries_again(data: Path) -> None:
    data.mkdir()

    shown = _run("tree", "--watch", "--times", "2", "--every", "0.1").output

    assert f"no server runs on {data}; trying again" in " ".join(shown.split())
