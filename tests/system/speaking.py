"""A wearer who speaks, an app that keeps what it heard, and how much of the one is in the other."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from operator import mul
from typing import Any, Final, NamedTuple

import trio

from actors.audio.alignment import find
from bench.audio.ear import Ear
from clients.app_sdk import AppSession
from clients.glasses import Frame, Glasses, MicrophoneOptions
from clients.glasses.peer import PeerProcess
from clients.glasses.phone import BYTES_PER_MS
from clients.glasses.webrtc import OpenPeer
from clients.recordings import recordings
from tests.system.peers import QUICK
from tests.system.server import PATIENCE_S, Server, eventually

SETTINGS: Final = (
    "webrtc.enabled=true",
    "webrtc.allow_local=true",
    "display.boot_screen_s=0.1",
    # What is tried here is the way of the audio, not how much of it a busy machine sheds.
    "overload.enter_s=60",
    "overload.late_s=60",
    "speech.lag_s=60",
)
FEW_MS: Final = 0.012  # Opus is heard 6.5 ms later than PCM, and a change of the way may be off by as much
TOLD_S: Final = 0.5  # what is lost where an end is told at once: packets on their way, on a busy machine
NOTICED_S: Final = 3.5  # lost_after_s of a peer, what its checks take, and that

RATE_HZ: Final = 16_000
_CHUNK_MS: Final = 20  # a packet of WebRTC

_PIECE_S: Final = 0.25
_STEP_S: Final = 0.125
_LOUD: Final = 500  # root of the mean square: where somebody speaks
_ALIKE: Final = 0.6  # Opus leaves 0.65 to 0.97 of these pieces, and others have 0.4
_SURELY_ALIKE: Final = 0.8
_SAME_S: Final = 0.01
_JITTER_S: Final = 0.002  # where two places are the same
_LONGEST_HOLE_S: Final = 6.0
_LATEST_S: Final = 3.0


@functools.cache
def speech() -> bytes:
    """25 s of it, without a pause between the sentences."""
    return b"".join(recording.pcm for recording in recordings())


# Who speaks, and who listens


class HearingApp(Ear):
    """An app that keeps what it heard, and when.

    Attributes:
      started: session ids, one for each run of `on_session`.
      captions: texts that were recognised, the interim ones too, of the one user that it wants them of.
    """

    def __init__(self, package: str, *, captions_of: str = "") -> None:
        super().__init__(package, "key")
        self.started: list[str] = []
        self.captions: list[str] = []
        self._captions_of = captions_of

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        await super().on_session(session, session_id, user_id)
        self.started.append(session_id)
        if user_id == self._captions_of:
            session.events.on_transcription(lambda heard: self.captions.append(heard.text))

    def has_heard_s(self, user: str) -> float:
        return len(self.heard.get(user, b"")) / 2 / RATE_HZ

    def longest_wait_s(self, user: str, since: float) -> float:
        """The longest time between two chunks, from `since` (CLOCK_MONOTONIC) on."""
        times = [at for at, _ in self.arrivals[user] if at >= since]
        return max((late - early for early, late in itertools.pairwise(times)), default=math.inf)


class Wearer:
    """A phone with WebRTC, and whoever speaks into it.

    Attributes:
      frames: what was spoken, so far.
    """

    def __init__(self, user: str, phone: Glasses) -> None:
        self.user = user
        self.phone = phone
        self.frames: list[Frame] = []

    @property
    def said(self) -> bytes:
        """PCM of it."""
        return speech()[: sum(frame.size_bytes for frame in self.frames)]

    @property
    def said_s(self) -> float:
        return len(self.said) / 2 / RATE_HZ

    async def speak(self) -> None:
        """Speak until cancelled; 25 s at the longest."""
        await self.phone.play(speech(), chunk_ms=_CHUNK_MS, on_frame=self.frames.append)
        raise AssertionError("the speech is over before the test is")

    async def speak_both_ways(self) -> None:
        """The same, and all of it over the WebSocket as well, in frames of 100 ms as phones send them."""
        began, step, pcm = trio.current_time(), BYTES_PER_MS * _CHUNK_MS, speech()
        for offset in range(0, len(pcm), step):
            await trio.sleep_until(began + (offset + step) / BYTES_PER_MS / 1000)
            if self.phone.webrtc is not None:
                self.phone.webrtc.speak(pcm[offset : offset + step])
            self.frames.append(Frame(offset, step, time.monotonic(), was_sent=True))
            if (offset + step) % (5 * step) == 0:
                await self.phone._send_frame(pcm[offset - 4 * step : offset + step])

    async def says(self, seconds: float) -> None:
        """Wait while so much more is spoken."""
        until = self.said_s + seconds
        await eventually(lambda: self.said_s >= until)

    async def until_on_webrtc(self) -> None:
        await self.phone.wait_for(lambda phone: phone.is_on_webrtc, timeout_s=PATIENCE_S)

    async def until_off_webrtc(self) -> None:
        await self.phone.wait_for(lambda phone: not phone.is_on_webrtc, timeout_s=PATIENCE_S)


@asynccontextmanager
async def listening(server: Server, app: HearingApp) -> AsyncIterator[HearingApp]:
    """The app runs and is in the catalogue."""
    async with trio.open_nursery() as nursery:
        await nursery.start(app.run)
        await server.add_app(app.package_name, app.url)
        yield app
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def speaking(
    server: Server, app: HearingApp, user: str, open_peer: OpenPeer | None, *, both_ways: bool = False
) -> AsyncIterator[Wearer]:
    """A wearer who runs the app, has a way for the audio and begins to speak; leaves when all was heard.

    Args:
      open_peer: makes the phone's peers; without it the audio is PCM over the WebSocket.
      both_ways: what is said goes over the WebSocket as well, all the time.
    """
    options = MicrophoneOptions(audio="pcm" if open_peer is None else "webrtc")
    phone = Glasses(
        server.url,
        server.token(user),
        timers=QUICK,
        microphone=options,
        open_peer=open_peer,
        now=time.monotonic,
    )
    wearer = Wearer(user, phone)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(phone.run)
        await phone.wait_for(lambda phone: phone.is_connected, timeout_s=PATIENCE_S)
        await phone.start_app(app.package_name)
        await phone.wait_for(lambda phone: phone.is_microphone_on, timeout_s=PATIENCE_S)
        if open_peer is not None:
            await wearer.until_on_webrtc()
        async with trio.open_nursery() as mouth:
            mouth.start_soon(wearer.speak_both_ways if both_ways else wearer.speak)
            yield wearer
            mouth.cancel_scope.cancel()
        await _until_quiet(app, user)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def peer_process() -> AsyncIterator[PeerProcess]:
    """The process of phones' peers."""
    process = PeerProcess()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.run)
        yield process
        nursery.cancel_scope.cancel()


