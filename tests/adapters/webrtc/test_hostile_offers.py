"""Strangers' descriptions, in the real process: none ends it, and none goes without an answer."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols import media_process as wire
from protocols.pipe_frames import PipeReader
from tests.adapters.webrtc.offers import AUDIO, VIDEO, mutated

ROOT = Path(__file__).resolve().parents[3]


class Worker:
    """The media process behind blocking pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._in = process.stdin
        self._out = process.stdout
        self._reader = PipeReader()
        self._numbers = itertools.count(1)
        self._messages: list[wire.FromMedia] = []

    def send(self, *messages: wire.ToMedia) -> None:
        self._in.write(b"".join(map(wire.pack, messages)))
        self._in.flush()

    def until(self, is_it: Callable[[wire.FromMedia], bool]) -> wire.FromMedia:
        """The first message that is; those before it are thrown away."""
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if is_it(message):
                    return message
            chunk = self._out.read1(65_536)  # type: ignore[attr-defined]
            assert chunk, f"the process ended with {self.process.wait()}"
            self._messages += map(wire.from_media, self._reader.feed(chunk))

    def outcome(self, *words: Callable[[int], wire.ToMedia], role: wire.Role = "hears") -> wire.FromMedia:
        """What a new peer answers to these, or how it fails."""
        peer = next(self._numbers)
        self.send(wire.Open(peer=peer, role=role, allow_local=True), *(word(peer) for word in words))
        outcome = self.until(lambda message: is_end(message, peer))
        self.send(wire.Close(peer))
        return outcome


def is_end(message: wire.FromMedia, peer: int) -> bool:
    match message:
        case wire.Answered():
            return message.peer == peer
        case wire.Failed():
            return message.peer == peer and message.fault != "candidate"
    return False


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with subprocess.Popen(
        (sys.executable, *wire.COMMAND), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        one = Worker(process)
        one.send(wire.Configure())
        one.until(lambda message: isinstance(message, wire.Ready))
        yield one
        process.kill()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_every_mutated_offer_is_answered_or_refused(worker: Worker, sdp: str) -> None:
    outcome = worker.outcome(lambda peer: wire.TakeOffer(peer, sdp))

    if isinstance(outcome, wire.Failed):
        assert outcome.fault in ("offer", "media")
        assert 0 < len(outcome.cause) <= 300


@pytest.mark.parametrize(
    "sdp",
    [
        VIDEO,
        AUDIO.replace("a=mid:0\r\n", ""),
        AUDIO.replace("a=group:BUNDLE 0", "a=group:BUNDLE 0 1 2"),
        AUDIO.replace("\r\n", "\n"),
        AUDIO.replace("m=audio", "m=video 0 X/Y 9\r\nm=audio"),
        "\r\n".join(line for line in AUDIO.splitlines() if not line.startswith("a=ssrc")),
    ],
)
def test_odd_offers_that_can_be_used_are_answered(worker: Worker, sdp: str) -> None:
    answer = worker.outcome(lambda peer: wire.TakeOffer(peer, sdp))

    assert isinstance(answer, wire.Answered)
    assert sdp.count("m=") == answer.sdp.count("m=")


@pytest.mark.parametrize(
    ("sdp", "fault"),
    [
        (AUDIO.replace("sha-256", "md5"), "ice"),
        (AUDIO.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-256"), "offer"),
        (AUDIO.replace("a=extmap:1 ", "a=extmap:x "), "offer"),
        (AUDIO.replace("SAVPF 111", "SAVPF 72"), "offer"),
        (AUDIO.replace("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 opus/x/2"), "offer"),
        (AUDIO.replace("a=fmtp:111 minptime=10", "a=fmtp:111 minptime=ten"), "offer"),
        (AUDIO + "a=ssrc:1\r\n" * 3, "offer"),
    ],
)
def test_offers_that_trip_aiortc_fail_alone(worker: Worker, sdp: str, fault: str) -> None:
    outcome = worker.outcome(lambda peer: wire.TakeOffer(peer, sdp))

    if fault == "offer":
        assert isinstance(outcome, wire.Failed)
        assert "offer" == outcome.fault
    else:
        assert isinstance(outcome, wire.Answered)  # its handshake will fail


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=120), max_size=20), st.lists(mutated(), max_size=3))
def test_candidates_answers_and_silence_leave_the_process_standing(
    worker: Worker, candidates: list[str], answers: list[str]
) -> None:
    outcome = worker.outcome(
        *(lambda peer, text=text: wire.TakeCandidate(peer, text, None, None) for text in candidates),
        lambda peer: wire.MakeOffer(peer),
        *(lambda peer, sdp=sdp: wire.TakeAnswer(peer, sdp) for sdp in answers),
        lambda peer: wire.TakeOffer(peer, "nothing"),
    )

    assert isinstance(outcome, wire.Failed)
    assert "offer" == outcome.fault
    assert worker.process.poll() is None
