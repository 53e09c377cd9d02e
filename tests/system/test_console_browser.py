"""The page of desktop agents in a real browser, on scripted desks: what a person sees, clicks and types.

With `GLASSHOUSE_PICTURES=FOLDER` it leaves pictures there, for the docs and for whoever wants to look.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest
import trio
import trio.testing
from msgspec.structs import replace

from actors.assistant.messages import CancelTask, Query
from actors.console.ports import OneTimeLink
from actors.desktop.daemon_messages import RegisterDaemon
from actors.desktop.messages import AnswerApproval, DaemonView, Kill, SendToAgent
from actors.desktop.tokens import hash_of
from adapters.http import HttpHost, open_http_host
from adapters.http.console import agent_pieces, frame
from protocols.desktop.documents import ModelUse, Task
from tests.adapters.http.console.desk import ADA, Book, now_ms
from tests.adapters.http.console.scene import Scene, console
from tests.adapters.http.console.test_console_text import HOSTILE
from tests.system.browser import chromium
from tests.system.devtools import DESK, PHONE, Chromium, Page

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium here; `./run test` installs it where it is root and there is apt"
)

PICTURES: Final = os.environ.get("GLASSHOUSE_PICTURES")
ANSWER: Final = """All **42** passed, two of them slowly:

| Test | Seconds |
|---|---|
| `test_reload` | 12.5 |
| `test_demo` | 9.1 |

