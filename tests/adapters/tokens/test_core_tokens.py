from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import TokenError
from adapters.tokens import INVALID, NO_USER_ID, CoreTokens
from adapters.tokens.core_tokens import LATEST_S

SECRET = "a secret of at least thirty-two bytes"
OTHER = "another secret of at least 32 bytes..."
NOW = 1_795_240_800.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def tokens(*secrets: str, **settings: object) -> CoreTokens:
    return CoreTokens(secrets or (SECRET,), **({"wall": Clock()} | settings))  # type: ignore[arg-type]


def signed(claims: object, *, secret: str = SECRET, header: str = '{"alg":"HS256","typ":"JWT"}') -> str:
    """A token made by hand, as an attacker with the secret could make it."""
    body = claims if isinstance(claims, str) else json.dumps(claims)
    content = f"{encoded(header.encode())}.{encoded(body.encode())}"
    signature = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
    return f"{content}.{encoded(signature)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal(verifier: CoreTokens, token: str) -> TokenError:
    with pytest.raises(TokenError) as raised:
        verifier.verify(token)
    return raised.value


def test_a_minted_token_names_its_user() -> None:
    server = tokens()

    assert "ada@example.org" == server.verify(server.mint("Ada@Example.ORG", expires_s=None))


def test_a_minted_token_is_one_that_pyjwt_and_the_real_clouds_read() -> None:
    server = tokens(audience="phones", issuer="us", new_id=lambda: "its id")
    token = server.mint("Ada@example.org", expires_s=3600)

    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="phones", options={"verify_exp": False})

    assert {
        "sub": "Ada@example.org",
        "email": "ada@example.org",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
        "aud": "phones",
        "iss": "us",
        "jti": "its id",
    } == claims


@pytest.mark.parametrize(
    ("claims", "user_id"),
    [
        ({"email": "Ada@Example.org", "sub": "123"}, "ada@example.org"),
        ({"email": "ada@example.org", "sub": 123}, "ada@example.org"),
        ({"email": "ada@example.org", "sub": None}, "ada@example.org"),
        ({"email": "ada@example.org", "organizations": ["x"], "defaultOrg": "x"}, "ada@example.org"),
        ({"sub": "Some-Id"}, "some-id"),
        ({"sub": "Some-Id", "email": None}, "some-id"),
    ],
)
def test_the_user_is_the_email_and_sub_only_where_there_is_none(claims: object, user_id: str) -> None:
    assert user_id == tokens().verify(signed(claims))


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": 123},
        {"email": "", "sub": "x"},
        {"email": "  ", "sub": "x"},
        {"email": 5, "sub": "x"},
        {"email": ["ada@example.org"]},
        {"email": "ada@example.org\n"},
        {"email": "ada\x00@example.org"},
        {"email": "ada\u202e@example.org"},
    ],
)
def test_a_good_token_without_a_user_says_so(claims: object) -> None:
    assert NO_USER_ID == refusal(tokens(), signed(claims)).message


def test_the_wire_texts_are_the_protocols() -> None:
    assert ("Invalid core token", "Invalid core token - no user ID") == (INVALID, NO_USER_ID)


def test_a_token_expires_with_a_minute_of_leeway() -> None:
    clock = Clock()
    server = tokens(wall=clock)
    token = server.mint("ada@example.org", expires_s=100)

    clock.now = NOW + 159.9
    assert "ada@example.org" == server.verify(token)
    clock.now = NOW + 160
    error = refusal(server, token)

    assert (INVALID, "it expired 60 s ago") == (error.message, error.cause)


def test_a_token_without_exp_never_expires_unless_the_setting_demands_one() -> None:
    clock = Clock()
    token = tokens().mint("ada@example.org", expires_s=None)
    clock.now = NOW + 1e9

    assert "ada@example.org" == tokens(wall=clock).verify(token)
    assert "demands one" in refusal(tokens(must_expire=True), token).cause
    with pytest.raises(ValueError, match="give an expiry"):
        tokens(must_expire=True).mint("ada@example.org", expires_s=None)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_from_the_future_has_a_minute_of_leeway(name: str) -> None:
    soon = signed({"email": "ada@example.org", name: NOW + 60})
    later = signed({"email": "ada@example.org", name: NOW + 61})

    assert "ada@example.org" == tokens().verify(soon)
    assert INVALID == refusal(tokens(), later).message


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ['"9999999999"', "null", "true", "[]", "1e999", "NaN", "1" + "0" * 400])
def test_a_time_that_is_no_number_is_refused(name: str, value: str) -> None:
    token = signed(f'{{"email": "ada@example.org", "{name}": {value}}}')

    assert INVALID == refusal(tokens(), token).message


