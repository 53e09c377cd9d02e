"""Tokens that are taken back, and secrets that are changed."""

from __future__ import annotations

import jwt
import pytest

from actors.document_ports import StoredDocument
from actors.ports import TokenError
from adapters.tokens import CoreTokens, Revocations
from adapters.tokens.revocations import Revocation, of_token, of_user

ADA, EVE = "ada@example.org", "eve@example.org"
SECRET, FORMER = "a secret of at least thirty-two bytes", "the secret before it, thirty-two bytes"
NOW = 1_795_240_800.0


class Server:
    """Tokens with a clock and a copy of what was revoked."""

    def __init__(self, *secrets: str) -> None:
        self.now = NOW
        self.revocations = Revocations()
        self.ids = iter(f"id {number}" for number in range(100))
        self.tokens = CoreTokens(
            secrets or (SECRET,),
            wall=lambda: self.now,
            revocations=self.revocations,
            new_id=lambda: next(self.ids),
        )

    def revoke(self, *lines: Revocation) -> frozenset[str]:
        documents = [one.document for one in lines]
        return self.revocations.replace(
            StoredDocument(one.key, one.user_id, one.document) for one in documents
        )

    def mint(self, user: str = ADA) -> str:
        return self.tokens.mint(user, expires_s=3_600)

    def refuses(self, token: str) -> str:
        with pytest.raises(TokenError) as raised:
            self.tokens.verify(token)
        return raised.value.cause


def test_one_token_is_taken_back_by_its_id_and_others_of_its_user_stay() -> None:
    server = Server()
    first, second = server.mint(), server.mint()

    server.revoke(of_token("id 0", NOW))

    assert "it was revoked" == server.refuses(first)
    assert ADA == server.tokens.verify(second)


@pytest.mark.parametrize(
    ("minted_at", "is_good"), [(-60, False), (0, False), (0.9, False), (1, True), (5, True)]
)
def test_all_tokens_of_a_user_from_before_are_taken_back_to_the_second(
    minted_at: float, is_good: bool
) -> None:
    server = Server()
    server.now = NOW + minted_at
    token = server.mint()

    server.revoke(of_user(ADA, NOW + 0.2))
    server.now = NOW + 10

    if is_good:
        assert ADA == server.tokens.verify(token)
    else:
        assert "all tokens of its user were revoked" == server.refuses(token)


def test_nobody_else_loses_a_token_and_one_that_does_not_say_when_it_was_made_is_lost() -> None:
    server = Server()
    of_eve = server.mint(EVE)
    timeless = jwt.encode({"email": ADA}, SECRET, algorithm="HS256")
    assert ADA == server.tokens.verify(timeless)

    server.revoke(of_user(ADA, NOW))
    server.now += 3_600

    assert EVE == server.tokens.verify(of_eve)
    assert "all tokens of its user were revoked" == server.refuses(timeless)


def test_who_is_news_is_told_once_and_a_line_that_is_gone_holds_no_more() -> None:
    server = Server()
    token = server.mint()

    assert {ADA} == server.revoke(of_user(ADA, NOW), of_token("x", NOW))
    assert not server.revoke(of_user(ADA, NOW), of_user(EVE, 0.0 - 10))
    assert {ADA} == server.revoke(of_user(ADA, NOW + 5))
    assert not server.revoke()
    assert ADA == server.tokens.verify(token)


def test_a_login_counts_as_given_when_it_was() -> None:
    server = Server()
    server.revoke(of_user(ADA, NOW))

    assert server.tokens.has_revoked(ADA, NOW)
    assert not server.tokens.has_revoked(ADA, NOW + 1)
    assert not server.tokens.has_revoked(EVE, NOW)


def test_a_new_secret_signs_and_the_former_one_checks() -> None:
    old, between = Server(FORMER), Server(SECRET, FORMER)
    of_old, of_new = old.mint(), between.mint()

    assert ADA == between.tokens.verify(of_old)
    assert ADA == between.tokens.verify(of_new)
    assert "the signature is not ours" == old.refuses(of_new)
    assert "the signature is not ours" == Server(SECRET).refuses(of_old)


def test_a_token_names_its_secret_and_one_that_names_none_or_a_wrong_one_is_no_other() -> None:
    server = Server(SECRET, FORMER)
    heads = [jwt.get_unverified_header(one.mint())["kid"] for one in (server, Server(FORMER), server)]
    nameless = jwt.encode({"email": ADA}, FORMER, algorithm="HS256")
    foreign = jwt.encode({"email": ADA}, FORMER, algorithm="HS256", headers={"kid": "another cloud's"})
    wrong = jwt.encode({"email": ADA}, FORMER, algorithm="HS256", headers={"kid": heads[0]})

    assert heads[0] == heads[2] != heads[1]
    assert (ADA, ADA) == (server.tokens.verify(nameless), server.tokens.verify(foreign))
    assert "the signature is not ours" == server.refuses(wrong)
