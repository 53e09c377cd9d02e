"""The end of each session's log in memory: whose a line is, how much is kept, what went wrong lately."""

from __future__ import annotations

import io

import pytest

from adapters.telemetry import LogTelemetry, MemoryLogs
from adapters.telemetry.session_logs import LONGEST_LINE, MINUTES, MOST_APPS

ADA = "ada@example.org"


def test_the_log_keeps_the_end_of_each_session() -> None:
    kept = MemoryLogs(lines=2, sessions=2)
    log = LogTelemetry(io.StringIO(), kept=kept, wall=lambda: 0.0)

    for number in range(3):
        log.info("pressed", user=ADA, number=number)
    log.debug("not written", user=ADA)
    log.info("somebody's", user="bob")

    read = kept.log_of(ADA)
    assert 3 == read.count
    assert [
        f"1970-01-01T00:00:00.000Z info    pressed user={ADA} number=1",
        f"1970-01-01T00:00:00.000Z info    pressed user={ADA} number=2",
    ] == list(read.lines)
    log.info("a third", user="eve")
    assert 0 == kept.log_of(ADA).count, "heard of longest ago"
    assert 1 == kept.log_of("bob").count


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({"user": "ada"}, "ada"),
        ({"actor": "/glasshouse/users/ada/display"}, "ada"),
        ({"actor": "/glasshouse/users/a%2Fb%25"}, "a/b%"),
        ({"actor": "/glasshouse/desks/ada/assistant"}, "ada"),
        ({"actor": "/glasshouse/media/users/ada"}, None),
        ({"actor": "/glasshouse/directory"}, None),
        ({"user": 7}, None),
        ({}, None),
    ],
)
def test_a_line_is_a_users_who_is_named_or_whose_actor_it_is(
    fields: dict[str, object], user: str | None
) -> None:
    kept = MemoryLogs()

    kept.wrote(fields, b"line")

    assert [user] * (user is not None) == [*kept._rings]


def test_a_long_line_is_cut() -> None:
    kept = MemoryLogs()

    kept.wrote({"user": ADA}, b"x" * 4_000)

    assert [LONGEST_LINE] == [len(line) for line in kept.log_of(ADA).lines]


def test_errors_are_counted_by_minute_and_app_whether_they_are_written_or_not() -> None:
    now = 600.0
    kept = MemoryLogs(wall=lambda: now)
    log = LogTelemetry(io.StringIO(), kept=kept, wall=lambda: now)

    log.error("crashed", package="org.example.a")
    log.warning("late", package="org.example.a")
    log.warning("late")
    log.info("fine", package="org.example.a")
    now += 120
    log.warning("late")

    every, one, none = kept.rates(), kept.rates("org.example.a"), kept.rates("org.example.b")
    assert ((1, 0, 0), (2, 0, 1)) == (every.errors[-3:], every.warnings[-3:])
    assert (("late", 3), ("crashed", 1)) == every.events
    assert ((1, 0, 0), (1, 0, 0)) == (one.errors[-3:], one.warnings[-3:])
    assert (0, ()) == (sum(none.errors + none.warnings), none.events)
    now += 60 * MINUTES
    assert 0 == sum(kept.rates().errors + kept.rates().warnings)


def test_counting_is_bounded() -> None:
    kept = MemoryLogs(wall=lambda: 0.0)

    for number in range(MOST_APPS + 10):
        kept.failed("error", "crashed", {"package": f"app {number}"})

    assert MOST_APPS == len(kept._minutes[-1].apps)
    assert MOST_APPS + 10 == kept.rates().errors[-1]
