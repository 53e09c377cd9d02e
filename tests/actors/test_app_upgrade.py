"""Apps that show a token in their upgrade, system apps from elsewhere, and where a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.app_keys import hash_of, with_token_key, without_more_keys
from actors.domain import DomainSettings
from actors.front.addresses import UNKNOWN, address_of, is_within, network_problem, plain
from actors.front.settings import FrontDoorSettings
from actors.identity_ports import AppClaims
from actors.ports import Admitted, AppDocument, PutApp, Refused
from tests.actors.world import ADA, CAPTIONS, KEY, FakeConnection, World, open_world, upgrade

SESSION = f"{ADA}-{CAPTIONS}"
TOKEN_KEY = "the key of a token"


def shown(world: World, *, key: str = TOKEN_KEY, session: str = SESSION, **headers: str) -> dict[str, str]:
    token = world.tokens.mint_app(AppClaims(CAPTIONS, key), expires_s=60)
    return {"authorization": f"Bearer {token}", "x-user-id": ADA, "x-session-id": session, **headers}


async def with_token(world: World) -> AppDocument:
    """The app, with the key of its token."""
    app = await world.store.find_app(CAPTIONS)
    assert app is not None
    await world.store.commit([PutApp(with_token_key(app, hash_of(TOKEN_KEY), now=0, until_s=None))])
    await trio.sleep(0.2)
    return app


async def refused(world: World, headers: Mapping[str, str]) -> tuple[int, str]:
    answer = await world.app_gate.admit(upgrade("/app-ws", headers))
    assert isinstance(answer, Refused), answer
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    assert "tpa_connection_error" == body["type"]
    return answer.status, body["code"]


async def waiting_for_its_app(world: World) -> FakeConnection:
    """Ada has started an app whose server does not dial by itself."""
    phone = await world.phone()
    server = await world.app_server()
    server.dials = False
    await with_token(world)
    phone.say({"type": "start_app", "packageName": CAPTIONS})
    await world.settle()
    return phone


@pytest.mark.parametrize("session", [SESSION, ADA])
@pytest.mark.parametrize("sends_init", [False, True])
async def test_an_app_with_a_token_needs_no_first_message(
    autojump_clock: MockClock, session: str, sends_init: bool
) -> None:
    async with open_world() as world:
        phone = await waiting_for_its_app(world)
        connection = world.connect()

        connection.open(await world.app_handler(shown(world, session=session)))
        if sends_init:
            init = {"type": "tpa_connection_init", "sessionId": SESSION, "packageName": CAPTIONS}
            connection.say({**init, "apiKey": "whatever the SDK has"})
        connection.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await world.settle()

        assert "tpa_connection_ack" == connection.kinds()[0]
        assert "tpa_connection_error" not in connection.kinds()
        assert CAPTIONS in phone.running()


async def test_a_bad_token_is_a_401_with_a_code_before_any_upgrade(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await waiting_for_its_app(world)
        good = shown(world)
        core = world.tokens.mint(ADA, expires_s=60)
        nameless = {name: text for name, text in good.items() if name != "x-user-id"}

        assert isinstance(await world.app_gate.admit(upgrade("/app-ws", good)), Admitted)
        for headers, code in (
            (nameless, "MISSING_HEADERS"),
            ({**good, "x-session-id": ""}, "MISSING_HEADERS"),
            ({**good, "x-session-id": f"eve@example.org-{CAPTIONS}"}, "MISSING_HEADERS"),
            ({**good, "x-session-id": f"{ADA}-org.example.other"}, "MISSING_HEADERS"),
            ({**good, "authorization": "Bearer nonsense"}, "JWT_INVALID"),
            ({**good, "authorization": f"Bearer {core}"}, "JWT_INVALID"),
            ({**good, "authorization": "Basic YTpi"}, "JWT_INVALID"),
            (shown(world, key="another"), "INVALID_API_KEY"),
        ):
            assert (401, code) == await refused(world, headers), headers
        await trio.sleep(125)
        assert (401, "JWT_INVALID") == await refused(world, good), "it is over"


async def test_an_apps_token_is_nobodys_login(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await waiting_for_its_app(world)
        token = shown(world)["authorization"].removeprefix("Bearer ")

        assert isinstance(await world.admit({}, {"token": token}), Refused)


async def test_a_token_is_taken_back_with_its_key(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await waiting_for_its_app(world)
        headers = shown(world)
        app = await world.store.find_app(CAPTIONS)
        assert app is not None

        await world.store.commit([PutApp(without_more_keys(app))])
        await trio.sleep(0.2)

        assert (401, "INVALID_API_KEY") == await refused(world, headers)


def from_inside(**fields: Any) -> DomainSettings:
    return DomainSettings(front_door=FrontDoorSettings(system_app_addresses=("10.0.0.0/8",), **fields))


async def test_a_system_apps_key_counts_only_where_it_may_come_from(autojump_clock: MockClock) -> None:
    async with open_world(settings=from_inside(proxy_hops=1)) as world:
        await waiting_for_its_app(world)
        app = await world.store.find_app(CAPTIONS)
        assert app is not None
        await world.store.commit([PutApp(replace(app, is_system=True))])
        await trio.sleep(0.2)
        inside, outside = (
            {"x-forwarded-for": "192.0.2.9, 10.1.2.3"},
            {"x-forwarded-for": "10.1.2.3, 192.0.2.9"},
        )
        init = {"type": "tpa_connection_init", "sessionId": SESSION, "packageName": CAPTIONS}
        told = []
        for headers in (outside, {}, inside):
            connection = world.connect()
            connection.open(await world.app_handler(headers))
            connection.say({**init, "apiKey": KEY})
            await world.settle()
            told.append([said.get("code") for said in connection.heard()][:1])

        assert [["PERMISSION_DENIED"], ["PERMISSION_DENIED"], [None]] == told
        assert (401, "PERMISSION_DENIED") == await refused(world, shown(world, **outside))


@pytest.mark.parametrize(
    ("peer", "said", "hops", "address"),
    [
        ("192.0.2.1:5000", "", 0, "192.0.2.1"),
        ("192.0.2.1:5000", "10.0.0.1", 0, "192.0.2.1"),
        ("192.0.2.1", "", 1, "192.0.2.1"),
        ("192.0.2.1:5000", "10.0.0.1, 203.0.113.9", 1, "203.0.113.9"),
        ("192.0.2.1:5000", "10.0.0.1, 203.0.113.9, 172.16.0.1", 2, "203.0.113.9"),
        ("192.0.2.1:5000", "203.0.113.9", 2, "203.0.113.9"),
        ("192.0.2.1:5000", "10.0.0.1, nonsense", 1, UNKNOWN),
        ("[2001:db8::1]:5000", "", 0, "2001:db8::1"),
        ("2001:db8::1", "", 0, "2001:db8::1"),
        ("[::ffff:192.0.2.1]:5000", "", 0, "192.0.2.1"),
        ("192.0.2.1:5000", "203.0.113.9:4711", 1, "203.0.113.9"),
        ("", "", 0, UNKNOWN),
    ],
)
def test_only_what_our_own_proxies_added_says_where_a_request_comes_from(
    peer: str, said: str, hops: int, address: str
) -> None:
    assert address == address_of(peer, said, proxy_hops=hops)


def test_networks_are_compared_by_number_and_what_is_none_is_within_none() -> None:
    networks = ("10.0.0.0/8", "::1", "192.0.2.7/24")

    assert [True, True, True] == [is_within(one, networks) for one in ("10.9.9.9", "::1", "192.0.2.200")]
    assert [False] * 3 == [is_within(one, networks) for one in ("11.0.0.1", UNKNOWN, "")]
    assert [UNKNOWN, "127.0.0.1"] == [plain("example.org"), plain("127.0.0.1:80")]
    assert network_problem("10.0.0.0/33")
    assert network_problem("10.0.0.0/8") is None
