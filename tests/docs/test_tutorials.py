"""The tutorials, followed to the letter: `walk.py` says how."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from clients.glasses import Glasses
from tests.docs.walk import Block, Walk, blocks
from tests.system.server import PATIENCE_S, ROOT

SERVE = {"./run serve": "8002", "./run app run": "7010"}
ADA = "ada@example.org"


async def wear(url: str, token: str, package: str, first: str, *after_presses: str) -> None:
    """Start an app on glasses; its first text is read, and then one after each press of the button."""
    async with worn(url, token) as glasses:
        await glasses.start_app(package)
        for number, text in enumerate((first, *after_presses)):
            if number:
                await glasses.press_button()
            await reads(glasses, text)


async def reads(glasses: Glasses, text: str) -> None:
    await glasses.wait_for(lambda phone: phone.lens.text == text, timeout_s=PATIENCE_S)


async def connect(url: str, token: str) -> None:
    """Log in as a phone."""
    async with worn(url, token):
        pass


@asynccontextmanager
async def worn(url: str, token: str) -> AsyncIterator[Glasses]:
    """Glasses whose phone is connected."""
    glasses = Glasses(url, token)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(glasses.run)
        await glasses.wait_for(lambda phone: phone.is_connected, timeout_s=PATIENCE_S)
        yield glasses
        nursery.cancel_scope.cancel()


def steps_of(page: str, walk: Walk) -> list[Block]:
    """The page's blocks; `app run` takes the port that stands for its usual one."""
    free = f"./run app run --port {walk.ports['7010']} "
    return [block._replace(text=block.text.replace("./run app run ", free)) for block in blocks(page)]


def last_line(walk: Walk) -> str:
    return walk.printed.strip().splitlines()[-1]


def test_tutorial_for_app_writers_ends_with_an_app_on_glasses(tmp_path: Path) -> None:
    with Walk(tmp_path, ports=("8002", "7010"), goes_on=SERVE) as walk:
        walk.environment["GLASSHOUSE_PORT"] = walk.ports["8002"]
        walk.environment["GLASSHOUSE_SPEECH_PROVIDER"] = "none"  # of the server; the app's test has its own

        walk.go(steps_of("app-writer.md", walk))

        walk.run(f"./run user token {ADA}")
        url = f"http://127.0.0.1:{walk.ports['8002']}"
        trio.run(wear, url, last_line(walk), "org.example.words", "0 words")


def test_tutorial_for_operators_ends_with_a_wearer_behind_tls_under_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_nginx = shutil.which("nginx") is not None
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    goes_on = {**SERVE, "nginx -e": "8443"}
    with Walk(tmp_path, ports=("8002", "8443", "7010"), goes_on=goes_on) as walk:
        walk.environment["GLASSHOUSE_PORT"] = walk.ports["8002"]
        walk.environment["GLASSHOUSE_SPEECH_PROVIDER"] = "none"
        steps = steps_of("operator.md", walk)
        if not has_nginx:
            steps = [step for step in steps if "nginx -e" not in step.text and "--cacert" not in step.text]
        token_at = next(number for number, step in enumerate(steps) if "user token" in step.text)

        walk.go(steps[: token_at + 1])
        token = last_line(walk)  # under the first keys
        walk.go(steps[token_at + 1 :])

        if not has_nginx:
            trio.run(connect, f"http://127.0.0.1:{walk.ports['8002']}", token)
            pytest.skip("nginx is not installed: the way through it was left out, the rest was followed")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "proxy" / "certificate.pem"))
        url = f"https://localhost:{walk.ports['8443']}"
        first = "Press the button\na long press begins again"
        trio.run(wear, url, token, "org.example.counter", first, "Pressed\n1")


def test_tutorial_for_contributors_ends_with_a_commit_that_could_land(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so there is nothing to clone from")
    origin = tmp_path / "origin.git"
    with Walk(tmp_path, ports=(), goes_on={}) as walk:
        walk.environment["PYTHONPATH"] = str(tmp_path / "checkout")
        for who in ("AUTHOR", "COMMITTER"):
            walk.environment |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": ADA}
        walk.run(
            f"git clone --quiet --bare --depth 1 file://{ROOT} {origin}\ngit -C {origin} branch -f main HEAD"
        )
        clone, everything, *rest = blocks("contributor.md")
        address = clone.text.replace("https://example.org/glasshouse.git", f"file://{origin}")

        walk.go([clone._replace(text=address)])
        assert "./run test\n" == everything.text  # this test is one of them
        walk.folder /= "checkout"
        walk.write(
            "run",
            f'#!/bin/sh\nshift\nexec {shlex.quote(sys.executable)} -P -m pytest -p no:cacheprovider "$@"\n',
        )
        walk.run("git update-index --assume-unchanged run")
        walk.go(rest)
