"""Identity providers' keys: how often they are asked for, which ones count, and what a token cannot do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from trio.testing import MockClock

from actors.identity_ports import ProviderAway
from actors.ports import TokenError
from adapters.tokens.identity import Provider, ProviderTokens
from adapters.tokens.provider_keys import Asked, ProviderKeys, keys_of
from adapters.tokens.settings import IdentitySettings

NOW = 1_795_240_800.0
SECRET = "a provider's secret of thirty-two bytes or more"
FIRST = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SECOND = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"sub": "uuid", "email": "Ada@Example.org", "exp": NOW + 60, "aud": "authenticated", "iss": "us"}


def shown(key: Any, **more: object) -> dict[str, Any]:
    algorithm = jwt.algorithms.ECAlgorithm if key is CURVE else jwt.algorithms.RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "use": "sig", **more}


def signed(key: Any, kid: str | None = "1", algorithm: str = "RS256", **claims: object) -> str:
    return jwt.encode({**CLAIMS, **claims}, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


class Page:
    """What a provider shows, and how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.is_up = True
        self.asked = 0

    async def __call__(self, url: str, timeout_s: float) -> object:
        self.asked += 1
        await trio.sleep(0.1)
        if not self.is_up:
            raise OSError("nobody listens")
        return {"keys": self.keys}


def of(page: Page, *, secret: str = "", **rules: str) -> ProviderTokens:
    keys = ProviderKeys("https://provider.example/keys", IdentitySettings(), fetch=page)
    return ProviderTokens({"one": Provider(keys=keys, secret=secret, **rules)}, wall=lambda: NOW)


@pytest.mark.parametrize(
    ("asked", "now", "is_known", "is_due"),
    [
        (Asked(), 0.0, False, True),
        (Asked(at=0, worked_at=0), 9.9, False, False),
        (Asked(at=0, worked_at=0), 10.0, False, True),
        (Asked(at=0, worked_at=0), 599.0, True, False),
        (Asked(at=0, worked_at=0), 600.0, True, True),
        (Asked(at=600, worked_at=0, failures=1), 600.9, True, False),
        (Asked(at=600, worked_at=0, failures=1), 601.0, True, True),
        (Asked(at=600, worked_at=0, failures=4), 607.9, False, False),
        (Asked(at=600, worked_at=0, failures=4), 608.0, False, True),
        (Asked(at=600, worked_at=0, failures=10_000), 899.0, False, False),
        (Asked(at=600, worked_at=0, failures=10_000), 900.0, False, True),
    ],
)
def test_a_provider_is_asked_when_keys_are_old_or_unknown_and_seldom(
    asked: Asked, now: float, is_known: bool, is_due: bool
) -> None:
    assert is_due == asked.is_due(now, 600.0, is_known=is_known)


async def test_tokens_of_a_providers_rsa_and_curve_keys_name_their_user(autojump_clock: MockClock) -> None:
    page = Page(shown(FIRST, kid="1"), shown(CURVE, kid="2"))
    tokens = of(page, audience="authenticated", issuer="us")

    assert "ada@example.org" == await tokens.email_of("one", signed(FIRST))
    assert "ada@example.org" == await tokens.email_of("one", signed(CURVE, "2", "ES256"))
    assert 1 == page.asked


async def test_a_key_that_a_provider_has_just_made_is_found_and_one_it_took_away_is_gone(
    autojump_clock: MockClock,
) -> None:
    page = Page(shown(FIRST, kid="1"))
    tokens = of(page)
    await tokens.email_of("one", signed(FIRST))
    page.keys = [shown(SECOND, kid="2")]
    await trio.sleep(10)

    assert "ada@example.org" == await tokens.email_of("one", signed(SECOND, "2"))
    with pytest.raises(TokenError, match="no such key"):
        await tokens.email_of("one", signed(FIRST))


async def test_tokens_of_invented_keys_do_not_have_the_provider_asked_more_often(
    autojump_clock: MockClock,
) -> None:
    page = Page(shown(FIRST, kid="1"))
    tokens = of(page)

    for number in range(100):
        with pytest.raises(TokenError):
            await tokens.email_of("one", signed(SECOND, f"invented {number}"))

    assert 1 == page.asked


async def test_a_provider_that_is_away_leaves_its_last_keys_good_for_a_day(autojump_clock: MockClock) -> None:
    page = Page(shown(FIRST, kid="1"))
    tokens = of(page)
    await tokens.email_of("one", signed(FIRST))
    page.is_up = False

    await trio.sleep(3_600)
    assert "ada@example.org" == await tokens.email_of("one", signed(FIRST))
    await trio.sleep(86_400)
    with pytest.raises(ProviderAway) as away:
        await tokens.email_of("one", signed(FIRST))
    page.is_up = True
    await trio.sleep(away.value.retry_after_s)

    assert "ada@example.org" == await tokens.email_of("one", signed(FIRST))
    assert 4 == page.asked


