"""Who is connected, and one wearer's page: who sees what, who may do what, and what an open page is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.console.ports import OneTimeLink
from actors.ports import PutApp
from adapters.http.console.agent_pieces import Order
from adapters.http.console.look_stream import LookStream
from adapters.http.console.sheet import Sheet, Tail
from adapters.http.ending import Ending
from config.core_tokens import console_keys
from config.settings import Settings
from tests.adapters.http.console.house import OPS, House, house
from tests.adapters.http.console.scene import Answer, Visitor
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, EVE, SECRET

DISPLAY_OF_ADA = f"/glasshouse/users/{ADA}/display"


def said(answer: Answer) -> str:
    message: str = msgspec.json.decode(answer.body)["message"]
    return message


async def two_wearers(one: House) -> Any:
    """Ada with captions, Bob with nothing; Ada's phone."""
    phone = await one.rest.phone(ADA)
    await one.rest.running(phone)
    await one.rest.phone(BOB)
    return phone


async def test_an_operator_sees_everybody_and_a_wearer_themself(autojump_clock: MockClock) -> None:
    async with house() as one:
        await two_wearers(one)
        ops, ada, eve = [await one.visitor(user) for user in (OPS, ADA, EVE)]

        everybody = (await ops.get("/console")).text
        own = (await ada.get("/console")).text
        none = (await eve.get("/console")).text

        assert [ADA, BOB] == re.findall(r"user=[^>]*>([^<]+)</a></th>", everybody)
        assert "<strong>2</strong> <span>users" in everybody
        assert [ADA] == re.findall(r"user=[^>]*>([^<]+)</a></th>", own)
        assert BOB not in own
        assert ADA not in none
        assert "/glasses" in none
        assert "/console/server" not in own
        searched = (await ops.get("/console?q=BOB")).text
        assert [BOB] == re.findall(r"user=[^>]*>([^<]+)</a></th>", searched)


async def test_a_wearer_reads_their_own_actors_and_log_and_nobody_elses(autojump_clock: MockClock) -> None:
    async with house() as one:
        await two_wearers(one)
        one.rest.logs.wrote({"user": ADA}, b"a line about Ada")
        one.rest.logs.wrote({"user": BOB}, b"a line about Bob")
        one.rest.logs.wrote({"actor": f"/glasshouse/users/{ADA}/display"}, b"a crash of Ada's")
        ada, ops = await one.visitor(ADA), await one.visitor(OPS)

        for visitor, path in ((ada, "/console/wearer"), (ops, f"/console/wearer?user={ADA}")):
            page = (await visitor.get(path)).text
            assert {"session", "display", "audio", "link", CAPTIONS} <= set(
                re.findall(r'class="actor-name">([^<]+)<', page)
            )
            assert "a line about Ada\na crash of Ada&#39;s\n" in page
            assert "Bob" not in page

        for path in (f"/console/wearer?user={BOB}", f"/console/wearer/events?user={BOB}"):
            refused = await ada.get(path)
            assert (403, "Only operators see other people's sessions") == (refused.status, refused.text)
        for path in ("/console/server", "/console/server/events"):
            assert 403 == (await ada.get(path)).status
        assert "directory" in re.findall(
            r'class="actor-name">([^<]+)<', (await ops.get("/console/server")).text
        )


@pytest.mark.parametrize(
    "path", ["/console", "/console/wearer", "/console/server", "/console/wearer?user=a%40b.c"]
)
async def test_who_is_not_logged_in_is_led_to_the_login_and_back(
    autojump_clock: MockClock, path: str
) -> None:
    async with house() as one:
        visitor = Visitor(one)
        to_login = (await visitor.get(path)).headers["Location"]
        wanted = re.search(r'name="next" value="([^"]+)"', (await visitor.get(to_login)).text)
        assert wanted
        token = one.rest.world.tokens.mint(OPS, expires_s=60)
        wrong = await visitor.post("/console/login", {"token": "no token", "next": wanted[1]})
        assert f'name="next" value="{wanted[1]}"' in wrong.text

        answer = await visitor.post("/console/login", {"token": token, "next": wanted[1]})

        assert (303, path) == (answer.status, answer.headers["Location"])
        assert 401 == (await Visitor(one).request("GET", path)).status


@pytest.mark.parametrize("next", ["//evil.example", "https://evil.example", "/consolex", "/api/x", "\\evil"])
async def test_a_login_leads_nowhere_but_to_the_console(autojump_clock: MockClock, next: str) -> None:
    async with house() as one:
        token = one.rest.world.tokens.mint(ADA, expires_s=60)
        answer = await Visitor(one).post("/console/login", {"token": token, "next": next})

        assert "/console" == answer.headers["Location"]


