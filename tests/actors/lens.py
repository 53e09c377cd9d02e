"""A display machine with a clock and a phone, for tests."""

from __future__ import annotations

import json

import msgspec

from actors.display.arbitration import (
    CoreAppChanged,
    DisplayEffect,
    DisplayEvent,
    DisplaySettings,
    DisplayState,
    GlassesChanged,
    PhoneArrived,
    Requested,
    Show,
    Tick,
    deadline,
    step,
)

SETTINGS = DisplaySettings()
CORE, A, B, SYSTEM = "org.core", "org.a", "org.b", "system.glasshouse"
DASHBOARD = SETTINGS.dashboard_package


def wall(text: str) -> msgspec.Raw:
    return msgspec.Raw(json.dumps({"layoutType": "text_wall", "text": text}).encode())


CLEARS = [wall(""), wall("  \n"), msgspec.Raw(b'{"layoutType":"clear_view"}')]


def text_of(effect: DisplayEffect) -> str:
    """What the wearer reads."""
    assert isinstance(effect, Show)
    layout = json.loads(bytes(effect.layout))
    if layout["layoutType"] == "reference_card":
        return f"{layout['title']}: {layout['text']}"
    return str(layout.get("text", ""))


class Glasses:
    """A machine with a clock and a phone: events at a time, ticks when they are due, and what was read."""

    def __init__(self, *, has_phone: bool = True, core: str | None = None) -> None:
        self.state = DisplayState()
        self.now = 1000.0
        self.read: list[tuple[float, str]] = []
        self.sent: list[DisplayEffect] = []
        if has_phone:
            self.hear(PhoneArrived(), GlassesChanged(True))
        self.hear(CoreAppChanged(core))

    def hear(self, *events: DisplayEvent) -> list[str]:
        heard = []
        for event in events:
            self.state, effects = step(self.state, event, self.now, SETTINGS)
            heard += [text_of(effect) for effect in effects]
            self.sent += effects
        self.read += [(round(self.now - 1000.0, 6), text) for text in heard]
        return heard

    def show(
        self,
        package: str,
        text: str,
        *,
        duration_ms: int | None = None,
        force: bool = False,
        is_critical: bool = False,
    ) -> list[str]:
        layout = wall(text)
        return self.hear(
            Requested(
                package=package,
                layout=layout,
                duration_ms=duration_ms,
                force=force,
                is_critical=is_critical,
            )
        )

    def until(self, seconds: float) -> list[str]:
        """Let time pass until `seconds` after the beginning."""
        until, heard = 1000.0 + seconds, []
        while (due := deadline(self.state)) is not None and due <= until:
            assert due > self.now
            self.now = due
            heard += self.hear(Tick())
        self.now = until
        return heard
