"""The owner rule of what the table of routes leaves out: computers, agents, the console, the sockets.

Each route has here what is tried against it, and so has each socket; one without fails.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from trio.testing import MockClock

from actors.desktop.state import AGENTS
from actors.document_ports import PutDocument
from actors.ports import Refused, Upgrade
from adapters.simulated.store import SimulatedDocuments
from adapters.tokens import ConsoleKeys
from config import assembly
from protocols import paths
from protocols.desktop.documents import SubAgent
from tests.adapters.http.rest_scene import ADA, CAPTIONS, EVE, SECRET, Answer, Scene, key_of, scene
from tests.adapters.http.test_table import ELSEWHERE

KEYS = ConsoleKeys((SECRET,))
AGENT = "agent_of_ada"
GOAL = "what Ada wants done"

PUBLIC: dict[str, str] = {
    "GET /api/master-agent/health": "whether the store answers",
    "POST /api/daemons/codes": "a code that means nothing until a user allows it; limited",
    "POST /api/daemons/codes/poll": "what the device code's holder is told; the code cannot be guessed",
    "GET /glasses": "a page; it asks for a token",
    "GET /glasses/<name>": "its files",
    "GET /console/login": "the login",
    "POST /console/login": "a token or a link is what it asks for",
    "GET /console/session": "whether the caller is logged in",
    "GET /console/static/<name>": "style and script",
}
"""Routes that reach nobody's data, and what they tell."""


@dataclass(frozen=True)
class Attempt:
    """What Eve tries, with her own token (or her own computer's), and how she is answered.

    Attributes:
      is_endless: it would be told to her, her own, for as long as she listens.
      nobody: what is answered to who shows nothing good.
    """

    path: str
    statuses: tuple[int, ...]
    body: object = None
    is_computer: bool = False
    is_endless: bool = False
    nobody: tuple[int, ...] = (401,)
    headers: Mapping[str, str] = field(default_factory=dict)


OF_ADA = {"user": ADA, "packageName": CAPTIONS}
QUESTION = {"query": "show it", "userId": ADA}
TRIED: dict[str, Attempt] = {
    "GET /api/tts": Attempt("/api/tts?text=hello&ticket=eve", (401, 503), nobody=(401, 503)),
    "POST /daemon-api/daemon/heartbeat": Attempt(
        "/daemon-api/daemon/heartbeat", (200,), {"activeAgents": 0}, is_computer=True
    ),
    "GET /daemon-api/daemon/status": Attempt("/daemon-api/daemon/status", (200,), is_computer=True),
    "POST /daemon-api/subagent/<agent_id>/status": Attempt(
        f"/daemon-api/subagent/{AGENT}/status", (404,), {"status": "failed"}, is_computer=True
    ),
    "POST /daemon-api/subagent/<agent_id>/complete": Attempt(
        f"/daemon-api/subagent/{AGENT}/complete",
        (404,),
        {"status": "completed", "result": "eve's"},
        is_computer=True,
    ),
    "POST /daemon-api/subagent/<agent_id>/log": Attempt(
        f"/daemon-api/subagent/{AGENT}/log", (404,), {"type": "stdout", "content": "x"}, is_computer=True
    ),
    "POST /api/daemons": Attempt("/api/daemons", (201,), {"name": "eve's", "userId": ADA}),
    "GET /api/daemons": Attempt("/api/daemons", (200,)),
    "DELETE /api/daemons/<daemon_id>": Attempt("/api/daemons/{daemon}", (404,)),
    "GET /api/daemons/codes/<user_code>": Attempt("/api/daemons/codes/BCDF-GHJK", (404,)),
    "POST /api/daemons/codes/<user_code>/approve": Attempt("/api/daemons/codes/BCDF-GHJK/approve", (404,)),
    "POST /api/daemons/codes/<user_code>/deny": Attempt("/api/daemons/codes/BCDF-GHJK/deny", (404,)),
    "POST /api/master-agent/query": Attempt("/api/master-agent/query", (403,), QUESTION),
    "POST /api/master-agent/agent-status": Attempt("/api/master-agent/agent-status", (403,), QUESTION),
    "GET /api/master-agent/task/<task_id>": Attempt("/api/master-agent/task/{task}", (403,)),
    "POST /api/master-agent/task/<task_id>/cancel": Attempt("/api/master-agent/task/{task}/cancel", (403,)),
    "GET /api/agents": Attempt("/api/agents", (200,)),
    "GET /api/agents/<agent_id>": Attempt(f"/api/agents/{AGENT}", (403, 404)),
    "POST /api/agents/<agent_id>/kill": Attempt(f"/api/agents/{AGENT}/kill", (403, 404)),
    "POST /api/agents/<agent_id>/approval": Attempt(
        f"/api/agents/{AGENT}/approval", (403, 404), {"approvalId": "a", "decision": "approve"}
    ),
    "POST /api/agents/<agent_id>/input": Attempt(f"/api/agents/{AGENT}/input", (403, 404), {"text": "x"}),
    "POST /console/logout": Attempt("/console/logout", (303,), nobody=(401, 403)),
    "GET /console": Attempt("/console", (200,)),
    "GET /console/agent": Attempt("/console/agent", (200,)),
    "GET /console/agent/events": Attempt("/console/agent/events", (200,), is_endless=True),
    "GET /console/events": Attempt("/console/events", (200,), is_endless=True),
    "GET /console/wearer": Attempt(f"/console/wearer?user={ADA}", (403,)),
    "GET /console/wearer/events": Attempt(f"/console/wearer/events?user={ADA}", (403,)),
    "POST /console/wearer/start": Attempt("/console/wearer/start", (403,), OF_ADA, nobody=(401, 403)),
    "POST /console/wearer/stop": Attempt("/console/wearer/stop", (403,), OF_ADA, nobody=(401, 403)),
    "POST /console/wearer/display": Attempt(
        "/console/wearer/display", (403,), {"user": ADA, "text": "x"}, nobody=(401, 403)
    ),
    "POST /console/kill": Attempt(
        "/console/kill", (403,), {"user": ADA, "path": "session"}, nobody=(401, 403)
    ),
    "GET /console/server": Attempt("/console/server", (403,)),
    "GET /console/server/events": Attempt("/console/server/events", (403,)),
    "GET /console/apps": Attempt("/console/apps", (200,)),
    "GET /console/apps/events": Attempt("/console/apps/events", (200,), is_endless=True),
    "GET /console/apps/<package_name>": Attempt(f"/console/apps/{CAPTIONS}", (403, 404)),
    "GET /console/apps/<package_name>/events": Attempt(f"/console/apps/{CAPTIONS}/events", (403, 404)),
    "POST /console/apps/<package_name>/key": Attempt(
        f"/console/apps/{CAPTIONS}/key", (403, 404), nobody=(401, 403)
    ),
}


