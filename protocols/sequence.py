"""Packets that may come late, twice, out of order or not at all, put in order again (protocol.md 7.1).

    state, heard = arrived(state, 7, payload, now)
    state, heard = overdue(state, now)        # at due_at(state), if nothing arrived before

A packet that comes before its turn waits: for at most ten others, and 20 ms. Then what is missing counts as
lost, and a packet of it that still comes is late. A jump of 50 or more is no loss but a sender that began
anew, and so are ten in a row behind their turn that never came before. Numbers are as wide as the
transport's: 16 bits over UDP, 8 in the glasses' packets.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import msgspec
from msgspec.structs import replace


class SequenceRules(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes:
    bits: of a sequence number.
    most_waiting: packets that wait for an earlier one.
    wait_s: how long the first of them does.
    reset_gap: from so many on a jump is a new beginning, forwards and backwards; less than half the numbers.
    """

    bits: int = 16
    most_waiting: int = 10
    wait_s: float = 0.020
    reset_gap: int = 50


UDP = SequenceRules()
BLE = SequenceRules(bits=8)


class Lost(NamedTuple):
    """In the place of packets that never came."""

    packets: int


class Waiting(NamedTuple):
    """A packet before its turn."""

    sequence: int
    payload: bytes
    since: float


class SequenceState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream stands, and what has become of it.

    Attributes:
      next: the number whose turn it is; None before the first packet.
      waiting: in the order of their turns.
      recent: the numbers that had their turn last, and did come, with their payloads' CRC.
      late_in_a_row: since the last packet that was not late, and each one number after the one before.
      last_late: the number of the last of them.
      delivered, lost, duplicates, late, resets: how many.
    """

    next: int | None = None
    waiting: tuple[Waiting, ...] = ()
    recent: tuple[tuple[int, int], ...] = ()
    late_in_a_row: int = 0
    last_late: int = -1
    delivered: int = 0
    lost: int = 0
    duplicates: int = 0
    late: int = 0
    resets: int = 0


Heard = tuple[bytes | Lost, ...]
"""What follows in order."""


def arrived(
    state: SequenceState, sequence: int, payload: bytes, now: float, rules: SequenceRules = UDP
) -> tuple[SequenceState, Heard]:
    """A packet came.

    Args:
      sequence: its number; only its lowest bits count.
      now: seconds that never go back.
    """
    size = 1 << rules.bits
    sequence %= size
    if state.next is None:
        return _deliver(replace(state, next=sequence), sequence, payload, rules)
    ahead = (sequence - state.next) % size
    behind = size - ahead
    if min(ahead, behind) >= rules.reset_gap:
        return _begin_anew(state, sequence, payload, rules)
    if ahead > size // 2:
        return _behind(state, sequence, payload, rules)
    state = replace(state, late_in_a_row=0)
    if ahead == 0:
        state, heard = _deliver(state, sequence, payload, rules)
        state, more = _drain(state, rules)
        return state, heard + more
    if any(sequence == packet.sequence for packet in state.waiting):
        return replace(state, duplicates=state.duplicates + 1), ()
    state = replace(state, waiting=_sorted(state, Waiting(sequence, payload, now), rules))
    return overdue(state, now, rules)


def overdue(state: SequenceState, now: float, rules: SequenceRules = UDP) -> tuple[SequenceState, Heard]:
    """What no longer waits for an earlier packet at `now`."""
    heard: Heard = ()
    while state.waiting and (len(state.waiting) > rules.most_waiting or now >= _due(state, rules)):
        state, more = _give_up_gap(state, rules)
        heard += more
    return state, heard


def due_at(state: SequenceState, rules: SequenceRules = UDP) -> float | None:
    """When `overdue` is to be asked; None while nothing waits."""
    return _due(state, rules) if state.waiting else None


def flushed(state: SequenceState, rules: SequenceRules = UDP) -> tuple[SequenceState, Heard]:
    """The stream is over: what waits waits no longer."""
    heard: Heard = ()
    while state.waiting:
        state, more = _give_up_gap(state, rules)
        heard += more
    return state, heard


def _due(state: SequenceState, rules: SequenceRules) -> float:
    return min(packet.since for packet in state.waiting) + rules.wait_s


def _behind(
    state: SequenceState, sequence: int, payload: bytes, rules: SequenceRules
) -> tuple[SequenceState, Heard]:
    """It has had its turn: it came already, or is late. Or its sender has begun anew a little way back."""
    if (sequence, crc32(payload)) in state.recent:
        return replace(state, duplicates=state.duplicates + 1), ()
    follows = sequence == (state.last_late + 1) % (1 << rules.bits)
    in_a_row = state.late_in_a_row + 1 if follows and state.late_in_a_row else 1
    if in_a_row >= rules.most_waiting:
        return _begin_anew(state, sequence, payload, rules)
    return replace(state, late_in_a_row=in_a_row, last_late=sequence, late=state.late + 1), ()


def _begin_anew(
    state: SequenceState, sequence: int, payload: bytes, rules: SequenceRules
) -> tuple[SequenceState, Heard]:
    state, before = flushed(state, rules)
    state = replace(state, next=sequence, recent=(), late_in_a_row=0, resets=state.resets + 1)
    state, heard = _deliver(state, sequence, payload, rules)
    return state, before + heard


def _deliver(
    state: SequenceState, sequence: int, payload: bytes, rules: SequenceRules
) -> tuple[SequenceState, Heard]:
    state = replace(
        state,
        next=(sequence + 1) % (1 << rules.bits),
        recent=(*state.recent, (sequence, crc32(payload)))[-rules.reset_gap :],
        delivered=state.delivered + 1,
    )
    return state, (payload,)


def _drain(state: SequenceState, rules: SequenceRules) -> tuple[SequenceState, Heard]:
    heard: Heard = ()
    while state.waiting and state.waiting[0].sequence == state.next:
        first, *rest = state.waiting
        state = replace(state, waiting=tuple(rest))
        state, more = _deliver(state, first.sequence, first.payload, rules)
        heard += more
    return state, heard


def _give_up_gap(state: SequenceState, rules: SequenceRules) -> tuple[SequenceState, Heard]:
    assert state.next is not None
    first = state.waiting[0].sequence
    missing = (first - state.next) % (1 << rules.bits)
    state, heard = _drain(replace(state, next=first, lost=state.lost + missing), rules)
    return state, (Lost(missing), *heard)


def _sorted(state: SequenceState, packet: Waiting, rules: SequenceRules) -> tuple[Waiting, ...]:
    turn = state.next
    assert turn is not None
    size = 1 << rules.bits
    return tuple(sorted((*state.waiting, packet), key=lambda each: (each.sequence - turn) % size))
