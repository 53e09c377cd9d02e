"""The audio actor: owns the router of one user's microphone and swaps its table."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtime import Actor, Recipient, RestartInfo

from ..neighbours import NeighbourBack
from ..ports import Telemetry
from .routing import AudioRouter, AudioSlot, AudioTable, SourceChanged, StrayAudio
from .sources import Source


class Route(msgspec.Struct, frozen=True):
    """Replace the routing table."""

    table: AudioTable


class LookAtSources(msgspec.Struct, frozen=True):
    """Nothing may have come over WebRTC for too long."""


AudioMessage = Route | SourceChanged | LookAtSources

_OF_PACKETS = ("delivered", "lost", "duplicates", "late", "resets")


class AudioActor(Actor[AudioMessage]):
    """Keeps the routing table across crashes; the router itself is made anew by each incarnation."""

    def __init__(
        self,
        *,
        user_id: str,
        slot: AudioSlot,
        session: Recipient[StrayAudio | NeighbourBack],
        telemetry: Telemetry,
    ) -> None:
        self.user_id = user_id
        self.slot = slot
        self.session = session
        self.telemetry = telemetry
        self.state = AudioTable()

    def facts(self) -> Mapping[str, object]:
        slot = self.slot
        format, counts, sources = slot.format, slot.totals(), slot.sources
        shown = None if format is None else format.format
        if format is not None and format.frame_bytes is not None:
            shown = f"{shown}, {format.frame_bytes} bytes"
        counted = {name: getattr(counts, name) for name in counts.__slots__}
        facts = {"format": shown, **counted, "shed": slot.shedder.shed_frames}
        facts["source"] = (Source.WEBSOCKET if sources is None else sources.source).value
        facts |= {name: getattr(slot.of_sources, name) for name in slot.of_sources.__slots__}
        if decoding := slot.decoding.view(self.now):
            facts["stages"] = {"decode": decoding}
        if slot.leg is not None:
            packets = slot.leg.state
            facts["udp"] = {name: getattr(packets, name) for name in _OF_PACKETS}
        return facts

    def started(self, restart: RestartInfo | None) -> None:
        self.perform(self._install)
        self._arm()
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def receive(self, message: AudioMessage) -> None:
        match message:
            case Route(table):
                self.state = table
                self.perform(self._swap)
            case SourceChanged(source):
                counts = self.slot.of_sources
                self.telemetry.info(
                    "audio_source",
                    user=self.user_id,
                    source=source.value,
                    ignored_bytes=counts.ignored_bytes,
                    missing_bytes=counts.missing_bytes,
                    unsure=counts.unsure,
                )
                self._arm()
            case LookAtSources():
                self.perform(self.slot.look_at_sources, self.now)
                self._arm()

    def _arm(self) -> None:
        """Look when the peer would have stalled: what it brings meanwhile moves that moment on."""
        sources = self.slot.sources
        due = None if sources is None else sources.due_at()
        if due is None:
            self.cancel_timer("sources")
        elif due > self.now:
            self.set_timer("sources", due - self.now, LookAtSources())

    def _install(self) -> None:
        self.slot.owner = self.ref
        self.slot.install(AudioRouter(self.session, self.state), self.system.clock.now)

    def _swap(self) -> None:
        if self.slot.router is not None:
            self.slot.router.table = self.state
