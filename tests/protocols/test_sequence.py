"""Packets out of order, twice, late or lost (protocol.md 7.1): tables, and what holds for any network."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from protocols import sequence
from protocols.sequence import BLE, UDP, Heard, Lost, SequenceRules, SequenceState

BOTH = pytest.mark.parametrize("rules", [UDP, BLE], ids=["16 bits", "8 bits"])


class Stream:
    def __init__(self, rules: SequenceRules = UDP) -> None:
        self.rules = rules
        self.state = SequenceState()
        self.now = 5.0

    def send(self, *numbers: int, after_s: float = 0.0, mark: str = "") -> list[str | int]:
        """What follows in order: payloads, which say their number, and how many are lost."""
        heard: Heard = ()
        for number in numbers:
            self.now += after_s
            payload = f"{mark}{number}".encode()
            self.state, more = sequence.arrived(self.state, number, payload, self.now, self.rules)
            heard += more
        return said(heard)

    def wait(self, seconds: float) -> list[str | int]:
        self.now += seconds
        self.state, heard = sequence.overdue(self.state, self.now, self.rules)
        return said(heard)


def said(heard: Heard) -> list[str | int]:
    return [item.packets if isinstance(item, Lost) else item.decode() for item in heard]


@BOTH
def test_packets_in_order_go_through_at_once_past_the_last_number(rules: SequenceRules) -> None:
    stream = Stream(rules)
    last = 2**rules.bits - 1

    assert [str(last - 1), str(last), "0", "1"] == stream.send(last - 1, last, 0, 1)
    assert [str(last + 1)] == Stream(rules).send(last + 1), "only the lowest bits count"


@BOTH
def test_a_packet_before_its_turn_waits_for_the_one_before(rules: SequenceRules) -> None:
    stream = Stream(rules)

    assert ["1"] == stream.send(1)
    assert [] == stream.send(4, 3, after_s=0.005)
    assert ["2", "3", "4"] == stream.send(2)
    assert (0, 0) == (stream.state.lost, stream.state.late)


def test_a_gap_is_given_up_after_twenty_milliseconds() -> None:
    stream = Stream()
    stream.send(1, 3, 4)
    assert 5.02 == pytest.approx(sequence.due_at(stream.state) or 0.0)

    assert [] == stream.wait(0.019)
    assert [1, "3", "4"] == stream.wait(0.002)
    assert sequence.due_at(stream.state) is None
    assert ["5"] == stream.send(5)
    assert [] == stream.send(2)

    assert (5 - 1, 1, 1, 0) == (
        stream.state.delivered,
        stream.state.lost,
        stream.state.late,
        stream.state.duplicates,
    )


def test_a_gap_is_given_up_when_the_next_packet_comes_too_late_to_wait_on() -> None:
    stream = Stream()
    stream.send(1, 3)

    assert [1, "3", "4"] == stream.send(4, after_s=0.02)


def test_ten_packets_wait_and_not_one_more() -> None:
    stream = Stream()
    stream.send(0)

    assert [] == stream.send(*range(2, 12))
    assert [1, *map(str, range(2, 13))] == stream.send(12)


def test_each_gap_has_its_own_wait() -> None:
    stream = Stream()
    stream.send(0, 2)
    stream.send(4, after_s=0.015)

    assert [1, "2"] == stream.wait(0.006)
    assert [1, "4"] == stream.wait(0.015)


def test_what_came_twice_is_heard_once() -> None:
    stream = Stream()

    assert ["1", "2"] == stream.send(1, 2, 2, 1, 4, 4)
    assert ["3", "4"] == stream.send(3)
    assert [] == stream.send(4)

    assert (4, 0) == (stream.state.duplicates, stream.state.late)


@pytest.mark.parametrize("jump", [50, -50, 60, -60, 30_000, 40_000])
def test_a_jump_of_fifty_is_a_sender_that_began_anew(jump: int) -> None:
    stream = Stream()
    stream.send(1_000, 1_002)

    assert [1, "1002", str(1_001 + jump)] == stream.send(1_001 + jump)
    assert (1, 1) == (stream.state.resets, stream.state.lost)
    assert [str(1_002 + jump)] == stream.send(1_002 + jump)


def test_a_jump_of_forty_nine_is_a_loss() -> None:
    stream = Stream()
    stream.send(1_000)

    assert [] == stream.send(1_050)
    assert [49, "1050"] == stream.wait(0.02)


def test_a_sender_that_begins_anew_a_little_way_back_is_heard_again() -> None:
    stream = Stream()
    stream.send(*range(30))

    assert ["anew 9", "anew 10"] == stream.send(*range(11), mark="anew ")
    assert (1, 9) == (stream.state.resets, stream.state.late)


def test_a_network_that_says_everything_twice_is_no_new_beginning() -> None:
    stream = Stream()
    stream.send(*range(30))

    assert [] == stream.send(*range(30))
    assert (30, 0) == (stream.state.duplicates, stream.state.resets)


def test_late_packets_between_good_ones_are_no_new_beginning() -> None:
    stream = Stream()
    stream.send(*range(30))

    for number in range(30, 50):
        assert [str(number)] == stream.send(number)
        assert [] == stream.send(number - 20, mark="other ")

    assert (20, 0) == (stream.state.late, stream.state.resets)


@BOTH
@given(data=some.data())
def test_any_order_within_the_window_comes_out_in_order(rules: SequenceRules, data: some.DataObject) -> None:
    first = data.draw(some.integers(0, 2**rules.bits - 1))
    stream = Stream(rules)
    stream.send(first)
    numbers = list(range(first + 1, first + 41))
    heard: list[str | int] = []

    waiting: list[int] = []
    while (
        numbers or waiting
    ):  # a network that holds back ten packets at most, none for longer than the window
        while numbers and numbers[0] - min(waiting, default=numbers[0]) < 10:
            waiting.append(numbers.pop(0))
        heard += stream.send(waiting.pop(data.draw(some.integers(0, len(waiting) - 1))))

    assert [str(number) for number in range(first + 1, first + 41)] == heard
    assert (0, 0, 0) == (stream.state.lost, stream.state.late, stream.state.resets)


@BOTH
@given(
    sent=some.lists(
        some.tuples(some.integers(0, 400), some.sampled_from([0.0, 0.004, 0.02, 0.1])), max_size=80
    )
)
def test_nothing_is_heard_twice_and_everything_is_accounted_for(
    rules: SequenceRules, sent: list[tuple[int, float]]
) -> None:
    stream = Stream(rules)
    since_reset: list[int] = []
    resets = 0
    for accounted, (number, after_s) in enumerate(sent, start=1):
        payloads = stream.send(number % 2**rules.bits, after_s=after_s)
        if stream.state.resets > resets:
            resets, since_reset = stream.state.resets, [int(payloads[-1])]
        else:
            since_reset += [int(one) for one in payloads if isinstance(one, str)]
        assert len(stream.state.waiting) <= rules.most_waiting
        assert len(since_reset[-100:]) == len(set(since_reset[-100:])), "8 bits come round after 256"
        steps = [(b - a) % 2**rules.bits for a, b in pairwise(since_reset)]
        assert all(0 < step <= rules.reset_gap for step in steps), "in order, without a jump"
        state = stream.state
        assert accounted == state.delivered + state.duplicates + state.late + len(state.waiting)


@given(numbers=some.lists(some.integers(0, 2**16 - 1), max_size=40))
def test_the_end_of_a_stream_leaves_nothing_waiting(numbers: list[int]) -> None:
    stream = Stream()
    stream.send(*numbers)

    state, heard = sequence.flushed(stream.state)

    assert () == state.waiting
    assert len(stream.state.waiting) == sum(isinstance(one, bytes) for one in heard)