@dataclass
class Adas:
    """Ada has a computer, an agent and a task; Eve has a computer."""

    scene: Scene
    documents: SimulatedDocuments
    daemon_id: str
    daemon_token: str
    task_id: str
    eves_token: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return GOAL, self.daemon_id, self.task_id

    def kept(self) -> dict[tuple[str, str], bytes]:
        return {key: one.document for key, one in self.documents.documents.items() if one.user_id == ADA}

    async def tries(self, line: str, bearer: str | None, attempt: Attempt) -> Answer:
        path = attempt.path.format(daemon=self.daemon_id, task=self.task_id)
        method = line.partition(" ")[0]
        headers = attempt.headers
        is_page = path.startswith("/console")
        if is_page and bearer is not None and bearer.count(".") == 2:
            headers = {**headers, **await self.logged_in(bearer)}
        return await self.scene.call(
            method, path, attempt.body, bearer=bearer, headers=headers, is_json=not is_page
        )

    async def logged_in(self, token: str) -> dict[str, str]:
        """What a browser sends whose user has logged in with that token; nothing, if it was no good."""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://localhost"}
        answer = await self.scene.call(
            "POST", "/console/login", raw=f"token={token}".encode(), headers=form, is_json=False
        )
        cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        session_id = KEYS.session_of(cookie.partition("=")[2].strip('"'))
        if session_id is None:
            return {}
        mark = KEYS.form_mark(session_id)
        return {"Cookie": cookie, "Origin": "http://localhost", "X-Glasshouse-Mark": mark}


@asynccontextmanager
async def adas_computers() -> AsyncIterator[Adas]:
    documents = SimulatedDocuments()
    agent = SubAgent(
        agent_id=AGENT,
        daemon_id="daemon_of_ada",
        user_id=ADA,
        session_id=ADA,
        goal=GOAL,
        status="completed",
        created_at=1,
        updated_at=1,
    )
    put = PutDocument(
        collection=AGENTS, key=AGENT, user_id=ADA, document=msgspec.json.encode(agent), updated_at_ms=1
    )
    documents.documents[AGENTS, AGENT] = put
    async with scene(documents) as there:
        made = [await there.post("/api/daemons", {"name": "hers"}, user=user) for user in (ADA, EVE)]
        task = await there.post("/api/master-agent/query", {"query": "what time is it"}, user=ADA)
        assert [201, 201, 200] == [answer.status for answer in (*made, task)]
        ada, eve = (answer.body for answer in made)
        yield Adas(there, documents, ada["daemonId"], ada["token"], task.body["taskId"], eve["token"])


