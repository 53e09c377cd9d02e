"""Stops, critical frames, a phone that comes and goes (protocol.md 6.6, 10.21, 13.3; DESIGN section 3)."""

from __future__ import annotations

import msgspec
import pytest

from actors.display.arbitration import (
    AppEnded,
    AppStarting,
    CoreAppChanged,
    DisplayState,
    GlassesChanged,
    PhoneArrived,
    PhoneLost,
    Tick,
    Withdrawn,
    deadline,
)
from tests.actors.lens import CORE, DASHBOARD, SYSTEM, A, B, Glasses

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


def test_withdrawn_notice_gives_way_to_what_waits_at_once() -> None:
    glasses = Glasses()
    glasses.show(A, "one")
    glasses.until(1.0)
    glasses.show(SYSTEM, "captions delayed", duration_ms=3000, is_critical=True)
    glasses.until(1.5)
    glasses.show(A, "two")
    glasses.until(2.0)

    glasses.hear(Withdrawn(SYSTEM))
    glasses.until(60.0)

    assert [(0.0, "one"), (1.0, "captions delayed"), (2.0, "two")] == glasses.read


def test_withdrawn_notice_with_nothing_behind_it_stays_until_the_next_frame() -> None:
    glasses = Glasses()
    glasses.show(SYSTEM, "captions delayed", duration_ms=3000, is_critical=True)
    glasses.until(1.0)

    assert [] == glasses.hear(Withdrawn(SYSTEM))
    assert ["a"] == glasses.show(A, "a")


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
