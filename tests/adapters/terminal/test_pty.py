"""What can go wrong between a fork and an exec."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from adapters.terminal.pty import ExitStatus, Pty, TerminalError

MARK = ("GLASSHOUSE_AGENT", f"pty_{os.getpid()}")
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def start(*argv: str, cwd: Path = Path("/"), environment: dict[str, str] = ENVIRONMENT) -> Pty:
    return Pty.start(argv, environment=environment, cwd=str(cwd), mark=MARK)


def open_files() -> list[str]:
    """What this process has open."""
    return [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.islink(entry.path)]


@pytest.mark.parametrize(
    ("argv", "cwd", "environment"),
    [
        (("no-such-program",), "/", ENVIRONMENT),
        (("/etc/passwd",), "/", ENVIRONMENT),
        (("sh",), "/no/such/folder", ENVIRONMENT),
        (("sh", "-c", "a\0b"), "/", ENVIRONMENT),
        (("sh", "-c", "\ud800"), "/", ENVIRONMENT),
        (("sh",), "/", {**ENVIRONMENT, "A": "b\0"}),
        (("sh", "x" * 300_000), "/", ENVIRONMENT),
    ],
)
def test_what_cannot_be_executed_is_an_error_in_this_process_alone(
    argv: tuple[str, ...], cwd: str, environment: dict[str, str]
) -> None:
    ours = os.getpid()

    with pytest.raises(TerminalError):
        start(*argv, cwd=Path(cwd), environment=environment)

    assert ours == os.getpid()


async def test_no_open_file_of_ours_is_inherited_and_none_stays_open() -> None:
    said: list[bytes] = []
    ours, secret = os.pipe()
    os.set_inheritable(secret, True)

    pty = start("ls", "/proc/self/fd")
    status = await pty.run(said.append)
    await pty.aclose()

    os.close(ours)
    os.close(secret)
    assert ExitStatus(0) == status
    assert b"0  1  2  3" == b"".join(said).strip()  # 3 is the folder itself
    assert not [name for name in open_files() if "ptmx" in name or "pidfd" in name]


async def test_a_status_is_known_without_a_pidfd_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")

    pty = start("sh", "-c", "exit 3")
    status = await pty.run(lambda data: None)
    await pty.aclose()

    assert "exit status 3" == str(status)


async def test_the_end_does_not_wait_for_who_holds_the_terminal_open() -> None:
    pty = start("sh", "-c", "sleep 1000 & exit 0")
    try:
        with trio.fail_after(2):
            status = await pty.run(lambda data: None)
    finally:
        await pty.aclose()

    assert ExitStatus(0) == status


async def test_typing_into_a_closed_terminal_is_an_error() -> None:
    pty = start("cat")
    await pty.aclose()

    with pytest.raises(TerminalError):
        pty.send(b"x")
