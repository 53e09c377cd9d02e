"""Each example in a simulated world: the server that `config` assembles, the real glasses, virtual time."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors.ports import AppDocument, Permission, PutApp, WebhookAnswer
from adapters.simulated.speech import ScriptedSpeech, ScriptedUtterance
from adapters.simulated.webhooks import Call
from clients.app_sdk import AppServer
from clients.glasses import Glasses
from config.simulated import SimulatedServer
from examples.button_counter import app as button_counter
from examples.captions import app as captions
from examples.notes import app as notes
from runtime.testing import World, simulate

ROOT = Path(__file__).resolve().parents[2]
ADA = "ada@example.org"
APP_URL = "https://app.example.org"
SECOND = bytes(32_000)
MILK, LAMP = "buy some milk", "mend the lamp"
SCRIPT = (
    ScriptedUtterance(text=MILK, start_s=0.5, end_s=1.5),
    ScriptedUtterance(text=LAMP, start_s=3.5, end_s=4.5),
)


@asynccontextmanager
async def worn(
    world: World, make_app: Callable[..., AppServer], package: str, *permissions: str
) -> AsyncIterator[tuple[Glasses, AppServer]]:
    """Glasses on which the app has just been started."""
    async with world.open_system("glasshouse") as system, trio.open_nursery() as nursery:
        server = SimulatedServer(system, speech=ScriptedSpeech(default=SCRIPT))
        await server.start()
        document = AppDocument(
            package_name=package,
            public_url=APP_URL,
            hashed_api_key=hashlib.sha256(b"key").hexdigest(),
            name=package,
            permissions=tuple(Permission(each) for each in permissions),
        )
        await server.store.commit([PutApp(document)])
        app = make_app(package, "key", port=None, connect=server.dial, wall=system.clock.wall)

        async def answer(call: Call) -> WebhookAnswer:
            return WebhookAnswer(*await app.handle(call.method, call.path, call.body))

        nursery.start_soon(app.run)
        server.webhooks.serve(APP_URL, answer)
        token = server.tokens.mint(ADA, expires_s=None)
        glasses = Glasses("http://glasshouse.example", token, connect=server.dial, wall=system.clock.wall)
        nursery.start_soon(glasses.run)
        await glasses.wait_for(lambda phone: phone.is_connected)
        await glasses.start_app(package)
        await glasses.wait_for(lambda phone: package in phone.running_apps)
        yield glasses, app
        nursery.cancel_scope.cancel()


async def reads(glasses: Glasses, text: str) -> None:
    """Wait until the wearer reads exactly `text`."""
    await glasses.wait_for(lambda phone: phone.lens.text == text)


def played(scenario: Callable[[World], Awaitable[None]]) -> None:
    simulate(1, scenario)


def test_captions_show_a_sentence_below_the_one_before_it() -> None:
    async def scenario(world: World) -> None:
        async with worn(world, captions.CaptionsApp, captions.PACKAGE, "MICROPHONE") as (glasses, _):
            await reads(glasses, "Captions are on")
            await glasses.wait_for(lambda phone: phone.is_microphone_on)
            await glasses.play(SECOND * 3)
            await reads(glasses, f"\n{MILK}")
            await glasses.play(SECOND * 3)
            await reads(glasses, f"{MILK}\n{LAMP}")

    played(scenario)


def test_button_counter_counts_through_a_lost_connection_and_begins_again() -> None:
    async def scenario(world: World) -> None:
        async with worn(world, button_counter.ButtonCounterApp, button_counter.PACKAGE) as (glasses, _):
            await reads(glasses, "Press the button\na long press begins again")
            for count in (1, 2):
                await glasses.press_button()
                await reads(glasses, f"Pressed\n{count}")
            await glasses.drop()
            await glasses.wait_for(lambda phone: phone.connections == 2, timeout_s=20)
            await glasses.wait_for(lambda phone: phone.is_connected)
            await glasses.press_button()
            await reads(glasses, "Pressed\n3")
            await glasses.press_button(press_type="long")
            await reads(glasses, "Pressed\n0")

    played(scenario)


def test_notes_are_kept_in_the_cloud_and_read_with_the_head_up() -> None:
    async def scenario(world: World) -> None:
        async with worn(world, notes.NotesApp, notes.PACKAGE, "MICROPHONE") as (glasses, _):
            await reads(glasses, "Notes are on: 0 kept")
            await glasses.wait_for(lambda phone: phone.is_microphone_on)
            await glasses.move_head("up")
            await reads(glasses, "no notes yet")
            for sentence in (MILK, LAMP):
                await glasses.press_button()
                await reads(glasses, "say something first")
                await glasses.play(SECOND * 3)
                await glasses.press_button()
                await reads(glasses, f"kept: {sentence}")
            await glasses.move_head("up")
            await reads(glasses, f"{MILK}\n{LAMP}")
            await glasses.stop_app(notes.PACKAGE)
            await glasses.wait_for(lambda phone: not phone.running_apps and not phone.is_microphone_on)
            await glasses.start_app(notes.PACKAGE)
            await reads(glasses, "Notes are on: 2 kept")
            await glasses.move_head("up")
            await reads(glasses, f"{MILK}\n{LAMP}")

    played(scenario)


def listed() -> dict[str, str]:
    """Folder to row, of the list of examples."""
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    return {
        row[1]: row[0] for row in re.finditer(r"^\| \[(\w+)\]\(\1/README\.md\).*$", text, flags=re.MULTILINE)
    }


def test_every_example_is_listed_with_its_package_and_permissions() -> None:
    files = {path.parent.name: path for path in ROOT.glob("examples/*/wearer.toml")}

    assert sorted(
        path.name for path in ROOT.glob("examples/*") if path.is_dir() and "__" not in path.name
    ) == sorted(files)
    assert sorted(files) == sorted(listed())
    for name, file in files.items():
        app = tomllib.loads(file.read_text(encoding="utf-8"))["app"]
        permissions = ", ".join(f"`{one}`" for one in app.get("permissions", ())) or "none"
        assert listed()[name].endswith(f"| `{app['package']}` | {permissions} |")
