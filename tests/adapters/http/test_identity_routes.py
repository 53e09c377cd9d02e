"""Who is who: core tokens for a provider's, tokens of web views, and hashes that are nobody else's login."""

from __future__ import annotations

import hashlib
from typing import Any

import jwt
import pytest
import trio
from jwt.algorithms import RSAAlgorithm
from trio.testing import MockClock

from adapters.simulated.store import SimulatedDocuments
from adapters.tokens.settings import IdentitySettings
from config.settings import Settings
from tests.adapters.http.rest_scene import (
    ADA,
    BOB,
    CAPTIONS,
    KEY,
    OTHER,
    OTHER_KEY,
    SECRET,
    Scene,
    key_of,
    scene,
)

EXCHANGE = "/auth/exchange-token"
GENERATE = "/api/auth/generate-webview-token"
REDEEM = "/api/auth/exchange-user-token"
HASHED_KEY = hashlib.sha256(KEY.encode()).hexdigest()


def provided(there: Scene, **claims: Any) -> str:
    """A token of the identity provider."""
    now = there.world.system.clock.wall()
    said = {"sub": "uuid", "email": "Ada@Example.org", "aud": "authenticated", "exp": now + 60, **claims}
    return jwt.encode(said, claims.pop("secret", SECRET), algorithm="HS256")


@pytest.mark.parametrize("path", [EXCHANGE, "/api/auth/exchange-token"])
async def test_a_providers_token_buys_a_core_token_that_expires(autojump_clock: MockClock, path: str) -> None:
    async with scene() as there:
        answer = await there.post(path, {"supabaseToken": provided(there)})

        assert 200 == answer.status
        token = answer.body["coreToken"]
        assert ADA == there.world.tokens.verify(token)
        claims = jwt.decode(token, options={"verify_signature": False})
        assert 30 * 86_400 == claims["exp"] - claims["iat"]
        home = await there.get("/api/client/apps", bearer=token)
        assert 200 == home.status


async def test_what_is_no_token_of_a_provider_is_refused(autojump_clock: MockClock) -> None:
    async with scene() as there:
        now = there.world.system.clock.wall()
        forged = jwt.encode({"email": ADA, "exp": now + 60}, "x" * 40, algorithm="HS256")
        for token in (
            forged,
            "nonsense",
            provided(there, exp=now - 3600),
            jwt.encode({"email": ADA}, SECRET, algorithm="HS256"),
            there.world.tokens.mint(ADA, expires_s=60),
        ):
            answer = await there.post(EXCHANGE, {"supabaseToken": token})
            assert (401, "INVALID_TOKEN") == (answer.status, answer.body["code"]), token
        assert 401 == (await there.post(EXCHANGE, {"authingToken": provided(there)})).status
        bodies: tuple[object, ...] = ({}, {"supabaseToken": None}, {"supabaseToken": ""}, [])
        for body in bodies:
            assert 400 == (await there.post(EXCHANGE, body)).status, body


async def test_a_provider_whose_keys_cannot_be_had_is_a_503_that_says_when_to_ask_again(
    autojump_clock: MockClock,
) -> None:
    nowhere = IdentitySettings(supabase_keys_url="http://127.0.0.1:9/keys", keys_timeout_s=0.1)
    async with scene(settings=Settings(identity=nowhere)) as there:
        answer = await there.post(EXCHANGE, {"supabaseToken": provided(there)})

        assert (503, "TRY_AGAIN") == (answer.status, answer.body["code"])
        assert "1" == answer.headers["Retry-After"]
        assert 1 == len(there.world.telemetry.of("identity_provider_away"))


async def test_without_a_provider_nobody_is_let_in_and_the_log_says_why(autojump_clock: MockClock) -> None:
    async with scene(settings=Settings()) as there:
        answer = await there.post(EXCHANGE, {"supabaseToken": provided(there)})

        assert 401 == answer.status
        assert "secret" in str(there.world.telemetry.of("token_exchange_refused")[0]["cause"])


async def test_the_second_provider_has_a_secret_of_its_own(autojump_clock: MockClock) -> None:
    async with scene(settings=Settings(authing_secret=SECRET)) as there:
        assert 200 == (await there.post(EXCHANGE, {"authingToken": provided(there)})).status
        assert 401 == (await there.post(EXCHANGE, {"supabaseToken": provided(there)})).status


async def generated(there: Scene, user: str = ADA, package: str = CAPTIONS) -> str:
    answer = await there.post(GENERATE, {"packageName": package}, user=user)
    assert 200 == answer.status, answer
    return str(answer.body["token"])


async def redeemed(
    there: Scene, token: str, bearer: str = KEY, package: str = CAPTIONS
) -> tuple[int, dict[str, Any]]:
    answer = await there.post(REDEEM, {"aos_temp_token": token, "packageName": package}, bearer=bearer)
    return answer.status, answer.body


