"""One app's frames: throttle, durations and clears (protocol.md 6.2, 6.5, 6.8)."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from actors.display.arbitration import (
    AppStarting,
    DisplayState,
    GlassesChanged,
    PhoneArrived,
    Requested,
    Show,
    step,
)
from tests.actors.lens import CLEARS, CORE, DASHBOARD, SETTINGS, A, B, Glasses

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