```python
assert slow < 10
```
"""


TOO_WIDE: Final = """[...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("pre, table"))
    .map((one) => one.outerHTML.slice(0, 80))"""
TOO_SMALL: Final = """[...document.querySelectorAll("button")].filter((one) => one.offsetParent)
    .filter((one) => { const box = one.getBoundingClientRect(); return box.height < 32 || box.width < 40; })
    .map((one) => one.outerHTML.slice(0, 80))"""


@dataclass
class Shown:
    """A browser on a console that is served on loopback."""

    scene: Scene
    page: Page
    url: str
    host: HttpHost

    @property
    def book(self) -> Book:
        return self.scene.book()

    async def log_in(self) -> None:
        await self.page.goto(f"{self.url}/console/agent")
        await self.page.reads("Token or one-time code")
        await self.page.click("#token")
        await self.page.type(self.scene.tokens.mint(ADA, expires_s=60))
        await self.page.click("form button")
        await self.is_live()

    async def is_live(self) -> None:
        await self.page.shows("location.pathname === '/console/agent' && document.readyState === 'complete'")
        with trio.fail_after(30):
            while not self.book.listeners:  # noqa: ASYNC110 - the browser sets no event here
                await trio.sleep(0.01)

    async def picture(self, name: str) -> None:
        if PICTURES is not None:
            await self.page.picture(Path(PICTURES) / f"{name}.png")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@asynccontextmanager
async def shown(browser: Chromium) -> AsyncIterator[Shown]:
    async with (
        console() as scene,
        open_http_host(scene.application, telemetry=scene.telemetry, wall=scene.system.clock.wall) as host,
        trio.open_nursery() as nursery,
    ):
        listeners = await nursery.start(partial(trio.serve_tcp, host, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        async with browser.page() as page:
            yield Shown(scene, page, f"http://127.0.0.1:{port}", host)
        nursery.cancel_scope.cancel()


def a_laptop(*, is_online: bool = True) -> DaemonView:
    return DaemonView("daemon_1", "laptop", is_online, 1, ("claude", "bash"), now_ms())


async def test_a_person_asks_allows_and_reads_the_answer(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        asked: list[Task] = []
        book.on_query = asked.append
        book.put_daemons(a_laptop())
        await one.log_in()
        await page.reads("laptop")
        await page.reads("Nothing asked yet.")

        await page.click("#query")
        await page.type("Fix the failing test")
        await page.press("Enter", shift=True)
        await page.type("in my project")
        await page.press("Enter")
        await page.reads("Thinking")
        (query,) = book.heard_of(Query)
        assert "Fix the failing test\nin my project" == query.query
        assert "" == await page.value("document.querySelector('#query').value")

        agent = book.agent("Run the tests and mend what fails", current_step="Reading tests/test_reload.py")
        await page.reads("Reading tests/test_reload.py")
        for number in range(40):
            book.log(agent, f"\x1b[32m✓\x1b[0m test {number}\r\n")
        await page.shows("document.querySelector('.terminal').textContent.endsWith('✓ test 39\\n')")
        await page.shows(
            "(({scrollTop: a, clientHeight: b, scrollHeight: c}) => a > 0 && a + b > c - 2)"
            "(document.querySelector('.terminal'))"
        )

        agent = book.asks(
            agent, "Run this command?", tool="Bash", detail="npm test", expires_at=now_ms() + 580_000
        )
        await page.reads("Run this command?")
        await page.shows("document.querySelector('[role=alert]').textContent.includes('Run this command?')")
        await page.reads("in 10 min")
        await one.picture("agents")
        await page.click("#approvals input[name=message]")
        await page.type("go on")
        await page.click("#approvals button[value=approve]")
        await page.shows("document.querySelector('#approvals-section').hidden")
        await page.shows("document.querySelector('#toast').textContent === 'Allowed'")
        (answer,) = book.heard_of(AnswerApproval)
        assert ("approve", None, "go on") == (answer.decision, answer.choice, answer.message)

        usage = (ModelUse(model="a-model", calls=2, input_tokens=3_000, output_tokens=120, cost_usd=0.0036),)
        book.finish(asked[0], ANSWER, usage=usage, cost_usd=0.0036)
        await page.reads("All 42 passed")
        await page.shows("document.querySelectorAll('.markdown table tbody tr').length === 2")
        await page.reads("$0.0036 · 2 calls · 3,120 tokens")
        await page.shows("document.querySelector('[aria-live=polite]').textContent === 'Done: Done.'")
        assert [] == page.console


async def test_an_answer_that_comes_too_late_is_said_to_be(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        agent = book.asks(book.agent("Mend it"), "Run this command?")
        await one.log_in()
        await page.reads("Run this command?")

        # It is answered on the lens, and this page is the last to hear of it.
        book.agents[agent.agent_id] = replace(agent, approval=None)
        await page.click("#approvals button[value=deny]")

        await page.shows("document.querySelector('#toast').textContent.includes('not open any more')")
        await page.shows("document.querySelector('[role=alert]').textContent.includes('not open any more')")


async def test_a_person_stops_speaks_to_and_goes_on_with_an_agent(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        book.put_daemons(a_laptop())
        book.task("A question")
        agent = book.agent("Mend it", can_resume=True)
        book.log(agent, "12 of 13\n")
        await one.log_in()

        await page.reads("12 of 13")
        await page.click("#agents .say input")
        await page.type("and the docs too")
        await page.press("Enter")
        await page.shows("document.querySelector('#toast').textContent === 'Sent'")
        await page.click("#agents .danger")
        await page.shows("document.querySelector('#agents .danger').textContent === 'Really kill it?'")
        assert [] == book.heard_of(Kill)
        await page.click("#agents .danger")
        await page.shows("document.querySelector('#agents .state').textContent === 'Killed'")
        await page.click("#tasks footer button")
        await page.shows("document.querySelector('#tasks .state').textContent === 'Cancelled'")

        assert ["and the docs too"] == [typed.text for typed in book.heard_of(SendToAgent)]
        assert (1, 1) == (len(book.heard_of(Kill)), len(book.heard_of(CancelTask)))

        assert "12 of 13\n" == await page.value("document.querySelector('.terminal').textContent")
        go_on = "document.querySelector('#agents .say input[name=query]')"
        assert "Go on" == await page.value(f"{go_on}.value")
        await page.value(f"{go_on}.select()")
        await page.type("Only the docs")
        await page.press("Tab")
        assert "Resume" == await page.value("document.activeElement.textContent")
        await page.press("Enter")
        await page.shows("document.querySelector('#toast').textContent === 'Asked to go on'")
        await page.shows(f"{go_on}.value === 'Go on'")
        (query,) = book.heard_of(Query)
        assert ("Only the docs", agent.agent_id, "page") == (query.query, query.resumes, query.source)
        book.agent("Only the docs", resumes=agent.agent_id)
        await page.reads("Goes on with an earlier agent")


async def test_a_person_adds_a_computer_by_its_code_or_by_a_token_and_removes_it(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        daemon = one.scene.visitor()
        begun = await daemon.act("/api/daemons/codes", {"name": "study"}, X_Glasshouse_Mark=None)
        login = msgspec.json.decode(begun.body)
        await one.log_in()
        await page.click(".add summary")

        await page.click("#code")
        await page.type("nothing")
        await page.press("Enter")
        await page.shows("document.querySelector('#toast').textContent.includes('no such code')")
        await page.value("document.querySelector('#code').value = ''")
        await page.click("#code")
        await page.type(login["userCode"].lower())
        await page.press("Enter")
        await page.reads("study wants to run agents for you")
        assert login["userCode"] == await page.value("document.querySelector('.code').textContent")
        await page.click("#login-code button.main")
        await page.shows("document.querySelector('#login-code').hidden")
        device = {"deviceCode": login["deviceCode"]}
        granted = await daemon.act("/api/daemons/codes/poll", device, X_Glasshouse_Mark=None)
        told = msgspec.json.decode(granted.body)
        assert ("approved", ADA) == (told["status"], told["userId"])
        await page.reads("Never seen")

        await page.click("#daemon-name")
        await page.type("attic")
        await page.press("Enter")
        await page.reads("The token of attic")
        token = await page.value("document.querySelector('#daemon-token pre').textContent")
        (_, attic) = book.heard_of(RegisterDaemon)
        assert attic.daemon.hashed_token == hash_of(token)

        remove = "#daemons article:last-child button"
        await page.click(remove)
        await page.shows(f"document.querySelector('{remove}').textContent.includes('Really')")
        await page.click(remove)
        await page.shows("document.querySelectorAll('#daemons article').length === 1")
        await page.reads("study")


async def test_everything_can_be_reached_with_the_keyboard_and_has_a_name(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        book.put_daemons(a_laptop())
        book.finish(book.task("A question"), ANSWER)
        book.asks(book.agent("Mend it"), "Run this command?", detail="npm test")
        await one.log_in()
        await page.reads("Run this command?")

        reached = []
        await page.value("document.activeElement.blur()")
        for _ in range(40):
            await page.press("Tab")
            reached.append(await page.value("document.activeElement.textContent.trim().slice(0, 20)"))
            if await page.value("document.activeElement === document.body"):
                break
        assert {"To the content", "Log out", "Ask", "Allow", "Deny", "Kill", "Remove"} <= set(reached), (
            reached
        )
        told = await page.accessible()
        nameless = [
            role for role, name in told if role in ("button", "textbox", "link", "region") and not name
        ]
        assert [] == nameless
        assert {("alert", ""), ("heading", "Tasks"), ("region", "Terminal of this agent")} <= set(told)
        await page.value("document.querySelector('#approvals button[value=deny]').focus()")
        await page.press("Enter")
        await page.shows("document.querySelector('#approvals-section').hidden")
        assert "deny" == book.heard_of(AnswerApproval)[0].decision
        assert await page.value("document.activeElement !== document.body")


async def test_what_is_being_typed_and_read_survives_what_happens_meanwhile(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        agent = book.asks(book.agent("Mend it"), "Run this command?")
        book.log(agent, "first line\n")
        await one.log_in()
        await page.reads("first line")
        await page.click("#approvals input[name=message]")
        await page.type("half a sen")

        book.put_agent(replace(agent, notes=("a step",), updated_at=now_ms()))
        book.task("Another question")
        await page.reads("Steps (1)")
        await page.reads("Another question")
        await page.type("tence")

        assert "half a sentence" == await page.value(
            "document.querySelector('#approvals input[name=message]').value"
        )
        assert "first line\n" == await page.value("document.querySelector('.terminal').textContent")

        await page.click("#agents .say input")
        await page.type("What is said to one that runs")
        book.put_agent(replace(agent, status="completed", can_resume=True, updated_at=now_ms()))
        await page.reads("Done")
        await page.type(" is no goal for the next one")
        await page.press("Enter")
        assert "Go on" == await page.value("document.querySelector('#agents input[name=query]').value")
        assert await page.value(f"document.activeElement.id === 'agent-{agent.agent_id}'")
        assert [] == book.heard_of(Query)


async def test_nothing_is_wider_than_the_screen(browser: Chromium) -> None:
    async with shown(browser) as one:
        page, book = one.page, one.book
        book.put_daemons(a_laptop(), DaemonView("daemon_2", "w" * 100, False, 0, (), 1))
        wide = "Donaudampfschifffahrtsgesellschaft" * 6
        markdown = f"{wide}\n\n`{wide}`\n\n```\n{wide}\n```\n\n|{wide}|{wide}|\n|-|-|\n|a|b|\n"
        book.finish(book.task(wide), markdown)
        agent = book.asks(book.agent(wide, working_directory=f"/{wide}"), wide, tool=wide, detail=wide)
        book.log(agent, f"{wide}\n")
        book.agent(wide, status="failed", error=wide, can_resume=True, resumes=agent.agent_id)
        await one.log_in()
        await page.shows("document.querySelector('#approvals article')")
        await page.shows("document.querySelector('#agents input[name=resumes]')")
        await page.shows("document.querySelector('#tasks table')")

        for size in (PHONE, DESK):
            await page.size(*size, is_dark=size == PHONE)
            await page.shows(f"innerWidth === {size[0]}")
            assert [] == await page.value(TOO_WIDE)
            assert [] == await page.value(TOO_SMALL)
            await one.picture("wide-phone" if size == PHONE else "wide-desk")


async def test_a_link_logs_in_once_and_leaves_no_trace_in_the_address(browser: Chromium) -> None:
    async with shown(browser) as one:
        page = one.page
        code = one.scene.keys.mint_link(OneTimeLink("link-1", ADA, time.time() + 60))

        await page.goto(f"{one.url}/console/login#{code}")
        await page.shows("location.pathname === '/console' && document.readyState === 'complete'")
        assert ADA == await page.value("document.querySelector('.user').textContent")
        assert code not in str(one.scene.telemetry.facts)
        await page.click(".who button")
        await page.reads("Token or one-time code")
        await page.goto("about:blank")
        await page.goto(f"{one.url}/console/login#{code}")
        await page.reads("That link was used before")
        assert "" == await page.value("location.hash")


async def test_a_page_follows_a_server_that_drains_and_leads_to_the_login_when_that_is_over(
    browser: Chromium,
) -> None:
    async with shown(browser) as one:
        page, scene = one.page, one.scene
        await one.log_in()

        await one.host.drain(0)
        one.book.task("Asked meanwhile")
        await one.host.resume()
        await page.reads("Asked meanwhile")

        for session_id in scene.system.state_of(scene.sessions).sessions:
            await scene.end_login(session_id)
        await one.host.drain(0)
        await one.host.resume()
        await page.shows("location.pathname === '/console/login'")


async def hostile_page(one: Shown) -> Page:
    """Everything hostile there is, everywhere that a page shows what others wrote, once it is shown."""
    page, book = one.page, one.book
    await page.command(
        "Page.addScriptToEvaluateOnNewDocument", source="window.alert = () => { window.ran = true }"
    )
    bad = "\n\n".join(HOSTILE)
    script = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    book.put_daemons(DaemonView("daemon_1", script, True, 0, (script,), now_ms()))
    book.finish(book.task(script), bad)
    for text in HOSTILE:
        book.finish(book.task(text[:3_000]), text)
    book.task("failed", status="failed", phase=None, error=script, error_detail=script)
    agent = book.agent(script, current_step=script, notes=(script,), working_directory=script)
    book.asks(agent, script, tool=script, detail=bad)
    book.log(agent, bad + "\x1b]8;;javascript:alert(1)\x1b\\" + script)
    await one.log_in()
    await page.shows("document.querySelectorAll('#tasks article').length === 50")
    await page.shows("document.querySelector('.terminal').textContent.length > 1000")
    return page


async def is_harmless(one: Shown) -> bool:
    """Whether nothing ran, nothing was asked for, and only the page's own script and forms are there."""
    await trio.testing.wait_all_tasks_blocked(0.2)
    return not await one.page.value("window.ran === true")