@pytest.mark.parametrize("bearer", [KEY, key_of()])
async def test_a_web_views_token_is_exchanged_once_by_its_app(autojump_clock: MockClock, bearer: str) -> None:
    async with scene() as there:
        await there.world.app_server()
        token = await generated(there)
        assert 64 == len(bytes.fromhex(token)) * 2

        first, again = await redeemed(there, token, bearer), await redeemed(there, token, bearer)

        assert (200, {"userId": ADA, "success": True}) == first
        assert (401, "INVALID_TOKEN") == (again[0], again[1]["code"])


async def test_a_web_views_token_is_good_for_a_minute_and_for_no_other_app(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.app_server()
        await there.world.app_server(OTHER, key=OTHER_KEY)
        old, mine, other = [await generated(there) for _ in range(3)]

        assert 401 == (await redeemed(there, mine, OTHER_KEY, OTHER))[0]
        assert 401 == (await redeemed(there, mine))[0], "it was tried by another app, and is used up"
        assert 401 == (await redeemed(there, other, OTHER_KEY, CAPTIONS))[0], "its key is another app's"
        assert 200 == (await redeemed(there, other))[0]
        await trio.sleep(61)
        assert 401 == (await redeemed(there, old))[0]
        for bearer in ("", "wrong", f"{CAPTIONS}:wrong", f"{OTHER}:{KEY}"):
            assert 401 == (await redeemed(there, old, bearer))[0], bearer


async def test_a_web_views_token_outlives_the_server_and_is_not_in_the_store(
    autojump_clock: MockClock,
) -> None:
    documents = SimulatedDocuments()
    async with scene(documents) as there:
        await there.world.app_server()
        token = await generated(there)
        await there.world.die()
    async with scene(documents) as after:
        assert token not in str(documents.documents)
        assert 200 == (await redeemed(after, token))[0]


async def test_a_signed_token_says_who_the_wearer_is_to_who_has_the_public_key(
    autojump_clock: MockClock,
) -> None:
    async with scene() as there:
        await there.world.app_server()

        answer = await there.post(
            "/api/auth/generate-webview-signed-user-token", {"packageName": CAPTIONS}, user=ADA
        )
        keys = await there.get("/.well-known/jwks.json")

        assert (200, "10m") == (answer.status, answer.body["expiresIn"])
        (key,) = keys.body["keys"]
        claims = jwt.decode(
            answer.body["token"],
            RSAAlgorithm.from_jwk(key),  # type: ignore[arg-type] # a JWK of a public key is one
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False},
        )
        assert "v1" == key["kid"] == jwt.get_unverified_header(answer.body["token"])["kid"]
        assert (ADA, "https://prod.augmentos.cloud", 600) == (
            claims["sub"],
            claims["iss"],
            claims["exp"] - claims["iat"],
        )
        user_id, _, digest = claims["frontendToken"].partition(":")
        assert (ADA, hashlib.sha256(f"{ADA}{HASHED_KEY}".encode()).hexdigest()) == (user_id, digest)


@pytest.mark.parametrize(
    "text", [ADA, "https://glass.example.org", "https://glass.example.org/", "http://127.0.0.1:8002"]
)
async def test_the_callers_id_and_our_own_address_are_hashed_with_the_apps_key(
    autojump_clock: MockClock, text: str
) -> None:
    async with scene() as there:
        await there.world.app_server()

        answer = await there.post(
            "/api/auth/hash-with-api-key", {"stringToHash": text, "packageName": CAPTIONS}, user=ADA
        )

        expected = hashlib.sha256(f"{text}{HASHED_KEY}".encode()).hexdigest()
        assert (200, expected) == (answer.status, answer.body["hash"])


@pytest.mark.parametrize("text", [BOB, "https://evil.example.org", "https://glass.example.org.evil", "x"])
async def test_nothing_else_is_hashed_for_it_would_be_somebody_elses_login(
    autojump_clock: MockClock, text: str
) -> None:
    async with scene() as there:
        await there.world.app_server()

        answer = await there.post(
            "/api/auth/hash-with-api-key", {"stringToHash": text, "packageName": CAPTIONS}, user=ADA
        )

        assert (403, "PERMISSION_DENIED") == (answer.status, answer.body["code"])
        assert "hash" not in answer.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {}),
        ("/api/auth/generate-webview-signed-user-token", {}),
        ("/api/auth/hash-with-api-key", {"stringToHash": ADA}),
    ],
)
async def test_a_web_view_of_no_known_app_gets_nothing(
    autojump_clock: MockClock, path: str, body: dict[str, str]
) -> None:
    async with scene() as there:
        unknown = await there.post(path, {**body, "packageName": "org.example.unknown"}, user=ADA)
        missing = await there.post(path, body, user=ADA)

        assert (400, 400) == (unknown.status, missing.status)
