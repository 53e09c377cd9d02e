"""`glasshouse` as a person types it: what each command prints, what it leaves behind, how it fails."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner, Result

from adapters.tokens import ConsoleKeys
from config import __version__
from config.app_document import hash_api_key
from config.cli import programs, serve
from config.cli.commands import main
from config.data_directory import SECRET_NAME, WEBVIEW_KEY_NAME, ServerFile

PACKAGE = "org.example.captions"
URL = "http://127.0.0.1:7010"


def _run(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, words)
    assert status == result.exit_code, result.output
    return result


def _stored_hash(data: Path, package: str = PACKAGE) -> str:
    with sqlite3.connect(data / "glasshouse.sqlite3") as connection:
        (document,) = connection.execute(
            "SELECT document FROM apps WHERE package_name = ?", (package,)
        ).fetchone()
    connection.close()
    return str(json.loads(document)["hashed_api_key"])


# ---------------------------------------------------------------------------------------------------------
# Help


@pytest.mark.parametrize("command", ["serve", "app", "user", "tree", "config", "bench"])
def test_every_command_tells_what_it_does(command: str) -> None:
    assert f"Usage: main {command}" in _run(command, "--help").output.replace("glasshouse ", "main ")


def test_list_of_commands_matches_their_own_words() -> None:
    listed = _run("--help").output

    for command in ("serve", "demo", "app", "user", "tree", "bench", "config"):
        assert re.search(rf"^  {command} +\S", listed, flags=re.MULTILINE)


def test_version_is_that_of_the_package() -> None:
    assert f"glasshouse, version {__version__}\n" == _run("--version").output


def test_unknown_command_is_refused() -> None:
    assert "No such command 'sevre'" in _run("sevre", status=2).output


def test_help_needs_none_of_the_rooms() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from config.cli.commands import main;"
        " CliRunner().invoke(main, ['--help']);"
        " print([name for name in ('trio', 'msgspec', 'actors', 'adapters') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_ctrl_c_just_ends_a_command_that_is_still_loading(data: Path) -> None:
    script = (
        "import builtins, os, runpy, signal, sys; real = builtins.__import__;"
        " builtins.__import__ = lambda name, *rest, **words:"
        " os.kill(os.getpid(), signal.SIGINT) if name == 'click' else real(name, *rest, **words);"
        " runpy.run_module('config.cli', run_name='__main__')"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (-signal.SIGINT, "") == (done.returncode, done.stderr)


# ---------------------------------------------------------------------------------------------------------
# app


def test_the_public_key_of_web_views_is_printed_and_stays(data: Path) -> None:
    first = _run("app", "webview-key").output
    again = _run("app", "webview-key").output

    assert first.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert first == again
    assert 0o600 == (data / WEBVIEW_KEY_NAME).stat().st_mode & 0o777
    (data / WEBVIEW_KEY_NAME).write_text("no key")
    assert "webview_key.pem" in _run("app", "webview-key", status=1).output


def test_added_app_is_listed_and_shown_without_its_key(data: Path) -> None:
    key = _run("app", "add", PACKAGE, "--url", URL, "--name", "Captions", "--permission", "ALL").output.split(
        "\n"
    )[-2]

    listed = _run("app", "list").output
    shown = json.loads(_run("app", "show", PACKAGE).output)

    assert re.fullmatch("[0-9a-f]{64}", key)
    assert hash_api_key(key) == _stored_hash(data)
    assert [PACKAGE, "background", URL, "ALL", "Captions"] == listed.split()
    assert (URL, [{"type": "ALL", "description": ""}]) == (shown["public_url"], shown["permissions"])
    assert "hashed_api_key" not in shown
    assert json.loads(_run("app", "list", "--json").output) == [shown]


def test_given_key_is_kept_and_not_printed(data: Path) -> None:
    result = _run("app", "add", PACKAGE, "--url", URL, "--api-key", "k")

    assert f"added {PACKAGE} at {URL}\n" == result.output
    assert hash_api_key("k") == _stored_hash(data)


def test_adding_again_keeps_the_key_and_takes_the_rest(data: Path) -> None:
    _run("app", "add", PACKAGE, "--url", URL, "--api-key", "k", "--description", "old")

    result = _run(
        "app", "add", PACKAGE, "--url", "https://captions.example.org", "--type", "standard", "--system"
    )
    shown = json.loads(_run("app", "show", PACKAGE).output)

    assert [
        f"updated {PACKAGE} at https://captions.example.org",
        f"  URL: {URL} -> https://captions.example.org",
        "  type: background -> standard",
        "  system: no -> yes",
    ] == result.output.splitlines()
    assert hash_api_key("k") == _stored_hash(data)
    assert ("standard", True, "old") == (shown["app_type"], shown["is_system"], shown["description"])


def test_an_app_keeps_what_is_not_given_and_the_change_is_shown(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    file.write_text('{"tools": [{"id": "t", "description": "d"}], "version": "2.0.0"}', encoding="utf-8")
    named = ("--name", "Captions", "--permission", "MICROPHONE", "--app-file", str(file))
    _run("app", "add", PACKAGE, "--url", URL, "--system", *named)
    before = json.loads(_run("app", "show", PACKAGE).output)

    again = _run("app", "add", PACKAGE, "--url", URL).output
    with_key = _run("app", "add", PACKAGE, "--api-key", "a").output
    after = json.loads(_run("app", "show", PACKAGE).output)
    other = _run(
        *("app", "add", PACKAGE, "--permission", "location", "--description", "", "--no-system")
    ).output

    assert f"nothing new for {PACKAGE} at {URL}\n" == again
    assert f"updated {PACKAGE} at {URL}\n  API key: replaced\n" == with_key
    assert before == after
    assert "  permissions: MICROPHONE -> LOCATION\n" in other
    assert "  system: yes -> no\n" in other
    assert "description" not in other


def test_a_new_app_needs_a_url(data: Path) -> None:
    assert "--url: expected the address" in _run("app", "add", PACKAGE, status=1).output


def test_adding_again_with_a_key_replaces_it(data: Path) -> None:
    _run("app", "add", PACKAGE, "--url", URL)
    _run("app", "add", PACKAGE, "--url", URL, "--api-key", "other")

    assert hash_api_key("other") == _stored_hash(data)


def test_removed_app_is_gone(data: Path) -> None:
    _run("app", "add", PACKAGE, "--url", URL)

    assert f"removed {PACKAGE}\n" == _run("app", "remove", PACKAGE).output
    assert "there is no app" in _run("app", "show", PACKAGE, status=1).output
    assert "there is no app" in _run("app", "remove", PACKAGE, status=1).output
    assert "no apps yet; glasshouse app add" in _run("app", "list").output


def test_app_file_fills_in_what_options_leave_open(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    file.write_text('{"name": "Captions", "tools": [{"id": "t", "description": "d"}]}', encoding="utf-8")

    _run("app", "add", PACKAGE, "--url", URL, "--app-file", str(file))
    shown = json.loads(_run("app", "show", PACKAGE).output)

    assert ("Captions", [{"id": "t", "description": "d"}]) == (shown["name"], shown["tools"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["captions", "--url", URL], "package name: expected"),
        ([PACKAGE, "--url", "http://captions.example.org"], "--url: expected https://"),
        ([PACKAGE, "--url", URL, "--permission", "SMELL"], "permission: expected one of"),
        ([PACKAGE, "--url", URL, "--api-key", " "], "--api-key: expected a key"),
    ],
)
def test_wrong_app_is_refused_and_not_stored(data: Path, words: list[str], expected: str) -> None:
    assert expected in _run("app", "add", *words, status=1).output
    assert "" == CliRunner().invoke(main, ["app", "list"]).stdout


def test_http_elsewhere_is_accepted_where_a_setting_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_ALLOW_HTTP_APPS", "true")

    assert "added" in _run("app", "add", PACKAGE, "--url", "http://captions.lan").output


def test_data_option_counts_more_than_the_environment(data: Path, tmp_path: Path) -> None:
    _run("app", "add", PACKAGE, "--url", URL, "--data", str(tmp_path / "other"))

    assert f"{data} holds no apps" in _run("app", "list", status=1).output
    assert PACKAGE in _run("app", "list", "--data", str(tmp_path / "other")).output


@pytest.mark.parametrize("words", [("list",), ("show", PACKAGE), ("remove", PACKAGE)])
def test_what_only_reads_makes_no_data_directory(
    data: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_COMMAND", "./run")

    output = _run("app", *words, status=1).output

    assert f"{data} holds no apps" in output
    assert "./run app add PACKAGE" in output
    assert not data.exists()


def test_hints_name_the_command_as_it_was_called(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_COMMAND", "/opt/glasses/run")

    assert "/opt/glasses/run user token" in _run("--help").output
    assert "/opt/glasses/run serve" in _run("tree", status=1).output
    assert "Usage: /opt/glasses/run bench NAME" in _run("bench").output
    assert "/opt/glasses/run bench NAME --help" in _run("bench", "--help").output


def test_store_that_cannot_be_read_is_named(data: Path) -> None:
    data.mkdir()
    (data / "glasshouse.sqlite3").write_bytes(b"no database at all, but long enough to be looked at" * 40)

    assert "not a database" in _run("app", "list", status=1).output


# ---------------------------------------------------------------------------------------------------------
# user


def _claims(output: str, secret: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(output.splitlines()[-1], secret, algorithms=["HS256"])
    return claims


def test_token_stands_alone_on_the_last_line(data: Path) -> None:
    output = _run("user", "token", "Ada@Example.org").output

    claims = _claims(output, (data / SECRET_NAME).read_text(encoding="ascii"))
    assert ("ada@example.org", "ada@example.org") == (claims["sub"], claims["email"])
    assert 90 * 86_400 == int(str(claims["exp"])) - int(str(claims["iat"]))


def test_only_a_setting_makes_tokens_that_never_expire(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_TOKEN_S", "0")

    output = _run("user", "token", "ada@example.org").output

    assert "exp" not in _claims(output, (data / SECRET_NAME).read_text(encoding="ascii"))
    assert "valid without expiry:" in output


@pytest.mark.parametrize(
    ("text", "expected_s", "words"),
    [
        ("30d", 2_592_000, "30 days"),
        ("12h", 43_200, "12 hours"),
        ("90m", 5_400, "90 minutes"),
        ("45s", 45, "45 seconds"),
        ("2w", 1_209_600, "14 days"),
    ],
)
def test_token_expires_when_it_is_told_to(
    data: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected_s: int, words: str
) -> None:
    monkeypatch.setenv("GLASSHOUSE_JWT_SECRET", "s" * 32)

    output = _run("user", "token", "ada@example.org", "--expires", text).output
    claims = _claims(output, "s" * 32)

    lifetime_s = int(str(claims["exp"])) - int(str(claims["iat"]))
    assert expected_s == lifetime_s
    assert f"core token of ada@example.org, valid for {words}:" in output


def test_a_link_into_the_console_is_of_the_running_server_and_can_be_used(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASSHOUSE_JWT_SECRET", "s" * 32)
    assert "no server runs on" in _run("user", "console", "ada@example.org", status=1).output
    data.mkdir()
    ServerFile.fresh("http://127.0.0.1:8002").write(str(data))

    output = _run("user", "console", "Ada@Example.org").output
    address, _, code = output.splitlines()[-1].partition("#")
    link = ConsoleKeys(("s" * 32,)).read_link(code)

    assert "good once, for 10 minutes:" in output
    assert "http://127.0.0.1:8002/console/login" == address
    assert link is not None
    assert ("ada@example.org", False) == (link.user_id, link.is_operator)
    assert time.time() + 590 < link.until < time.time() + 601
    assert "expected a mail address" in _run("user", "console", "ada", status=1).output
    output = _run("user", "console", "ops@example.org", "--operator").output
    link = ConsoleKeys(("s" * 32,)).read_link(output.splitlines()[-1].partition("#")[2])
    assert "login of ops@example.org, an operator, good once" in output
    assert link is not None
    assert link.is_operator
    monkeypatch.setenv("GLASSHOUSE_PUBLIC_URL", "https://glasses.example.org")
    assert "https://glasses.example.org/console/login#" in _run("user", "console", "ada@example.org").output
    monkeypatch.setenv("GLASSHOUSE_CONSOLE_ENABLED", "false")
    assert "switched off" in _run("user", "console", "ada@example.org", status=1).output


@pytest.mark.parametrize("text", ["30", "d", "-1d", "0h", "1y", "soon"])
def test_wrong_lifetime_is_refused(data: Path, text: str) -> None:
    assert (
        "expected a number and s, m, h, d or w"
        in _run("user", "token", "a@b.c", "--expires", text, status=2).output
    )


@pytest.mark.parametrize(
    "email", ["ada", "@example.org", "a b@example.org", "a/b@example.org", "a@" + "b" * 300]
)
def test_wrong_address_is_refused(data: Path, email: str) -> None:
    assert "expected a mail address" in _run("user", "token", email, status=1).output


def test_server_that_demands_an_expiry_is_given_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_REQUIRE_TOKEN_EXPIRY", "true")
    monkeypatch.setenv("GLASSHOUSE_TOKEN_S", "0")

    assert "give an expiry" in _run("user", "token", "ada@example.org", status=1).output
    assert "valid for 1 day:" in _run("user", "token", "ada@example.org", "--expires", "1d").output


def test_one_token_is_revoked_by_its_id_or_all_of_an_address(data: Path) -> None:
    assert "revoked the token abc" in _run("user", "revoke", "--id", "abc").output
    assert "revoked all tokens of ada@example.org" in _run("user", "revoke", "Ada@example.org").output
    for words in ((), ("ada@example.org", "--id", "abc")):
        assert "expected a mail address, or --id" in _run("user", "revoke", *words, status=1).output
    assert "expected a mail address" in _run("user", "revoke", "ada", status=1).output


def test_token_without_a_usable_data_directory_says_so(data: Path) -> None:
    data.touch()

    assert "pass another --data" in _run("user", "token", "ada@example.org", status=1).output


# ---------------------------------------------------------------------------------------------------------
# config


def test_config_shows_value_and_source_and_masks_secrets(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSHOUSE_JWT_SECRET", "very-secret-" * 4)
    monkeypatch.setenv("GLASSHOUSE_PROT", "1")

    result = _run("config", "--set", "display.throttle_s=0.5")

    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.stdout.splitlines()}
    assert re.fullmatch(r"0\.5 s +command line", rows["display.throttle_s"])
    assert re.fullmatch(r"8002 +default", rows["port"])
    assert re.fullmatch(r"\*+ +environment GLASSHOUSE_JWT_SECRET", rows["jwt_secret"])
    assert "very-secret" not in result.output
    assert "GLASSHOUSE_PROT is no setting; did you mean GLASSHOUSE_PORT?" in result.stderr


def test_config_as_json_of_what_was_changed(data: Path) -> None:
    shown = json.loads(_run("config", "--changed", "--json", "--set", "allow_http_apps=yes").stdout)

    assert {
        "data": {"value": str(data), "source": "environment GLASSHOUSE_DATA"},
        "allow_http_apps": {"value": "true", "source": "command line"},
    } == shown


def test_wrong_settings_end_every_command_with_status_78(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "g.toml"
    file.write_text("port = -1\n", encoding="utf-8")

    for words in (
        ["config", "--config"],
        ["app", "list", "--config"],
        ["user", "token", "a@b.c", "--config"],
    ):
        result = _run(*words, str(file), status=78)
        assert f"wrong setting: port (from {file})" in result.stderr


def test_set_without_a_value_is_refused(data: Path) -> None:
    assert "expected NAME=VALUE" in _run("config", "--set", "port", status=2).output


# ---------------------------------------------------------------------------------------------------------
# serve, demo, bench: the process becomes another


class _Became(Exception):  # noqa: N818 - stands for exec, which does not return
    pass


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    words: list[str] = []

    def become(program: str, arguments: list[str]) -> None:
        words.extend(arguments)
        raise _Became

    monkeypatch.setattr(os, "execv", become)
    return words


def test_serve_becomes_the_keeper_of_a_server_with_its_settings(data: Path, became: list[str]) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", "--set", "keeper.stop_s=3"])

    assert isinstance(result.exception, _Became)
    assert [sys.executable, "-P", "-m", "adapters.listener.keeper"] == became[:4]
    command = became[became.index("--") + 1 :]
    assert ["-P", "-m", "config.server"] == command[1:4]
    assert {"port=0", "keeper.stop_s=3", f"data={data}"} <= set(command)
    assert {"port=0", "stop_s=3.0", f"data={data}", "host=127.0.0.1"} <= set(became[4 : became.index("--")])
    assert (data / SECRET_NAME).exists()


def test_serve_with_wrong_settings_starts_nothing(data: Path, became: list[str]) -> None:
    result = _run("serve", "--port", "x", "--log-level", "loud", status=78)

    assert 2 == len(result.stderr.splitlines())
    assert [] == became


def test_serve_without_a_usable_data_directory_starts_nothing(data: Path, became: list[str]) -> None:
    data.touch()

    assert "pass another --data" in _run("serve", status=1).stderr
    assert [] == became


def test_relative_data_directory_means_the_same_to_the_server(
    data: Path, tmp_path: Path, became: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    CliRunner().invoke(main, ["serve", "--data", "here"])

    assert f"data={tmp_path / 'here'}" in became


def test_keeper_gets_every_time_of_its_settings(data: Path) -> None:
    from config.sources import load

    settings = load(flags={"keeper.settled_s": "7", "keeper.max_delay_s": "8"}, environ={}).settings

    kept = serve.keeper_settings(settings, {}, None)

    assert (7.0, 8.0) == (kept.settled_s, kept.max_delay_s)


def test_demo_and_bench_pass_their_words_on(became: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "bench_names", lambda: ["relay"])

    CliRunner().invoke(main, ["demo", "--say", "hello world", "--help"])
    CliRunner().invoke(main, ["bench", "relay", "-n", "10"])

    assert [
        *(sys.executable, "-P", "-m", "clients.demo", "--say", "hello world", "--help"),
        *(sys.executable, "-P", "-m", "bench.relay", "-n", "10"),
    ] == became


def test_bench_without_a_name_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "bench_names", lambda: ["relay"])

    assert "\n  relay  N sessions" in _run("bench").output
    assert "no benchmark is named 'rely'; there are: relay" in _run("bench", "rely", status=1).output


def test_benchmarks_are_the_programs_of_their_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "bench"
    (room / "folder").mkdir(parents=True)
    (room / "__init__.py").touch()
    (room / "folder" / "__init__.py").touch()
    (room / "folder" / "__main__.py").touch()
    (room / "plain").mkdir()
    (room / "plain" / "__init__.py").touch()
    (room / "program.py").write_text('if __name__ == "__main__":\n    pass\n', encoding="utf-8")
    (room / "part.py").touch()
    for name in [name for name in sys.modules if name.partition(".")[0] == "bench"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))

    assert ["folder", "program"] == programs.bench_names()

    for name in [name for name in sys.modules if name.partition(".")[0] == "bench"]:
        del sys.modules[name]
