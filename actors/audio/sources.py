"""One voice that comes two ways: over WebRTC and directly, over the WebSocket or its datagrams.

WebRTC is heard where both deliver (protocol.md 8.2). What comes directly meanwhile is kept and not routed, so
that it can go on where WebRTC ends. The two have different delays, and nothing on the wire says which sample
of the one is which of the other. It is found in the sound itself (`alignment.py`): then a change of the
source repeats nothing and leaves nothing out, and what is left to differ is when a sample arrives. Where the
sound does not tell, in silence or with nobody else delivering, what arrived at the same time counts as
spoken at the same time.

A change falls between two frames. Towards WebRTC it takes the first 180 ms of its audio to find the place;
away from it, at once when the peer's end is told, or when nothing has come for `stall_s`.

Positions count bytes of PCM, for each way since it began.
"""

from __future__ import annotations

import enum
from typing import Final

from protocols.audio import BYTES_A_SECOND

from . import alignment
from .loudness import is_loud

KEEP_S: Final = 1.5
"""How much of each way is kept: the stall, the jitter buffer, and what it takes to recognise the place."""

DECIDE_S: Final = 0.18
"""So long after WebRTC's audio began, or begins to be heard, its place is decided."""

PATIENT_S: Final = 0.3
"""The same while somebody speaks: WebRTC may be ahead of the frames of 100 ms that come directly."""

_LOOKS_S: Final = (0.1, 0.14, DECIDE_S, 0.24, PATIENT_S)
_QUIET_S: Final = 0.3  # a way that has brought nothing for so long does not deliver: frames have 100 ms
_BEYOND_S: Final = 0.5  # a place so far ahead of what has come is a mistake
_ALIKE: Final = 0.8  # what makes a place that was searched for; Opus leaves 0.8 to 0.93 of a voice
_ALIKE_FOR_SHORT: Final = 0.95  # for less than _PIECE
_STILL_ALIKE: Final = 0.6  # and one that was known before


def _bytes_of(seconds: float) -> int:
    return int(seconds * BYTES_A_SECOND) // 2 * 2


_KEEP: Final = _bytes_of(KEEP_S)
_PIECE: Final = _bytes_of(0.15)
_LEAST_PIECE: Final = _bytes_of(0.08)
_SEARCHED: Final = _bytes_of(0.75)
_OLDER: Final = _bytes_of(0.1)  # a piece that is looked for ends so long ago: the other way may be behind
_COMPARED: Final = _bytes_of(0.25)
_BEYOND: Final = _bytes_of(_BEYOND_S)


class Source(enum.Enum):
    """Which way the audio that is routed comes; `websocket` has the datagrams too."""

    WEBSOCKET = "websocket"
    WEBRTC = "webrtc"


class SourceCounts:
    """What the changes of one microphone's source have come to.

    Attributes:
      switches: changes of the source, both ways.
      unsure: those of them whose place the sound did not tell, while both delivered.
      ignored_bytes: what came directly and was not routed, because WebRTC was heard.
      missing_bytes: what neither way had when the source changed.
      unheard_bytes: what came over WebRTC while the phone had not asked for it to be heard.
    """

    __slots__ = ("ignored_bytes", "missing_bytes", "switches", "unheard_bytes", "unsure")

    def __init__(self) -> None:
        self.switches = 0
        self.unsure = 0
        self.ignored_bytes = 0
        self.missing_bytes = 0
        self.unheard_bytes = 0


class _Way:
    """The newest audio that came one way.

    Attributes:
      begin, end: positions of what is kept.
      at: when the newest came; minus infinity before any.
    """

    __slots__ = ("_kept", "at", "begin", "end")

    def __init__(self, begin: int = 0) -> None:
        self.begin = self.end = begin
        self.at = float("-inf")
        self._kept = bytearray()

    def add(self, pcm: bytes, now: float) -> None:
        self._kept += pcm
        self.end += len(pcm)
        self.at = now
        if len(self._kept) > 2 * _KEEP:
            del self._kept[:-_KEEP]
            self.begin = self.end - _KEEP

    def part(self, begin: int, end: int) -> bytes:
        """What is kept of it."""
        first = max(begin, self.begin) - self.begin
        return bytes(self._kept[first : max(first, end - self.begin)])

    def delivers(self, now: float) -> bool:
        return now - self.at <= _QUIET_S