async def test_an_app_is_started_and_stopped_and_a_test_shown(autojump_clock: MockClock) -> None:
    async with house() as one:
        phone = await two_wearers(one)
        ada, ops = await one.visitor(ADA), await one.visitor(OPS)
        app = {"user": ADA, "packageName": CAPTIONS}

        stopped = await ada.act("/console/wearer/stop", app)
        running = phone.running()
        started = await ops.act("/console/wearer/start", app)

        assert (200, "Stopped", []) == (stopped.status, said(stopped), running)
        assert (200, "Started", [CAPTIONS]) == (started.status, said(started), phone.running())
        shown = await ada.act("/console/wearer/display", {"user": ADA, "text": "Hello lens"})
        await one.rest.world.settle()
        assert (200, "Hello lens") == (shown.status, phone.texts()[-1])
        acted = one.rest.world.telemetry.of("console_acted")
        assert [(ADA, "stop", ADA), (OPS, "start", ADA), (ADA, "display", ADA)] == [
            (fact["by"], fact["what"], fact["user"]) for fact in acted
        ]


async def test_what_cannot_be_done_is_said(autojump_clock: MockClock) -> None:
    async with house() as one:
        phone = await two_wearers(one)
        ada = await one.visitor(ADA)

        unknown = await ada.act("/console/wearer/start", {"user": ADA, "packageName": "org.example.no"})
        long = await ada.act("/console/wearer/display", {"user": ADA, "text": "x" * 201})
        broken = await ada.act("/console/wearer/display", {"user": ADA})
        phone.hang_up()
        await one.rest.world.settle()
        away = await ada.act("/console/wearer/display", {"user": ADA, "text": "Hello"})
        nobody = await (await one.visitor(EVE)).act("/console/wearer/display", {"user": EVE, "text": "Hello"})

        assert [404, 400, 400, 409, 404] == [
            answer.status for answer in (unknown, long, broken, away, nobody)
        ]


ACTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("/console/wearer/start", {"user": ADA, "packageName": CAPTIONS}),
    ("/console/wearer/stop", {"user": ADA, "packageName": CAPTIONS}),
    ("/console/wearer/display", {"user": ADA, "text": "Hello"}),
    ("/console/kill", {"user": ADA, "path": DISPLAY_OF_ADA}),
)


@pytest.mark.parametrize(("path", "body"), ACTS)
async def test_nothing_is_done_for_another_wearer_or_by_another_site(
    autojump_clock: MockClock, path: str, body: dict[str, object]
) -> None:
    async with house(allow_kill=True) as one:
        phone = await two_wearers(one)
        eve, ops = await one.visitor(EVE), await one.visitor(OPS)
        before = len(phone.sent)

        refused = {
            "somebody else": await eve.act(path, body),
            "another origin": await ops.act(path, body, Origin="https://evil.example"),
            "no origin": await ops.act(path, body, Origin=None),
            "no mark": await ops.act(path, body, X_Glasshouse_Mark=None),
            "another's mark": await ops.act(path, body, X_Glasshouse_Mark=eve.mark),
            "another site": await ops.act(path, body, Sec_Fetch_Site="cross-site"),
        }
        nobody = await Visitor(one).act(path, body)

        assert {403} == {answer.status for answer in refused.values()}, refused
        assert 401 == nobody.status
        assert 405 == (await ops.get(path)).status
        await one.rest.world.settle()
        assert before == len(phone.sent)
        assert [] == one.rest.world.telemetry.of("console_acted")


async def test_an_operator_kills_an_actor_and_its_supervisor_brings_it_back(
    autojump_clock: MockClock,
) -> None:
    async with house(allow_kill=True) as one:
        await two_wearers(one)
        ops = await one.visitor(OPS)
        body = {"user": ADA, "path": DISPLAY_OF_ADA}

        async with ops.watching(f"/console/wearer/events?user={ADA}") as page:
            before = await page.until(">display<")
            answer = await ops.act("/console/kill", body)
            after = await page.until("KilledByAdmin")

        assert (200, True) == (answer.status, "Running" in before["html"])
        assert "Just back" in after["html"]
        assert "KilledByAdmin" in after["html"]
        outside = await ops.act("/console/kill", {"user": BOB, "path": DISPLAY_OF_ADA})
        root = await ops.act("/console/kill", {"path": "/"})
        assert [404, 404] == [outside.status, root.status]


async def test_nobody_kills_where_no_setting_allows_it(autojump_clock: MockClock) -> None:
    async with house() as one:
        await two_wearers(one)
        ops, ada = await one.visitor(OPS), await one.visitor(ADA)
        body = {"user": ADA, "path": DISPLAY_OF_ADA}

        assert [403, 403] == [(await visitor.act("/console/kill", body)).status for visitor in (ops, ada)]
        assert "/console/kill" not in (await ops.get(f"/console/wearer?user={ADA}")).text

    async with house(allow_kill=True) as one:
        await two_wearers(one)
        ada = await one.visitor(ADA)
        assert 403 == (await ada.act("/console/kill", body)).status
        assert "/console/kill" not in (await ada.get("/console/wearer")).text


