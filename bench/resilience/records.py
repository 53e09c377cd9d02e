"""What the phones and the app server saw, written by their processes and read by the campaign.

Files and no pipes: what a process wrote before kill -9 stays. Times are `time.perf_counter`'s, which on Linux
is one clock for all processes. A session is its number, from 0.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

FRAME: Final = struct.Struct("<IIdd")
"""Of a frame: session, number, a time, another time."""


class Event(NamedTuple):
    """Anything but a frame.

    Attributes:
      who: `phone` or `app`.
      kind: what happened; `phones` and `app_server` say which there are.
    """

    at: float
    who: str
    kind: str
    session: int
    detail: object


class Log:
    """The writing side: everything of one turn of a loop goes into the files together."""

    def __init__(self, folder: Path, who: str) -> None:
        self._events = (folder / f"{who}.events").open("ab", buffering=0)
        self._frames = (folder / f"{who}.frames").open("ab", buffering=0)
        self._new_events: list[tuple[float, str, int, object]] = []
        self._new_frames = bytearray()

    def event(self, at: float, kind: str, index: int = -1, detail: object = None) -> None:
        self._new_events.append((at, kind, index, detail))

    def frame(self, index: int, number: int, first: float, second: float) -> None:
        self._new_frames += FRAME.pack(index, number, first, second)

    def flush(self) -> None:
        if self._new_events:
            lines = "".join(json.dumps(event) + "\n" for event in self._new_events)
            self._events.write(lines.encode())
            self._new_events.clear()
        if self._new_frames:
            self._frames.write(self._new_frames)
            self._new_frames.clear()

    def close(self) -> None:
        self.flush()
        self._events.close()
        self._frames.close()


class Frames:
    """Frames of one session in the order they were written.

    Attributes:
      numbers: the phone's own count.
      at: when it was sent, or when it arrived.
      other: how late it was sent, or when the frame that arrived had been sent.
    """

    def __init__(self) -> None:
        self.numbers: array[int] = array("I")
        self.at: array[float] = array("d")
        self.other: array[float] = array("d")


class Reader:
    """The reading side; `read` takes in what is new.

    Attributes:
      events: all of them, in the order they were read; within one process that is the order of time.
      sent, arrived: frames by session.
    """

    def __init__(self, folder: Path, sessions: int) -> None:
        self.events: list[Event] = []
        self.sent = [Frames() for _ in range(sessions)]
        self.arrived = [Frames() for _ in range(sessions)]
        self._folder = folder
        self._rests: dict[str, bytes] = {}
        self._places: dict[str, int] = {}

    def read(self) -> int:
        """Read what is new; returns how many events there were before it."""
        before = len(self.events)
        for who, frames in (("phone", self.sent), ("app", self.arrived)):
            for line in self._whole(f"{who}.events", None).splitlines():
                at, kind, index, detail = json.loads(line)
                self.events.append(Event(at, who, kind, index, detail))
            for index, number, at, other in FRAME.iter_unpack(self._whole(f"{who}.frames", FRAME.size)):
                into = frames[index]
                into.numbers.append(number)
                into.at.append(at)
                into.other.append(other)
        return before

    def _whole(self, name: str, size: int | None) -> bytes:
        """The new bytes of a file up to its last whole record; records have `size` bytes, or are lines."""
        path = self._folder / name
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(self._places.get(name, 0))
            data = file.read()
        self._places[name] = self._places.get(name, 0) + len(data)
        data = self._rests.get(name, b"") + data
        end = data.rfind(b"\n") + 1 if size is None else len(data) // size * size
        self._rests[name] = data[end:]
        return data[:end]


def of(events: Sequence[Event], who: str, kind: str) -> list[Event]:
    """Those of one kind."""
    return [event for event in events if event.kind == kind and event.who == who]