class Sources:
    """Decides what of both ways is routed. Plain calls, in the order of arrival; `now` never goes back.

    Args:
      stall_s: WebRTC that has brought nothing for so long is not heard any more.
      odd_bytes: 1 where the last byte that was routed is the first half of a sample.

    Attributes:
      source: which way is routed now.
      is_heard: whether WebRTC is to be heard at all.
    """

    __slots__ = (
        "_counts",
        "_direct",
        "_heard_from",
        "_is_found",
        "_lag",
        "_looks",
        "_offset",
        "_peer",
        "_routed",
        "_since",
        "_stall_s",
        "is_heard",
        "source",
    )

    def __init__(self, counts: SourceCounts, *, stall_s: float, odd_bytes: int = 0) -> None:
        self.source = Source.WEBSOCKET
        self.is_heard = False
        self._counts = counts
        self._stall_s = stall_s
        self._direct = _Way(odd_bytes)
        self._peer = _Way()
        self._routed = self._direct.end  # of the present source, up to here; ahead of it where that is behind
        self._offset: int | None = (
            None  # from a position of WebRTC to that of the same sample that came directly
        )
        self._is_found = False  # the sound told it
        self._lag = 0  # how far WebRTC was behind when that was last known
        self._heard_from = 0
        self._since: float | None = None  # when what WebRTC brings now began
        self._looks = 0

    @property
    def is_idle(self) -> bool:
        """Whether what comes directly is routed as it comes: nothing is waited for, nothing left out."""
        return self.source is Source.WEBSOCKET and self._routed <= self._direct.end

    def due_at(self) -> float | None:
        """When `look` is to be called if WebRTC brings nothing by then; None while that is not heard."""
        return self._peer.at + self._stall_s if self.source is Source.WEBRTC else None

    # -- what comes directly

    def direct(self, pcm: bytes, now: float) -> bytes:
        """Audio that came directly. Returns what is to be routed."""
        self._direct.add(pcm, now)
        if self.source is Source.WEBSOCKET:
            before, self._routed = self._routed, max(self._routed, self._direct.end)
            if before == self._direct.end - len(pcm):
                return pcm
            self._counts.ignored_bytes += min(len(pcm), before - self._direct.end + len(pcm))
            return self._direct.part(before, self._direct.end)
        self._counts.ignored_bytes += len(pcm)
        return self.look(now)

    def direct_broken(self) -> None:
        """What comes directly from here on does not follow on what came before, or not without a hole."""
        self._direct = _Way((self._direct.end + 1) // 2 * 2)
        self._forget_place()
        if self.source is Source.WEBSOCKET:
            self._routed = self._direct.end

    # -- what comes over WebRTC

    def peer_began(self, now: float) -> bytes:
        """Another peer takes the place of the one before. Returns what is to be routed."""
        rest = self.hear(now, is_heard=False)
        self._peer = _Way()
        self._forget_place()
        return rest

    def hear(self, now: float, *, is_heard: bool) -> bytes:
        """Whether WebRTC is heard from here on. Returns what is to be routed."""
        if is_heard == self.is_heard:
            return b""
        self.is_heard = is_heard
        self._since = None
        self._heard_from = self._peer.end
        return b"" if is_heard else self._leave(now)

    def peer(self, pcm: bytes, begin: int, now: float) -> bytes:
        """Audio that came over WebRTC, from the position `begin` on. Returns what is to be routed."""
        known = self._peer.end - begin
        if known >= len(pcm):
            return b""
        if known > 0:
            pcm = pcm[known:]
        elif known < 0:
            self._jump(begin)
        if now - self._peer.at > self._stall_s:
            self._since = None
            self._heard_from = self._peer.end
        self._peer.add(pcm, now)
        if not self.is_heard:
            self._counts.unheard_bytes += len(pcm)
            return b""
        if self.source is Source.WEBSOCKET and not self._enter(now):
            return b""
        before, self._routed = self._routed, max(self._routed, self._peer.end)
        return self._peer.part(before, self._peer.end)

    def look(self, now: float) -> bytes:
        """Leave WebRTC if it has stalled. Returns what is to be routed."""
        due = self.due_at()
        return b"" if due is None or now < due else self._leave(now)

    def _jump(self, begin: int) -> None:
        """WebRTC goes on beyond a hole, in which nobody spoke or which nobody can fill."""
        at, self._peer = self._peer.at, _Way(begin)
        self._peer.at = at
        if self.source is Source.WEBRTC:
            self._routed = max(self._routed, begin)

    # -- the changes

    def _enter(self, now: float) -> bool:
        """Go over to WebRTC if its place is known, and leave `_routed` there."""
        if self._since is None:
            self._since, self._looks = now, 0
        waited_s, direct = now - self._since, self._direct
        if not direct.delivers(now) or (waited_s >= DECIDE_S and direct.at <= self._since):
            # Nobody else delivers, or it ended where WebRTC began.
            place = max(self._heard_from, self._peer.begin)
            self._go_over(max(place, self._place()) if self._is_found else place)
            return True
        if self._looks < len(_LOOKS_S) and waited_s >= _LOOKS_S[self._looks]:
            self._looks += 1
            if self._find():
                if self._place() < self._peer.begin:  # it is ahead: the rest still comes directly
                    self._looks -= 1
                    return False
                self._go_over(self._place())
                return True
        if waited_s < (PATIENT_S if self._is_loud() else DECIDE_S):
            return False
        self._counts.unsure += 1
        if self._offset is None:
            self._guess()
        self._go_over(max(self._place(), self._peer.begin))
        return True

    def _place(self) -> int:
        """What comes directly is routed up to here, as a position of WebRTC."""
        assert self._offset is not None
        return self._routed - self._offset

    def _go_over(self, place: int) -> None:
        self.source = Source.WEBRTC
        self._counts.switches += 1
        self._routed = place

    def _leave(self, now: float) -> bytes:
        """Go on with what comes directly, where WebRTC ended."""
        if self.source is Source.WEBSOCKET:
            return b""
        self.source = Source.WEBSOCKET
        self._counts.switches += 1
        self._since = None
        routed, direct = self._routed, self._direct
        if not direct.delivers(now):
            self._routed = direct.end
            return b""
        if not self._find(until=routed) and self._offset is None:
            self._guess()
        if not self._is_found:
            self._counts.unsure += 1
        assert self._offset is not None
        place = routed + self._offset
        if place > direct.end + _BEYOND:
            place = direct.end
        if place < direct.begin:
            self._counts.missing_bytes += direct.begin - place
            place = direct.begin
        self._routed = max(place, direct.end)
        rest = direct.part(place, direct.end)
        self._counts.ignored_bytes -= len(rest)
        return rest

    # -- the place

    def _find(self, *, until: int | None = None) -> bool:
        """Whether the sound tells the place, which `_offset` is then.

        Args:
          until: position of WebRTC before which the piece lies that is looked for.
        """
        peer, direct = self._peer, self._direct
        end = min(peer.end, peer.end if until is None else until)
        begin = max(peer.begin, end - _OLDER - _PIECE)
        piece = peer.part(begin, min(end, begin + _PIECE))
        if self._offset is not None:
            there = begin + self._offset
            same = direct.part(there, there + len(piece))
            if len(same) < len(piece):  # it has not come directly yet: what was known still counts
                return self._is_found
            if alignment.likeness(piece, same) >= _STILL_ALIKE:
                self._is_found = True
                return True
        if len(piece) < _LEAST_PIECE:
            return False
        first = max((direct.begin + 1) // 2 * 2, (direct.end - _SEARCHED) // 2 * 2)
        offset = first + 2 * alignment.find(piece, direct.part(first, direct.end // 2 * 2)).offset - begin
        likeness, enough = self._likeness(offset)
        if likeness >= _ALIKE_FOR_SHORT:
            self._found_at(offset)
            return True
        # WebRTC may be ahead: then the newest that came directly is somewhere in what it has brought.
        end = direct.end // 2 * 2
        piece = direct.part(max((direct.begin + 1) // 2 * 2, end - _LEAST_PIECE), end)
        match = alignment.find(piece, peer.part(peer.begin, peer.end))
        other = end - len(piece) - peer.begin - 2 * match.offset
        likeness, enough, offset = max((likeness, enough, offset), (*self._likeness(other), other))
        if likeness < enough:
            return False
        self._found_at(offset)
        return True

    def _found_at(self, offset: int) -> None:
        self._offset = offset
        self._is_found = True
        self._lag = self._later_by(offset)

    def _likeness(self, offset: int) -> tuple[float, float]:
        """How alike is all that both have, if this is the offset, and how alike it should be.

        A vowel is much like itself a few periods away; so the less there is to compare, the more alike.
        """
        peer, direct = self._peer, self._direct
        end = min(peer.end, (direct.end - offset) // 2 * 2)
        begin = max(peer.begin, direct.begin + (direct.begin & 1) - offset, end - _COMPARED)
        ours, theirs = peer.part(begin, end), direct.part(begin + offset, end + offset)
        if len(ours) < _LEAST_PIECE:
            return 0.0, _ALIKE
        return alignment.likeness(ours, theirs), _ALIKE if len(ours) >= _PIECE else _ALIKE_FOR_SHORT

    def _guess(self) -> None:
        """Take what arrived at the same time for spoken at the same time, but for the delay known before."""
        self._offset = self._later_by(0) - self._lag

    def _later_by(self, offset: int) -> int:
        """How far WebRTC was behind when the newest came both ways; less than 0 where it was ahead."""
        peer, direct = self._peer, self._direct
        at = min(peer.at, direct.at)
        there = direct.end // 2 * 2 - _bytes_of(direct.at - at)
        return there - offset - (peer.end - _bytes_of(peer.at - at))

    def _is_loud(self) -> bool:
        """Whether somebody has just spoken, as far as WebRTC brought it."""
        return is_loud(self._peer.part(self._peer.end - _PIECE, self._peer.end))

    def _forget_place(self) -> None:
        self._offset = None
        self._is_found = False