async def _until_quiet(app: HearingApp, user: str) -> None:
    """What is still on its way has come: nothing has for 300 ms."""
    arrivals = app.arrivals[user]
    await eventually(lambda: not arrivals or time.monotonic() - arrivals[-1][0] > 0.3)


# How much of the one is in the other


class Comparison(NamedTuple):
    """What became of what was said.

    Attributes:
      pieces: that were looked for: all that are loud.
      places: of those that were found, where they begin in what was said and how much later they lie in what
        was heard, in seconds.
      unfound_s: the longest stretch of speech of which no piece was found.
      lost_s: what was left out, in all.
      repeated_s: what was heard again, or was put in between, in all.
    """

    pieces: int
    places: tuple[tuple[float, float], ...]
    unfound_s: float
    lost_s: float
    repeated_s: float

    def __str__(self) -> str:
        found = f"{len(self.places)} of {self.pieces} pieces"
        places = ", ".join(f"{at:.2f}{lag * 1000:+.1f}" for at, lag in self.places)
        return (
            f"{found}, lost {self.lost_s:.3f} s, repeated {self.repeated_s:.3f} s, "
            f"unfound {self.unfound_s:.2f} s; s of the speech and ms of lag: {places}"
        )


def compare(said: bytes, heard: bytes | bytearray) -> Comparison:
    """Look for every loud quarter of a second of what was said, in its order, in what was heard."""
    loud = {start for start, piece in _cut(said) if _power(piece) >= _LOUD**2}
    said, heard = _middle(said), _middle(bytes(heard))
    pieces = {start: piece for start, piece in _cut(said) if start in loud}
    tried = (_place(piece, heard, start, -1.0, _LATEST_S, _SURELY_ALIKE) for start, piece in pieces.items())
    lag = next((one for one in tried if one is not None), None)
    places: list[tuple[float, float]] = []
    unfound = longest = 0
    for start, piece in pieces.items() if lag is not None else ():
        assert lag is not None
        found = _place(piece, heard, start, lag - _SAME_S, lag + _SAME_S, _ALIKE)
        if found is None:
            found = _place(piece, heard, start, lag - _LONGEST_HOLE_S, lag + 1.0, _SURELY_ALIKE)
        unfound = unfound + 1 if found is None else 0
        longest = max(longest, unfound)
        if found is not None:
            lag = found
            places.append((start / RATE_HZ, lag))
    lags = [lag for _, lag in places]
    # A piece that is taken for its neighbour, a period of the voice away, is alone with its lag.
    lags = [statistics.median(lags[max(0, at - 1) : at + 2]) for at in range(len(lags))]
    steps = [late - early for early, late in itertools.pairwise(lags) if abs(late - early) > _JITTER_S]
    return Comparison(
        len(pieces),
        tuple(places),
        longest * _STEP_S,
        -sum(step for step in steps if step < 0),
        sum(step for step in steps if step > 0),
    )


