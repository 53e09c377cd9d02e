"""The arithmetic that peers' messages, their bytes and the log's lines are limited by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.token_bucket import TokenBucket

PAUSES = st.lists(st.floats(0, 2), min_size=1, max_size=200)


@given(rate=st.floats(1, 1000), burst=st.integers(1, 100), pauses=PAUSES)
def test_no_stretch_of_time_takes_more_than_its_rate_and_one_burst(
    rate: float, burst: int, pauses: list[float]
) -> None:
    bucket = TokenBucket(rate, burst)
    now, taken = 0.0, []
    for pause in pauses:
        now += pause
        if bucket.take(now):
            taken.append(now)

    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - begin) * rate + 1e-6


@given(rate=st.floats(1, 1000), burst=st.integers(1, 100), pauses=PAUSES, amount=st.integers(1, 500))
def test_who_waits_as_long_as_the_bucket_says_is_let_through(
    rate: float, burst: int, pauses: list[float], amount: int
) -> None:
    bucket = TokenBucket(rate, burst)
    now = 0.0
    for pause in pauses:
        now += pause
        bucket.take(now)
    wait_s = bucket.wait_s(now, amount)

    assert (wait_s == 0.0) is bucket.holds(now, amount)
    assert bucket.take(now + wait_s + 1e-6, amount)


def test_what_is_larger_than_the_bucket_passes_when_it_is_full_and_is_paid_for() -> None:
    bucket = TokenBucket(10, 20, now=100.0)

    assert bucket.take(100.0, 50)
    assert not bucket.take(102.9, 1)
    assert bucket.take(103.2, 1)