async def test_a_provider_that_never_answers_holds_nobody_for_longer_than_it_may(
    autojump_clock: MockClock,
) -> None:
    async def silent(url: str, timeout_s: float) -> object:
        await trio.sleep_forever()

    keys = ProviderKeys("https://provider.example/keys", IdentitySettings(), fetch=silent)

    with pytest.raises(ProviderAway):
        await keys.claims_of(signed(FIRST))

    assert 5.0 == trio.current_time()


def confused(**head: object) -> str:
    """A token that says HS256, signed with what everybody can read: the public key."""
    pem = FIRST.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    heads = {"alg": "HS256", "typ": "JWT", "kid": "1", **head}
    content = ".".join(encoded(json.dumps(part).encode()) for part in (heads, CLAIMS))
    return f"{content}.{encoded(hmac.new(pem, content.encode(), hashlib.sha256).digest())}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "forge",
    [
        lambda: confused(),
        lambda: confused(jwk=shown(SECOND)),
        lambda: jwt.encode(CLAIMS, "", algorithm="none", headers={"kid": "1"}),
        lambda: signed(SECOND),
        lambda: signed(FIRST, algorithm="RS512"),
        lambda: signed(FIRST, algorithm="PS256"),
        lambda: signed(CURVE, "1", "ES256"),
        lambda: signed(FIRST, exp=NOW - 3_600),
        lambda: jwt.encode({"email": "ada@example.org"}, FIRST, algorithm="RS256", headers={"kid": "1"}),
        lambda: signed(FIRST, aud="another"),
        lambda: signed(FIRST, iss="another"),
        lambda: signed(FIRST, None),
        lambda: "nonsense",
    ],
)
async def test_a_forged_token_of_a_provider_is_refused(
    autojump_clock: MockClock, forge: Callable[[], str]
) -> None:
    tokens = of(
        Page(shown(FIRST, kid="1"), shown(CURVE, kid="2")),
        secret=SECRET,
        audience="authenticated",
        issuer="us",
    )

    with pytest.raises(TokenError):
        await tokens.email_of("one", forge())


async def test_a_provider_that_changes_from_a_secret_to_keys_has_both(autojump_clock: MockClock) -> None:
    tokens = of(Page(shown(FIRST, kid="1")), secret=SECRET)

    assert "ada@example.org" == await tokens.email_of("one", jwt.encode(CLAIMS, SECRET, algorithm="HS256"))
    assert "ada@example.org" == await tokens.email_of("one", signed(FIRST))


WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)


@pytest.mark.parametrize(
    "listed",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "1"},
        shown(FIRST, use="enc", kid="1"),
        shown(FIRST, alg="HS256", kid="1"),
        shown(WEAK, kid="1"),
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "1"},
        shown(FIRST, kid=["1"]),
        "nonsense",
        None,
    ],
)
def test_what_is_no_good_public_key_is_left_out_and_the_others_count(listed: object) -> None:
    assert {"2"} == set(keys_of({"keys": [listed, shown(FIRST, kid="2")]}))


@pytest.mark.parametrize("said", [None, [], {}, {"keys": None}, {"keys": {}}])
def test_a_page_that_shows_no_keys_has_none(said: object) -> None:
    assert {} == keys_of(said)


@contextmanager
def provider(status: int, body: bytes, location: str = "") -> Iterator[str]:
    """Somebody who answers on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_keys_are_read_from_where_the_provider_shows_them() -> None:
    body = json.dumps({"keys": [shown(FIRST, kid="1")]}).encode()
    with provider(200, body) as url:
        keys = ProviderKeys(url, IdentitySettings())

        assert "Ada@Example.org" == (await keys.claims_of(signed(FIRST)))["email"]


@pytest.mark.parametrize(
    ("status", "body", "location"),
    [(500, b"{}", ""), (200, b"<html>", ""), (200, b"", ""), (302, b"", "file:///etc/passwd")],
)
async def test_what_is_no_page_of_keys_is_a_provider_that_is_away(
    status: int, body: bytes, location: str
) -> None:
    with provider(status, body, location) as url:
        keys = ProviderKeys(url, IdentitySettings())

        with pytest.raises(ProviderAway) as away:
            await keys.claims_of(signed(FIRST))

    assert away.value.retry_after_s >= 1


async def test_a_provider_where_nobody_listens_is_away() -> None:
    with provider(200, b"") as url:
        pass
    with pytest.raises(ProviderAway):
        await ProviderKeys(url, IdentitySettings()).claims_of(signed(FIRST))
