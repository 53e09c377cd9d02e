"""A tree of actors as the console's lines: who is connected, how each actor stands, what it has measured."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.console.overview import (
    JUST_BACK_S,
    RunningApp,
    actor_lines,
    lines_of_all,
    standing,
    tiles,
    wearer_line,
)
from actors.figures import Figures


class FakeNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node as the runtime tells one."""

    name: str
    path: str = ""
    kind: str = ""
    status: str = "running"
    state: str = ""
    depth: int = 0
    high_water: int = 0
    oldest_age_s: float | None = None
    handled: int = 0
    worked_s: float = 0.0
    restarts: int = 0
    last_error: str | None = None
    age_s: float | None = 100.0
    facts: dict[str, Any] = {}
    children: tuple[FakeNode, ...] = ()


STAGES = {"interim": {"p50_ms": 120, "p99_ms": 300}, "send": {"p50_ms": 1, "p99_ms": 5}}
SESSION = FakeNode(
    name="ada@example.org",
    children=(
        FakeNode(name="session", kind="UserSession", facts={"session_s": 90.0}, depth=2),
        FakeNode(
            name="link",
            kind="GlassesLink",
            facts={"connection": "c-1", "peer": "p", "open_s": 60.5, "round_trip_ms": 4.2, "missed_pongs": 0},
        ),
        FakeNode(name="en-US", kind="TranscriptionStream", facts={"stages": STAGES}, restarts=1),
        FakeNode(name="display", status="down", restarts=3, depth=7, oldest_age_s=0.25, last_error="Boom"),
        FakeNode(name="org.example.a", kind="AppSession", facts={"phase": "grace"}),
        FakeNode(name="org.example.b", kind="AppSession", facts={"phase": "running"}),
    ),
)
DESK = FakeNode(
    name="ada@example.org",
    children=(FakeNode(name="desktops", kind="Desktops", facts={"online": 2, "agents": 1}),),
)


def test_a_wearers_line_adds_up_their_session_and_their_desk() -> None:
    line = wearer_line("ada@example.org", SESSION, DESK)

    assert (90.0, 60.5, 4.2, 300.0) == (
        line.session_s,
        line.phone_s,
        line.round_trip_ms,
        line.captions_ms,
    )
    assert (RunningApp("org.example.a", "grace"), RunningApp("org.example.b", "running")) == line.apps
    assert (2, 1, 9, 9, 7, 4, 1) == (
        line.desktops,
        line.agents,
        line.actors,
        line.waiting,
        line.most_waiting,
        line.restarts,
        line.down,
    )


def test_who_has_a_desk_alone_is_connected_without_a_phone() -> None:
    line = wearer_line("ada@example.org", None, DESK)

    assert (False, None, None, None, ()) == (
        line.has_session,
        line.phone_s,
        line.round_trip_ms,
        line.captions_ms,
        line.apps,
    )


def test_an_actors_line_says_what_it_has_measured_and_what_waits() -> None:
    lines = {line.name: line for line in actor_lines(SESSION)}

    assert (0, 1) == (lines["ada@example.org"].depth, lines["session"].depth)
    assert ("round trip 4 ms",) == lines["link"].latency
    assert ("peer p", "open s 60.5") == lines["link"].notes
    assert ("interim 120 / 300 ms", "to the recogniser 1 / 5 ms") == lines["en-US"].latency
    assert (250.0, "Boom", "Down, coming back", "bad") == (
        lines["display"].oldest_ms,
        lines["display"].last_error,
        lines["display"].word,
        lines["display"].tone,
    )
    assert ("grace", "") == (lines["org.example.a"].state, lines["org.example.b"].state)


@pytest.mark.parametrize(
    ("status", "restarts", "age_s", "word"),
    [
        ("running", 0, 1.0, "Running"),
        ("running", 1, JUST_BACK_S - 1, "Just back"),
        ("running", 1, JUST_BACK_S, "Running"),
        ("starting", 1, None, "Starting"),
        ("suspended", 0, 9.0, "Suspended"),
        ("down", 1, None, "Down, coming back"),
    ],
)
def test_an_actor_stands_in_a_word(status: str, restarts: int, age_s: float | None, word: str) -> None:
    assert word == standing(FakeNode(name="a", status=status, restarts=restarts, age_s=age_s))[0]


def test_the_server_in_figures_counts_one_and_many() -> None:
    top = FakeNode(
        name="glasshouse",
        children=(
            FakeNode(name="users", children=(SESSION, FakeNode(name="a%2Fb@example.org"))),
            FakeNode(name="desks", children=(DESK,)),
            FakeNode(name="overload", kind="Overload", facts={"loop": {"p99_ms": 12}, "overloaded": True}),
        ),
    )
    lines, figures = lines_of_all(top), Figures()
    figures.add([*SESSION.children, *DESK.children, top.children[2]])

    shown = {tile.key: (tile.value, tile.name, tile.note) for tile in tiles(figures, lines)}

    assert ["a/b@example.org", "ada@example.org"] == [line.user_id for line in lines]
    assert ("2", "users", "") == shown["user"]
    assert ("1", "phone", "1 session") == shown["phone"]
    assert ("1", "app runs", "2 packages") == shown["app runs"]
    assert ("2", "desktops", "1 agent") == shown["desktop"]
    assert ("9", "messages wait", "7 in one mailbox") == shown["message waits"]
    assert ("4", "restarts", "1 down") == shown["restart"]
    assert ("300 ms", "captions, worst p99", "") == shown["captions"]
    assert ("12 ms", "loop delay, p99", "overloaded") == shown["loop"]
