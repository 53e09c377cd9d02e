"""Overload: when it begins and ends, what is shed, who is turned away, and that presses go through it."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.overload import OverloadBoard, OverloadSettings
from actors.overload.actor import Excused
from actors.overload.machine import Entered, Left, OverloadState, step
from actors.ports import Admitted, Refused
from tests.actors.world import ADA, CAPTIONS, FakeConnection, World, open_world

SETTINGS = OverloadSettings()
PRESS = {"type": "button_press", "buttonId": "main", "pressType": "short"}
WELL_AGAIN_S = 5.0


class Looked(NamedTuple):
    now: float
    state: OverloadState
    effects: tuple[object, ...]


def look(lateness: list[float], state: OverloadState | None = None, now: float = 100.0) -> list[Looked]:
    """A look each `sample_s`."""
    state = state or OverloadState()
    seen = []
    for late_s in lateness:
        now += SETTINGS.sample_s
        state, effects = step(state, late_s, now, SETTINGS)
        seen.append(Looked(now, state, effects))
    return seen


LATENESS = st.lists(st.floats(0, 2), max_size=200)


@given(LATENESS)
def test_the_share_is_a_share_and_is_nothing_outside_an_overload(lateness: list[float]) -> None:
    for _, state, _ in look(lateness):
        assert 0 <= state.share <= 1
        assert state.is_on or not state.share
        assert state.is_on is (state.entered_at is not None)
        assert state.is_on or not state.is_closed


@given(LATENESS)
def test_every_overload_that_begins_is_told_and_so_is_its_end(lateness: list[float]) -> None:
    seen = look([*lateness, *[0.0] * 100])
    told = [effect for looked in seen for effect in looked.effects]

    assert [Entered, Left] * (len(told) // 2) == [type(effect) for effect in told]
    assert len(told) == 2 * seen[-1].state.entries


@given(LATENESS)
def test_whatever_went_before_all_is_well_within_five_seconds_of_calm(lateness: list[float]) -> None:
    before = look(lateness)
    state = before[-1].state if before else OverloadState()
    after = look([0.0] * round(WELL_AGAIN_S / SETTINGS.sample_s), state)

    assert not after[-1].state.is_on


@given(st.lists(st.floats(0, SETTINGS.late_s, exclude_max=True), max_size=100))
def test_a_server_that_is_never_late_is_never_overloaded(lateness: list[float]) -> None:
    assert all(not looked.state.is_watchful for looked in look(lateness))


def test_being_late_for_an_instant_is_nothing_and_for_longer_is_overload() -> None:
    assert not look([0.15, 0.0, 0.15, 0.0])[-1].state.is_on

    entered = look([0.09, 0.1, 0.1])
    assert entered[-1].state.is_on
    assert not entered[0].state.is_on
    assert [Entered(0.1)] == [effect for looked in entered for effect in looked.effects]


def test_one_long_hold_is_no_overload() -> None:
    assert not any(looked.state.is_on for looked in look([0.0, 1.5, 0.0, 0.0]))


def test_the_share_grows_while_it_is_late_and_shrinks_when_it_is_not() -> None:
    state = OverloadState(entered_at=100.0, share=0.4)
    lateness = [0.3, 0.06, 0.3, 0.01, 0.01, 0.3]
    shares = [round(looked.state.share, 2) for looked in look(lateness, state)]

    assert [0.5, 0.55, 0.65, 0.61, 0.57, 0.67] == shares


def test_a_crowd_that_is_through_within_two_seconds_is_let_in() -> None:
    closed = [looked.state.is_closed for looked in look([0.3] * 25)]

    assert not any(closed[:20])
    assert closed[-1]


# What is shed of a stream


def stream(
    board: OverloadBoard, *, seconds: float, waiting_bytes: int = 0, period_s: float = 0.1
) -> list[bool]:
    """Which frames of 3,200 bytes, ten a second, pass."""
    moment = [1000.0]
    connection = FakeConnection("phone", lambda: moment[0])
    connection.waiting_bytes = waiting_bytes
    shedder = board.shedder()
    passed = []
    for number in range(round(seconds / period_s)):
        connection.health.last_activity_at = moment[0] + number * period_s
        passed.append(not shedder.sheds(connection, 3_200))
    return passed


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_every_stream_loses_the_share_and_in_one_piece_a_gap(share: float) -> None:
    board = OverloadBoard()
    board.post(OverloadState(entered_at=1.0, share=share))

    for _ in range(5):
        passed = stream(board, seconds=20)
        edges = sum(before != after for before, after in pairwise(passed))
        assert share == pytest.approx(passed.count(False) / len(passed), abs=0.06)
        assert edges <= 2 * 20 / SETTINGS.gap_s


def test_streams_do_not_lose_at_the_same_time() -> None:
    board = OverloadBoard()
    board.post(OverloadState(entered_at=1.0, share=0.5))
    streams = [stream(board, seconds=4) for _ in range(100)]

    passing = [sum(at_once) for at_once in zip(*streams, strict=True)]

    assert 45 <= min(passing) <= max(passing) <= 55


def test_audio_older_than_a_second_goes_before_all_other() -> None:
    board = OverloadBoard()
    board.post(OverloadState(entered_at=1.0, share=0.0))

    assert all(stream(board, seconds=3, waiting_bytes=32_000))
    assert not any(stream(board, seconds=3, waiting_bytes=32_001))


def test_the_age_is_by_the_streams_own_rate() -> None:
    board = OverloadBoard()
    board.post(OverloadState(entered_at=1.0, share=0.0))

    slow = stream(board, seconds=4, waiting_bytes=8_000, period_s=0.8)  # 4,000 bytes a second: two seconds

    assert [True, True, False] == [slow[0], slow[1], slow[-1]]


# In the tree


async def overload(world: World) -> None:
    world.load.fall_behind(0.5)
    await trio.sleep(1 + SETTINGS.refuse_after_s)
    assert 1 == len(world.telemetry.of("overload_entered"))


async def test_new_sessions_are_refused_with_a_reason_and_known_ones_return(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.hang_up()
        await overload(world)

        token = world.tokens.mint("new@example.org", expires_s=None)
        refused = await world.admit({}, {"token": token})
        back = await world.phone(ADA)

        assert isinstance(refused, Refused)
        body = msgspec.json.decode(refused.body)
        assert (503, "5") == (refused.status, refused.headers["Retry-After"])
        assert ("OVERLOADED", "cloud", 5.0) == (body["code"], body["hop"], body["retry_after"])
        assert back.is_open
        assert back.heard("connection_ack")
        assert 1 == world.telemetry.counters()["session_refused_overloaded"]

        world.load.fall_behind(0.0)
        await trio.sleep(WELL_AGAIN_S)
        assert isinstance(await world.admit({}, {"token": token}), Admitted)
        assert 1 == len(world.telemetry.of("overload_left"))


async def test_audio_makes_room_and_presses_and_displays_go_through(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await overload(world)
        await trio.sleep(1)

        before = len(server.connection.frames())
        for number in range(20):
            phone.stream(bytes(3_200))
            phone.say(PRESS)
            server.show(f"shown {number}", forceDisplay=True)
            await trio.sleep(0.1)

        assert before == len(server.connection.frames())  # by now everything is shed
        assert 20 == len(server.connection.heard("data_stream"))
        assert "shown 19" == phone.texts()[-1]
        assert 15 <= world.telemetry.counters()["audio_frames_shed"] <= 20
        facts = dict(world.system.tree(world.find("overload")).facts)
        assert facts.pop("loop")
        assert {
            **dict.fromkeys(("overloaded", "refuses_new"), True),
            "rising": False,
            "shed_share": 1.0,
            "overloads": 1,
        } == facts

        world.load.fall_behind(0.0)
        await trio.sleep(WELL_AGAIN_S)
        for _ in range(20):
            phone.stream(bytes(3_200))
            await trio.sleep(0.1)
        assert before + 20 == len(server.connection.frames())


async def test_the_engines_alarms_within_an_overload_shed_no_more_than_the_looks_do(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        assert world.hall is not None
        board = world.hall.domain.overload
        world.load.fall_behind(0.5)
        while not board.is_on:  # noqa: ASYNC110 - it posts no event
            await trio.sleep(0.01)
        for _ in range(50):
            world.load.fall_behind(0.5)
        await world.settle()

        assert SETTINGS.first_share == board.state.share


async def test_a_crash_of_its_actor_changes_nothing_of_an_overload(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await overload(world)
        world.find("overload").crash(RuntimeError("a mistake"))
        await trio.sleep(1)

        assert isinstance(
            await world.admit({}, {"token": world.tokens.mint("new@example.org", expires_s=None)}), Refused
        )
        world.load.fall_behind(0.0)
        await trio.sleep(WELL_AGAIN_S)
        assert 1 == len(world.telemetry.of("overload_left"))


async def test_an_app_that_hears_speech_or_audio_is_told_once_that_some_was_shed(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        hearing = await world.running_app(phone)
        deaf = await world.running_app(phone, "org.example.deaf", subscriptions=["button_press"])
        await overload(world)
        await trio.sleep(1.1)
        assert 1 == len(hearing.connection.heard("tpa_connection_error")), "within a second"
        for _ in range(40):
            for connection in (phone, hearing.connection, deaf.connection):
                connection.health.last_activity_at = world.system.clock.now()
                connection.health.missed_pongs = 0
            await trio.sleep(1)

        codes = [error["code"] for error in hearing.connection.heard("tpa_connection_error")]
        assert ["AUDIO_SHED"] == codes
        assert [] == deaf.connection.heard("tpa_connection_error")
        assert [CAPTIONS, "org.example.deaf"] == phone.running()


async def test_who_stood_still_on_purpose_sheds_nothing_for_a_while_and_then_as_ever(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        await overload(world)
        world.find("overload").tell(Excused(2.0))
        await world.settle()
        board = world.hall.domain.overload if world.hall is not None else None
        assert board is not None
        assert not board.is_on
        world.load.fall_behind(0.5)
        await trio.sleep(1.5)
        assert not board.is_on

        await trio.sleep(2)

        assert board.is_on, "it is late all the same"


async def test_lateness_by_the_work_of_other_programs_sheds_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        world.load.work_share = 0.1
        world.load.fall_behind(0.5)
        await trio.sleep(3)
        for _ in range(50):
            phone.stream(bytes(3200))
            await trio.sleep(0.1)

        assert 50 == len(server.connection.frames())
        assert not world.telemetry.of("overload_entered")
