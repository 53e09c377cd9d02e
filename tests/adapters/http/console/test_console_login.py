"""Who is let into the console, and what may be sent from where."""

from __future__ import annotations

import re
import time

import pytest

from actors.console.ports import OneTimeLink
from actors.document_ports import StoredDocument
from adapters.http.console.frame import HEADERS
from adapters.tokens import ConsoleKeys, CoreTokens
from adapters.tokens.revocations import of_user
from tests.adapters.http.console.desk import ADA, BOB
from tests.adapters.http.console.scene import ORIGIN, SECRET, Scene, console

PAGE = "/console/agent"
API = [
    "/api/master-agent/query",
    "/api/master-agent/task/task_1/cancel",
    "/api/agents/agent_1/kill",
    "/api/agents/agent_1/approval",
]


def link(scene: Scene, *, link_id: str = "link-1", for_s: float = 60) -> str:
    return scene.keys.mint_link(OneTimeLink(link_id, ADA, time.time() + for_s))


async def test_a_core_token_logs_its_user_in() -> None:
    async with console() as scene:
        visitor = scene.visitor()

        answer = await visitor.log_in(scene.tokens.mint(ADA, expires_s=60))

        assert (303, "/console") == (answer.status, answer.headers["Location"])
        page = await visitor.get(PAGE)
        assert 200 == page.status
        assert ADA in page.text


async def test_the_cookie_is_for_the_server_alone() -> None:
    async with console() as scene:
        answer = await scene.visitor().log_in(scene.tokens.mint(ADA, expires_s=60))

        (cookie,) = answer.headers.getlist("Set-Cookie")
        assert cookie.startswith("glasshouse=")
        assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28799"} <= set(cookie.split("; "))
        assert "Secure" not in cookie


async def test_behind_tls_the_cookie_goes_over_tls_alone() -> None:
    async with console() as scene:
        token = scene.tokens.mint(ADA, expires_s=60)
        visitor = scene.visitor()

        answer = await visitor.log_in(token, Origin="https://glasses.example.org")

        (cookie,) = answer.headers.getlist("Set-Cookie")
        assert cookie.startswith("__Host-glasshouse=")
        assert "Secure" in cookie.split("; ")
        assert 200 == (await visitor.get(PAGE)).status


@pytest.mark.parametrize(
    "token",
    [
        "",
        "guess",
        "link.no-link.and-no-signature",
        "x" * 100_000,
        CoreTokens(("another secret of thirty-two bytes",)).mint(ADA, expires_s=60),
        CoreTokens((SECRET,), wall=lambda: 1_000_000.0).mint(ADA, expires_s=60),
        ConsoleKeys(("another secret of thirty-two bytes",)).mint_link(OneTimeLink("l", ADA, 1e12)),
        ConsoleKeys((SECRET,)).mint_link(OneTimeLink("l", ADA, 1_000_000.0)),
        ConsoleKeys((SECRET,)).cookie("session-1"),
    ],
    ids=["nothing", "text", "link", "long", "foreign", "expired", "foreign link", "old link", "cookie"],
)
async def test_what_is_no_token_of_ours_lets_nobody_in(token: str) -> None:
    async with console() as scene:
        visitor = scene.visitor()

        answer = await visitor.log_in(token)

        assert 401 == answer.status
        assert "no token" in answer.text
        assert {} == visitor.cookies
        assert token not in answer.text or not token
        assert 1 == len(scene.telemetry.of("console_login_failed"))
        assert not token or token not in str(scene.telemetry.facts)


async def test_a_one_time_link_is_used_once_and_logging_out_does_not_renew_it() -> None:
    async with console() as scene:
        code = link(scene)
        first = scene.visitor()
        assert 303 == (await first.log_in(code)).status
        assert 303 == (await first.post("/console/logout")).status

        answer = await scene.visitor().log_in(code)

        assert 401 == answer.status
        assert "used before" in answer.text