async def test_every_route_that_is_described_elsewhere_has_a_rule(autojump_clock: MockClock) -> None:
    async with scene() as there:
        served = {
            f"{method} {rule.rule}"
            for rule in there.application.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if any(re.fullmatch(path, rule.rule) for path in ELSEWHERE)
        }

    assert served == set(TRIED) | set(PUBLIC)
    assert not set(TRIED) & set(PUBLIC)


async def test_nobody_reaches_computers_and_tasks_that_are_not_theirs(
    autojump_clock: MockClock,
) -> None:
    found = []
    async with adas_computers() as ada:
        before = ada.kept()
        for line, attempt in TRIED.items():
            if attempt.is_endless:
                continue
            core = ada.scene.world.tokens.mint(EVE, expires_s=60)
            answer = await ada.tries(line, ada.eves_token if attempt.is_computer else core, attempt)
            if answer.status not in attempt.statuses:
                found.append(f"{line}: {answer}")
            found += [f"{line} told {one}" for one in ada.secrets if one in str(answer.body)]
        assert before == ada.kept()

    assert found == [], "\n".join(found)


async def test_what_shows_nothing_good_reaches_no_computer_agent_or_task(autojump_clock: MockClock) -> None:
    """Nor does a key that is good elsewhere: an app's, a computer's for what is its user's alone."""
    found = []
    async with adas_computers() as ada:
        before = ada.kept()
        core = ada.scene.world.tokens.mint(ADA, expires_s=60)
        for line, attempt in TRIED.items():
            misplaced = core if attempt.is_computer else ada.daemon_token
            for bearer in (None, "", "nonsense", key_of(), f"{CAPTIONS}:", misplaced):
                answer = await ada.tries(line, bearer, attempt)
                if answer.status not in attempt.nobody:
                    found.append(f"{line} {bearer}: {answer}")
        assert before == ada.kept()

    assert found == [], "\n".join(found)


SOCKETS: dict[str, tuple[tuple[dict[str, str], dict[str, str]], ...]] = {
    paths.GLASSES: (({}, {}), ({}, {"token": "nonsense"}), ({"authorization": "Bearer {app}"}, {})),
    paths.APP: (({"authorization": "Bearer nonsense", "x-user-id": ADA, "x-session-id": ADA}, {}),),
    paths.APP_ALIAS: (({"authorization": "Bearer {core}", "x-user-id": ADA, "x-session-id": ADA}, {}),),
    paths.DAEMON: (({}, {}), ({"authorization": "Bearer {core}"}, {}), ({}, {"email": ADA})),
}
"""What is shown at each socket's door by who is to stay outside: headers and query."""


async def test_no_socket_opens_for_who_shows_nothing_good(autojump_clock: MockClock) -> None:
    async with scene() as there:
        world = there.world
        assert world.hall is not None
        gates = assembly.gates(world.system, world.hall, world.hall.domain.ports)
        core = world.tokens.mint(ADA, expires_s=60)
        assert set(gates) == set(SOCKETS)
        for path, attempts in SOCKETS.items():
            for headers, query in attempts:
                shown = {name: text.format(core=core, app=key_of()) for name, text in headers.items()}
                verdict = await gates[path].admit(
                    Upgrade(path=path, query=query, headers=shown, peer="192.0.2.66:4000")
                )
                assert isinstance(verdict, Refused), (path, headers)
                assert 401 == verdict.status


async def test_an_app_without_a_token_is_let_in_and_reaches_nobody_before_its_key_was_good(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        phone = await there.phone()
        await there.running(phone)
        stranger = there.world.connect()
        stranger.open(await there.world.app_handler())
        stranger.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        init = {"type": "tpa_connection_init", "sessionId": f"{ADA}-{CAPTIONS}", "packageName": CAPTIONS}
        stranger.say({**init, "apiKey": "wrong"})
        await there.world.settle()

        assert ["MALFORMED_MESSAGE", "INVALID_API_KEY"] == [one["code"] for one in stranger.heard()]
        assert stranger.closed_with == (1008, "Invalid API key")
