"""The dashboard view (protocol.md 6.7) and what it must leave alone on the main view."""

from __future__ import annotations

import json

import msgspec
import pytest

from actors.display.arbitration import (
    AppEnded,
    AppStarting,
    CoreAppChanged,
    DashboardContent,
    DashboardMode,
    DashboardModeChanged,
    DashboardSection,
    DisplayEffect,
    DisplayEvent,
    DisplaySettings,
    DisplayState,
    HeadMoved,
    PhoneArrived,
    PhoneLost,
    Requested,
    Show,
    Tick,
    deadline,
    step,
)

SETTINGS = DisplaySettings()
A, B, CORE = "org.a", "org.b", "org.core"
BOTH = ("main", "expanded")


class Glasses:
    def __init__(self) -> None:
        self.state = DisplayState()
        self.now = 0.0
        self.hear(PhoneArrived())

    def hear(self, *events: DisplayEvent) -> tuple[DisplayEffect, ...]:
        heard: list[DisplayEffect] = []
        for event in events:
            self.state, effects = step(self.state, event, self.now, SETTINGS)
            heard += effects
        return tuple(heard)

    def dashboard(self, *events: DisplayEvent) -> dict[str, str] | None:
        """What the last event put on the dashboard view."""
        shows = [effect for effect in self.hear(*events) if isinstance(effect, Show)]
        assert all(show.view == "dashboard" for show in shows)
        return json.loads(bytes(shows[-1].layout)) if shows else None


def card(left: str, right: str) -> msgspec.Raw:
    return msgspec.Raw(
        json.dumps({"layoutType": "dashboard_card", "leftText": left, "rightText": right}).encode()
    )


def with_sections() -> Glasses:
    glasses = Glasses()
    for section in ("topLeft", "topRight", "bottomLeft", "bottomRight"):
        glasses.hear(DashboardSection(section, section.upper()))
    return glasses


def test_main_mode_has_two_columns_with_one_apps_content() -> None:
    glasses = with_sections()

    assert {
        "layoutType": "double_text_wall",
        "topText": "TOPLEFT\nBOTTOMLEFT",
        "bottomText": "TOPRIGHT\nBOTTOMRIGHT\n\nmail",
    } == glasses.dashboard(DashboardContent(A, "mail", ("main",)))


def test_main_mode_without_content_ends_after_the_sections() -> None:
    glasses = with_sections()

    assert {
        "layoutType": "double_text_wall",
        "topText": "now\nBOTTOMLEFT",
        "bottomText": "TOPRIGHT\nBOTTOMRIGHT",
    } == glasses.dashboard(DashboardSection("topLeft", "now"))


def test_expanded_mode_is_one_wall_with_the_newest_content() -> None:
    glasses = with_sections()
    glasses.hear(DashboardContent(A, "old", ("expanded",)), DashboardContent(B, "new", ("expanded",)))

    assert {"layoutType": "text_wall", "text": "TOPLEFT | TOPRIGHT\nnew"} == glasses.dashboard(
        DashboardMode("expanded")
    )


def test_expanded_mode_without_content_says_so() -> None:
    glasses = with_sections()

    assert {
        "layoutType": "text_wall",
        "text": "TOPLEFT | TOPRIGHT\nNo expanded content available",
    } == glasses.dashboard(DashboardMode("expanded"))


def test_mode_change_is_announced_once() -> None:
    glasses = Glasses()

    assert DashboardModeChanged("expanded") == glasses.hear(DashboardMode("expanded"))[0]
    assert () == glasses.hear(DashboardMode("expanded"))


@pytest.mark.parametrize(
    "event",
    [
        DashboardMode("always_on"),
        DashboardSection("middle", "x"),
        DashboardContent(A, "x", ("always_on",)),
        HeadMoved(True),
        HeadMoved(False),
    ],
)
def test_what_the_dashboard_does_not_have_changes_nothing(event: DisplayEvent) -> None:
    glasses = Glasses()
    before = glasses.state

    assert () == glasses.hear(event)
    assert before == glasses.state


def test_same_section_again_sends_nothing() -> None:
    assert () == with_sections().hear(DashboardSection("topLeft", "TOPLEFT"))


def test_raising_the_head_turns_to_the_next_content_and_around() -> None:
    glasses = with_sections()
    for package in ("org.x", B, A):
        glasses.hear(DashboardContent(package, package, ("main",)))

    lines = []
    for _ in range(4):
        layout = glasses.dashboard(HeadMoved(True), HeadMoved(False)) or {}
        lines.append(layout["bottomText"].rsplit("\n", 1)[1])

    assert [B, "org.x", A, B] == lines