async def test_a_link_is_no_core_token_and_no_cookie() -> None:
    async with console() as scene:
        visitor = scene.visitor()
        code = link(scene)

        for value in (code, code.removeprefix("link."), scene.tokens.mint(ADA, expires_s=60), "session-1"):
            visitor.cookies = {"glasshouse": value, "__Host-glasshouse": value}
            assert 303 == (await visitor.get(PAGE)).status, value


async def test_a_cookie_that_was_tampered_with_is_none() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        cookie = visitor.cookies["glasshouse"]

        for other in (cookie[:-1], cookie.replace("session-1", "session-2"), cookie + "x", "", ".", "é"):
            visitor.cookies["glasshouse"] = other
            assert not await visitor.is_logged_in(), other


async def test_logging_out_ends_the_session_everywhere() -> None:
    async with console() as scene:
        visitor, thief = await scene.logged_in(), scene.visitor()
        thief.cookies, thief.mark = dict(visitor.cookies), visitor.mark

        answer = await visitor.post("/console/logout")

        assert (303, "/console/login") == (answer.status, answer.headers["Location"])
        assert {} == visitor.cookies
        assert 303 == (await thief.get(PAGE)).status
        assert 401 == (await thief.act("/api/master-agent/query", {"query": "hello"})).status


async def test_revoking_a_users_tokens_ends_their_logins_and_the_links_that_nobody_used_yet() -> None:
    async with console() as scene:
        visitor, other = await scene.logged_in(), await scene.logged_in(BOB)
        code = link(scene, for_s=600)
        revoked = of_user(ADA, time.time()).document

        scene.tokens.revocations.replace([StoredDocument(revoked.key, revoked.user_id, revoked.document)])

        assert not await visitor.is_logged_in()
        assert await other.is_logged_in()
        assert 401 == (await visitor.act("/api/master-agent/query", {"query": "hello"})).status
        assert 401 == (await scene.visitor().log_in(code)).status


async def test_a_login_ends_by_itself() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        assert await visitor.is_logged_in()

        state = scene.system.state_of(scene.sessions)
        (session,) = state.sessions.values()
        assert time.time() + 28_790 < session.ends_at < time.time() + 28_801
        await scene.end_login(session.session_id)

        assert not await visitor.is_logged_in()


async def test_of_too_many_logins_of_one_user_the_oldest_ends() -> None:
    async with console(sessions_per_user=2) as scene:
        first, second, bob = await scene.logged_in(), await scene.logged_in(), await scene.logged_in(BOB)
        third = await scene.logged_in()

        visitors = (first, second, bob, third)
        assert [False, True, True, True] == [await one.is_logged_in() for one in visitors]


async def test_who_fails_too_often_is_told_to_wait_and_a_good_token_passes_all_the_same() -> None:
    async with console(login_attempts=3, login_wait_s=60) as scene:
        visitor = scene.visitor()

        statuses = [(await visitor.log_in("nonsense")).status for _ in range(4)]
        answer = await visitor.log_in("nonsense")

        assert [401, 401, 401, 429] == statuses
        assert 429 == answer.status
        assert 55 < int(answer.headers["Retry-After"]) <= 60
        assert 3 == len(scene.telemetry.of("console_login_failed"))
        assert 303 == (await visitor.log_in(scene.tokens.mint(ADA, expires_s=60))).status


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example.org",
        "https://localhost.evil.example.org",
        "http://localhost:81",
        "localhost",
    ],
)
@pytest.mark.parametrize("path", ["/console/login", "/console/logout", *API])
async def test_nothing_is_changed_by_another_sites_page(path: str, origin: str | None) -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        fields = {"token": scene.tokens.mint(BOB, expires_s=60), "query": "hello", "mark": visitor.mark}
        cookies = dict(visitor.cookies)

        answer = await visitor.post(path, fields, Origin=origin)
        unmarked = await visitor.post(path, fields, Origin=origin, X_Glasshouse_Mark=None)

        assert 403 == answer.status
        assert (401 if path in API else 403) == unmarked.status
        assert cookies == visitor.cookies
        assert [] == scene.book().heard
        assert {"cause": "another origin"} in scene.telemetry.of("console_refused")


