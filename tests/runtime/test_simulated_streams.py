"""Streams in memory behave like trio's, and fail like TCP's."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
import trio.testing

from runtime.testing import Link


@pytest.mark.parametrize("is_split", [False, True])
async def test_a_link_passes_trios_own_conformance_check(is_split: bool) -> None:
    async def make() -> tuple[Any, Any]:
        ends = Link(chance=random.Random(1) if is_split else None)
        return ends.near, ends.far

    await trio.testing.check_half_closeable_stream(make, None)


async def test_a_full_stream_says_when_it_has_room() -> None:
    link = Link(capacity=1)
    await link.near.send_all(b"x")
    with trio.move_on_after(1) as scope:
        await link.near.wait_send_all_might_not_block()
    await link.far.receive_some()
    await link.near.wait_send_all_might_not_block()

    assert scope.cancelled_caught


async def test_closing_wakes_who_waits_for_room() -> None:
    link = Link(capacity=1)
    await link.near.send_all(b"x")
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await link.near.wait_send_all_might_not_block()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await link.near.aclose()
    for call in (link.near.wait_send_all_might_not_block, link.near.send_eof):
        with pytest.raises(trio.ClosedResourceError):
            await call()


async def test_bytes_take_their_time() -> None:
    link = Link(delay_s=2)
    await link.near.send_all(b"late")
    began = trio.current_time()

    assert await link.far.receive_some() == b"late"
    assert trio.current_time() - began == pytest.approx(2)


async def test_bytes_arrive_in_order_even_when_the_delay_shrinks() -> None:
    link = Link(delay_s=2)
    await link.near.send_all(b"first ")
    link.delay_s = 0
    await link.near.send_all(b"second")
    await trio.sleep(3)

    assert await link.far.receive_some() == b"first second"


async def test_the_end_arrives_after_the_bytes() -> None:
    link = Link(delay_s=1)
    await link.near.send_all(b"last")
    await link.near.aclose()

    assert [b"last", b""] == [await link.far.receive_some(), await link.far.receive_some()]


async def test_what_is_held_arrives_later() -> None:
    link = Link()
    link.hold()
    await link.near.send_all(b"held")
    with trio.move_on_after(5) as scope:
        await link.far.receive_some()
    link.release()

    assert scope.cancelled_caught
    assert await link.far.receive_some() == b"held"


async def test_a_half_open_peer_is_silent_and_swallows() -> None:
    link = Link(capacity=4)
    link.half_open()
    for _ in range(10):
        await link.near.send_all(b"vanishes")
    await link.far.aclose()
    await link.near.send_all(b"vanishes")

    with trio.move_on_after(60) as scope:
        await link.near.receive_some()
    assert scope.cancelled_caught


async def test_one_direction_can_be_lost() -> None:
    link = Link()
    await link.near.send_all(b"under way")
    link.lose(from_far=False)
    await link.far.send_all(b"arrives")

    assert await link.near.receive_some() == b"arrives"
    with trio.move_on_after(5) as scope:
        await link.far.receive_some()
    assert scope.cancelled_caught


async def test_a_cut_is_an_end_for_both() -> None:
    link = Link(delay_s=1)
    await link.near.send_all(b"lost")
    link.cut()

    assert await link.far.receive_some() == b""
    assert await link.near.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await link.near.send_all(b"more")


async def test_a_reset_fails_both_ends_at_once() -> None:
    link = Link()
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await link.far.receive_some()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        link.reset()
    with pytest.raises(trio.BrokenResourceError):
        await link.near.send_all(b"more")


async def test_a_slow_reader_holds_the_writer() -> None:
    link = Link(capacity=4)
    with trio.move_on_after(5) as scope:
        await link.near.send_all(b"more than four")

    assert scope.cancelled_caught
    assert await link.far.receive_some() == b"more"


async def test_chance_splits_what_is_received() -> None:
    link = Link(chance=random.Random(3))
    sizes = []
    for _ in range(20):
        await link.near.send_all(b"0123456789")
        await trio.lowlevel.checkpoint()
        sizes.append(len(await link.far.receive_some()))

    assert len(set(sizes)) > 3
