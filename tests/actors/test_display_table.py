"""The display, rule by rule (protocol.md section 6, 10.21, 11.4, 13.3; DESIGN section 3)."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest

from actors.display.arbitration import (
    AppEnded,
    AppStarting,
    CoreAppChanged,
    DisplayEffect,
    DisplayEvent,
    DisplaySettings,
    DisplayState,
    GlassesChanged,
    PhoneArrived,
    PhoneLost,
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


# -- the faults of the real display manager (protocol.md 6.8)


def test_direct_send_drops_the_older_frame_that_still_waits() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(0.1)
    glasses.show(A, "two")

    glasses.show(A, "three", force=True)
    glasses.until(5.0)

    assert [(0.0, "one"), (0.1, "three")] == glasses.read


def test_lock_is_inactive_by_the_real_time_of_the_last_display() -> None:
    glasses = Glasses()
    glasses.show(A, "a1")
    glasses.until(1.5)
    glasses.show(A, "a2")
    glasses.until(2.5)  # 2 s after the first, 1 s after the last

    assert [] == glasses.show(B, "b")
    assert ["b"] == glasses.until(3.5)


def test_chatty_app_does_not_delay_another() -> None:
    glasses = Glasses(core=CORE)
    for tenth in range(10):
        glasses.until(tenth / 10)
        glasses.show(CORE, f"core {tenth}")

    assert ["a"] == glasses.show(A, "a")


def test_core_app_that_waits_for_its_window_does_not_hold_up_another() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "one")
    glasses.show(CORE, "two")

    assert ["a"] == glasses.show(A, "a")
    glasses.until(60.0)

    assert [(0.0, "one"), (0.0, "a"), (1.0, "two")] == glasses.read


def test_display_that_came_while_the_glasses_were_away_is_shown_when_they_return() -> None:
    glasses = Glasses()
    glasses.hear(GlassesChanged(False))

    assert [] == glasses.show(A, "a")
    assert ["a"] == glasses.hear(GlassesChanged(True))


def test_last_display_stays_while_nothing_is_heard_of_its_app() -> None:
    glasses = Glasses()
    glasses.show(A, "a")  # its socket is lost now; grace and resurrection tell the display nothing

    glasses.until(3600.0)
    assert [(0.0, "a")] == glasses.read

    assert ["a"] == glasses.hear(PhoneArrived())


# -- the throttle


def test_second_frame_within_300_ms_waits_for_the_end_of_the_window() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(0.1)

    assert [] == glasses.show(A, "two")
    glasses.until(5.0)

    assert [(0.0, "one"), (0.3, "two")] == glasses.read


def test_only_the_newest_waiting_frame_is_shown() -> None:
    glasses = Glasses()

    for index in range(29):
        glasses.until(index / 100)
        glasses.show(A, str(index))
    glasses.until(5.0)

    assert [(0.0, "0"), (0.3, "28")] == glasses.read


def test_one_display_per_interim_becomes_one_frame_per_300_ms() -> None:
    glasses = Glasses()

    for index in range(1001):
        glasses.until(index / 100)
        glasses.show(A, str(index))
    glasses.until(20.0)

    times = [at for at, _ in glasses.read]
    assert 35 == len(times)
    assert all(later - earlier >= 0.299999 for earlier, later in pairwise(times))
    assert "1000" == glasses.read[-1][1]


def test_frame_after_the_window_is_shown_at_once() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(0.3)

    assert ["two"] == glasses.show(A, "two")


def test_forced_frame_does_not_wait_for_the_window() -> None:
    glasses = Glasses()
    glasses.show(A, "one")

    assert ["two"] == glasses.show(A, "two", force=True)


def test_forced_frame_opens_a_window_of_its_own() -> None:
    glasses = Glasses()
    glasses.show(A, "one", force=True)

    assert [] == glasses.show(A, "two")
    assert ["two"] == glasses.until(0.3)


def test_forced_frame_respects_the_lock_and_the_boot_screen() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    assert [] == glasses.show(B, "b", force=True)

    glasses.hear(AppStarting("org.new", "New"))
    assert [] == glasses.show(A, "a2", force=True)


def test_same_text_again_is_a_new_frame() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.until(1.0)

    assert ["a"] == glasses.show(A, "a")


def test_layout_passes_through_byte_for_byte() -> None:
    glasses = Glasses()
    layout = msgspec.Raw(
        b'{ "layoutType":"bitmap_view", "data":"' + b"00" * 100_000 + b'", "extra": [1,  2] }'
    )

    glasses.state, [effect] = step(glasses.state, Requested(package=A, layout=layout), 2000.0, SETTINGS)

    assert isinstance(effect, Show)
    assert layout == effect.layout
    assert ("main", A, None) == (effect.view, effect.package, effect.duration_ms)


@pytest.mark.parametrize("layout", [b"[]", b'"x"', b'{"layoutType":5}', b"{", b'{"text":"\xff"}'])
def test_layout_of_an_unknown_shape_is_passed_on(layout: bytes) -> None:
    state, _ = step(DisplayState(), PhoneArrived(), 0.0, SETTINGS)

    _, effects = step(state, Requested(package=A, layout=msgspec.Raw(layout)), 0.0, SETTINGS)

    assert 1 == len(effects)


# -- durations


def test_frame_goes_when_its_duration_is_over() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=5000)

    glasses.until(60.0)

    assert [(0.0, "a"), (5.0, "")] == glasses.read
    assert 5000 == glasses.sent[0].duration_ms  # type: ignore[union-attr]


def test_duration_counts_from_the_moment_of_showing() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.show(A, "two", duration_ms=1000)

    glasses.until(60.0)

    assert [(0.0, "one"), (0.3, "two"), (1.3, "")] == glasses.read


@pytest.mark.parametrize("duration_ms", [None, 0, -1, 10**400])
def test_frame_without_a_duration_stays(duration_ms: int | None) -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=duration_ms)

    assert [] == glasses.until(1_000_000.0)


def test_newer_frame_is_not_ended_by_the_older_ones_duration() -> None:
    glasses = Glasses()
    glasses.show(A, "one", duration_ms=1000)
    glasses.until(0.9)
    glasses.show(A, "two", duration_ms=5000)

    glasses.until(60.0)

    assert [(0.0, "one"), (0.9, "two"), (5.9, "")] == glasses.read


def test_frame_that_waits_is_not_ended_by_the_older_ones_duration() -> None:
    glasses = Glasses()
    glasses.show(A, "one", duration_ms=200)
    glasses.until(0.1)
    glasses.show(A, "two")

    glasses.until(60.0)

    assert [(0.0, "one"), (0.3, "two")] == glasses.read


def test_frame_for_once_is_never_brought_back() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core", duration_ms=0)
    glasses.until(1.0)
    glasses.show(A, "a", duration_ms=1000)

    glasses.until(60.0)

    assert [(0.0, "core"), (1.0, "a"), (2.0, "")] == glasses.read


# -- clears


@pytest.mark.parametrize("clear", CLEARS)
def test_apps_clear_is_sent_as_it_came_when_nothing_is_left(clear: msgspec.Raw) -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.until(1.0)

    glasses.hear(Requested(package=A, layout=clear))

    last = glasses.sent[-1]
    assert isinstance(last, Show)
    assert (A, clear) == (last.package, last.layout)


@pytest.mark.parametrize("clear", CLEARS)
def test_clear_of_a_background_app_brings_the_core_app_back_in_one_replacement(clear: msgspec.Raw) -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(1.0)
    glasses.show(A, "a")
    glasses.until(1.5)

    assert ["core"] == glasses.hear(Requested(package=A, layout=clear))


def test_clear_waits_for_the_window_and_a_newer_text_replaces_it() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(1.0)
    glasses.show(A, "one")
    glasses.until(1.1)
    glasses.show(A, "")
    glasses.until(1.2)
    glasses.show(A, "two")

    glasses.until(1.5)

    assert [(0.0, "core"), (1.0, "one"), (1.3, "two")] == glasses.read


def test_clear_drops_the_frame_that_waits() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(B, "b")

    glasses.show(B, "")
    glasses.until(60.0)

    assert [(0.0, "a")] == glasses.read


def test_clear_of_an_app_that_is_not_seen_is_never_sent() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=1000)
    glasses.show(B, "")

    glasses.until(60.0)

    assert DASHBOARD == glasses.sent[-1].package  # type: ignore[union-attr]


def test_clear_of_an_empty_lens_sends_nothing() -> None:
    glasses = Glasses()

    assert [] == glasses.show(A, "")
    glasses.show(A, "a", duration_ms=1000)
    glasses.until(2.0)
    assert [] == glasses.show(A, "")


def test_clear_under_the_boot_screen_brings_nothing_back() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(AppStarting(B, "Bee"))

    glasses.show(A, "")
    glasses.until(60.0)

    assert ["a", "// MentraOS - Starting App: Bee", ""] == [text for _, text in glasses.read]


def test_clear_that_waits_is_forgotten_when_something_else_covers_the_lens() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(A, "")
    glasses.hear(AppStarting(B, "Bee"))

    glasses.until(60.0)

    assert ["a", "// MentraOS - Starting App: Bee", ""] == [text for _, text in glasses.read]
    assert DASHBOARD == glasses.sent[-1].package  # type: ignore[union-attr]


# -- foreground and background


def test_background_app_displaces_the_core_app() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")

    assert ["a"] == glasses.show(A, "a")


def test_core_app_comes_back_when_the_background_frame_ends() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(1.0)
    glasses.show(A, "a", duration_ms=5000)

    glasses.until(60.0)

    assert [(0.0, "core"), (1.0, "a"), (6.0, "core")] == glasses.read


def test_newest_frame_of_the_core_app_comes_back() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "one")
    glasses.until(1.0)
    glasses.show(A, "a", duration_ms=5000)
    glasses.until(2.0)
    assert [] == glasses.show(CORE, "two")
    assert [] == glasses.show(CORE, "three")

    glasses.until(60.0)

    assert [(0.0, "one"), (1.0, "a"), (6.0, "three")] == glasses.read


def test_core_app_waits_until_the_background_frame_is_consumed() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(A, "a")
    glasses.until(0.5)

    assert [] == glasses.show(CORE, "core")
    glasses.until(60.0)

    assert [(0.0, "a"), (1.0, "core")] == glasses.read


def test_core_app_is_shown_at_once_over_a_consumed_frame() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(A, "a")
    glasses.until(1.2)

    assert ["core"] == glasses.show(CORE, "core")


def test_lock_without_a_display_for_two_seconds_gives_the_lens_back() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(1.0)
    glasses.show(A, "a")

    glasses.until(60.0)

    assert [(0.0, "core"), (1.0, "a"), (3.0, "core")] == glasses.read


def test_background_frame_stays_when_there_is_nothing_to_go_back_to() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(A, "a")

    assert [] == glasses.until(3600.0)


def test_second_background_app_waits_for_the_lock() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.until(1.0)

    assert [] == glasses.show(B, "b")
    assert [] == glasses.until(1.999)
    assert ["b"] == glasses.until(2.0)


def test_background_frame_with_a_duration_keeps_the_lock_until_it_is_over() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=6000)
    glasses.until(1.0)
    glasses.show(B, "b")

    glasses.until(60.0)

    assert [(0.0, "a"), (6.0, "b")] == glasses.read


def test_lock_expires_after_ten_seconds_when_another_app_waits() -> None:
    glasses = Glasses()
    for second in range(20):
        glasses.until(float(second))
        glasses.show(A, f"a{second}")
        if second == 3:
            glasses.show(B, "b")

    assert (10.0, "b") in glasses.read
    assert "a10" not in [text for _, text in glasses.read]
    assert [(12.0, "a11"), (12.3, "a12")] == [item for item in glasses.read if 10.0 < item[0] < 13.0]


def test_frame_with_a_long_duration_does_not_keep_the_lock_longer() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=60_000)
    glasses.until(1.0)
    glasses.show(B, "b")

    glasses.until(60.0)

    assert [(0.0, "a"), (10.0, "b")] == glasses.read


def test_core_app_that_waited_ten_seconds_is_not_covered_by_a_frame_that_waited_less() -> None:
    glasses = Glasses(core=CORE)
    for tenth in range(0, 100, 3):
        glasses.until(tenth / 10)
        glasses.show(A, f"a{tenth}")
    glasses.show(CORE, "core")
    glasses.until(9.95)
    glasses.show(A, "waits for its window")

    glasses.until(12.0)

    assert [(9.9, "a99"), (10.0, "core")] == glasses.read[-2:]
    assert ["a"] == glasses.show(A, "a")


def test_lock_counts_from_the_frame_that_took_it_and_not_from_an_earlier_one() -> None:
    glasses = Glasses()
    glasses.show(A, "earlier", duration_ms=1000)
    glasses.until(9.0)
    glasses.show(A, "a", duration_ms=5000)
    glasses.until(9.5)
    glasses.show(B, "b")

    glasses.until(60.0)

    assert [(9.0, "a"), (14.0, "b")] == glasses.read[-2:]


def test_background_app_that_becomes_the_core_app_has_no_lock_any_more() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(CoreAppChanged(A))

    assert ["b"] == glasses.show(B, "b")


def test_core_app_gets_the_lens_after_ten_seconds_of_a_chatty_background_app() -> None:
    glasses = Glasses(core=CORE)
    for tenth in range(0, 110, 5):
        glasses.until(tenth / 10)
        glasses.show(A, f"a{tenth}")
        if tenth == 20:
            glasses.show(CORE, "core")

    assert (10.0, "core") in glasses.read
    assert (10.5, "a105") in glasses.read


def test_lock_that_expired_does_not_take_the_lens_from_an_app_nobody_waits_behind() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    for second in range(1, 20):
        glasses.until(float(second))
        glasses.show(A, f"a{second}")

    assert ["core", *(f"a{second}" for second in range(1, 20))] == [text for _, text in glasses.read]


def test_displaced_background_frame_is_forgotten() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.until(3.0)
    glasses.show(B, "b", duration_ms=1000)

    glasses.until(60.0)

    assert [(0.0, "a"), (3.0, "b"), (4.0, "")] == glasses.read


def test_waiting_apps_get_the_lens_in_the_order_of_their_requests() -> None:
    glasses = Glasses()
    glasses.show(A, "first", duration_ms=1000)
    glasses.until(1.0)
    glasses.show("org.x", "x", duration_ms=1000)
    glasses.show(B, "b", duration_ms=1000)
    glasses.show(A, "a", duration_ms=1000)

    glasses.until(60.0)

    assert ["first", "", "x", "b", "a", ""] == [text for _, text in glasses.read]


def test_change_of_the_core_app_alone_shows_nothing() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")

    assert [] == glasses.hear(CoreAppChanged(None), CoreAppChanged(A), CoreAppChanged(CORE))
    assert [] == glasses.until(60.0)


# -- the boot screen


def test_boot_screen_has_the_exact_texts() -> None:
    glasses = Glasses()

    glasses.hear(AppStarting(A, "Captions"), AppStarting(B, "Merge"))

    first, second = glasses.sent
    assert isinstance(first, Show)
    assert isinstance(second, Show)
    assert {
        "layoutType": "reference_card",
        "title": "// MentraOS - Starting App",
        "text": "Captions",
    } == json.loads(bytes(first.layout))
    assert {
        "layoutType": "reference_card",
        "title": "// MentraOS - Starting Apps",
        "text": "Captions, Merge",
    } == json.loads(bytes(second.layout))
    assert ("main", DASHBOARD, None, False) == (
        first.view,
        first.package,
        first.duration_ms,
        first.is_critical,
    )


def test_boot_screen_lasts_1500_ms_from_each_start() -> None:
    glasses = Glasses()
    glasses.hear(AppStarting(A, "A"))
    glasses.until(1.0)
    glasses.hear(AppStarting(B, "B"))

    glasses.until(60.0)

    starting = "// MentraOS - Starting App"
    assert [
        (0.0, f"{starting}: A"),
        (1.0, f"{starting}s: A, B"),
        (1.5, f"{starting}: B"),
        (2.5, ""),
    ] == glasses.read


def test_second_start_of_an_app_begins_its_boot_screen_anew() -> None:
    glasses = Glasses()
    glasses.hear(AppStarting(A, "A"))
    glasses.until(1.0)

    assert [] == glasses.hear(AppStarting(A, "A"))
    glasses.until(60.0)

    assert (2.5, "") == glasses.read[-1]


def test_boot_screen_ends_in_one_replacement() -> None:
    glasses = Glasses(core=CORE)
    glasses.hear(AppStarting(CORE, "Core"))
    glasses.until(0.2)
    assert [] == glasses.show(CORE, "one")
    assert [] == glasses.show(CORE, "two")

    assert ["two"] == glasses.until(1.5)


def test_after_the_boot_screen_the_core_app_goes_first_and_the_others_stand_back() -> None:
    glasses = Glasses(core=CORE)
    glasses.hear(AppStarting(CORE, "Core"))
    glasses.show(A, "a")
    glasses.show(B, "b")
    glasses.show(CORE, "core", duration_ms=10_000)

    glasses.until(2.0)
    assert [] == glasses.hear(Tick())
    glasses.until(60.0)

    assert ["core", "a", "b"] == [text for _, text in glasses.read[1:]]
    assert [1.5, 11.5, 13.5] == [at for at, _ in glasses.read[1:]]


def test_app_that_stood_back_takes_the_lens_with_its_next_request() -> None:
    glasses = Glasses(core=CORE)
    glasses.hear(AppStarting(CORE, "Core"))
    glasses.show(A, "a1")
    glasses.show(CORE, "core")
    glasses.until(5.0)

    assert ["a2"] == glasses.show(A, "a2")


def test_after_the_boot_screen_the_oldest_waiting_app_is_shown_when_the_core_app_has_nothing() -> None:
    glasses = Glasses()
    glasses.hear(AppStarting("org.x", "X"))
    glasses.show(B, "b")
    glasses.show(A, "a")

    assert ["b"] == glasses.until(1.5)


@pytest.mark.parametrize("package", [CORE, A])
def test_display_before_the_boot_screen_comes_back_after_it(package: str) -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(3.0)
    glasses.show(package, "before")
    glasses.until(4.0)
    glasses.hear(AppStarting(B, "B"))

    assert ["before"] == glasses.until(5.5)


def test_background_frame_that_came_back_after_the_boot_screen_still_gives_way_to_the_core_app() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.show(A, "a")
    glasses.hear(AppStarting(B, "B"))

    glasses.until(60.0)

    assert [(1.5, "a"), (3.5, "core")] == glasses.read[-2:]


def test_display_before_the_boot_screen_does_not_come_back_when_its_time_is_over() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=1000)
    glasses.hear(AppStarting(B, "B"))

    glasses.until(60.0)

    assert (1.5, "") == glasses.read[-1]
    assert 3 == len(glasses.read)


def test_display_for_once_does_not_come_back_after_the_boot_screen() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=0)
    glasses.hear(AppStarting(B, "B"))

    assert [""] == glasses.until(60.0)


def test_display_before_the_boot_screen_does_not_come_back_when_its_app_ended() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(AppStarting(B, "B"), AppEnded(A))

    assert [""] == glasses.until(60.0)


def test_dashboard_app_has_no_boot_screen() -> None:
    assert [] == Glasses().hear(AppStarting(DASHBOARD, "Dashboard"))


def test_failed_start_leaves_the_boot_screen_at_once() -> None:
    glasses = Glasses()
    glasses.hear(AppStarting(A, "A"), AppStarting(B, "B"))

    assert ["// MentraOS - Starting App: B"] == glasses.hear(AppEnded(A))
    assert [""] == glasses.hear(AppEnded(B))
    assert deadline(glasses.state) is None


# -- stopping


def test_stop_clears_what_the_app_left_on_the_lens() -> None:
    glasses = Glasses()
    glasses.show(A, "a")

    assert [""] == glasses.hear(AppEnded(A))
    assert DASHBOARD == glasses.sent[-1].package  # type: ignore[union-attr]


def test_stop_of_a_background_app_brings_the_core_app_back_at_once() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.show(A, "a")

    assert ["core"] == glasses.hear(AppEnded(A))


def test_stop_of_an_app_that_is_not_seen_changes_nothing() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(B, "b")

    assert [] == glasses.hear(AppEnded(B))
    assert [] == glasses.until(60.0)


def test_stop_frees_the_lock() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(B, "b")

    assert ["b"] == glasses.hear(AppEnded(A))


@pytest.mark.parametrize("is_critical", [True, False])
def test_late_request_of_an_ended_app_is_not_shown(is_critical: bool) -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(AppEnded(A))

    assert [] == glasses.show(A, "late", is_critical=is_critical)
    glasses.hear(AppStarting(A, "A"))
    glasses.until(5.0)
    assert ["again"] == glasses.show(A, "again")


def test_switch_of_the_core_app_never_clears_the_lens() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(10.0)

    glasses.hear(AppStarting(A, "A"), AppEnded(CORE), CoreAppChanged(A))
    glasses.until(10.5)
    glasses.show(A, "a")
    glasses.until(60.0)

    assert ["core", "// MentraOS - Starting App: A", "a"] == [text for _, text in glasses.read]


# -- critical displays


def test_critical_frame_is_shown_at_once_over_everything() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.show(A, "a")
    assert ["now"] == glasses.show(SYSTEM, "now", is_critical=True)

    glasses.hear(AppStarting(B, "B"))
    assert ["more"] == glasses.show(SYSTEM, "more", is_critical=True)
    assert glasses.sent[-1].is_critical  # type: ignore[union-attr]


def test_critical_frame_stays_for_its_duration_and_the_newest_request_follows() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(1.0)
    glasses.show(SYSTEM, "captions delayed", duration_ms=3000, is_critical=True)
    for tenth in range(11, 40):
        glasses.until(tenth / 10)
        glasses.show(A, str(tenth))

    glasses.until(60.0)

    assert [(0.0, "one"), (1.0, "captions delayed"), (4.0, "39")] == glasses.read


def test_critical_frame_without_a_duration_holds_for_ten_seconds() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(SYSTEM, "allow?", is_critical=True)

    glasses.until(60.0)

    assert [(0.0, "a"), (0.0, "allow?"), (10.0, "a")] == glasses.read


def test_critical_frame_with_nothing_to_go_back_to_stays_until_replaced() -> None:
    glasses = Glasses()
    glasses.show(SYSTEM, "allow?", is_critical=True)

    assert [] == glasses.until(60.0)
    assert ["a"] == glasses.show(A, "a")


def test_critical_frame_goes_when_its_sender_clears_it() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.until(1.0)
    glasses.show(SYSTEM, "allow?", is_critical=True)
    glasses.until(2.0)

    assert ["a"] == glasses.show(SYSTEM, "")


def test_newer_critical_frame_goes_first_and_the_older_returns() -> None:
    glasses = Glasses()
    glasses.show(SYSTEM, "allow?", is_critical=True, duration_ms=30_000)
    glasses.until(1.0)
    glasses.show(A, "fire", is_critical=True, duration_ms=2000)

    glasses.until(60.0)

    assert [(0.0, "allow?"), (1.0, "fire"), (3.0, "allow?"), (30.0, "")] == glasses.read


def test_critical_frame_that_returns_is_not_held_longer() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.show(SYSTEM, "allow?", is_critical=True)
    glasses.until(5.0)
    glasses.show(B, "fire", is_critical=True, duration_ms=2000)

    glasses.until(60.0)

    assert [(5.0, "fire"), (7.0, "allow?"), (10.0, "a")] == glasses.read[-3:]


def test_critical_frame_of_the_core_app_is_an_ordinary_one_once_it_was_held() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core", is_critical=True)
    glasses.show(A, "a")

    glasses.until(60.0)

    assert [(0.0, "core"), (10.0, "a"), (12.0, "core")] == glasses.read
    assert [] == glasses.hear(Tick())


def test_apps_own_newer_frame_ends_its_critical_one() -> None:
    glasses = Glasses()
    glasses.show(A, "fire", is_critical=True)
    glasses.until(1.0)

    assert ["calm"] == glasses.show(A, "calm")


def test_critical_frame_replaces_the_apps_older_one_for_good() -> None:
    glasses = Glasses()
    glasses.show(A, "older")
    glasses.until(1.0)
    glasses.show(A, "fire", is_critical=True, duration_ms=1000)

    glasses.until(60.0)

    assert [(0.0, "older"), (1.0, "fire"), (2.0, "")] == glasses.read


def test_dashboard_app_on_the_main_view_is_never_throttled_and_takes_no_slot() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.until(1.0)

    assert ["one"] == glasses.show(DASHBOARD, "one")
    assert ["two"] == glasses.show(DASHBOARD, "two")
    glasses.until(60.0)

    assert (2.0, "core") == glasses.read[-1]


def test_critical_frame_is_not_covered_by_the_dashboard_app() -> None:
    glasses = Glasses()
    glasses.show(SYSTEM, "allow?", is_critical=True)

    assert [] == glasses.show(DASHBOARD, "12:00")


# -- the phone


def test_nothing_is_sent_before_a_phone_is_there() -> None:
    glasses = Glasses(has_phone=False)
    glasses.hear(AppStarting(A, "A"))
    glasses.until(2.0)
    glasses.show(A, "a")
    assert [] == glasses.read

    assert ["a"] == glasses.hear(PhoneArrived())


def test_phone_that_never_reports_its_glasses_counts_as_having_them() -> None:
    glasses = Glasses(has_phone=False)
    glasses.hear(PhoneArrived())

    assert ["a"] == glasses.show(A, "a")


def test_nothing_is_sent_while_the_phone_is_away_and_the_newest_on_its_return() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.hear(PhoneLost())
    for second in range(1, 60):
        glasses.until(float(second))
        glasses.show(A, str(second))
    assert [(0.0, "one")] == glasses.read

    assert ["59"] == glasses.hear(PhoneArrived())


def test_phone_that_takes_over_is_sent_the_last_display_too() -> None:
    glasses = Glasses()
    glasses.show(A, "a")

    assert ["a"] == glasses.hear(PhoneArrived())


def test_display_that_ended_while_the_phone_was_away_is_cleared_on_its_return() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=5000)
    glasses.hear(PhoneLost())
    glasses.until(60.0)

    assert [""] == glasses.hear(PhoneArrived())
    assert [] == glasses.hear(PhoneArrived())


def test_display_whose_time_is_over_is_not_resent_when_the_tick_is_late() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=5000)
    glasses.hear(PhoneLost())
    glasses.now += 60.0

    assert [""] == glasses.hear(PhoneArrived())


def test_phone_that_returns_to_an_empty_lens_is_sent_nothing() -> None:
    glasses = Glasses()

    assert [] == glasses.hear(PhoneLost(), PhoneArrived())


def test_phone_that_arrives_is_sent_the_frame_that_waited() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.show(A, "two")

    assert ["two"] == glasses.hear(PhoneArrived())
    assert [] == glasses.until(60.0)


def test_resent_display_counts_for_the_throttle() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(0.2)
    glasses.hear(PhoneArrived())
    glasses.show(A, "two")

    glasses.until(5.0)

    assert [(0.0, "one"), (0.2, "one"), (0.5, "two")] == glasses.read


def test_repeated_reports_of_connected_glasses_resend_nothing() -> None:
    glasses = Glasses()
    glasses.show(A, "a")

    assert [] == glasses.hear(GlassesChanged(True), GlassesChanged(True))


def test_glasses_reported_right_after_the_phones_arrival_are_no_news() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(PhoneLost())
    glasses.until(5.0)
    assert ["a"] == glasses.hear(PhoneArrived())
    glasses.until(5.5)

    assert [] == glasses.hear(GlassesChanged(True))


def test_glasses_that_come_after_the_phone_are_lit() -> None:
    glasses = Glasses(has_phone=False)
    glasses.hear(PhoneArrived())
    glasses.show(A, "a")
    glasses.until(3.0)

    assert ["a"] == glasses.hear(GlassesChanged(True))


def test_phone_that_returns_counts_as_having_glasses_whatever_was_reported_before() -> None:
    glasses = Glasses()
    glasses.show(A, "a")
    glasses.hear(GlassesChanged(False), PhoneLost())

    assert ["a"] == glasses.hear(PhoneArrived())


# -- the machine


def test_late_tick_shows_only_what_is_still_right() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core")
    glasses.hear(AppStarting(A, "A"))
    glasses.show(A, "a", duration_ms=1000)

    glasses.now += 3600.0

    assert ["a"] == glasses.hear(Tick())
    assert ["core"] == glasses.until(3601.0)


def test_early_tick_changes_nothing() -> None:
    glasses = Glasses()
    glasses.show(A, "a", duration_ms=1000)
    before = glasses.state

    assert [] == glasses.hear(Tick())
    assert before == glasses.state


def test_app_that_is_alone_on_the_lens_needs_no_tick() -> None:
    glasses = Glasses()
    glasses.show(A, "a")

    assert deadline(glasses.state) is None


def test_state_survives_its_encoding() -> None:
    glasses = Glasses(core=CORE)
    glasses.show(CORE, "core", duration_ms=60_000)
    glasses.show(A, "a")
    glasses.hear(AppStarting(B, "B"), AppEnded("org.x"))
    glasses.show(B, "b")

    decoded = msgspec.json.decode(msgspec.json.encode(glasses.state), type=DisplayState)

    assert glasses.state == decoded
