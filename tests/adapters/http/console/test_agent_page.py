"""What the page of desktop agents is told, and what it can do, without a browser."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from actors.assistant.messages import CancelTask, Query
from actors.console.reader import SHOWN_AGENTS, SHOWN_TASKS, TasksListed
from actors.desktop.messages import AnswerApproval, DaemonView, Kill, TaskChanged
from adapters.http.console.agent_pieces import AgentPage, Keep, Put, Results
from protocols.desktop.documents import AgentResult, AgentStatus, ModelUse, Option, TaskResult
from tests.adapters.http.console.desk import ADA, BOB, now_ms
from tests.adapters.http.console.scene import Scene, Visitor, console

QUERY = "/api/master-agent/query"
TASKS = "/api/master-agent/task"
AGENTS = "/api/agents"


async def test_what_is_asked_reaches_the_users_own_assistant() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        answer = await visitor.act(QUERY, {"query": "  fix the test \n"})
        foreign = await visitor.act(QUERY, {"query": "fix the test", "userId": BOB})

        assert (200, 403) == (answer.status, foreign.status)
        (query,) = scene.book().heard_of(Query)
        assert "fix the test" == query.query
        assert [] == scene.book(BOB).heard


async def test_a_page_is_told_how_things_stand_and_then_what_changes() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        old = book.finish(book.task("an old question"), "an **old** answer", cost_usd=0.0042)
        agent = book.agent("write the tests", current_step="reading files")
        book.log(agent, "first line\n")

        with trio.fail_after(10):
            async with visitor.watching() as page:
                put = await page.until("an old question")
                assert ("put", "tasks", f"task-{old.task_id}") == (put["do"], put["into"], put["id"])
                assert "<strong>old</strong>" in put["html"]
                await page.until("first line")

                task = book.task("a new question")
                assert "Thinking" in (await page.until("a new question"))["html"]
                book.put_task(replace(task, phase="running"))
                assert "Working" in (await page.until("a new question"))["html"]
                book.log(agent, "second line\n")
                logged = await page.until("second line")
                assert (f"log-{agent.agent_id}", "second line\n", False) == (
                    logged["id"],
                    logged["text"],
                    logged["is_whole"],
                )

        said = [order["say"] for order in page.orders if order.get("say")]
        assert ["Thinking: a new question", "Working: a new question"] == said


async def test_everybody_is_told_of_their_own_desk_alone() -> None:
    async with console() as scene:
        ada, bob = await scene.logged_in(), await scene.logged_in(BOB)
        secret = scene.book(ADA).agent("a secret of Ada's")
        scene.book(ADA).log(secret, "a secret of Ada's")

        with trio.fail_after(10):
            async with bob.watching() as page, ada.watching() as other:
                await other.until("a secret of Ada's")
                scene.book(BOB).task("Bob's question")
                await page.until("Bob's question")

        assert "secret" not in str(page.orders)


async def test_who_dials_again_is_told_all_of_it_again() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        task = book.task("a question")
        gone = book.task("another one")

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.until("a question")
            del book.tasks[gone.task_id]
            book.finish(task, "answered meanwhile")
            async with visitor.watching(Last_Event_ID="1") as page:
                await page.until("answered meanwhile")

        (keep,) = [order for order in page.orders if order["do"] == "keep" and order["into"] == "tasks"]
        assert [f"task-{task.task_id}"] == keep["ids"]


async def test_a_stream_ends_with_its_reader_and_leaves_nothing_behind() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.next()
                assert 1 == len(scene.readers())
                assert 1 == len(scene.book().listeners)
            while scene.readers():
                await trio.testing.wait_all_tasks_blocked()

        assert [] == scene.book().listeners


async def test_logging_out_ends_the_logins_streams_and_no_others() -> None:
    async with console() as scene:
        here, elsewhere = await scene.logged_in(), await scene.logged_in()

        with trio.fail_after(10):
            async with here.watching() as page, elsewhere.watching() as other:
                await page.next()
                await other.next()
                await here.post("/console/logout")
                assert "login" == (await page.block())["event"]
                scene.book().task("a question")
                await other.until("a question")


async def test_streams_end_when_the_server_drains() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.next()
                scene.ending.begin()
                await page.ended()
            async with visitor.watching() as page:
                await page.ended()


async def test_a_stream_notices_that_the_login_is_over_however_much_happens() -> None:
    async with console(keep_alive_s=0.1) as scene:
        visitor = await scene.logged_in()
        (session,) = scene.system.state_of(scene.sessions).sessions

        async with trio.open_nursery() as nursery:

            async def never_quiet() -> None:
                while True:
                    scene.book().task("more")
                    await trio.sleep(0.01)

            with trio.fail_after(10):
                async with visitor.watching() as page:
                    await page.next()
                    nursery.start_soon(never_quiet)
                    await scene.end_login(session)
                    while (await page.block()).get("event") != "login":
                        pass
            nursery.cancel_scope.cancel()


async def test_a_quiet_stream_is_kept_open() -> None:
    async with console(keep_alive_s=0.1) as scene:
        visitor = await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                assert {"retry": "1000"} == await page.block()
                while "" not in await page.block():
                    pass


async def test_one_user_has_so_many_open_pages_and_no_more() -> None:
    async with console(streams_per_user=1) as scene:
        ada, bob = await scene.logged_in(), await scene.logged_in(BOB)

        with trio.fail_after(10):
            async with ada.watching() as page:
                await page.next()
                assert 429 == (await ada.get("/console/agent/events")).status
                async with bob.watching() as other:
                    await other.next()
            async with ada.watching() as page:
                await page.next()


async def test_a_page_whose_desk_has_ended_dials_again() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.next()
                scene.system.stop_child(scene.desks[ADA].desktops)
                await page.ended()


async def test_a_page_is_told_all_of_it_again_when_its_reader_crashed() -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        scene.book().task("a question")

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.until("a question")
                (reader,) = scene.readers()
                reader.crash(RuntimeError("for the test"))
                await page.until("a question")
                scene.book().task("a later question")
                await page.until("a later question")


async def test_an_approval_is_shown_and_answered_once() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        book.put_daemons(DaemonView("daemon_1", "laptop", True, 1, ("claude",), now_ms()))

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.until("laptop")
                agent = book.asks(book.agent("write the tests"), "Run npm test?", detail="npm test -- --all")
                assert agent.approval is not None
                put = await page.until("Run npm test?")
                assert ("approvals", "An agent asks: Run npm test?", True) == (
                    put["into"],
                    put["say"],
                    put["is_urgent"],
                )
                assert "npm test -- --all" in put["html"]
                assert "laptop" in put["html"]
                fields = {"approvalId": agent.approval.approval_id, "decision": "choose", "choice": "2"}
                answer = await visitor.act(f"{AGENTS}/{agent.agent_id}/approval", fields)
                again = await visitor.act(f"{AGENTS}/{agent.agent_id}/approval", fields)
                while {"do": "drop", "id": f"approval-{agent.agent_id}"} not in page.orders:
                    await page.next()

        assert (200, 409) == (answer.status, again.status)
        assert "not open any more" in again.error
        first, _ = book.heard_of(AnswerApproval)
        assert ("choose", "2", None) == (first.decision, first.choice, first.message)


async def test_an_approval_offers_what_it_allows_and_to_refuse() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        options = (Option(id="1", label="<b>Postgres</b>"), Option(id="2", label="SQLite"))
        book.asks(book.agent("write the tests"), "Run npm test?")
        book.asks(book.agent("set it up"), "Which database?", kind="question", options=options)

        permission, question = await html_of(scene, visitor, "Run npm test?", "Which database?")

        buttons = re.compile(r'value="(\w+)"(?: data-with-choice="(\w+)")?[^>]*>([^<]*)</button>')
        assert [
            ("approve", "", "Allow"),
            ("deny", "", "Deny"),
            ("choose", "2", "Yes, and do not ask again"),
        ] == buttons.findall(permission)
        assert [
            ("choose", "1", "&lt;b&gt;Postgres&lt;/b&gt;"),
            ("choose", "2", "SQLite"),
            ("deny", "", "Do not answer"),
        ] == buttons.findall(question)


async def test_an_agent_is_killed_once_and_a_task_cancelled() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        agent, task = book.agent("write the tests"), book.task("a question")

        killed = [(await visitor.act(f"{AGENTS}/{agent.agent_id}/kill")).status for _ in range(2)]
        cancelled = await visitor.act(f"{TASKS}/{task.task_id}/cancel")

        assert [202, 409] == killed
        assert 202 == cancelled.status
        assert (2, 1) == (len(book.heard_of(Kill)), len(book.heard_of(CancelTask)))


async def test_an_ended_agent_that_can_be_gone_on_with_is_asked_to_by_the_page() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        book.put_daemons(DaemonView("daemon_1", "laptop", True, 1, ("claude",), now_ms()))
        agent = book.agent("write the tests", status="failed", can_resume=True)
        fields = {"query": "Go on", "resumes": agent.agent_id}

        asked = await visitor.act(QUERY, fields)
        unmarked = await visitor.act(QUERY, fields, X_Glasshouse_Mark="another")
        foreign = await visitor.act(QUERY, fields, Origin="https://evil.example")
        bob = await (await scene.logged_in(BOB)).act(QUERY, fields)

        assert [200, 403, 403, 404] == [one.status for one in (asked, unmarked, foreign, bob)]
        (query,) = book.heard_of(Query)
        assert ("Go on", agent.agent_id, "page") == (query.query, query.resumes, query.source)
        assert [] == scene.book(BOB).heard


@pytest.mark.parametrize(
    ("status", "can_resume", "is_shown"),
    [
        ("completed", True, True),
        ("failed", True, True),
        ("cancelled", True, True),
        ("running", True, False),
        ("needs_approval", True, False),
        ("failed", False, False),
    ],
)
async def test_only_an_ended_agent_whose_daemon_can_has_a_button_to_go_on(
    status: AgentStatus, can_resume: bool, is_shown: bool
) -> None:
    async with console() as scene:
        visitor = await scene.logged_in()
        agent = scene.book().agent("write <the> tests", status=status, can_resume=can_resume)

        (html,) = await html_of(scene, visitor, "write &lt;the&gt; tests")

        assert is_shown == (">Resume</button>" in html)
        assert is_shown == (f'name="resumes" value="{agent.agent_id}"' in html)


async def test_what_is_another_users_is_not_there() -> None:
    async with console() as scene:
        book, bob = scene.book(), await scene.logged_in(BOB)
        agent, task = book.agent("write the tests"), book.task("a question")
        yes = {"approvalId": "a", "decision": "approve"}

        statuses = [
            (await bob.act(f"{AGENTS}/{agent.agent_id}/kill")).status,
            (await bob.act(f"{AGENTS}/{agent.agent_id}/approval", yes)).status,
            (await bob.act(f"{TASKS}/{task.task_id}/cancel")).status,
        ]

        assert [404, 404, 403] == statuses
        assert [] == book.heard


async def html_of(scene: Scene, visitor: Visitor, *texts: str) -> list[str]:
    """The first pieces with these texts in them, in whatever order they come."""
    found: dict[str, str] = {}
    with trio.fail_after(10):
        async with visitor.watching() as page:
            while len(found) < len(texts):
                piece = await page.until("html")
                for text in texts:
                    if text in str(piece):
                        found.setdefault(text, piece["html"])
    return [found[text] for text in texts]


async def test_a_task_shows_what_it_cost_by_model() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        usage = (
            ModelUse(model="a-fast-one", calls=2, input_tokens=3_000, output_tokens=120, cost_usd=0.0036),
            ModelUse(model="a-smart-one", calls=1, input_tokens=900, output_tokens=100, cost_usd=0.0042),
        )
        book.finish(book.task("a question"), "answer", usage=usage, cost_usd=0.0078)

        (html,) = await html_of(scene, visitor, "a question")

        assert "$0.0078 · 3 calls · 4,120 tokens" in html
        assert "a-smart-one" in html
        assert "4.2 s" in html


async def test_a_task_whose_agent_failed_does_not_look_done() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()
        ended = AgentResult(agent_id="agent_1", status="failed", error="exit status 1")
        result = TaskResult(
            type="agent_result",
            glasses_display="It failed.",
            webview_content="It failed.",
            agent_result=ended,
        )
        book.task("a question", status="completed", phase=None, result=result)

        (html,) = await html_of(scene, visitor, "a question")

        assert "The agent failed" in html
        assert "exit status 1" in html
        assert "Done" not in html


async def test_a_log_that_a_page_cannot_follow_is_cut_and_says_so() -> None:
    async with console(pending_log=1_024) as scene:
        book, visitor = scene.book(), await scene.logged_in()
        agent = book.agent("flood")
        for number in range(1_000):
            book.log(agent, f"line {number:04d}\n")

        with trio.fail_after(10):
            async with visitor.watching() as page:
                order = await page.until("line 0999")

        assert order["text"].startswith("\n[8,980 characters are left out here]\n")
        assert 102 == order["text"].count("line")


async def test_a_page_that_is_too_far_behind_has_to_begin_anew() -> None:
    async with console(pending_pieces=10) as scene:
        book, visitor = scene.book(), await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.next()
                for number in range(40):  # in one go: the stream's task does not run meanwhile
                    book.task(f"question {number}")
                await page.ended()
            async with visitor.watching() as page:
                await page.until("question 39")


async def test_what_a_new_agent_logs_at_once_is_shown_once() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()

        with trio.fail_after(10):
            async with visitor.watching() as page:
                await page.next()
                agent = book.agent("write the tests")
                for number in range(5):
                    book.log(agent, f"line {number}\n")
                await page.until("line 4")

        logged = [order["text"] for order in page.orders if order["do"] == "append" and order["text"]]
        assert ["line 0\nline 1\nline 2\nline 3\nline 4\n"] == logged


async def test_a_list_does_not_undo_what_has_changed_since_it_was_read() -> None:
    async with console() as scene:
        book = scene.book()
        page = AgentPage(scene.frame(), Results())
        old = book.task("an old question", created_at=2)
        gone = book.task("one that is removed", created_at=1)
        listed = TasksListed((old, gone))
        answered = book.finish(replace(old, updated_at=old.updated_at + 1), "answered meanwhile")
        later = replace(book.task("a later question"), created_at=old.created_at + 10)

        for one in (TaskChanged(answered), TaskChanged(later)):
            await page.orders([one])
        orders = await page.orders([listed])
        again = await page.orders([TasksListed((answered, later))])

        assert [later.task_id, old.task_id, gone.task_id] == [
            order.id.removeprefix("task-") for order in orders if isinstance(order, Put)
        ]
        assert "answered meanwhile" in str(orders)
        keep = again[0]
        assert isinstance(keep, Keep)
        assert (f"task-{later.task_id}", f"task-{old.task_id}") == keep.ids


async def test_a_page_that_stays_open_shows_so_many_tasks_and_agents_and_no_more() -> None:
    async with console() as scene:
        book, visitor = scene.book(), await scene.logged_in()

        with trio.fail_after(30):
            async with visitor.watching() as page:
                await page.next()
                tasks = [
                    book.task(f"question {number}", created_at=number) for number in range(SHOWN_TASKS + 1)
                ]
                await page.until(f"question {SHOWN_TASKS}")
                live = book.agent("an old one that works", created_at=0)
                over = [
                    book.agent(f"agent {number}", created_at=number, status="completed")
                    for number in range(1, SHOWN_AGENTS + 1)
                ]
                await page.until(f"drop', 'id': 'agent-{over[0].agent_id}'")

        dropped = [order["id"] for order in page.orders if order["do"] == "drop"]
        assert f"task-{tasks[0].task_id}" in dropped
        assert f"agent-{live.agent_id}" not in dropped
