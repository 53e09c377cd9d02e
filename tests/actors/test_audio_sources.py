"""The microphone's formats through the whole tree: who hears what, and what survives what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.session.messages import configure_audio
from adapters.simulated.lc3 import SimulatedLc3Decoder, encode, pcm_of
from protocols.audio import AudioFormat, lc3_format
from tests.actors.world import ADA, FakeConnection, World, open_world

LC3 = lc3_format(20)
HELLO = encode(500) + encode(600)
HELLO_PCM = pcm_of(500) + pcm_of(600)
ODD = bytes(range(33))


async def configure(world: World, format: AudioFormat) -> bool:
    is_taken = await world.find(f"users/{ADA}/session").ask(configure_audio(format))
    await world.settle()
    assert isinstance(is_taken, bool)
    return is_taken


def facts(world: World) -> dict[str, Any]:
    tree = world.system.tree(world.find(f"users/{ADA}/audio"))
    return dict(msgspec.to_builtins(tree.facts))


async def heard_of_lc3(world: World, phone: FakeConnection, app: FakeConnection) -> None:
    phone.stream(HELLO)
    await world.settle()
    assert HELLO_PCM == app.frames()[-1]


async def test_apps_and_recognisers_hear_lc3_as_pcm(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)

        phone.stream(HELLO)
        phone.stream(encode(700))
        assert [] == server.connection.frames(), "it is not known yet what that is"
        assert await configure(world, LC3)
        phone.stream(HELLO)

        assert [HELLO_PCM, pcm_of(700), HELLO_PCM] == server.connection.frames()
        assert HELLO_PCM + pcm_of(700) + HELLO_PCM == world.speech.streams[0].offered
        assert ("lc3, 20 bytes", 5, 3) == tuple(
            facts(world)[name] for name in ("format", "decoded", "frames")
        )


async def test_each_connection_begins_undecided(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await configure(world, LC3)
        phone.stream(HELLO)

        again = await world.phone()
        again.stream(ODD)
        phone.stream(HELLO)

        assert [HELLO_PCM, ODD] == server.connection.frames()
        assert ("pcm", 1) == (facts(world)["format"], facts(world)["unrouted"])


async def test_without_a_phone_no_format_is_taken(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        phone.hang_up()
        await world.settle()

        assert not await configure(world, LC3)


async def test_a_crash_of_the_audio_actor_keeps_the_format(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await configure(world, LC3)
        await heard_of_lc3(world, phone, server.connection)

        world.find(f"users/{ADA}/audio").crash(RuntimeError("no"))
        phone.stream(HELLO)
        await trio.sleep(0.5)

        await heard_of_lc3(world, phone, server.connection)
        assert (3, 6, 0) == tuple(facts(world)[name] for name in ("frames", "decoded", "unrouted"))
        assert 3 == facts(world)["stages"]["decode"]["count"], "how long it took is known"


async def test_a_crash_of_the_link_keeps_the_format(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await configure(world, LC3)

        for _ in range(5):  # past three in a row it begins with nothing, and takes the phone up again
            world.find(f"users/{ADA}/link").crash(RuntimeError("no"))
            await trio.sleep(2)

        await heard_of_lc3(world, phone, server.connection)


async def test_a_decoder_that_raises_crashes_its_own_actor_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SimulatedLc3Decoder, frames: bytes) -> bytes:
        raise RuntimeError("no")

    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        await configure(world, LC3)

        with monkeypatch.context() as patched:
            patched.setattr(SimulatedLc3Decoder, "decode", broken)
            phone.stream(HELLO)
            await trio.sleep(0.5)

        await heard_of_lc3(world, phone, server.connection)
        assert phone.is_open
        assert 1 == world.system.tree(world.find(f"users/{ADA}/audio")).restarts


async def test_half_a_sample_waits_for_its_other_half_before_a_recogniser_hears_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        offered: list[bytes] = []
        monkeypatch.setattr(world.speech.streams[0], "offer", offered.append)

        for frame in (ODD, ODD, b"\1", b"\2", ODD):
            phone.stream(frame)

        assert [ODD, ODD, b"\1", b"\2", ODD] == server.connection.frames(), "apps get what came"
        assert [ODD[:32], ODD[32:] + ODD, b"\1\2", ODD[:32]] == offered


async def test_half_a_sample_does_not_outlive_its_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        await world.running_app(phone)
        phone.stream(ODD)

        again = await world.phone()
        again.stream(ODD)

        assert ODD[:32] * 2 == world.speech.streams[0].offered
