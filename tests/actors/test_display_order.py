"""Who has the lens: core app, background lock, boot screen (protocol.md 6.3, 6.4)."""

from __future__ import annotations

import json

import pytest

from actors.display.arbitration import (
    AppEnded,
    AppStarting,
    CoreAppChanged,
    Show,
    Tick,
    deadline,
)
from tests.actors.lens import CORE, DASHBOARD, A, B, Glasses

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
