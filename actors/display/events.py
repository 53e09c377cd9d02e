"""What the display machine hears and what it asks for: events, effects, settings.

The machine itself is `actors.display.arbitration`; the state it keeps is `actors.display.state`. A layout is
the app's own JSON object and is passed through untouched (`msgspec.Raw`).
"""

from __future__ import annotations

import msgspec

MAIN_VIEW = "main"
DASHBOARD_VIEW = "dashboard"


class DisplaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every duration of protocol.md 6.2, with its default.

    Attributes:
      throttle_s: least time between two frames of one app on the main view.
      boot_screen_s: how long the boot screen names an app after its start, connected or not.
      background_lock_s: how long a background app keeps the lens while another app waits for it.
      lock_inactive_s: a background app that shows nothing for this long gives the lens back.
      consumed_s: a frame without a duration has been read after this long: the core app may replace it.
      critical_hold_s: how long a critical frame without a duration keeps all others off the lens.
      arrival_s: a first "glasses connected" this soon after the phone's own arrival tells nothing new; a
        later one means that the glasses came after the phone and have to be lit again.
      longest_duration_s: a frame with a longer duration stays until it is replaced (integers are unbounded on
        the wire).
      dashboard_package: who may fill the dashboard's sections; also the sender of the machine's own frames.
    """

    throttle_s: float = 0.3
    boot_screen_s: float = 1.5
    background_lock_s: float = 10.0
    lock_inactive_s: float = 2.0
    consumed_s: float = 1.0
    critical_hold_s: float = 10.0
    arrival_s: float = 1.0
    longest_duration_s: float = 86_400.0
    dashboard_package: str = "system.augmentos.dashboard"


# ---------------------------------------------------------------------------------------------------------
# Events


class Requested(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An app (or the server itself) wants `layout` on a view.

    Attributes:
      view: `dashboard`, or `main`, which also stands for any view that the glasses do not have.
      duration_ms: None stays until replaced; 0 likewise, but is never brought back; above 0 expires.
      force: the throttle does not hold for it; the boot screen and the background lock do.
      is_critical: shown at once whatever else is on the lens, and kept there until its duration is over
        (`critical_hold_s` without one), its package shows or clears something else, or a newer critical
        one comes.
    """

    package: str
    layout: msgspec.Raw
    view: str = MAIN_VIEW
    duration_ms: int | None = None
    force: bool = False
    is_critical: bool = False


class AppStarting(msgspec.Struct, frozen=True, tag=True):
    """A start began: the boot screen names the app. An app that ended shows nothing before its next one."""

    package: str
    name: str


class AppReturning(msgspec.Struct, frozen=True, tag=True):
    """The stored list brings the app back, without a boot screen: what it shows counts again."""

    package: str


class AppEnded(msgspec.Struct, frozen=True, tag=True):
    """The app stopped, or its start failed. Not for a lost socket: its display stays through the grace."""

    package: str


class Withdrawn(msgspec.Struct, frozen=True, tag=True):
    """What this package holds over the others has lost its reason: whatever waits or was covered may follow.

    Its frame stays while there is nothing else to show, so the lens is not blank in between.
    """

    package: str


class CoreAppChanged(msgspec.Struct, frozen=True, tag=True):
    """Which running app is the `standard` one."""

    package: str | None


class PhoneArrived(msgspec.Struct, frozen=True, tag=True):
    """A phone's socket is there (the first, a return, or a newer one): it gets what should be on the lens."""


class PhoneLost(msgspec.Struct, frozen=True, tag=True):
    """No phone: nothing is sent; time and requests go on counting."""


class GlassesChanged(msgspec.Struct, frozen=True, tag=True):
    """The phone reported its glasses. A phone that never reports counts as having them (protocol.md 13.3)."""

    is_connected: bool


class HeadMoved(msgspec.Struct, frozen=True, tag=True):
    """Each `up` turns the dashboard to the next app's content."""

    is_up: bool


class DashboardContent(msgspec.Struct, frozen=True, tag=True):
    """An app's line for the dashboard, per mode (`main`, `expanded`). Empty content takes it away."""

    package: str
    content: str
    modes: tuple[str, ...]


class DashboardSection(msgspec.Struct, frozen=True, tag=True):
    """A section: `topLeft`, `topRight`, `bottomLeft` or `bottomRight`. From the dashboard package only."""

    section: str
    content: str


class DashboardMode(msgspec.Struct, frozen=True, tag=True):
    """The dashboard's mode: `main` or `expanded`. From the dashboard package only."""

    mode: str


class Tick(msgspec.Struct, frozen=True, tag=True):
    """`deadline(state)` has come."""


DisplayEvent = (
    Requested
    | AppStarting
    | AppReturning
    | AppEnded
    | Withdrawn
    | CoreAppChanged
    | PhoneArrived
    | PhoneLost
    | GlassesChanged
    | HeadMoved
    | DashboardContent
    | DashboardSection
    | DashboardMode
    | Tick
)

# ---------------------------------------------------------------------------------------------------------
# Effects


class Show(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Send one `display_event` to the phone. What it replaces needs no clear of its own."""

    view: str
    package: str
    layout: msgspec.Raw
    duration_ms: int | None = None
    is_critical: bool = False


class DashboardModeChanged(msgspec.Struct, frozen=True, tag=True):
    """Tell every app."""

    mode: str


DisplayEffect = Show | DashboardModeChanged
