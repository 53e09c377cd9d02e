"""Apps in the console: the owner sees their own and nobody's name, and a key is shown once."""

from __future__ import annotations

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.app_keys import key_matches
from actors.ports import AppDocument, PutApp
from tests.adapters.http.console.house import OPS, House, house
from tests.adapters.http.console.scene import Visitor
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, EVE, KEY, OTHER, OTHER_KEY

KEY_PATH = f"/console/apps/{CAPTIONS}/key"


async def bobs_app(one: House) -> None:
    """Ada runs captions, which are Bob's, and another app, which is nobody's."""
    phone = await one.rest.phone(ADA)
    await one.rest.running(phone)
    await one.rest.running(phone, OTHER, key=OTHER_KEY)
    store = one.rest.world.store
    app = await store.find_app(CAPTIONS)
    assert app is not None
    await store.commit([PutApp(replace(app, owner=BOB))])
    for package in (CAPTIONS, OTHER):
        one.rest.logs.failed("error", f"failed_{package.rpartition('.')[2]}", {"package": package})


async def test_an_owner_sees_the_figures_of_their_own_app_and_no_name(autojump_clock: MockClock) -> None:
    async with house() as one:
        await bobs_app(one)
        bob = await one.visitor(BOB)

        listed = await bob.get("/console/apps")
        shown = await bob.get(f"/console/apps/{CAPTIONS}")

        for page in (listed.text, shown.text):
            assert CAPTIONS in page
            assert OTHER not in page
            assert ADA not in page
        assert "<strong>1</strong> <span>session</span>" in shown.text
        assert "failed_captions" in shown.text
        assert "failed_other" not in shown.text
        assert CAPTIONS in (await bob.get("/console")).text
        async with bob.watching(f"/console/apps/{CAPTIONS}/events") as told:
            assert ADA not in (await told.until("1 running"))["html"]
        refused = [await bob.get(f"/console/apps/{OTHER}{end}") for end in ("", "/events")]
        unknown = await bob.get("/console/apps/org.example.none")
        assert [404, 404, 404] == [answer.status for answer in (*refused, unknown)]
        assert refused[0].body == unknown.body


async def test_an_operator_sees_all_apps_and_a_wearer_none(autojump_clock: MockClock) -> None:
    async with house() as one:
        await bobs_app(one)
        ops, ada = await one.visitor(OPS), await one.visitor(ADA)

        listed = (await ops.get("/console/apps")).text
        none = await ada.get("/console/apps")

        assert CAPTIONS in listed
        assert OTHER in listed
        assert BOB in listed
        assert CAPTIONS not in none.text
        assert "No app is yours" in none.text
        assert 404 == (await ada.get(f"/console/apps/{CAPTIONS}")).status


async def test_a_key_is_made_shown_once_and_counts(autojump_clock: MockClock) -> None:
    async with house() as one:
        await bobs_app(one)
        bob = await one.visitor(BOB)
        store = one.rest.world.store

        def is_good(app: AppDocument, key: str) -> bool:
            return key_matches(app, key, one.rest.world.system.clock.wall())

        made = await bob.act(KEY_PATH)

        assert 200 == made.status
        key = msgspec.json.decode(made.body)["key"]
        assert len(key) >= 32
        assert "no-store" == made.headers["Cache-Control"]
        kept = await store.find_app(CAPTIONS)
        assert kept is not None
        assert key not in msgspec.json.encode(kept).decode()
        pages = [(await bob.get(path)).text for path in ("/console/apps", f"/console/apps/{CAPTIONS}")]
        assert not any(key in page for page in pages)
        assert key not in str(one.rest.world.telemetry.facts)
        assert (False, True) == (is_good(kept, KEY), is_good(kept, key))
        again = msgspec.json.decode((await bob.act(KEY_PATH, {"former": "stays"})).body)["key"]
        both = await store.find_app(CAPTIONS)
        assert both is not None
        assert (True, True) == (is_good(both, key), is_good(both, again))
        assert not key_matches(both, key, one.rest.world.system.clock.wall() + 8 * 86_400)
        assert 400 == (await bob.act(KEY_PATH, {"former": "perhaps"})).status


@pytest.mark.parametrize("who", [ADA, EVE])
async def test_nobody_else_makes_a_key_and_no_other_site(autojump_clock: MockClock, who: str) -> None:
    async with house() as one:
        await bobs_app(one)
        store = one.rest.world.store
        before = await store.find_app(CAPTIONS)
        stranger, bob = await one.visitor(who), await one.visitor(BOB)

        answers = [
            await stranger.act(KEY_PATH),
            await bob.act(f"/console/apps/{OTHER}/key"),
            await bob.act(KEY_PATH, Origin="https://evil.example"),
            await bob.act(KEY_PATH, X_Glasshouse_Mark=stranger.mark),
            await Visitor(one).act(KEY_PATH),
        ]

        assert [404, 404, 403, 403, 401] == [answer.status for answer in answers]
        assert before == await store.find_app(CAPTIONS)


async def test_a_server_that_does_not_answer_is_down_on_the_page(autojump_clock: MockClock) -> None:
    async with house() as one:
        phone = await one.rest.phone(ADA)
        app = await one.rest.running(phone)
        ops = await one.visitor(OPS)
        up = (await ops.get(f"/console/apps/{CAPTIONS}")).text

        app.down()
        app.connection.hang_up()
        await one.rest.post("/api/app-uptime/app-pkg-health-check", {"packageName": CAPTIONS})

        down = (await ops.get(f"/console/apps/{CAPTIONS}")).text
        assert (True, True) == (">Up<" in up, ">Down<" in down)
        assert KEY not in down


async def test_an_open_page_ends_with_the_ownership_and_outlasts_a_directory_that_is_silent(
    autojump_clock: MockClock,
) -> None:
    async with house() as one:
        await bobs_app(one)
        bob, store = await one.visitor(BOB), one.rest.world.store

        async with bob.watching(f"/console/apps/{CAPTIONS}/events") as page:
            await page.until("1 running")
            system, directory = one.rest.world.system, one.rest.world.find("directory")
            await system.suspend(directory)
            await trio.sleep(10)
            await system.resume(directory)
            assert one.rest.world.telemetry.of("console_not_now")
            one.rest.logs.failed("error", "something_new", {"package": CAPTIONS})
            await page.until("something_new")
            app = await store.find_app(CAPTIONS)
            assert app is not None
            await store.commit([PutApp(replace(app, owner=EVE))])
            await page.ended()

        assert 404 == (await bob.get(f"/console/apps/{CAPTIONS}/events")).status
        assert 200 == (await (await one.visitor(EVE)).get(f"/console/apps/{CAPTIONS}")).status
