"""Which of the waiting and shown frames belongs on the main view now (protocol.md 6.3, 6.4).

Pure functions of the display's state and the time. The first that applies:

1. the newest critical frame that is still held (DESIGN section 3), or a frame of the dashboard package;
2. the boot screen, `boot_screen_s` from each start;
3. the background app that holds the lock, while it is active: `lock_inactive_s` from its last frame, or until
   its frame's duration is over. The core app's new frame gets past it once its frame counts as consumed; any
   other's, once it has had the lens for `background_lock_s`;
4. the core app's new frame, unless the core app has the lens anyway; then the oldest waiting one, which takes
   the lock;
5. what the boot screen or a critical frame had covered; then the core app's saved frame; then what stood back
   for the core app; then whatever is left.

So a background app's frame without a duration gives the lens back to the core app when its lock is inactive,
and stays if there is nothing to give it back to.
"""

from __future__ import annotations

from .events import DisplaySettings
from .state import DisplayState, Frame, Slot

BOOT_SCREEN = ""  # chosen like a package; no package has an empty name


def choose(state: DisplayState, now: float, settings: DisplaySettings) -> str | None:
    """The package whose slot belongs on the main view, `BOOT_SCREEN`, or None for nothing."""
    slots, core, lock = state.slots, state.core, state.lock
    held = [slot.frame for slot in slots.values() if slot.frame and is_held(slot, now, settings)]
    if held:
        return max(held, key=lambda frame: (frame.is_critical, frame.sequence)).package
    if state.boots:
        return BOOT_SCREEN
    core_slot = slots.get(core) if core else None
    has_core_news = core_slot is not None and core_slot.frame is not None and core_slot.shown_at is None
    waiting = _waiting(state)
    holder = _holder(state)
    if lock and holder:
        is_over = now >= lock.taken_at + settings.background_lock_s
        if has_core_news and (is_over or now >= _consumed_at(holder, settings)):
            return core
        others = [package for package in waiting if package != lock.package]
        if is_over and others:
            return others[0]
        if now < _active_until(holder, settings):
            return lock.package
    if has_core_news and not _is_seen(state, core):
        return core
    fresh = [package for package in waiting if not slots[package].yields]
    if fresh or has_core_news:
        return fresh[0] if fresh else core
    covered = slots.get(state.beneath) if state.beneath else None
    if covered is not None and covered.frame:
        return state.beneath
    if core_slot is not None and core_slot.frame:
        return core
    if waiting:
        return waiting[0]
    left = [slot.frame for slot in slots.values() if slot.frame]
    return max(left, key=lambda frame: frame.sequence).package if left else None


def turning_points(state: DisplayState, settings: DisplaySettings) -> list[float]:
    """The moments, past and future, at which the choice may change by itself."""
    slots, lock, holder = state.slots, state.lock, _holder(state)
    moments = [boot.until for boot in state.boots]
    for slot in slots.values():
        moments += [moment for moment in (slot.expires_at, _held_until(slot, settings)) if moment is not None]
    if lock and holder and any(slot.frame for package, slot in slots.items() if package != lock.package):
        moments.append(lock.taken_at + settings.background_lock_s)
        moments += [_consumed_at(holder, settings), _active_until(holder, settings)]
    return moments


def is_held(slot: Slot, now: float, settings: DisplaySettings) -> bool:
    """Whether the slot's frame goes before all others: it covers what is there and takes nobody's place."""
    if not slot.frame or not _can_hold(slot.frame, settings):
        return False
    until = _held_until(slot, settings)
    return until is None or now < until


def _is_seen(state: DisplayState, package: str | None) -> bool:
    shown = state.main.frame
    return shown is not None and shown.package == package


def _waiting(state: DisplayState) -> list[str]:
    """The background apps whose newest request has not been shown, oldest request first."""
    waiting = [
        (slot.frame.sequence, package)
        for package, slot in state.slots.items()
        if slot.frame and slot.shown_at is None and package != state.core
    ]
    return [package for _, package in sorted(waiting)]


def _holder(state: DisplayState) -> Slot | None:
    """The slot of the background app that holds the lock, while it has something to show."""
    lock = state.lock
    slot = state.slots.get(lock.package) if lock and lock.package != state.core else None
    return slot if slot and slot.frame else None


def _active_until(holder: Slot, settings: DisplaySettings) -> float:
    """When the lock becomes inactive: counted from what was really shown last (protocol.md 6.8)."""
    inactive_at = (holder.active_at or 0.0) + settings.lock_inactive_s
    return inactive_at if holder.expires_at is None else max(inactive_at, holder.expires_at)


def _consumed_at(holder: Slot, settings: DisplaySettings) -> float:
    if holder.expires_at is not None:
        return holder.expires_at
    return (holder.active_at or 0.0) + settings.consumed_s


def _can_hold(frame: Frame, settings: DisplaySettings) -> bool:
    return frame.is_critical or frame.package == settings.dashboard_package


def _held_until(slot: Slot, settings: DisplaySettings) -> float | None:
    """When a frame that is held gives way; None before it is shown, and for every other frame."""
    if not slot.frame or slot.shown_at is None or not _can_hold(slot.frame, settings):
        return None
    if slot.expires_at is not None:
        return slot.expires_at
    return slot.shown_at + (settings.critical_hold_s if slot.frame.is_critical else settings.consumed_s)
