"""Tickets for spoken texts: for one wearer, one text and a short while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.speaking import LASTS_S, SpeechTickets

ADA = "ada@example.org"
NOW = 1_700_000_000.0
TICKETS = SpeechTickets(b"a key")


@given(st.text(max_size=40), st.text(max_size=80))
def test_a_ticket_is_good_for_its_wearer_and_text(user_id: str, text: str) -> None:
    ticket = TICKETS.ticket(user_id, text, NOW)

    assert user_id == TICKETS.holder(ticket, text, NOW)
    assert TICKETS.holder(ticket, text + "!", NOW) is None
    assert SpeechTickets(b"another key").holder(ticket, text, NOW) is None


def test_a_ticket_ends() -> None:
    ticket = TICKETS.ticket(ADA, "It is ten.", NOW)

    assert ADA == TICKETS.holder(ticket, "It is ten.", NOW + LASTS_S - 1)
    assert TICKETS.holder(ticket, "It is ten.", NOW + LASTS_S + 1) is None


def test_no_part_of_a_ticket_can_be_changed() -> None:
    user, until, signature = TICKETS.ticket(ADA, "It is ten.", NOW).split(".")
    others = TICKETS.ticket("bob@example.org", "It is ten.", NOW).split(".")

    for changed in (
        f"{others[0]}.{until}.{signature}",
        f"{user}.{int(until) + 1}.{signature}",
        f"{user}.{until}.{others[2]}",
        f"{user}.{until}",
        f"{user}.{until}.",
    ):
        assert TICKETS.holder(changed, "It is ten.", NOW) is None


@given(st.text(max_size=120))
def test_nonsense_is_no_ticket(ticket: str) -> None:
    assert TICKETS.holder(ticket, "It is ten.", NOW) is None


@pytest.mark.parametrize("ticket", ["", "..", "a.b.c", "é.1.x", "YQ.99999999999.é", "YQ==.1.1"])
def test_what_resembles_a_ticket_is_none(ticket: str) -> None:
    assert TICKETS.holder(ticket, "", NOW) is None
