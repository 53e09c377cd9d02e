"""What the display machine remembers: plain frozen data, complete enough to go on from after a restart.

Times are the caller's seconds. Nothing here decides anything; `arbitration` and `dashboard` do.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from ..moments import moved


class Frame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to show.

    Attributes:
      sequence: the number of the request it came from; 0 for the machine's own frames.
      is_blank: it shows nothing (`clear_view`, or a text wall without text).
    """

    package: str
    layout: msgspec.Raw
    sequence: int = 0
    duration_ms: int | None = None
    is_forced: bool = False
    is_critical: bool = False
    is_blank: bool = False


class Slot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one app wants on the main view: its newest request and nothing older.

    Attributes:
      shown_at: when `frame` reached the lens; None while it waits for it.
      expires_at: when `frame` has been shown for its duration; None while it waits, or without a duration.
      active_at: when any frame of this app last reached the lens: the background lock counts from here.
      next_at: the throttle: no other frame of this app before.
      yields: the core app went first; this waits until the core app shows nothing.
    """

    frame: Frame | None = None
    shown_at: float | None = None
    expires_at: float | None = None
    active_at: float | None = None
    next_at: float | None = None
    yields: bool = False


class Lock(msgspec.Struct, frozen=True):
    """The background app that displaced the core app."""

    package: str
    taken_at: float


class Boot(msgspec.Struct, frozen=True):
    """An app named on the boot screen."""

    package: str
    name: str
    until: float


class Lens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One view: what should be on it.

    Attributes:
      covers: `frame` came before what was there, and did not take its place.
      is_lit: what the phone was last sent for it is not blank.
      expires_at: when an app's own frame on the dashboard view gives way; the main view's are in the slots.
    """

    frame: Frame | None = None
    covers: bool = False
    is_lit: bool = False
    expires_at: float | None = None


class Dashboard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the dashboard is composed of. Contents are newest first.

    Attributes:
      turned_to: the package whose main content the wearer turned to; None shows the newest.
    """

    mode: str = "main"
    sections: Mapping[str, str] = {}
    main: tuple[tuple[str, str], ...] = ()
    expanded: tuple[tuple[str, str], ...] = ()
    turned_to: str | None = None


class DisplayState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole machine. A value decoded from its own encoding goes on where this one stood.

    Attributes:
      ended: apps that ended and have not been started again: a late request of theirs is not shown.
      beneath: whose frame the boot screen or a critical frame covers.
      glasses: what the phone said of its glasses; None while it has said nothing.
      due_at: when a `Tick` is due.
    """

    slots: Mapping[str, Slot] = {}
    lock: Lock | None = None
    boots: tuple[Boot, ...] = ()
    core: str | None = None
    ended: tuple[str, ...] = ()
    beneath: str | None = None
    main: Lens = Lens()
    dashboard_view: Lens = Lens()
    dashboard: Dashboard = Dashboard()
    is_phone_here: bool = False
    phone_since: float = 0.0
    glasses: bool | None = None
    sequence: int = 0
    due_at: float | None = None


def shifted(state: DisplayState, by_s: float) -> DisplayState:
    """The same machine on a clock that is `by_s` ahead (`actors.moments`)."""
    lock = state.lock
    return replace(
        state,
        slots={package: _shifted_slot(slot, by_s) for package, slot in state.slots.items()},
        lock=None if lock is None else Lock(lock.package, lock.taken_at + by_s),
        boots=tuple(replace(boot, until=boot.until + by_s) for boot in state.boots),
        dashboard_view=replace(state.dashboard_view, expires_at=moved(state.dashboard_view.expires_at, by_s)),
        phone_since=state.phone_since + by_s,
        due_at=moved(state.due_at, by_s),
    )


def _shifted_slot(slot: Slot, by_s: float) -> Slot:
    return replace(
        slot,
        shown_at=moved(slot.shown_at, by_s),
        expires_at=moved(slot.expires_at, by_s),
        active_at=moved(slot.active_at, by_s),
        next_at=moved(slot.next_at, by_s),
    )
