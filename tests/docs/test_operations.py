"""docs/operations.md: its commands are parsed or run, its files are read, its names are the program's."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from pathlib import Path

import click
import trio

from adapters.storage import open_sqlite
from config.app_document import AppOptions, hash_api_key, make_app, read_app_file
from config.catalogue import catalogue
from config.cli.commands import main
from config.core_tokens import core_tokens
from config.settings import Settings
from config.sources import load
from tests.system.server import Server, is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("glasshouse ")]


def parse(command: click.Command, words: list[str]) -> None:
    """Parse `words` down to the command that would run, without running it."""
    context = command.make_context(command.name, list(words))
    if isinstance(command, click.Group):
        _, inner, rest = command.resolve_command(context, context._protected_args + context.args)
        assert inner is not None
        parse(inner, rest)


def test_every_command_is_parsed_as_it_stands() -> None:
    shown = commands()

    assert len(shown) >= 9
    for words in shown:
        parse(main, words)


def test_settings_file_is_read(tmp_path: Path) -> None:
    settings_files = [block for block in blocks("toml") if "appType" not in block]
    path = tmp_path / "settings.toml"
    path.write_text("".join(settings_files))

    settings = load(flags={}, environ={}, file=str(path)).settings

    assert settings.storage_key.startswith("the new key")
    assert len(settings.former_storage_keys) == 1
    assert settings.jwt_secret.startswith("the new secret")
    assert len(settings.former_jwt_secrets) == 1
    assert settings.tracing.endpoint.endswith(":4318/v1/traces")


def test_app_file_makes_an_app(tmp_path: Path) -> None:
    [app_file] = [block for block in blocks("toml") if "appType" in block]
    path = tmp_path / "app.toml"
    path.write_text(app_file)

    options = AppOptions(package_name="org.example.captions", url="https://captions.example.org")
    app = make_app(options, read_app_file(path), hashed_api_key=hash_api_key("key"), allow_http=False)

    assert ("Captions", "standard", 1) == (app.name, app.app_type, len(app.settings_schema))
    assert tomllib.loads(app_file)["permissions"] == [each.type for each in app.permissions]


def test_settings_that_are_named_are_settings() -> None:
    grouped = set(re.findall(r"`((?:pocketsphinx|keeper)\.\w+)`", TEXT))
    plain = {"internal_url", "allow_http_apps", "require_token_expiry", "former_jwt_secrets", "log_format"}

    assert len(grouped) > 2
    assert grouped | plain <= set(catalogue())
    assert [] == [name for name in plain if name not in TEXT]


def test_events_of_the_table_are_logged_at_the_level_it_says() -> None:
    rows = re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+) \| (info|warning|error) \|", TEXT, flags=re.MULTILINE)
    documented = {(name, level) for names, level in rows for name in re.findall(r"`([\w.]+)`", names)}

    assert len(documented) > 25
    assert documented <= logged()


def logged() -> set[tuple[str, str]]:
    """Events with their levels, by every call that names one as it stands."""
    found = set()
    for room in ("actors", "adapters", "config"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    level = "warning" if node.func.attr == "_complain" else node.func.attr
                    found.add((str(node.args[0].value), level))
    return found


async def test_backup_of_a_running_server_and_restart_that_keeps_the_port(tmp_path: Path) -> None:
    [backup_program] = blocks("python")
    [restart] = [block for block in blocks("sh") if block.startswith("kill ")]
    copy = tmp_path / "copy"
    with Server.start(tmp_path) as server:
        await server.add_app("org.example.kept", "http://127.0.0.1:7010")
        token = server.token("ada@example.org")
        before = server.child
        environment = {"GLASSHOUSE_DATA": str(server.data), "BACKUP": str(copy), "PATH": "/usr/bin:/bin"}
        restart = restart.replace("python3", shlex.quote(sys.executable))
        for command in ([sys.executable, "-c", backup_program], ["sh", "-c", restart]):
            await trio.run_process(command, env=environment)
        wait_until(lambda: not is_alive(before))
        answer = await server.request("GET", "/health")
        after = server.child

    assert (200, True) == (answer.status, before != after)
    assert {"glasshouse.sqlite3", "jwt_secret"} == {path.name for path in copy.iterdir()}
    store = await open_sqlite(copy)
    try:
        assert ["org.example.kept"] == [app.package_name for app in await store.list_apps()]
    finally:
        await store.aclose()
    assert "ada@example.org" == core_tokens(Settings(data=str(copy))).verify(token)
