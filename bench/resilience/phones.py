"""The wearers' phones: one process, one raw socket each, the habits of a real phone (protocol.md 4.1).

A phone pings every 5 s and gives a socket up whose pong takes longer than 5 s. It dials again at once after
a reset of its own network, 5 s after a connection that the server or the silence ended. It streams 100 ms
frames in real time when the cloud has acknowledged it and wants audio, each with its number and the time it
was sent, and presses a button once a second, each press with its number.

Events (`records`): dial, ack (what runs), mic (bool), lost (why), shown (when the app made it, press), card
(another display: the boot screen), press (number), apps (what runs), error (what was said).
"""

from __future__ import annotations

import functools
import json
import random
import struct
import time
from pathlib import Path
from typing import Any, Final

from bench.raw import BINARY, TEXT, frame

from .loop import Loop, Peer, commands, read_settings
from .records import Log

FRAME_S: Final = 0.1
FRAME_BYTES: Final = 3_200
STAMP: Final = struct.Struct("<dI")
PRESS_S: Final = 1.0
REDIAL_S: Final = 5.0
PING_S: Final = 5.0
PONG_S: Final = 5.0

_HEAD = frame(BINARY, b"\0" * FRAME_BYTES)[:8]
_TAIL = b"\0" * (FRAME_BYTES - STAMP.size)
_PING = frame(TEXT, b'{"type":"ping"}')


class Phone:
    """One of them.

    Attributes:
      is_wanted: the cloud wants audio on the present connection.
    """

    def __init__(
        self, loop: Loop, index: int, *, address: tuple[str, int], target: str, package: str
    ) -> None:
        self.index = index
        self.frames = 0
        self.presses = 0
        self.is_acked = self.is_wanted = False
        self._loop = loop
        self._log = loop.log
        self._address = address
        self._target = target
        self._start = frame(TEXT, json.dumps({"type": "start_app", "packageName": package}).encode())
        self._peer: Peer | None = None
        self._connection = 0
        self._awaits_pong = False

    def dial(self) -> None:
        if self._peer is not None:
            return
        self._connection += 1
        self._awaits_pong = False
        self._log.event(time.perf_counter(), "dial", self.index)
        self._peer = Peer(self._loop, self._address, self._target, heard=self._heard, ended=self._ended)
        self._keep_alive(self._connection)

    def reset(self) -> None:
        """The network changes: a reset goes out, and the phone dials at once."""
        if self._peer is not None:
            self._gone("reset", with_reset=True)
        self.dial()

    def start_app(self) -> None:
        if self._peer is not None:
            self._peer.send(self._start)

    def send_frame(self, now: float, late_s: float) -> None:
        assert self._peer is not None
        self._peer.send(_HEAD + STAMP.pack(now, self.frames) + _TAIL)
        self._log.frame(self.index, self.frames, now, late_s)
        self.frames += 1

    def press(self, now: float) -> None:
        if self.is_acked and self._peer is not None:
            press = {"type": "button_press", "buttonId": str(self.presses), "pressType": "short"}
            self._log.event(now, "press", self.index, self.presses)
            self._peer.send(frame(TEXT, json.dumps(press).encode()))
            self.presses += 1

    def _gone(self, why: str, *, with_reset: bool = False) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.drop(with_reset=with_reset)
        self.is_acked = self.is_wanted = False
        self._log.event(time.perf_counter(), "lost", self.index, why)

    def _ended(self, why: str) -> None:
        self._gone(why)
        self._loop.after(REDIAL_S, self.dial)

    def _keep_alive(self, connection: int) -> None:
        if connection != self._connection or self._peer is None:
            return
        if self._awaits_pong and self.is_acked:
            self._awaits_pong = False
            self._ended("no pong")
            return
        if self._peer.is_upgraded:
            self._peer.send(_PING)
            self._awaits_pong = True
        self._loop.after(PING_S, functools.partial(self._keep_alive, connection))

    def _heard(self, opcode: int, payload: bytes) -> None:
        if opcode == BINARY:
            return
        now = time.perf_counter()
        message = json.loads(payload)
        kind = message.get("type")
        if kind == "display_event":
            self._shown(now, message)
        elif kind == "connection_ack":
            self.is_acked = True
            self._log.event(now, "ack", self.index, message["userSession"]["activeAppSessions"])
        elif kind == "microphone_state_change":
            self.is_wanted = bool(message.get("requiredData"))
            self._log.event(now, "mic", self.index, self.is_wanted)
        elif kind == "app_state_change":
            self._log.event(now, "apps", self.index, message["userSession"]["activeAppSessions"])
        elif kind == "pong":
            self._awaits_pong = False
        elif kind == "ping" and self._peer is not None:
            self._peer.send(frame(TEXT, b'{"type":"pong"}'))
        elif kind is not None and "error" in kind:
            self._log.event(now, "error", self.index, f"{kind} {message.get('code')}")

    def _shown(self, now: float, message: dict[str, Any]) -> None:
        words = str(message.get("layout", {}).get("text", "")).split()
        if len(words) == 3 and words[0] == "shown":
            self._log.event(now, "shown", self.index, [float(words[1]), int(words[2])])
        else:
            self._log.event(now, "card", self.index)


class Streams:
    """Sends each phone's frames on time, at a phase of its own, and its presses."""

    def __init__(self, phones: list[Phone], chance: random.Random) -> None:
        order = sorted((chance.random() * FRAME_S, phone.index) for phone in phones)
        self._order = [(phase, phones[index]) for phase, index in order]
        self._next_press = [chance.random() * PRESS_S for _ in phones]
        self._base = time.perf_counter()
        self._cycle = self._position = 0

    def send_due(self) -> float:
        """Send what is due; returns the seconds until the next frame is."""
        while True:
            phase, phone = self._order[self._position]
            due = self._base + self._cycle * FRAME_S + phase
            now = time.perf_counter()
            if due > now:
                return due - now
            if phone.is_wanted:
                phone.send_frame(now, now - due)
            if now - self._base >= self._next_press[phone.index]:
                self._next_press[phone.index] += PRESS_S
                phone.press(now)
            self._position += 1
            if self._position == len(self._order):
                self._position, self._cycle = 0, self._cycle + 1


def main() -> None:
    """A line of settings on standard input, then commands: `{"do": "dial", "who": [...]}`, reset or start."""
    settings = read_settings()
    loop = Loop(Log(Path(settings["folder"]), "phone"))
    phones = [
        Phone(
            loop,
            index,
            address=("127.0.0.1", settings["ports"][index]),
            target=f"/glasses-ws?token={token}",
            package=settings["package"],
        )
        for index, token in enumerate(settings["tokens"])
    ]

    def obey(command: dict[str, Any]) -> None:
        for index in command["who"]:
            phone = phones[index]
            {"dial": phone.dial, "reset": phone.reset, "start": phone.start_app}[command["do"]]()

    commands(loop, obey)
    streams = Streams(phones, random.Random(settings["seed"]))
    while True:
        loop.turn(streams.send_due())


if __name__ == "__main__":
    main()