def test_raising_the_head_with_one_content_sends_nothing() -> None:
    glasses = with_sections()
    glasses.hear(DashboardContent(A, "mail", BOTH))

    assert () == glasses.hear(HeadMoved(True))


def test_raising_the_head_in_expanded_mode_turns_nothing() -> None:
    glasses = with_sections()
    glasses.hear(DashboardContent(A, "a", BOTH), DashboardContent(B, "b", BOTH), DashboardMode("expanded"))

    assert () == glasses.hear(HeadMoved(True))


def test_rewritten_content_does_not_push_away_what_the_wearer_turned_to() -> None:
    glasses = with_sections()
    glasses.hear(DashboardContent(A, "a", ("main",)), DashboardContent(B, "b", ("main",)), HeadMoved(True))

    assert () == glasses.hear(DashboardContent(B, "b2", ("main",)))


@pytest.mark.parametrize("event", [AppEnded(B), DashboardContent(B, "", BOTH)])
def test_content_that_goes_makes_room_for_the_next(event: DisplayEvent) -> None:
    glasses = with_sections()
    glasses.hear(
        DashboardContent(A, "a", BOTH), DashboardContent(B, "b", BOTH), HeadMoved(True), HeadMoved(True)
    )

    layout = glasses.dashboard(event) or {}

    assert layout["bottomText"].endswith("\n\na")


def test_content_of_an_ended_app_is_not_taken() -> None:
    glasses = with_sections()
    glasses.hear(AppEnded(A))

    assert () == glasses.hear(DashboardContent(A, "late", BOTH))
    glasses.hear(AppStarting(A, "A"))
    glasses.now += 5.0
    glasses.hear(Tick())
    assert glasses.dashboard(DashboardContent(A, "again", BOTH)) is not None


def test_end_of_the_dashboard_app_clears_its_sections() -> None:
    glasses = with_sections()

    assert {"layoutType": "text_wall", "text": ""} == glasses.dashboard(AppEnded(SETTINGS.dashboard_package))


def test_card_of_an_app_is_shown_at_once_and_never_throttled() -> None:
    glasses = Glasses()

    for text in ("1", "2", "3"):
        [show] = glasses.hear(Requested(package=A, view="dashboard", layout=card(text, "")))
        assert isinstance(show, Show)
        assert ("dashboard", A, card(text, "")) == (show.view, show.package, show.layout)


@pytest.mark.parametrize("ends_by_itself", [True, False])
def test_card_of_an_app_gives_way_to_the_dashboard(ends_by_itself: bool) -> None:
    glasses = with_sections()
    glasses.hear(
        Requested(
            package=A,
            view="dashboard",
            layout=card("a", "b"),
            duration_ms=1000 if ends_by_itself else None,
        )
    )

    if ends_by_itself:
        assert 1.0 == deadline(glasses.state)
        glasses.now = 1.0
        layout = glasses.dashboard(Tick()) or {}
    else:
        layout = glasses.dashboard(AppEnded(A)) or {}

    assert "TOPLEFT\nBOTTOMLEFT" == layout["topText"]


def test_card_on_an_empty_dashboard_is_cleared_when_its_app_ends() -> None:
    glasses = Glasses()
    glasses.hear(Requested(package=A, view="dashboard", layout=card("a", "b")))

    assert {"layoutType": "text_wall", "text": ""} == glasses.dashboard(AppEnded(A))


def test_returning_phone_is_sent_the_dashboard_as_it_is_now() -> None:
    glasses = with_sections()
    glasses.hear(PhoneLost())
    assert () == glasses.hear(DashboardSection("topLeft", "later"))

    layout = glasses.dashboard(PhoneArrived()) or {}

    assert "later\nBOTTOMLEFT" == layout["topText"]


def test_dashboard_leaves_the_foreground_app_where_it_is() -> None:
    glasses = with_sections()
    glasses.hear(CoreAppChanged(CORE))
    [first] = glasses.hear(Requested(package=CORE, layout=card("x", "")))
    glasses.hear(HeadMoved(True), DashboardContent(A, "a", BOTH))
    glasses.hear(Requested(package=A, view="dashboard", layout=card("a", "b")), HeadMoved(False))

    glasses.now += 0.3
    [second] = glasses.hear(Requested(package=CORE, layout=card("y", "")))

    assert isinstance(first, Show)
    assert isinstance(second, Show)
    assert ("main", "main") == (first.view, second.view)


def test_view_the_glasses_do_not_have_counts_as_the_main_one() -> None:
    [show] = Glasses().hear(Requested(package=A, view="always_on", layout=card("x", "")))

    assert isinstance(show, Show)
    assert "main" == show.view
