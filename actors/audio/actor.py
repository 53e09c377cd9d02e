"""The audio actor: owns the router of one user's microphone and swaps its table."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Actor, Recipient, RestartInfo

from ..neighbours import NeighbourBack
from .routing import AudioRouter, AudioSlot, AudioTable, StrayAudio


class Route(msgspec.Struct, frozen=True):
    """Replace the routing table."""

    table: AudioTable


AudioMessage = Route

_OF_PACKETS = ("delivered", "lost", "duplicates", "late", "resets")


class AudioActor(Actor[AudioMessage]):
    """Keeps the routing table across crashes; the router itself is made anew by each incarnation."""

    def __init__(self, *, slot: AudioSlot, session: Recipient[StrayAudio | NeighbourBack]) -> None:
        self.slot = slot
        self.session = session
        self.state = AudioTable()

    def facts(self) -> Mapping[str, object]:
        format, counts = self.slot.format, self.slot.totals()
        shown = None if format is None else format.format
        if format is not None and format.frame_bytes is not None:
            shown = f"{shown}, {format.frame_bytes} bytes"
        counted = {name: getattr(counts, name) for name in counts.__slots__}
        facts = {"format": shown, **counted, "shed": self.slot.shedder.shed_frames}
        if self.slot.leg is not None:
            packets = self.slot.leg.state
            facts["udp"] = {name: getattr(packets, name) for name in _OF_PACKETS}
        return facts

    def started(self, restart: RestartInfo | None) -> None:
        self.perform(self._install)
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def receive(self, message: AudioMessage) -> None:
        self.state = message.table
        self.perform(self._swap)

    def _install(self) -> None:
        self.slot.owner = self.ref
        self.slot.install(AudioRouter(self.session, self.state))

    def _swap(self) -> None:
        if self.slot.router is not None:
            self.slot.router.table = self.state
