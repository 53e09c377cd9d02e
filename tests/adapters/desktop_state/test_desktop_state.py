"""The daemon's files: documents, credentials, and where agents may work."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from actors.desktop_daemon.ports import Place, PlaceError, StateError
from adapters.desktop_state import (
    AllowedDirectory,
    AllowedPlaces,
    Credentials,
    CredentialsFile,
    DocumentFolder,
    write_whole,
)


async def test_documents_are_found_by_whoever_comes_next(tmp_path: Path) -> None:
    folder = DocumentFolder(tmp_path / "agents")
    assert {} == await folder.load()
    await folder.put("agent_1", b"one")
    await folder.put("agent_1", b"two")
    await folder.put("a:b.c", b"three")
    await folder.put("gone", b"four")
    await folder.remove("gone")
    await folder.remove("never there")

    assert {"agent_1": b"two", "a:b.c": b"three"} == await DocumentFolder(tmp_path / "agents").load()


async def test_documents_are_for_their_owners_eyes(tmp_path: Path) -> None:
    await DocumentFolder(tmp_path / "agents").put("agent_1", b"one")

    assert 0o700 == stat.S_IMODE((tmp_path / "agents").stat().st_mode)
    (document,) = (tmp_path / "agents").iterdir()
    assert 0o600 == stat.S_IMODE(document.stat().st_mode)


async def test_draft_of_a_daemon_that_was_killed_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "agent_1.json.00ff.draft").write_bytes(b"ha")
    (tmp_path / "agent_2.json").mkdir()

    assert {} == await DocumentFolder(tmp_path).load()
    assert ["agent_2.json"] == os.listdir(tmp_path)


async def test_document_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DocumentFolder(tmp_path)
    await folder.put("agent_1", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="No space left on device"):
        await folder.put("agent_1", b"new")
    monkeypatch.undo()

    assert {"agent_1": b"old"} == await folder.load()
    assert 1 == len(os.listdir(tmp_path))


async def test_folder_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "agents").write_bytes(b"")

    with pytest.raises(StateError, match="agents"):
        await DocumentFolder(tmp_path / "agents").load()


def test_credentials_are_read_anew_when_a_login_exchanges_them(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "daemon" / "token.json")
    assert file.read() is None
    file.write(Credentials(server="https://a", token="first"))
    before = file.read()
    CredentialsFile(file.path).write(Credentials(server="https://a", token="second"))
    after = file.read()

    assert before is not None
    assert after is not None
    assert ("first", "second") == (before.token, after.token)
    assert 0o600 == stat.S_IMODE(file.path.stat().st_mode)
    assert "second" not in repr(after)
    file.forget()
    file.forget()
    assert file.read() is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"null", b'{"server": 1, "token": 2}'])
def test_credentials_that_make_no_sense_are_none(tmp_path: Path, content: bytes) -> None:
    write_whole(tmp_path / "token.json", content)

    assert CredentialsFile(tmp_path / "token.json").read() is None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with `code` (allowed), `code/app` (with tools), `private`, and links across."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("code/app/src", "code/other", "private", "codex"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "code" / "out").symlink_to(tmp_path / "private")
    (tmp_path / "in").symlink_to(tmp_path / "code" / "app")
    (tmp_path / "code" / "loop").symlink_to(tmp_path / "code" / "loop")
    (tmp_path / "code" / "file").write_text("")
    return tmp_path


def _places() -> AllowedPlaces:
    return AllowedPlaces("~/code", [AllowedDirectory(path="~/code/app", allow=("Read", "bash"))])


@pytest.mark.parametrize(
    ("asked", "found", "allowed"),
    [
        (None, "code", ()),
        ("", "code", ()),
        ("~/code", "code", ()),
        ("other", "code/other", ()),
        ("app", "code/app", ("Read", "bash")),
        ("~/code/app/src", "code/app/src", ("Read", "bash")),
        ("app/../other", "code/other", ()),
        ("{home}/in", "code/app", ("Read", "bash")),
    ],
)
async def test_agents_work_below_what_the_user_named(
    home: Path, asked: str | None, found: str, allowed: tuple[str, ...]
) -> None:
    place = await _places().find(None if asked is None else asked.format(home=home))

    assert Place(str((home / found).resolve()), allowed) == place


@pytest.mark.parametrize(
    "asked",
    ["/", "..", "~", "~/private", "~/codex", "out", "app/../../private", "/etc/passwd", "~/no such thing"],
)
async def test_nothing_leads_out_of_what_the_user_named(home: Path, asked: str) -> None:
    with pytest.raises(PlaceError, match="not in a directory that agents may work in"):
        await _places().find(asked)


@pytest.mark.parametrize("asked", ["missing", "file", "loop", "a\0b", "~nobody-here/x", "\udc80", "x" * 5000])
async def test_place_that_is_none_is_refused_with_a_reason(home: Path, asked: str) -> None:
    with pytest.raises(PlaceError):
        await _places().find(asked)