async def test_an_open_page_is_told_what_changes_and_nothing_else(autojump_clock: MockClock) -> None:
    async with house() as one:
        phone = await two_wearers(one)
        ops = await one.visitor(OPS)

        async with ops.watching("/console/events") as page:
            await page.until(CAPTIONS)
            phone.hang_up()
            away = await page.until("Away")
        assert ADA in away["html"]
        rows = [order for order in page.orders if order["do"] == "put" and BOB in order["html"]]
        assert 1 == len([row for row in rows if "restarts" in row["html"]])

        async with ops.watching(f"/console/wearer/events?user={BOB}") as page:
            await page.until("here")
            one.rest.logs.wrote({"user": BOB}, b"something new")
            appended = await page.until("something new")
        assert ("log", "something new\n", False) == (
            appended["id"],
            appended["text"],
            appended["is_whole"],
        )


async def test_a_logout_and_a_server_that_drains_end_the_events(autojump_clock: MockClock) -> None:
    async with house(keep_alive_s=0.5) as one:
        first, second = await one.visitor(ADA), await one.visitor(ADA)

        async with first.watching("/console/events") as page:
            await page.block()
            await first.post("/console/logout")
            told = [await page.block() for _ in range(2)]
            assert "login" in [block.get("event") for block in told]
        async with second.watching("/console/events") as page:
            await page.block()
            one.ending.begin()
            await page.ended()


class Looks:
    """A page's looks, counted."""

    def __init__(self) -> None:
        self.count = 0
        self.sheet = Sheet()

    async def look(self) -> Sequence[Order]:
        self.count += 1
        return self.sheet.put("place", {"piece": f"<p>{self.count}</p>"})


async def test_a_page_that_reads_slowly_is_told_the_newest_and_makes_no_work(
    autojump_clock: MockClock,
) -> None:
    async def is_good() -> bool:
        return True

    looks = Looks()
    stream = LookStream(
        look=looks.look,
        ending=Ending(),
        look_s=1.0,
        keep_alive_s=15.0,
        now=trio.current_time,
        is_logged_in=is_good,
        on_end=lambda _: None,
    )
    async with stream as events:
        assert b"retry: 1000\n\n" == await anext(events)
        assert b"<p>1</p>" in await anext(events)
        await trio.sleep(3_600)
        assert 1 == looks.count
        assert b"<p>2</p>" in await anext(events)


def test_a_sheet_says_only_what_has_become_another() -> None:
    sheet = Sheet()

    first = sheet.put("rows", {"a": "<p>1</p>", "b": "<p>2</p>"})
    same = sheet.put("rows", {"a": "<p>1</p>", "b": "<p>2</p>"})
    other = sheet.put("rows", {"a": "<p>1</p>", "b": "<p>3</p>"})
    between = sheet.put("rows", {"a": "<p>1</p>", "c": "<p>4</p>", "b": "<p>3</p>"})

    assert ["Keep", "Put", "Put"] == [type(order).__name__ for order in first]
    assert [] == same
    assert ["b"] == [order.id for order in other if hasattr(order, "id")]
    assert ["Keep", "Put"] == [type(order).__name__ for order in between]


def test_a_log_is_appended_and_says_what_it_left_out() -> None:
    tail = Tail("log")

    told = [
        tail.put(2, ("a", "b")),
        tail.put(2, ("a", "b")),
        tail.put(3, ("a", "b", "c")),
        tail.put(9, ("h", "i")),
        tail.put(1, ("x",)),
    ]

    assert [["a\nb\n"], [], ["c\n"], ["[4 lines are left out here]\nh\ni\n"], ["x\n"]] == [
        [getattr(order, "text", "") for order in orders] for orders in told
    ]
    assert [True, False, False, True] == [
        getattr(order, "is_whole", None) for orders in told for order in orders
    ]


async def test_a_login_by_a_link_for_operators_sees_everybody_until_it_is_over(
    autojump_clock: MockClock,
) -> None:
    async with house() as one:
        await two_wearers(one)
        eve = await one.visitor(EVE)
        assert ADA not in (await eve.get("/console")).text

        keys = console_keys(Settings(jwt_secret=SECRET))
        until = one.rest.world.system.clock.wall() + 60
        code = keys.mint_link(OneTimeLink("link-1", EVE, until, is_operator=True))
        linked = Visitor(one)
        assert 303 == (await linked.post("/console/login", {"token": code})).status
        assert ADA in (await linked.get("/console")).text
        again = await one.visitor(EVE)
        assert ADA not in (await again.get("/console")).text


async def test_what_others_wrote_is_text_on_every_page(autojump_clock: MockClock) -> None:
    bad = "<img src=x onerror=alert(1)>"
    async with house() as one:
        phone = await two_wearers(one)
        store = one.rest.world.store
        app = await store.find_app(CAPTIONS)
        assert app is not None
        await store.commit([PutApp(replace(app, name=bad, public_url=bad, owner=bad))])
        one.rest.logs.wrote({"user": ADA}, bad.encode())
        one.rest.logs.failed("error", bad, {"package": CAPTIONS})
        ops = await one.visitor(OPS)
        phone.hang_up()

        paths = (f"/console?q={bad}", "/console", f"/console/wearer?user={ADA}", "/console/server")
        for path in (*paths, "/console/apps", f"/console/apps/{CAPTIONS}"):
            page = (await ops.get(path)).text
            assert bad not in page, path
            assert "&lt;img" in page, path
