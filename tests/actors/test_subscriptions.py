"""Whose list is accepted, and who hears what (protocol.md section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.subscriptions import Problem, Routing, apply_update, routing_of
from protocols import streams
from protocols.streams import Event, Subscription

ALL = ("ALL",)


def accept(*entries: object, permissions: tuple[str, ...] = ALL) -> tuple[Subscription, ...]:
    return apply_update((), entries, permissions).accepted


def route(**apps: tuple[object, ...]) -> Routing:
    return routing_of({package: accept(*entries) for package, entries in apps.items()})


# Lists


def test_a_list_replaces_the_one_before() -> None:
    before = accept("button_press", "head_position")

    update = apply_update(before, ["head_position", "VAD"], ALL)

    assert ["head_position", "VAD"] == [each.text for each in update.accepted]


def test_an_empty_list_is_a_list() -> None:
    assert () == apply_update(accept("button_press"), [], ALL).accepted


def test_the_valid_entries_are_kept_and_the_rest_is_reported() -> None:
    update = apply_update(
        (), ["button_press", "no_such", 7, {"stream": "location_stream", "rate": "warp"}], ALL
    )

    assert ["button_press"] == [each.text for each in update.accepted]
    assert ["no_such", "7", "location_stream"] == [problem.stream for problem in update.refused]
    assert {None} == {problem.required_permission for problem in update.refused}


def test_a_stream_without_its_permission_is_refused_by_its_name() -> None:
    update = apply_update((), ["transcription:en-US", "button_press"], ("LOCATION",))

    assert ["button_press"] == [each.text for each in update.accepted]
    assert (
        Problem(
            "transcription:en-US",
            "MICROPHONE",
            "the stream transcription:en-US needs the permission MICROPHONE, which is not declared",
        ),
    ) == update.refused


@pytest.mark.parametrize(
    ("permissions", "is_accepted"),
    [
        (("ALL",), True),
        (("NOTIFICATIONS",), True),
        (("READ_NOTIFICATIONS",), True),
        ((), False),
        (None, True),
    ],
)
def test_notifications_are_granted_by_either_name_and_by_all(
    permissions: tuple[str, ...] | None, is_accepted: bool
) -> None:
    update = apply_update((), ["notification_dismissed"], permissions)

    assert is_accepted is bool(update.accepted)
    assert is_accepted is not bool(update.refused)


def test_a_text_named_twice_counts_once_with_its_last_form() -> None:
    update = apply_update((), ["location_stream", {"stream": "location_stream", "rate": "high"}], ALL)

    assert ("high",) == tuple(each.rate for each in update.accepted)


def test_a_bad_entry_named_twice_is_reported_once() -> None:
    assert len(apply_update((), ["no_such", "no_such"], ALL).refused) == 1


def test_the_longest_list_is_taken_whole() -> None:
    assert apply_update((), [f"augmentos:{number}" for number in range(200)], ALL).ignored == 0


def test_a_list_without_end_is_cut_and_reported() -> None:
    entries = [f"augmentos:{number}" for number in range(9)]

    update = apply_update((), entries, ALL, most=4)

    assert (entries[:4], 5) == ([each.text for each in update.accepted], update.ignored)


@pytest.mark.parametrize(
    ("before", "requested", "replays"),
    [
        ((), ["location_update", "button_press"], ["location_update"]),
        ((), ["location_stream", "calendar_event", "custom_message"], None),
        (("location_update",), ["location_update"], []),
        (("location_update",), ["location_update", "calendar_event"], ["calendar_event"]),
        ((), ["transcription:en-US", "all"], []),
    ],
)
def test_a_subscriber_is_owed_the_last_data_of_streams_it_did_not_have(
    before: tuple[str, ...], requested: list[str], replays: list[str] | None
) -> None:
    update = apply_update(accept(*before), requested, ALL)

    assert (requested if replays is None else replays) == [each.text for each in update.replays]


def test_a_wildcard_keeps_away_from_what_its_app_may_not_have() -> None:
    (wildcard,) = accept("*", permissions=("LOCATION",))

    assert "transcription" in wildcard.withheld
    assert "phone_notification" in wildcard.withheld
    assert "location_update" not in wildcard.withheld
    assert "button_press" not in wildcard.withheld


@given(
    requested=st.lists(
        st.sampled_from(["button_press", "VAD", "transcription:en-US", "no_such", "all"])
        | st.text()
        | st.integers()
    ),
    permissions=st.none() | st.sets(st.sampled_from(["MICROPHONE", "ALL", "CAMERA"])),
)
@settings(deadline=None)
def test_every_entry_is_accepted_or_reported(requested: list[object], permissions: set[str] | None) -> None:
    update = apply_update((), requested, permissions)

    answered = {each.text for each in update.accepted} | {problem.stream for problem in update.refused}
    shown = {entry if isinstance(entry, str) else repr(entry) for entry in requested}
    assert {text[:197] for text in shown} == {text[:197] for text in answered}


# Speech


def test_one_recogniser_a_language_with_the_hints_of_all_subscribers() -> None:
    routing = route(
        one=("transcription:en-US?hints=fr%2Cde", "button_press"),
        two=("transcription:en-US?hints=de%2Cja", "transcription:fr-FR"),
        three=("transcription",),
    )

    assert {"en-US": ("fr", "de", "ja"), "fr-FR": ()} == routing.languages


def test_each_subscriber_hears_its_language_under_its_own_text() -> None:
    routing = route(
        one=("transcription:en-US?hints=fr",), two=("transcription", "transcription:fr-FR"), three=("all",)
    )

    assert (
        ("one", "transcription:en-US?hints=fr"),
        ("two", "transcription"),
        ("three", "all"),
    ) == routing.subscribers_of("en-US")
    assert (("two", "transcription:fr-FR"), ("three", "all")) == routing.subscribers_of("fr-FR")
    assert (("three", "all"),) == routing.subscribers_of("de-DE")


def test_an_app_with_several_texts_for_a_language_hears_it_under_each() -> None:
    routing = route(one=("transcription", "transcription:en-US", "transcription:en-US?hints=fr"))

    assert (
        ("one", "transcription"),
        ("one", "transcription:en-US"),
        ("one", "transcription:en-US?hints=fr"),
    ) == routing.subscribers_of("en-US")


def test_a_language_is_fixed_only_when_every_subscriber_wants_it_fixed() -> None:
    fixed = "transcription:en-US?no-language-identification=true"

    assert ("en-US",) == route(one=(fixed,)).fixed_languages
    assert () == route(one=(fixed,), two=("transcription:en-US",)).fixed_languages


def test_a_translation_goes_to_its_pair_and_to_wildcards() -> None:
    routing = route(
        one=("translation:fr-FR-to-en-US",),
        two=("translation:all-to-en-US", "translation:fr-FR-to-es-ES"),
        three=("translation",),
        four=("*",),
    )

    assert [("fr-FR", "en-US"), ("all", "en-US"), ("fr-FR", "es-ES")] == list(routing.translations)
    assert (
        ("one", "translation:fr-FR-to-en-US"),
        ("three", "translation"),
        ("four", "*"),
    ) == routing.translation_subscribers_of("fr-FR", "en-US")
    assert (("two", "translation:all-to-en-US"), ("three", "translation"), ("four", "*")) == (
        routing.translation_subscribers_of("all", "en-US")
    )


@pytest.mark.parametrize(
    ("entry", "wants_speech", "wants_microphone", "has_audio"),
    [
        ("transcription:en-US", True, True, False),
        ("transcription", True, True, False),
        ("translation:fr-FR-to-en-US", True, True, False),
        ("audio_chunk", False, True, True),
        ("VAD", False, False, False),
        ("all", False, False, False),
        ("button_press", False, False, False),
    ],
)
def test_speech_and_audio_want_the_microphone(
    entry: str, wants_speech: bool, wants_microphone: bool, has_audio: bool
) -> None:
    routing = route(one=(entry,))

    assert (wants_speech, wants_microphone, has_audio) == (
        routing.wants_speech,
        routing.wants_microphone,
        routing.audio_packages == ("one",),
    )


# Events


def test_an_event_reaches_its_subscribers_in_the_order_of_the_apps() -> None:
    routing = route(one=("head_position",), two=("*", "button_press"), three=("button_press", "all"))

    assert (
        ("two", "*"),
        ("two", "button_press"),
        ("three", "button_press"),
        ("three", "all"),
    ) == routing.takers_of(Event("button_press"))
    assert (("one", "head_position"), ("two", "*"), ("three", "all")) == routing.takers_of(
        Event("head_position")
    )


def test_nobody_hears_what_is_not_relayed_or_not_subscribed() -> None:
    routing = route(one=("button_press",))

    assert () == routing.takers_of(None)
    assert () == routing.takers_of(Event("head_position"))
    assert () == routing.takers_of(Event("touch_event", "long_press"))
    assert () == routing_of({}).takers_of(Event("button_press"))


def test_an_old_app_hears_a_dismissed_notification_under_its_old_name() -> None:
    routing = route(old=("notification_dismissed",), newer=("phone_notification_dismissed",))

    assert (
        ("old", "notification_dismissed"),
        ("newer", "phone_notification_dismissed"),
    ) == routing.takers_of(Event("phone_notification_dismissed"))


def test_a_location_reaches_both_location_streams() -> None:
    routing = route(one=("location_update",), two=({"stream": "location_stream", "rate": "high"},))

    assert (("one", "location_update"), ("two", "location_stream")) == routing.takers_of(
        Event("location_update")
    )


@pytest.mark.parametrize(
    ("entries", "gesture", "texts"),
    [
        (("touch_event",), "long_press", ["touch_event"]),
        (("touch_event:long_press",), "long_press", ["touch_event:long_press"]),
        (("touch_event:long_press",), "up_swipe", []),
        (("touch_event", "touch_event:long_press"), "long_press", ["touch_event:long_press"]),
        (("touch_event", "touch_event:long_press"), "up_swipe", ["touch_event"]),
        (("touch_event", "touch_event:long_press", "*"), "long_press", ["touch_event:long_press", "*"]),
        (("touch_event", "touch_event:long_press"), "a_gesture_of_2030", ["touch_event"]),
        (("touch_event:long_press",), "a_gesture_of_2030", []),
        (("all",), "a_gesture_of_2030", ["all"]),
    ],
)
def test_a_gesture_s_own_stream_goes_before_the_bare_one(
    entries: tuple[str, ...], gesture: str, texts: list[str]
) -> None:
    takers = route(one=entries).takers_of(Event("touch_event", gesture))

    assert texts == [text for _, text in takers]


def test_a_wildcard_hears_nothing_it_has_no_permission_for() -> None:
    routing = routing_of({"one": accept("all", permissions=("CALENDAR",))})

    assert () == routing.takers_of(Event("VAD"))
    assert () == routing.takers_of(Event("location_update"))
    assert () == routing.subscribers_of("en-US")
    assert (("one", "all"),) == routing.takers_of(Event("calendar_event"))


def test_a_system_setting_reaches_who_named_it_or_all() -> None:
    routing = route(one=("augmentos:brightness",), two=("augmentos:*",), three=("augmentos:other", "all"))

    assert (("one", "augmentos:brightness"), ("two", "augmentos:*")) == (
        routing.setting_subscribers_of("brightness")
    )


# Location


@pytest.mark.parametrize(
    ("entries", "tier"),
    [
        ((), "reduced"),
        (("button_press", "all"), "reduced"),
        (("location_update",), "standard"),
        (({"stream": "location_stream", "rate": "kilometer"},), "kilometer"),
        (({"stream": "location_stream", "rate": "kilometer"}, "location_update"), "standard"),
        (({"stream": "location_stream", "rate": "realtime"}, "location_update"), "realtime"),
    ],
)
def test_the_finest_tier_of_all_apps_is_wanted(entries: tuple[object, ...], tier: str) -> None:
    assert tier == route(one=("head_position",), two=entries).location_tier


# All of it


ENTRIES = st.sampled_from(
    [
        "transcription",
        "transcription:en-US",
        "transcription:en-US?hints=fr",
        "transcription:fr-FR",
        "translation:fr-FR-to-en-US",
        "audio_chunk",
        "button_press",
        "touch_event",
        "touch_event:long_press",
        "location_update",
        "VAD",
        "all",
        "*",
    ]
)
PERMISSIONS = st.sets(st.sampled_from(["MICROPHONE", "LOCATION", "ALL"]), max_size=2)


@given(apps=st.dictionaries(st.sampled_from("abcd"), st.tuples(st.lists(ENTRIES), PERMISSIONS)))
@settings(deadline=None)
def test_whoever_hears_an_event_asked_for_it_and_may_have_it(
    apps: dict[str, tuple[list[str], set[str]]],
) -> None:
    lists = {package: apply_update((), entries, allowed) for package, (entries, allowed) in apps.items()}
    routing = routing_of({package: update.accepted for package, update in lists.items()})

    for base in streams.RELAYED_EVENTS.values():
        takers = routing.takers_of(Event(base))
        assert len(takers) == len(set(takers))
        for package, text in takers:
            entries, allowed = apps[package]
            assert text in entries
            required = streams.REQUIRED_PERMISSIONS[base]
            assert required is None or required in allowed or "ALL" in allowed
    for language in routing.languages:
        for package, text in routing.subscribers_of(language):
            assert text in apps[package][0]
            assert apps[package][1] & {"MICROPHONE", "ALL"}
    assert routing.wants_microphone is bool(routing.wants_speech or routing.audio_packages)