@pytest.mark.parametrize("path", ["/console/logout", *API])
async def test_nothing_is_changed_without_the_mark_of_the_login(path: str) -> None:
    async with console() as scene:
        visitor, bob = await scene.logged_in(), await scene.logged_in(BOB)
        own = visitor.mark

        for mark in ("x", bob.mark, own[:-1], None):
            answer = await visitor.post(path, {"query": "hello"}, X_Glasshouse_Mark=mark)
            assert (403 if mark or path not in API else 401) == answer.status, mark

        assert [] == scene.book().heard
        assert await visitor.is_logged_in()


@pytest.mark.parametrize("path", ["/console/logout", *API])
async def test_nothing_is_changed_without_a_login(path: str) -> None:
    async with console() as scene:
        visitor, ada = scene.visitor(), await scene.logged_in()
        visitor.mark = ada.mark

        answer = await visitor.post(path, {"query": "hello", "userId": ADA, "mark": ada.mark})

        assert 401 == answer.status
        assert [] == scene.book().heard


async def test_a_core_token_goes_on_being_enough_for_the_api_and_a_login_alone_is_not() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        bearer = f"Bearer {scene.tokens.mint(BOB, expires_s=60)}"

        by_token = await scene.visitor().get("/api/agents", Authorization=bearer)
        by_cookie = await visitor.get("/api/agents")
        by_page = await visitor.get("/api/agents", X_Glasshouse_Mark=visitor.mark)

        assert [200, 401, 200] == [by_token.status, by_cookie.status, by_page.status]


async def test_another_sites_page_reads_nothing() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        for path in (PAGE, "/console/agent/events"):
            answer = await visitor.get(path, Sec_Fetch_Site="cross-site")
            assert 403 == answer.status, path


async def test_a_form_without_script_may_carry_the_mark_itself() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        mark, visitor.mark = visitor.mark, ""

        assert 303 == (await visitor.post("/console/logout", {"mark": mark})).status


@pytest.mark.parametrize(
    "path", ["/console/login", PAGE, "/console/static/live.js", "/console/agent/nothing"]
)
async def test_every_answer_of_the_console_keeps_foreign_script_out(path: str) -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        answer = await visitor.get(path)

        expected = HEADERS | ({"Cache-Control": "no-cache"} if "static" in path else {})
        if answer.status == 200:
            assert expected == {name: answer.headers.get(name) for name in expected}
        policy = HEADERS["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


async def test_no_page_has_script_or_style_in_it() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        pages = [(await scene.visitor().get("/console/login")).text, (await visitor.get(PAGE)).text]

        for page in pages:
            assert re.findall(r"<script[^>]*>", page)
            assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)


async def test_the_address_of_a_page_leads_who_is_not_logged_in_to_the_login() -> None:
    async with console() as scene:
        for path in ("/console", PAGE):
            answer = await scene.visitor().get(path)
            assert 303 == answer.status
        assert "/console/login?next=%2Fconsole%2Fagent" == answer.headers["Location"]

        visitor = await scene.logged_in()
        assert "/console" == (await visitor.get("/console/login")).headers["Location"]


async def test_the_style_is_asked_for_again_only_when_it_has_changed() -> None:
    async with console() as scene:
        visitor = scene.visitor()
        first = await visitor.get("/console/static/console.css")

        again = await visitor.get("/console/static/console.css", If_None_Match=first.headers["ETag"])

        assert (200, 304, b"") == (first.status, again.status, again.body)
        assert 404 == (await visitor.get("/console/static/../frame.py")).status
        assert ORIGIN not in first.text