def test_aud_and_iss_are_compared_only_where_a_setting_names_them() -> None:
    claims = {"email": "ada@example.org", "aud": ["phones", "web"], "iss": "us"}

    assert "ada@example.org" == tokens().verify(signed(claims))
    assert "ada@example.org" == tokens(audience="web", issuer="us").verify(signed(claims))
    assert "ada@example.org" == tokens(audience="web").verify(signed(claims | {"aud": "web"}))
    assert "aud" in refusal(tokens(audience="desk"), signed(claims)).cause
    assert "aud" in refusal(tokens(audience="desk"), signed({"email": "ada@example.org"})).cause
    assert "iss" in refusal(tokens(issuer="them"), signed(claims)).cause


def test_an_older_secret_is_good_until_it_is_taken_away() -> None:
    token = tokens(OTHER).mint("ada@example.org", expires_s=None)

    assert "ada@example.org" == tokens(SECRET, OTHER).verify(token)
    assert INVALID == refusal(tokens(SECRET), token).message
    assert "ada@example.org" == tokens(SECRET).verify(
        tokens(SECRET, OTHER).mint("ada@example.org", expires_s=None)
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "é.é.é",
        "\ud800",
        f"{encoded(b'[]')}.e30.AA",
        f"{encoded(b'[' * 100_000)}.e30.AA",
        f"{encoded(b'{}')}.e30.AA",
        f"{encoded(b'not json')}.e30.AA",
        signed({"email": "a@b"}, header='{"alg":"none"}'),
        ".".join([encoded(b'{"alg":"none"}'), encoded(b'{"email":"a@b"}'), ""]),
        signed({"email": "a@b"}, header='{"alg":"HS384"}'),
        signed({"email": "a@b"}, header='{"alg":"RS256"}'),
        signed({"email": "a@b"}, header='{"alg":["HS256"]}'),
        signed({"email": "a@b"}, header='{"alg":"HS256","b64":false}'),
        signed({"email": "a@b"}, header='{"alg":"HS256","crit":["x"]}'),
        signed({"email": "a@b"}, secret="somebody else's secret, also long enough"),
        signed({"email": "a@b"})[:-2],
        signed("[]"),
        signed("not json"),
        signed("[" * 100_000),
        signed('{"email":"a@b","x":' + "[" * 100_000),
        signed('"text"'),
    ],
    ids=range(25),
)
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    assert INVALID == refusal(tokens(), token).message


def test_an_error_shows_neither_token_nor_secret() -> None:
    token = signed({"email": "ada@example.org", "exp": 1})
    forged = signed({"email": "ada@example.org"}, secret=OTHER)

    for bad in (token, forged, forged[:-1], "garbage-that-somebody-sent"):
        error = refusal(tokens(), bad)
        text = f"{error} {error.cause} {error!r} {error.__cause__}"
        assert not any(part in text for part in (*bad.split("."), SECRET, OTHER))


@pytest.mark.parametrize("email", ["", " ", "a\nb"])
def test_a_user_that_could_not_log_in_gets_no_token(email: str) -> None:
    with pytest.raises(ValueError, match="cannot be a user"):
        tokens().mint(email, expires_s=None)


def test_an_expiry_that_no_server_would_read_is_refused() -> None:
    latest = tokens().mint("ada@example.org", expires_s=LATEST_S - NOW)

    assert "ada@example.org" == tokens().verify(latest)
    with pytest.raises(ValueError, match="the latest that a server reads is"):
        tokens().mint("ada@example.org", expires_s=LATEST_S - NOW + 1)


@given(st.text() | st.binary().map(encoded), st.binary().map(encoded), st.binary().map(encoded))
def test_no_text_is_a_token_by_chance(header: str, payload: str, signature: str) -> None:
    assert INVALID == refusal(tokens(), f"{header}.{payload}.{signature}").message


def test_a_short_secret_works_without_a_warning_since_config_decides_about_it() -> None:
    server = tokens("short")

    assert "ada@example.org" == server.verify(server.mint("ada@example.org", expires_s=None))
