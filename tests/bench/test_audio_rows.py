"""How `bench audio` judges what an app heard, and the wire it speaks over."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from bench.audio import network
from bench.audio.__main__ import judged
from bench.audio.heard import delays, lag, same_words, script

FIRST = script().sentences[0]


def noisy(pcm: bytes, share: float) -> bytes:
    """As a codec would leave it: every sample a little wrong."""
    chance = random.Random(1)
    samples = memoryview(pcm).cast("h")
    return b"".join(
        max(-32_768, min(32_767, round(x + share * chance.gauss(0, 1_000)))).to_bytes(
            2, "little", signed=True
        )
        for x in samples
    )


@pytest.mark.parametrize("later", [0, 37, 12_345])
def test_a_sentence_is_found_where_it_lies(later: int) -> None:
    heard = noisy(bytes(2 * later) + script().pcm[: 2 * FIRST.end], 0.3)

    assert later == lag(script().pcm, heard, FIRST.begin, FIRST.end)


def test_a_sentence_that_never_came_is_not_found() -> None:
    chance = random.Random(2)
    heard = b"".join(
        chance.randrange(-3_000, 3_000).to_bytes(2, "little", signed=True) for _ in range(80_000)
    )

    assert lag(script().pcm, heard, FIRST.begin, FIRST.end) is None


def test_a_chunk_is_as_late_as_its_youngest_sample() -> None:
    arrivals = [(100.11, 3_200), (100.25, 6_400), (109.0, 9_600)]

    found = delays(arrivals, began=100.0, lag=0, begin=0, end=3_200)

    assert [0.01, 0.05] == pytest.approx(found)


def test_words_are_counted_in_their_order() -> None:
    assert 3 == same_words(["he", "was", "not", "an"], ["he", "was", "an", "ox"])


def test_a_claim_of_the_seed_that_does_not_hold_is_called_so() -> None:
    row = {"loss": 0.0, "p50_ms": 1.0, "p95_ms": 2.0, "wire_kbit_s": 270.0, "cpu_ms": 1.0, "words": 1.0}
    rows = [
        {**row, "way": "WebSocket PCM"},
        {**row, "way": "WebRTC Opus", "p50_ms": 40.0, "wire_kbit_s": 50.0, "cpu_ms": 40.0},
        {**row, "way": "WebRTC Opus", "loss": 5.0, "p95_ms": 120.0, "words": 0.9},
    ]

    verdicts = {str(claim["claim"]).partition(" (")[0]: claim["holds"] for claim in judged(rows)}

    assert "yes" == verdicts["WebRTC: 24 to 55 ms"]
    assert "yes" == verdicts["80 % less server bandwidth"]
    assert "NO" == verdicts["WebRTC: faster than WebSocket"]
    assert "NO" == verdicts["exponential scaling"]
    assert "NO" == verdicts["aim: at 5 % loss WebRTC hears what PCM hears without"]
    assert "NO" == verdicts["aim: at 5 % loss p95 under 100 ms"]


ECHO = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    with listening.accept()[0] as peer:
        while data := peer.recv(65536):
            peer.sendall(data)
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as sock:
    sock.sendall(b"x" * 200_000)
    got = 0
    while got < 200_000:
        got += len(sock.recv(65536))
print(got)
"""


@pytest.mark.skipif(not network.is_possible(), reason="networks of its own are not allowed here")
def test_two_networks_are_joined_by_a_wire_that_loses_packets() -> None:
    def program(code: str, *words: str, enter: network.Enter) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=enter)

    with network.wire(seed=3) as wire:
        wire.spoil(loss=0.02, delay_s=0.001, jitter_s=0.0)
        with program(ECHO, network.SERVER_HOST, enter=wire.enter_server) as echo:
            assert echo.stdout is not None
            port = echo.stdout.readline().strip()
            with program(ASK, network.SERVER_HOST, port, enter=wire.enter_phone) as ask:
                assert ask.stdout is not None
                got = ask.stdout.readline().strip()
        carried = wire.carried()

    assert "200000" == got
    assert carried["bytes_up"] > 200_000
    assert carried["lost_up"] + carried["lost_down"] > 0