def first_heard(loop: bytes, heard: bytes) -> bytes:
    """What was said from the first thing heard on, where the same was said again and again."""
    middle = _middle(loop)
    for start, piece in _cut(_middle(heard)):
        match = find(piece, middle)
        if _likeness(piece, _part(middle, match.offset, match.offset + len(piece) // 2)) >= _SURELY_ALIKE:
            first = (match.offset - start) % (len(loop) // 2)
            return (loop * (len(heard) // len(loop) + 2))[2 * first :][: len(heard)]
    raise AssertionError("nothing of it was heard")


def heard_whole(found: Comparison) -> None:
    """All of it, once, and evenly."""
    assert found.pieces > 10, str(found)
    assert found.unfound_s <= 0.25, str(found)
    assert found.lost_s < FEW_MS, str(found)
    assert found.repeated_s < FEW_MS, str(found)


def nothing_but_a_gap(found: Comparison, most_s: float) -> None:
    """It goes on after a gap, and nothing was heard twice."""
    assert found.pieces > 10, str(found)
    assert found.unfound_s <= most_s + 0.25, str(found)
    assert found.lost_s < most_s, str(found)
    assert found.repeated_s < 2 * FEW_MS, str(found)


async def peer_of(server: Server, user: str) -> dict[str, Any]:
    """The facts of a wearer's peer."""
    nodes = [(await server.inspect())["tree"]]
    while nodes[0]["path"] != f"/glasshouse/users/{user}/peer":
        nodes[:1] = nodes[0]["children"]
    facts: dict[str, Any] = nodes[0]["facts"]
    return facts


def _cut(said: bytes) -> Iterator[tuple[int, bytes]]:
    size = _samples(_PIECE_S)
    for start in range(0, len(said) // 2 - size, _samples(_STEP_S)):
        yield start, _part(said, start, start + size)


def _place(
    piece: bytes, heard: bytes, start: int, low_s: float, high_s: float, enough: float
) -> float | None:
    """How much later than `start` it lies, between the two; None where nothing there is alike enough."""
    begin = max(0, start + _samples(low_s))
    match = find(piece, _part(heard, begin, start + _samples(high_s) + len(piece) // 2))
    at = begin + match.offset
    is_it = _likeness(piece, _part(heard, at, at + len(piece) // 2)) >= enough
    return (at - start) / RATE_HZ if is_it else None


def _middle(pcm: bytes) -> bytes:
    """What is left around 2 kHz: codecs cut off what is below a voice, and who resamples what is above it."""
    sums = [0, *itertools.accumulate(array("h", pcm))]
    fours = zip(sums, sums[4:], sums[8:], strict=False)
    return array("h", [(2 * middle - first - last) // 8 for first, middle, last in fours]).tobytes()


def _samples(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def _part(pcm: bytes, begin: int, end: int) -> bytes:
    return bytes(pcm[2 * max(0, begin) : 2 * max(0, end)])


def _power(pcm: bytes) -> float:
    samples: Sequence[int] = array("h", pcm)
    power: int = sum(map(mul, samples, samples))
    return power / max(1, len(samples))


def _likeness(one: bytes, other: bytes) -> float:
    """Their normalised correlation, of every sample."""
    these: Sequence[int] = array("h", one)
    those: Sequence[int] = array("h", other)
    if len(these) != len(those):
        return 0.0
    power: int = sum(map(mul, these, these)) * sum(map(mul, those, those))
    together: int = sum(map(mul, these, those))
    return together / math.sqrt(power) if power else 0.0
