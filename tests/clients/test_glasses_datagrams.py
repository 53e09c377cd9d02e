"""How the simulated phone sends its microphone over UDP, and when it stays with its WebSocket."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nacl.secret
import pytest
import trio

from clients.glasses import Glasses, MicrophoneOptions
from clients.glasses.datagrams import DatagramSocket, open_udp
from protocols import udp
from protocols.udp import Datagram
from tests.clients.scripted_cloud import Peer, ScriptedCloud, user
from tests.clients.test_glasses import MICROPHONE
from tests.clients.test_glasses_audio import CHUNK, OK

ADA = "ada@example.org"
KEY = bytes(range(32))


class Network:
    """Takes datagrams; the cloud answers pings while `answers` says so."""

    def __init__(self) -> None:
        self.sent: list[Datagram] = []
        self.opened: list[tuple[str, int]] = []
        self.sent_at: list[float] = []
        self.closed = 0
        self.fails = False
        self.peer: Peer | None = None
        self.answers = True
        self.key: bytes | None = None

    async def open(self, host: str, port: int) -> DatagramSocket:
        await trio.lowlevel.checkpoint()
        self.opened.append((host, port))
        return self

    async def send(self, data: bytes, /) -> None:
        await trio.lowlevel.checkpoint()
        if self.fails:
            raise ConnectionRefusedError("nobody listens")
        datagram = udp.decode(data)
        if self.key is not None:
            payload = nacl.secret.SecretBox(self.key).decrypt(datagram.payload)
            datagram = datagram._replace(payload=payload)
        self.sent.append(datagram)
        self.sent_at.append(trio.current_time())
        if datagram.payload == udp.PING and self.answers and self.peer is not None:
            await self.peer.send({"type": "udp_ping_ack", "timestamp": 1})

    def close(self) -> None:
        self.closed += 1

    @property
    def audio(self) -> list[Datagram]:
        return [datagram for datagram in self.sent if datagram.payload != udp.PING]


@asynccontextmanager
async def on_the_air(
    cloud: ScriptedCloud, network: Network, *, ack: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Glasses, Peer]]:
    cloud.http = OK
    microphone = MicrophoneOptions(audio="udp", **options)
    glasses = Glasses(
        "http://cloud", "t", microphone=microphone, connect=cloud.connect, open_udp=network.open
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(glasses.run)
        peer = network.peer = await cloud.accept()
        offer = {"udpHost": "udp.example.org", "udpPort": 8000} if ack is None else ack
        await peer.send({"type": "connection_ack", "sessionId": ADA, "userSession": user()} | offer)
        await peer.send(MICROPHONE)
        await glasses.wait_for(lambda phone: phone.is_microphone_on)
        yield glasses, peer
        nursery.cancel_scope.cancel()


async def texts_until_binary(peer: Peer) -> tuple[list[dict[str, Any]], bytes]:
    texts = []
    while not isinstance(message := await peer.receive(), bytes):
        texts.append(message)
    return texts, message


async def test_a_phone_registers_probes_and_sends_its_audio_over_udp(cloud: ScriptedCloud) -> None:
    network = Network()
    async with on_the_air(cloud, network, is_encrypted=False) as (glasses, peer):
        await glasses.wait_for(lambda phone: phone.is_on_udp)

        assert 2 == await glasses.play(CHUNK * 2)

        registered = [await peer.receive() for _ in range(2)]
        assert {"type": "udp_register", "userIdHash": udp.user_hash(ADA)}.items() <= registered[1].items()
        assert [("udp.example.org", 8000)] == network.opened
        assert [(udp.user_hash(ADA), 0, 200), (udp.user_hash(ADA), 1, 200)] == [
            (one.user_hash, one.sequence, len(one.payload)) for one in network.audio
        ]
    assert 1 == network.closed
    assert ["ws://cloud/glasses-ws?token=t"] == [url for url in cloud.urls if url.startswith("ws")]


async def test_encryption_is_asked_for_and_used_with_the_acks_key(cloud: ScriptedCloud) -> None:
    network = Network()
    network.key = KEY
    encryption = {"key": b64encode(KEY).decode(), "algorithm": udp.ALGORITHM}
    offer = {"udpHost": "h", "udpPort": 1, "udpEncryption": encryption}
    async with on_the_air(cloud, network, ack=offer) as (glasses, _):
        await glasses.wait_for(lambda phone: phone.is_on_udp)
        await glasses.play(CHUNK)

    assert [200] == [len(one.payload) for one in network.audio]
    assert "ws://cloud/glasses-ws?token=t&udpEncryption=true" in cloud.urls


async def test_without_an_answer_it_probes_three_times_and_stays_with_its_websocket(
    cloud: ScriptedCloud,
) -> None:
    network = Network()
    network.answers = False
    async with on_the_air(cloud, network) as (glasses, peer):
        await trio.sleep(2.5)
        await peer.send({"type": "pong"})
        await glasses.play(CHUNK)

        _, audio = await texts_until_binary(peer)
        assert 200 == len(audio)
        assert [udp.PING] * 3 == [one.payload for one in network.sent]
        assert [0.2, 0.4] == [pytest.approx(at - network.sent_at[0]) for at in network.sent_at[1:]]


@pytest.mark.parametrize("how", ["silence", "an error"])
async def test_a_network_that_stops_letting_datagrams_through_costs_seconds_and_no_more(
    cloud: ScriptedCloud, how: str
) -> None:
    network = Network()
    async with on_the_air(cloud, network) as (glasses, peer):
        await glasses.wait_for(lambda phone: phone.is_on_udp)
        await peer.send({"type": "pong"})

        network.answers = False
        network.fails = how == "an error"
        if network.fails:
            await glasses.play(CHUNK)
        else:
            await glasses.wait_for(lambda phone: not phone.is_on_udp, timeout_s=8)
        assert not glasses.is_on_udp
        await glasses.play(CHUNK)

        assert 200 == len((await texts_until_binary(peer))[1])
        network.answers, network.fails = True, False
        await peer.send({"type": "pong"})
        await glasses.wait_for(lambda phone: phone.is_on_udp, timeout_s=8)


async def test_where_no_udp_is_offered_nothing_is_asked_of_it(cloud: ScriptedCloud) -> None:
    network = Network()
    async with on_the_air(cloud, network, ack={}) as (glasses, peer):
        await glasses.play(CHUNK)

        texts, audio = await texts_until_binary(peer)
        assert "udp_register" not in [text["type"] for text in texts]
        assert (200, []) == (len(audio), network.opened)


async def test_a_long_chunk_goes_out_in_datagrams_of_whole_frames(cloud: ScriptedCloud) -> None:
    network = Network()
    async with on_the_air(cloud, network, frame_bytes=60) as (glasses, _):
        await glasses.wait_for(lambda phone: phone.is_on_udp)
        await glasses.play(bytes(32_000), chunk_ms=1_000)

    sizes = [len(one.payload) for one in network.audio]
    assert [1_020] * 5 + [900] == sizes
    assert list(range(6)) == [one.sequence for one in network.audio]


async def test_the_real_socket_sends_to_its_address() -> None:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as server:
        await server.bind(("127.0.0.1", 0))

        sender = await open_udp("127.0.0.1", server.getsockname()[1])
        await sender.send(b"hello")
        sender.close()

        with trio.fail_after(5):
            assert b"hello" == await server.recv(100)