async def test_hostile_text_neither_runs_nor_asks_for_anything(browser: Chromium) -> None:
    async with shown(browser) as one:
        page = await hostile_page(one)

        assert await is_harmless(one)
        assert [] == page.console  # no request was blocked either: none was tried
        assert 1 == await page.value("document.scripts.length")
        assert 0 == await page.value(
            "document.querySelectorAll('iframe, object, embed, svg, main img, style').length"
        )
        assert await page.value(
            "[...document.forms].every((one) => /^\\/(api|console)\\//.test(new URL(one.action).pathname))"
        )


async def test_the_security_policy_alone_stops_hostile_text(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_pieces, "as_safe_html", lambda text: text)

    async with shown(browser) as one:
        page = await hostile_page(one)

        await page.shows("document.querySelector('.markdown img')")
        assert await is_harmless(one)
        assert any("Content Security Policy" in said for said in page.console)


async def test_the_sanitiser_alone_stops_hostile_text(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(frame.HEADERS, "Content-Security-Policy")

    async with shown(browser) as one:
        page = await hostile_page(one)

        assert await is_harmless(one)
        assert [] == page.console


async def test_without_both_hostile_text_runs_which_shows_that_the_tests_above_can_fail(
    browser: Chromium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_pieces, "as_safe_html", lambda text: text)
    monkeypatch.delitem(frame.HEADERS, "Content-Security-Policy")

    async with shown(browser) as one:
        page = await hostile_page(one)

        await page.shows("window.ran === true")
