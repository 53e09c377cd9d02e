"""What a wearer's day adds up to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.usage import MOST_APPS, OTHER, Seen, Usage, added

DAY = Usage(day="2026-11-21")
NAMES = st.sampled_from([f"org.example.a{number}" for number in range(MOST_APPS + 20)])


@pytest.mark.parametrize(
    ("session_s", "elapsed_s", "expected"),
    [(20.0, 60.0, (1, 20.0)), (60.0, 60.0, (0, 60.0)), (3_600.0, 60.0, (0, 60.0)), (0.0, 60.0, (1, 0.0))],
    ids=["began since", "began with the look before", "stands for long", "begins now"],
)
def test_a_session_counts_once_and_for_as_long_as_it_was_there(
    session_s: float, elapsed_s: float, expected: tuple[int, float]
) -> None:
    day = added(DAY, Seen(session_s, ("org.example.a",), ("phone",)), elapsed_s)

    assert expected == (day.sessions, day.session_s)
    assert {"org.example.a": expected[1]} == day.apps
    assert {"phone": expected[1]} == day.features


@given(st.lists(st.tuples(st.floats(0, 1e5), st.sets(NAMES, max_size=5), st.floats(1, 120)), max_size=200))
def test_a_day_is_bounded_and_nothing_of_it_is_lost(looks: list[tuple[float, set[str], float]]) -> None:
    day, total = DAY, 0.0
    for session_s, apps, elapsed_s in looks:
        day = added(day, Seen(session_s, tuple(apps), ()), elapsed_s)
        total += len(apps) * min(session_s, elapsed_s)

    assert len(day.apps) <= MOST_APPS + 1
    assert pytest.approx(total) == sum(day.apps.values())
    assert OTHER not in day.apps or len(day.apps) == MOST_APPS + 1
