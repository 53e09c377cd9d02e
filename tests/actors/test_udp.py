"""The microphone over UDP, through the whole tree (protocol.md 7.1): whose a datagram is, and healing."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.audio.udp import Address, UdpSettings
from actors.domain import DomainSettings
from actors.session.messages import configure_audio
from adapters.simulated.lc3 import encode, pcm_of
from adapters.simulated.udp import SimulatedUdp, seal
from protocols import udp
from protocols.audio import AudioFormat, lc3_format
from protocols.udp import Datagram
from tests.actors.world import ADA, FakeConnection, World, open_world

HOME: Address = ("192.0.2.1", 4000)
ELSEWHERE: Address = ("203.0.113.9", 4000)
PCM = bytes(range(256)) * 4
# Two addresses with one FNV-1a hash.
TWIN, OTHER_TWIN = "user449599@example.org", "user612382@example.org"


class Net:
    """A world whose phones may send datagrams."""

    def __init__(self, world: World, network: SimulatedUdp) -> None:
        self.world = world
        self.network = network

    async def dial(self, user: str = ADA, *, is_encrypted: bool = False) -> FakeConnection:
        return await self.world.phone(user, query={"udpEncryption": "true"} if is_encrypted else None)

    async def register(self, phone: FakeConnection, user: str = ADA) -> None:
        phone.say({"type": "udp_register", "userIdHash": udp.user_hash(user)})
        await self.world.settle()

    def send(self, number: int, payload: bytes, *, user: str = ADA, source: Address = HOME) -> None:
        self.network.send(udp.encode(Datagram(udp.user_hash(user), number, payload)), source)

    def facts(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self.world.system.tree(self.world.find(f"users/{ADA}/audio")).facts))

    def counted(self, event: str) -> int:
        return self.world.telemetry.counters().get(event, 0)

    async def configure(self, format: AudioFormat) -> None:
        await self.world.find(f"users/{ADA}/session").ask(configure_audio(format))
        await self.world.settle()


@asynccontextmanager
async def open_net(*, require_encryption: bool = False) -> AsyncIterator[Net]:
    settings = UdpSettings(enabled=True, require_encryption=require_encryption)
    async with open_world(settings=DomainSettings(udp=settings)) as world:
        assert world.hall is not None
        network = SimulatedUdp(world.hall.domain.udp, public_host="glass.example.org")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(network.run)
            await world.settle()
            yield Net(world, network)
            nursery.cancel_scope.cancel()


def test_the_twins_have_one_hash() -> None:
    assert udp.user_hash(TWIN) == udp.user_hash(OTHER_TWIN)


async def test_the_ack_says_where_only_while_somebody_listens(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        assert not {"udpHost", "udpPort", "udpEncryption"} & set(
            (await world.phone()).heard("connection_ack")[0]
        )
    async with open_net() as net:
        (plain,) = (await net.dial()).heard("connection_ack")
        (sealed,) = (await net.dial(is_encrypted=True)).heard("connection_ack")

        assert ("glass.example.org", 8000, None) == (
            plain["udpHost"],
            plain["udpPort"],
            plain.get("udpEncryption"),
        )
        assert "xsalsa20-poly1305" == sealed["udpEncryption"]["algorithm"]
        assert 32 == len(b64decode(sealed["udpEncryption"]["key"]))


async def test_only_encryption_is_offered_where_it_is_required(autojump_clock: MockClock) -> None:
    async with open_net(require_encryption=True) as net:
        (plain,) = (await net.dial()).heard("connection_ack")
        (sealed,) = (await net.dial(is_encrypted=True)).heard("connection_ack")

        assert ("udpHost" in plain, "udpHost" in sealed) == (False, True)


async def test_a_probe_is_answered_over_the_websocket(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        net.send(0, udp.PING)
        assert [] == phone.heard("udp_ping_ack"), "it has not registered"

        await net.register(phone)
        net.send(0, udp.PING)
        net.send(1, udp.PING, source=ELSEWHERE)

        (ack,) = phone.heard("udp_ping_ack")
        assert ack["timestamp"] > 0
        for number in range(100):
            net.send(number, udp.PING)
        assert 20 == len(phone.heard("udp_ping_ack"))


async def test_datagrams_are_heard_in_order_and_once(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        await net.register(phone)
        net.send(0, udp.PING)
        chunks = [bytes([number]) * 640 for number in range(1, 7)]

        for number in (1, 3, 2, 2, 4, 6, 5, 1):
            net.send(number, chunks[number - 1])

        assert chunks == app.frames()
        assert b"".join(chunks) == net.world.speech.streams[0].offered
        assert {"delivered": 6, "lost": 0, "duplicates": 2, "late": 0, "resets": 0} == net.facts()["udp"]


async def test_a_lost_datagram_of_lc3_is_concealed_after_twenty_milliseconds(
    autojump_clock: MockClock,
) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        await net.register(phone)
        await net.configure(lc3_format(20))
        net.send(0, udp.PING)

        net.send(1, encode(800) * 2)
        net.send(3, encode(900) * 2)
        await trio.sleep(0.019)
        assert [pcm_of(800) * 2] == app.frames()
        await trio.sleep(0.002)

        assert [pcm_of(800) * 2, pcm_of(400) + pcm_of(200), pcm_of(900) * 2] == app.frames()
        assert (1, 2) == (net.facts()["udp"]["lost"], net.facts()["concealed"])


async def test_a_long_loss_is_filled_for_two_hundred_milliseconds_only(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        await net.register(phone)
        net.send(0, udp.PING)

        net.send(1, PCM)
        net.send(41, PCM)
        await trio.sleep(0.1)

        assert [PCM, bytes(6_400), PCM] == app.frames()


async def test_nobody_else_speaks_for_a_phone(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        net.send(1, PCM)
        await net.register(phone)

        net.send(1, PCM)
        net.send(0, udp.PING)
        net.send(2, PCM, source=ELSEWHERE)
        net.send(3, PCM, source=("192.0.2.1", 4001))
        assert [] == app.frames()
        net.send(4, PCM)

        assert [PCM] == app.frames()
        assert (1, 3) == (net.counted("udp_unknown_user"), net.counted("udp_not_its_users"))


async def test_with_encryption_the_box_is_what_counts(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial(is_encrypted=True)
        app = (await net.world.running_app(phone)).connection
        key = b64decode(phone.heard("connection_ack")[0]["udpEncryption"]["key"])
        await net.register(phone)

        net.send(0, seal(key, udp.PING))
        net.send(1, seal(key, PCM), source=ELSEWHERE)
        net.send(2, PCM)
        net.send(2, seal(b"another key", PCM))
        net.send(2, seal(key, PCM)[:-1])

        assert 1 == len(phone.heard("udp_ping_ack"))
        assert [PCM] == app.frames()
        assert 3 == net.counted("udp_not_its_users")


@pytest.mark.parametrize("is_encrypted", [True, False])
async def test_two_users_with_one_hash_are_told_apart_or_the_second_stays_with_its_websocket(
    autojump_clock: MockClock, is_encrypted: bool
) -> None:
    async with open_net() as net:
        phones = [await net.dial(user, is_encrypted=is_encrypted) for user in (TWIN, OTHER_TWIN)]
        for phone, user in zip(phones, (TWIN, OTHER_TWIN), strict=True):
            await net.register(phone, user)

        for phone, source in zip(phones, (HOME, ELSEWHERE), strict=True):
            payload = udp.PING
            if is_encrypted:
                key = b64decode(phone.heard("connection_ack")[0]["udpEncryption"]["key"])
                payload = seal(key, payload)
            net.send(0, payload, user=TWIN, source=source)

        assert [1, 1 if is_encrypted else 0] == [len(phone.heard("udp_ping_ack")) for phone in phones]
        assert (0 if is_encrypted else 1) == len(net.world.telemetry.of("udp_hash_collision"))


async def test_a_phone_registers_its_own_hash_and_no_other(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()

        await net.register(phone, "somebody@example.org")
        net.send(0, udp.PING, user="somebody@example.org")

        assert [] == phone.heard("udp_ping_ack")
        assert ADA == net.world.telemetry.of("udp_wrong_hash")[0]["user"]


@pytest.mark.parametrize("end", ["unregister", "hang up", "another phone"])
async def test_a_registration_ends_with_its_phone(autojump_clock: MockClock, end: str) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        await net.register(phone)
        net.send(0, udp.PING)

        if end == "unregister":
            phone.say({"type": "udp_unregister", "userIdHash": udp.user_hash(ADA)})
        elif end == "hang up":
            phone.hang_up()
        else:
            await net.dial()
        await net.world.settle()
        net.send(1, PCM)

        assert [] == app.frames()
        assert 1 == net.counted("udp_unknown_user")
        assert "udp" not in net.facts()


async def test_a_crash_of_the_link_or_the_audio_keeps_the_registration(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        app = (await net.world.running_app(phone)).connection
        await net.register(phone)
        net.send(0, udp.PING)

        for name in ("link", "audio", "session"):
            net.world.find(f"users/{ADA}/{name}").crash(RuntimeError("no"))
            await trio.sleep(1)
        net.send(1, PCM)

        assert [PCM] == app.frames()


async def test_what_is_no_datagram_of_a_phone_is_counted(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        await net.register(phone)
        net.send(0, udp.PING)

        for data in (b"", b"\0" * 6, b"\0" * 1_071):
            net.network.send(data, HOME)
        net.send(1, bytes(1_025))

        assert 4 == net.counted("udp_malformed")


async def test_a_flood_of_datagrams_is_limited_as_frames_are(autojump_clock: MockClock) -> None:
    async with open_net() as net:
        phone = await net.dial()
        await net.register(phone)
        net.send(0, udp.PING)
        limits = DomainSettings().limits

        for number in range(limits.phone_burst_frames + 100):
            net.send(number, b"\1\2")

        assert 100 <= net.counted("udp_rate_limited") <= 102
