"""The audio actor: owns the router of one user's microphone and swaps its table."""

from __future__ import annotations

import msgspec

from runtime import Actor, Recipient, RestartInfo

from ..neighbours import NeighbourBack
from .routing import AudioRouter, AudioSlot, AudioTable, StrayAudio


class Route(msgspec.Struct, frozen=True):
    """Replace the routing table."""

    table: AudioTable


AudioMessage = Route


class AudioActor(Actor[AudioMessage]):
    """Keeps the routing table across crashes; the router itself is made anew by each incarnation."""

    def __init__(self, *, slot: AudioSlot, session: Recipient[StrayAudio | NeighbourBack]) -> None:
        self.slot = slot
        self.session = session
        self.state = AudioTable()

    def started(self, restart: RestartInfo | None) -> None:
        self.perform(self._install)
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def receive(self, message: AudioMessage) -> None:
        self.state = message.table
        self.perform(self._swap)

    def _install(self) -> None:
        self.slot.owner = self.ref
        self.slot.router = AudioRouter(self.session, self.state)

    def _swap(self) -> None:
        if self.slot.router is not None:
            self.slot.router.table = self.state
