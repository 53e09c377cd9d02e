"""Whose checks are heard, and where we look for addresses of our own: aioice with our rules."""

from __future__ import annotations

import asyncio

import aioice
import aiortc.rtcicetransport
import pytest
from aioice import stun

from adapters.webrtc import ice


class Answers:
    """In the place of a socket."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def send_stun(self, message: stun.Message, address: tuple[str, int]) -> None:
        self.sent.append(address)


def connection(*, allow_local: bool) -> ice.Connection:
    ice.allow_local.set(allow_local)
    return ice.Connection(ice_controlling=False)


@pytest.mark.parametrize(
    ("allow_local", "address", "is_answered"),
    [
        (False, "8.8.8.8", True),
        (False, "127.0.0.1", False),
        (False, "10.0.0.1", False),
        (False, "fe80::1%lo", False),
        (True, "127.0.0.1", True),
        (True, "10.0.0.1", True),
        (True, "0.0.0.0", False),
    ],
)
def test_a_check_from_our_own_network_is_answered_only_where_that_is_allowed(
    allow_local: bool, address: str, is_answered: bool
) -> None:
    answers = Answers()

    async def check() -> None:
        one = connection(allow_local=allow_local)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        one.request_received(request, (address, 5_000), answers)  # type: ignore[arg-type]

    asyncio.run(check())

    assert ([(address, 5_000)] if is_answered else []) == answers.sent


@pytest.mark.parametrize("allow_local", [False, True])
def test_loopback_is_an_address_of_ours_where_that_is_allowed(allow_local: bool) -> None:
    async def gathered() -> list[str]:
        one = connection(allow_local=allow_local)
        await one.gather_candidates()
        hosts = [candidate.host for candidate in one.local_candidates]
        await one.close()
        return hosts

    assert allow_local == ("127.0.0.1" in asyncio.run(gathered()))


@pytest.mark.parametrize(
    ("allow_local", "followed"), [(False, ["8.8.8.8"]), (True, ["127.0.0.1", "8.8.8.8"])]
)
def test_whatever_way_a_candidate_comes_it_is_followed_only_where_that_is_allowed(
    allow_local: bool, followed: list[str]
) -> None:
    async def taken() -> list[str]:
        one = connection(allow_local=allow_local)
        for host in ("127.0.0.1", "8.8.8.8", "224.0.0.1", "localhost"):
            await one.add_remote_candidate(aioice.Candidate.from_sdp(f"1 1 udp 1 {host} 5000 typ host"))
        hosts = [candidate.host for candidate in one.remote_candidates]
        await one.close()
        return hosts

    assert followed == asyncio.run(taken())


def test_aiortc_makes_connections_of_our_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", aioice.Connection)

    ice.install()

    async def made() -> object:
        return aiortc.rtcicetransport.RTCIceGatherer(iceServers=[])._connection

    assert isinstance(asyncio.run(made()), ice.Connection)
