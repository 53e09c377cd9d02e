"""Stream names (protocol.md 5.1 to 5.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import InvalidStream, from_phone, permissions, streams
from protocols.streams import Subscription

VALID: list[tuple[object, Subscription]] = [
    ("button_press", Subscription("button_press", "button_press")),
    ("VAD", Subscription("VAD", "VAD")),
    ("transcription", Subscription("transcription", "transcription", "en-US")),
    ("transcription:en-US", Subscription("transcription:en-US", "transcription", "en-US")),
    ("transcription:yue-CN", Subscription("transcription:yue-CN", "transcription", "yue-CN")),
    ("transcription:auto", Subscription("transcription:auto", "transcription", "auto")),
    (
        "transcription:fr-FR?no-language-identification=true&hints=en%2Cja",  # as the SDK 2.1.29 builds it
        Subscription(
            "transcription:fr-FR?no-language-identification=true&hints=en%2Cja",
            "transcription",
            "fr-FR",
            options=(("no-language-identification", "true"), ("hints", "en,ja")),
        ),
    ),
    ("translation", Subscription("translation", "translation")),
    (
        "translation:fr-FR-to-en-US",
        Subscription("translation:fr-FR-to-en-US", "translation", "fr-FR", "en-US"),
    ),
    (
        "translation:all-to-es-ES?no-language-identification=true",
        Subscription(
            "translation:all-to-es-ES?no-language-identification=true",
            "translation",
            "all",
            "es-ES",
            options=(("no-language-identification", "true"),),
        ),
    ),
    ("touch_event", Subscription("touch_event", "touch_event")),
    ("touch_event:long_press", Subscription("touch_event:long_press", "touch_event", gesture="long_press")),
    ("location_update", Subscription("location_update", "location_update", rate="standard")),
    ("location_stream", Subscription("location_stream", "location_stream", rate="standard")),
    (
        {"stream": "location_stream", "rate": "realtime"},
        Subscription("location_stream", "location_stream", rate="realtime"),
    ),
    ({"stream": "location_stream"}, Subscription("location_stream", "location_stream", rate="standard")),
    ({"stream": "button_press", "rate": "any"}, Subscription("button_press", "button_press")),
    ("notification_dismissed", Subscription("notification_dismissed", "phone_notification_dismissed")),
    ("all", Subscription("all", "all")),
    ("*", Subscription("*", "*")),
    ("augmentos:brightness", Subscription("augmentos:brightness", "augmentos", setting="brightness")),
    ("augmentos:*", Subscription("augmentos:*", "augmentos", setting="*")),
    ("augmentos:all", Subscription("augmentos:all", "augmentos", setting="*")),
]


@pytest.mark.parametrize(("entry", "expected"), VALID, ids=[str(entry) for entry, _ in VALID])
def test_an_entry_is_parsed(entry: object, expected: Subscription) -> None:
    assert expected == streams.parse(entry)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "vad",
        "no_such_stream",
        "transcription:",
        "transcription:en",
        "transcription:en-us",
        "transcription:english-US",
        "transcription:en-US-x",
        "transcription:?hints=en",
        "translation:",
        "translation:fr-FR",
        "translation:fr-FR-to-all",
        "translation:auto-to-en-US",
        "touch_event:",
        "touch_event:poke",
        "touch_event:long_press?x=1",
        "button_press?x=1",
        "button_press:long",
        "augmentos",
        "augmentos:",
        "all:x",
        "transcription:en-US?hints=" + "x" * 300,
        7,
        None,
        True,
        [],
        {},
        {"stream": 7},
        {"stream": "location_stream", "rate": "warp"},
        {"stream": "location_stream", "rate": 5},
    ],
)
def test_what_names_no_stream_is_refused_with_what_was_expected(entry: object) -> None:
    with pytest.raises(InvalidStream) as caught:
        streams.parse(entry)

    assert caught.value.cause
    assert len(caught.value.stream) <= 200


def test_the_longest_text_is_still_a_stream() -> None:
    text = "augmentos:".ljust(streams.LONGEST_TEXT, "x")

    assert text == streams.parse(text).text


@given(entry=st.text(max_size=300) | st.dictionaries(st.text(), st.text()) | st.integers())
def test_no_entry_raises_anything_but_invalid_stream(entry: object) -> None:
    try:
        parsed = streams.parse(entry)
    except InvalidStream:
        return
    assert parsed.text == entry


@given(query=st.text(alphabet="abc%=&+,0Ff2-?:", max_size=40))
def test_any_query_behind_a_language_is_part_of_the_identity(query: str) -> None:
    text = f"transcription:en-US?{query}"

    subscription = streams.parse(text)

    assert (text, "en-US") == (subscription.text, subscription.language)


@pytest.mark.parametrize(
    ("query", "hints"),
    [
        ("hints=en%2Cja", ("en", "ja")),
        ("hints=en,ja", ("en", "ja")),
        ("hints=en+%2C+ja", ("en", "ja")),
        ("hints=", ()),
        ("hints", ()),
        ("hints=%ff", ("\ufffd",)),
        ("other=1", ()),
    ],
)
def test_hints_are_a_comma_list_that_may_be_percent_encoded(query: str, hints: tuple[str, ...]) -> None:
    assert hints == streams.parse(f"transcription:en-US?{query}").hints


def test_language_identification_can_be_switched_off() -> None:
    assert streams.parse("transcription:en-US").identifies_language
    assert streams.parse("transcription:en-US?no-language-identification=false").identifies_language
    assert not streams.parse("transcription:en-US?no-language-identification=true").identifies_language


@pytest.mark.parametrize(
    ("entry", "permission"),
    [
        ("transcription:en-US", "MICROPHONE"),
        ("translation:fr-FR-to-en-US", "MICROPHONE"),
        ("VAD", "MICROPHONE"),
        ("audio_chunk", "MICROPHONE"),
        ("location_update", "LOCATION"),
        ("location_stream", "LOCATION"),
        ("phone_notification", "READ_NOTIFICATIONS"),
        ("notification_dismissed", "READ_NOTIFICATIONS"),
        ("calendar_event", "CALENDAR"),
        ("photo_taken", "CAMERA"),
        ("photo_request", None),
        ("video", None),
        ("button_press", None),
        ("touch_event:long_press", None),
        ("augmentos:brightness", None),
        ("all", None),
    ],
)
def test_a_stream_needs_the_permission_of_its_row(entry: str, permission: str | None) -> None:
    assert permission == streams.required_permission(streams.parse(entry))


@pytest.mark.parametrize(
    ("declared", "required", "expected"),
    [
        ([], None, True),
        ([], "MICROPHONE", False),
        (["MICROPHONE"], "MICROPHONE", True),
        (["CAMERA"], "MICROPHONE", False),
        (["ALL"], "MICROPHONE", True),
        (["NOTIFICATIONS"], "READ_NOTIFICATIONS", True),
        (["READ_NOTIFICATIONS"], "NOTIFICATIONS", False),
        (["POST_NOTIFICATIONS"], "READ_NOTIFICATIONS", False),
    ],
)
def test_permissions_grant_what_they_name(declared: list[str], required: str | None, expected: bool) -> None:
    assert expected is permissions.grants(declared, required)


@pytest.mark.parametrize(
    ("entry", "base", "gesture", "expected"),
    [
        ("button_press", "button_press", None, True),
        ("button_press", "head_position", None, False),
        ("notification_dismissed", "phone_notification_dismissed", None, True),
        ("all", "button_press", None, True),
        ("*", "button_press", None, True),
        ("touch_event", "touch_event", "long_press", True),
        ("touch_event:long_press", "touch_event", "long_press", True),
        ("touch_event:long_press", "touch_event", "up_swipe", False),
        ("touch_event:long_press", "touch_event", None, False),
        ("location_stream", "location_update", None, True),
        ("location_update", "location_update", None, True),
    ],
)
def test_an_event_is_for_who_subscribed_it(
    entry: str, base: str, gesture: str | None, expected: bool
) -> None:
    assert expected is streams.wants_event(streams.parse(entry), base, gesture=gesture)


def test_a_wildcard_gets_nothing_that_is_withheld_from_it() -> None:
    wildcard = Subscription("all", "all", withheld=("VAD", "transcription", "translation"))

    assert not streams.wants_event(wildcard, "VAD")
    assert not streams.wants_transcription(wildcard, "en-US")
    assert not streams.wants_translation(wildcard, "fr-FR", "en-US")
    assert streams.wants_event(wildcard, "button_press")


def test_a_wildcard_gets_speech_it_may_have() -> None:
    wildcard = streams.parse("*")

    assert streams.wants_transcription(wildcard, "en-US")
    assert streams.wants_translation(wildcard, "fr-FR", "en-US")


@pytest.mark.parametrize(
    ("entry", "language", "expected"),
    [
        ("transcription", "en-US", True),
        ("transcription:en-US?hints=fr", "en-US", True),
        ("transcription:fr-FR", "en-US", False),
        ("transcription:auto", "auto", True),
        ("transcription:auto", "en-US", False),
        ("translation:en-US-to-fr-FR", "en-US", False),
    ],
)
def test_a_transcription_is_for_its_language(entry: str, language: str, expected: bool) -> None:
    assert expected is streams.wants_transcription(streams.parse(entry), language)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("translation:fr-FR-to-en-US", True),
        ("translation:fr-FR-to-es-ES", False),
        ("translation:de-DE-to-en-US", False),
        ("translation:all-to-en-US", False),
        ("translation", True),
        ("transcription:fr-FR", False),
    ],
)
def test_a_translation_is_for_its_pair(entry: str, expected: bool) -> None:
    assert expected is streams.wants_translation(streams.parse(entry), "fr-FR", "en-US")


def test_any_source_is_a_source_of_its_own() -> None:
    subscription = streams.parse("translation:all-to-en-US")

    assert streams.wants_translation(subscription, "all", "en-US")
    assert not streams.wants_translation(subscription, "all", "es-ES")
    assert not streams.wants_translation(streams.parse("translation:fr-FR-to-en-US"), "all", "en-US")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("en-US", "en-US", True),
        ("en-US", "en-GB", True),
        ("en", "en-US", True),
        ("en-US", "de-DE", False),
        ("e", "en-US", False),
        ("zh-CN", "zh-TW", False),
        ("zh", "zh-TW", True),
        ("zh-TW", "zh-TW", True),
    ],
)
def test_codes_of_one_language_have_nothing_to_translate(one: str, other: str, expected: bool) -> None:
    assert expected is streams.is_same_language(one, other)
    assert expected is streams.is_same_language(other, one)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("augmentos:brightness", True), ("augmentos:*", True), ("augmentos:other", False), ("all", False)],
)
def test_a_setting_is_for_its_key(entry: str, expected: bool) -> None:
    assert expected is streams.wants_setting(streams.parse(entry), "brightness")


def test_every_relayed_event_feeds_a_stream_that_can_be_subscribed() -> None:
    assert set(streams.RELAYED_EVENTS.values()) <= streams.STREAMS
    assert streams.RELAYED_EVENTS["notification_dismissed"] == "phone_notification_dismissed"


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (b'{"type":"button_press"}', streams.Event("button_press")),
        (b'{"type":"VAD","status":true}', streams.Event("VAD")),
        (b'{"type":"touch_event","gesture_name":"long_press"}', streams.Event("touch_event", "long_press")),
        (b'{"type":"notification_dismissed"}', streams.Event("phone_notification_dismissed")),
        (b'{"type":"ping"}', None),
        (b'{"type":"local_transcription","text":"hi"}', None),
        (b'{"type":"audio_play_response","requestId":"r"}', None),
    ],
)
def test_a_phone_s_message_is_an_event_of_its_stream(frame: bytes, event: streams.Event | None) -> None:
    assert event == streams.event_of(from_phone.decode(frame))
