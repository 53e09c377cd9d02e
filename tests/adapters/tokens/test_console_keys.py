"""What the console signs: a signature is good for its own purpose, session and secret alone."""

from __future__ import annotations

import pytest

from actors.console.ports import OneTimeLink
from actors.ports import TokenError
from adapters.tokens import ConsoleKeys, CoreTokens

SECRET, OTHER = "a secret of thirty-two bytes or more", "another one of thirty-two bytes or more"
LINK = OneTimeLink("link-1", "ada@example.org", 1_000.5)


def test_what_was_signed_is_read() -> None:
    keys = ConsoleKeys((SECRET,))

    assert "session-1" == keys.session_of(keys.cookie("session-1"))
    assert keys.is_form_mark("session-1", keys.form_mark("session-1"))
    assert LINK == keys.read_link(keys.mint_link(LINK))


def test_nothing_signed_for_one_purpose_passes_for_another() -> None:
    keys, tokens = ConsoleKeys((SECRET,)), CoreTokens((SECRET,))
    cookie, mark, link = keys.cookie("session-1"), keys.form_mark("session-1"), keys.mint_link(LINK)
    token = tokens.mint("ada@example.org", expires_s=60)

    assert [None] * 4 == [
        keys.session_of(one) for one in (f"session-1.{mark}", link, link.removeprefix("link."), token)
    ]
    assert [None] * 4 == [keys.read_link(one) for one in (cookie, f"link.{cookie}", mark, token)]
    assert not any(keys.is_form_mark("session-1", one) for one in (cookie, cookie.rpartition(".")[2], link))
    assert not keys.is_form_mark("session-2", mark)
    for one in (cookie, mark, link):
        with pytest.raises(TokenError):
            tokens.verify(one)


def test_another_secret_is_another_server_and_a_former_one_still_counts() -> None:
    before, after = ConsoleKeys((SECRET,)), ConsoleKeys((OTHER, SECRET))
    cookie, mark, link = before.cookie("session-1"), before.form_mark("session-1"), before.mint_link(LINK)

    assert "session-1" == after.session_of(cookie)
    assert after.is_form_mark("session-1", mark)
    assert LINK == after.read_link(link)
    assert before.session_of(after.cookie("session-1")) is None


NONSENSE = ["", ".", "link.", "link..", "é", "\x00", "a.b.c", "x" * 10_000, "link." + "x" * 10_000]


@pytest.mark.parametrize("given", NONSENSE)
def test_nonsense_is_nothing(given: str) -> None:
    keys = ConsoleKeys((SECRET,))

    assert keys.session_of(given) is None
    assert keys.read_link(given) is None
    assert not keys.is_form_mark("session-1", given)
