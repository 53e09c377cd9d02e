"""The path of a microphone frame: one plain call from the engine to every taker.

The engine calls `AudioSlot.offer` for each binary frame of a phone. The slot belongs to the user's subtree
and outlives the audio actor's incarnations; the router inside it walks an immutable table that the session
replaces whole. Nothing here waits: every taker has a bounded queue of its own (DESIGN section 3).
"""

from __future__ import annotations

from typing import Any

import msgspec

from runtime import Recipient, Ref

from ..overload import Shedder
from ..ports import Connection, Lane, Outgoing, SpeechStream


class SpeechInlet:
    """Where the microphone meets one transcription stream; it outlives the stream's incarnations."""

    __slots__ = ("owner", "stream")

    def __init__(self) -> None:
        self.stream: SpeechStream | None = None
        self.owner: Ref[Any] | None = None

    def offer(self, pcm: bytes) -> None:
        """Hand one frame to the stream; a failure crashes the stream's actor, not the caller."""
        stream = self.stream
        if stream is None:
            return
        try:
            stream.offer(pcm)
        except Exception as error:
            self.stream = None
            if self.owner is not None:
                self.owner.crash(error)

    def finalize(self) -> None:
        """The phone reports silence: ask the stream for its final text."""
        if self.stream is not None:
            self.stream.finalize()


class AudioTable(msgspec.Struct, frozen=True):
    """Who takes the microphone's frames.

    Attributes:
      apps: connections of apps that subscribed to `audio_chunk`; they get every frame byte for byte.
      speech: inlets of the open transcription streams.
      is_wanted: whether the microphone should be on at all; a frame while it is not is stray.
    """

    apps: tuple[Connection, ...] = ()
    speech: tuple[SpeechInlet, ...] = ()
    is_wanted: bool = False


class StrayAudio(msgspec.Struct, frozen=True):
    """A frame came while nobody wants the microphone (protocol.md 5.7)."""


class AudioRouter:
    """The routing table and its counters. Hot: one call per frame, no allocation but the outgoing message."""

    __slots__ = ("bytes_in", "frames", "session", "stray_frames", "table")

    def __init__(self, session: Recipient[StrayAudio], table: AudioTable) -> None:
        self.session = session
        self.table = table
        self.frames = 0
        self.bytes_in = 0
        self.stray_frames = 0

    def frame(self, pcm: bytes) -> None:
        """Relay one frame to the apps first, then feed the recognisers (protocol.md 7.2)."""
        if not pcm:
            return  # an empty binary frame is an error event in the SDK (protocol.md 10.14)
        self.frames += 1
        self.bytes_in += len(pcm)
        table = self.table
        if table.apps:
            message = Outgoing(pcm, is_text=False, lane=Lane.AUDIO)
            for connection in table.apps:
                connection.send(message)
        for inlet in table.speech:
            inlet.offer(pcm)
        if not table.is_wanted:
            self.stray_frames += 1
            self.session.tell(StrayAudio())


class AudioSlot:
    """Where the engine's calls meet the user's audio actor.

    Attributes:
      connection: the phone's current connection; frames of any other (a replaced one) are ignored.
      unrouted_frames: frames that came while no router stood, or from a replaced connection.
      shedder: which frames are dropped before they are routed while the server is overloaded.
    """

    __slots__ = ("connection", "owner", "router", "shedder", "unrouted_frames")

    def __init__(self, shedder: Shedder) -> None:
        self.shedder = shedder
        self.router: AudioRouter | None = None
        self.owner: Ref[Any] | None = None
        self.connection: Connection | None = None
        self.unrouted_frames = 0

    def offer(self, connection: Connection, pcm: bytes) -> None:
        """Route one frame; a failure crashes the audio actor, never the engine."""
        router = self.router
        if router is None or connection is not self.connection:
            self.unrouted_frames += 1
            return
        shedder = self.shedder
        if shedder.board.is_on and shedder.sheds(connection, len(pcm)):
            return
        try:
            router.frame(pcm)
        except Exception as error:
            self.router = None
            if self.owner is not None:
                self.owner.crash(error)
