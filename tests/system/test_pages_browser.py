"""The console and the browser glasses of a real server in a real browser, as a person uses them.

With `GLASSHOUSE_PICTURES=FOLDER` it leaves pictures there: `./run pictures` makes those of docs/console.md.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from clients.app_sdk import AppSession
from clients.glasses import Glasses
from protocols.from_phone import ButtonPress, GlassesBatteryUpdate, HeadPosition
from tests.system.browser import MICROPHONE, chromium, write_wav
from tests.system.devtools import DESK, PHONE_PICTURE, Chromium, Page
from tests.system.peers import app, wearer
from tests.system.server import PATIENCE_S, Server, eventually
from tests.system.speaking import (
    SETTINGS,
    TOLD_S,
    HearingApp,
    compare,
    first_heard,
    heard_whole,
    listening,
    nothing_but_a_gap,
    peer_of,
    speech,
)

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium here; `./run test` installs it where it is root and there is apt"
)

ADA, BOB, OPS, OWNER = (f"{name}@example.org" for name in ("ada", "bob", "ops", "owner"))
CAPTIONS: Final = "org.example.captions"
PICTURES: Final = os.environ.get("GLASSHOUSE_PICTURES")
SPOKEN: Final = speech()[: len(speech()) // 320 * 320]  # whole pieces of 10 ms: it is heard again and again

TOO_WIDE: Final = """[...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .filter((one) => !one.closest("pre, .aside, thead, details:not([open]) > *"))
    .map((one) => one.outerHTML.slice(0, 80))"""
TOO_SMALL: Final = """[...document.querySelectorAll("button, select")]
    .filter((one) => one.offsetParent)
    .filter((one) => { const box = one.getBoundingClientRect(); return box.height < 28 || box.width < 40; })
    .map((one) => one.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = (*SETTINGS, "speech_provider=none", f"console.operators={OPS}", "console.look_s=0.2")
    with Server.start(tmp_path_factory.mktemp("pages"), *settings, "admin.allow_kill=true") as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    folder = tmp_path_factory.mktemp("browser")
    wav = write_wav(folder / "sound.wav", SPOKEN)
    with Chromium(folder, *MICROPHONE, f"--use-file-for-fake-audio-capture={wav}") as browser:
        yield browser


async def picture(page: Page, name: str) -> None:
    """One of a desktop's width and one of a phone's; on both nothing is too wide or too small to hit."""
    await page.shows("document.readyState === 'complete'")
    for size, kind in ((DESK, "desk"), (PHONE_PICTURE, "phone")):
        await page.size(*size)
        await page.shows(f"innerWidth === {size[0]}")
        assert [] == await page.value(TOO_WIDE), (name, kind)
        assert [] == await page.value(TOO_SMALL), (name, kind)
        if PICTURES is not None:
            await page.picture(Path(PICTURES) / f"{name}-{kind}.png", height=1_200, scale=0.75)
    await page.size(*DESK)


@asynccontextmanager
async def console_of(browser: Chromium, server: Server, user: str) -> AsyncIterator[Page]:
    """Somebody who has logged in, by keyboard: the field has the focus."""
    async with browser.page() as page:
        await page.goto(f"{server.url}/console")
        await page.reads("Token or one-time code")
        await page.type(server.token(user))
        await page.press("Tab")
        await page.press("Enter")
        await page.shows("location.pathname === '/console' && document.readyState === 'complete'")
        yield page


async def tab_to(page: Page, name: str) -> None:
    """Reach something with the Tab key alone; `name` is its label, or its text."""
    label = "((one) => one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? one.textContent)"
    reached = []
    for _ in range(120):
        await page.press("Tab")
        reached.append(await page.value(f"{label}(document.activeElement).trim()"))
        if reached[-1] == name:
            return
    raise AssertionError(f"{name} was not reached: {reached}")


async def runs(phone: Glasses, *packages: str) -> None:
    await eventually(lambda: phone.running_apps == packages)


async def test_an_operator_watches_and_acts_with_the_keyboard_alone(
    server: Server, browser: Chromium
) -> None:
    async with (
        app(server, CAPTIONS) as captions,
        wearer(server, ADA) as ada,
        wearer(server, BOB),
        console_of(browser, server, OPS) as page,
    ):
        await page.shows("document.querySelectorAll('#wearers tr').length === 2")
        await ada.start_app(CAPTIONS)
        await page.shows(f"document.querySelector('#wearers').textContent.includes('{CAPTIONS}')")
        await picture(page, "overview")

        await page.value("document.activeElement.blur()")
        await tab_to(page, ADA)
        await page.press("Enter")
        await page.shows("location.pathname === '/console/wearer' && document.querySelector('#actors tr')")
        await page.reads("session_opened")
        handled = "Number(document.querySelectorAll('#actors tr')[1].cells[3].textContent)"
        before = await page.value(handled)
        await ada.press_button("main")
        await page.shows(f"{handled} > {before}")
        await eventually(lambda: ada.lens.text == "pressed main")

        await page.value("scrollTo(0, 0), document.querySelector('h1').focus()")
        await tab_to(page, f"Stop {CAPTIONS}")
        await page.press("Enter")
        await page.shows("document.querySelector('#toast').textContent === 'Stopped'")
        await runs(ada)
        await page.reads("No app runs.")
        await tab_to(page, "Start another")
        await page.press("Tab")
        await page.press("Enter")
        await runs(ada, CAPTIONS)
        await page.shows("document.querySelector('#running .state')?.textContent === 'Running'")
        await tab_to(page, "Show a test")
        await page.press("Enter")
        await eventually(lambda: ada.lens.text == "A test from the console")
        await page.shows("document.querySelector('#log').textContent.includes('what=display')")

        await tab_to(page, "Kill display")
        await page.press("Enter")
        await page.shows("document.activeElement.textContent === 'Really?'")
        await page.press("Enter")
        await page.reads("Just back")
        await page.shows("document.querySelector('#actors').textContent.includes('KilledByAdmin')")
        assert ada.is_connected
        assert [] == page.console
        told = await page.accessible()
        assert [] == [
            role for role, name in told if role in ("button", "textbox", "link", "combobox") and not name
        ]
        await page.value("document.querySelector('#toast').hidden = true")
        await picture(page, "wearer")

        await page.goto(f"{server.url}/console/server")
        await page.shows("document.querySelector('#actors').textContent.includes('directory')")
        await picture(page, "server")
        assert captions.started


async def test_a_wearer_and_an_owner_see_what_is_theirs(server: Server, browser: Chromium) -> None:
    async with (
        app(server, CAPTIONS),
        wearer(server, ADA) as ada,
        wearer(server, BOB),
        console_of(browser, server, ADA) as page,
    ):
        await page.shows("document.querySelectorAll('#wearers tr').length === 1")
        await page.goto(f"{server.url}/console/wearer?user={BOB}")
        await page.reads("Only operators see other people's sessions")
        await page.goto(f"{server.url}/console/wearer")
        await page.shows("document.querySelector('#actors tr')")
        assert 0 == await page.value("document.querySelectorAll('form[action=\"/console/kill\"]').length")
        body = f"{{user: '{ADA}', path: '/glasshouse/users/{ADA}/display'}}"
        mark = "{'X-Glasshouse-Mark': document.body.dataset.mark}"
        refused = await page.value(
            f"fetch('/console/kill', {{method: 'POST', headers: {mark}, body: JSON.stringify({body})}})"
            ".then((answer) => answer.status)"
        )
        assert 403 == refused
        assert ada.is_connected

        await server.add_app("org.example.mine", "http://127.0.0.1:9", owner=OWNER)
        async with console_of(browser, server, OWNER) as own:
            await own.goto(f"{server.url}/console/apps")
            await own.reads("org.example.mine")
            assert CAPTIONS not in await own.value("document.body.innerText")
            await own.value("document.querySelector('#apps a').click()")
            await own.reads("Its key")
            await picture(own, "app")
            for _ in range(2):
                await own.click("form[action$='/key'] button.danger")
            key = await own.shows("document.querySelector('[data-field=key]').textContent")
            await own.goto(f"{server.url}/console/apps/org.example.mine")
            await own.reads("Its key")
            assert key not in await own.value("document.documentElement.outerHTML")

        async with console_of(browser, server, OPS) as ops:
            await ops.goto(f"{server.url}/console/apps")
            await ops.shows("document.querySelectorAll('#apps tr').length === 2")
            await picture(ops, "apps")
            assert [] == ops.console


class Told(HearingApp):
    """An app that hears, keeps what the glasses do, and shows a press.

    Attributes:
      presses, heads, batteries: what came, in order.
    """

    def __init__(self) -> None:
        super().__init__("org.example.told")
        self.presses: list[str] = []
        self.heads: list[str] = []
        self.batteries: list[tuple[int, Any]] = []

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        def press(pressed: ButtonPress) -> None:
            self.presses.append(pressed.press_type or "")
            session.layouts.show_text_wall(f"You pressed {pressed.press_type}.\nHello from an app.")

        def head(moved: HeadPosition) -> None:
            self.heads.append(moved.position)

        def battery(told: GlassesBatteryUpdate) -> None:
            self.batteries.append((int(told.level or 0), told.charging))

        session.events.on_button_press(press)
        session.events.on_head_position(head)
        session.events.on_glasses_battery_update(battery)
        await super().on_session(session, session_id, user_id)


@pytest.mark.parametrize("way", ["pcm", "webrtc"])
async def test_a_page_is_a_pair_of_glasses(server: Server, browser: Chromium, way: str) -> None:
    user, told = f"{way}@example.org", Told()
    async with listening(server, told), browser.page() as page:
        await page.goto(f"{server.url}/glasses#token={server.token(user)}")
        await page.shows("document.querySelector('#state').textContent === 'Connected'")
        assert "" == await page.value("location.hash")
        await page.click("#package")
        await page.type(told.package_name)
        await page.press("Enter")
        await page.shows("document.querySelector('#apps li')")
        await eventually(lambda: told.started)
        await page.shows("document.querySelector('#heard').textContent === 'An app listens'")

        await page.click("#press")
        await page.reads("Hello from an app.")
        await page.value("document.activeElement.blur()")
        await page.press("l")
        await eventually(lambda: told.presses == ["short", "long"])
        await page.click("#head")
        await page.press(" ")
        await eventually(lambda: told.heads[-2:] == ["up", "down"])
        await page.value(
            "(([level, charging]) => { level.value = 7; charging.click();"
            " for (const kind of ['input', 'change']) level.dispatchEvent(new Event(kind)); })"
            "(document.querySelectorAll('#battery, #charging'))"
        )
        await eventually(lambda: told.batteries[-1:] == [(7, True)])

        await page.value(
            f"((one) => {{ one.value = '{way}'; one.dispatchEvent(new Event('change')); }})"
            "(document.querySelector('#way'))"
        )
        if way == "webrtc":  # until then the WebSocket carries what is said
            with trio.fail_after(PATIENCE_S):
                while (await peer_of(server, user)).get("peer") != "connected":  # noqa: ASYNC110
                    await trio.sleep(0.05)
        before_s = told.has_heard_s(user)
        await eventually(lambda: told.has_heard_s(user) > before_s + 2)
        lit = await page.value(
            "(() => { const lens = document.querySelector('#lens');"
            " return lens.getContext('2d').getImageData(0, 0, 640, 200).data.some((one) => one > 100); })()"
        )
        assert lit, "the lens is dark"
        heard = bytes(told.heard[user])
        found = compare(first_heard(SPOKEN, heard), heard)
        heard_whole(found) if way == "pcm" else nothing_but_a_gap(found, TOLD_S)  # where WebRTC took over
        if way == "pcm":
            await picture(page, "glasses")

        starts = len(told.started)
        if way == "pcm":
            await page.click("#drop")
            await page.shows(
                "document.querySelector('#state').textContent.startsWith('Lost; dialling again')"
            )
        await page.click("#tunnel")
        if way == "webrtc":
            await page.shows("document.querySelector('#state').textContent === 'In a tunnel'")
        gone_s = told.has_heard_s(user)
        await page.value("document.querySelector('#shown').textContent = ''")
        await page.click("#tunnel")  # out of it: a lost connection is dialled at once, not after its 5 s
        await page.shows("document.querySelector('#state').textContent === 'Connected'")
        await page.reads("Hello from an app.")
        await eventually(lambda: told.has_heard_s(user) > gone_s + 0.3)
        await page.click("#apps button")
        await page.shows("!document.querySelector('#apps li')")
        assert starts == len(told.started), "the app's session went on"
        assert [] == [said for said in page.console if "favicon" not in said]
