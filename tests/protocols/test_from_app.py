"""What apps send.

The frames are a recording of `@mentra/sdk` 2.1.29 under Node 20 against a mock cloud: an app that calls every
method that sends something.
"""

from __future__ import annotations

import json
import pathlib

import msgspec
import pytest

from protocols import MalformedMessage, Unknown, UnknownType, from_app

RECORDED = (pathlib.Path(__file__).parent / "frames" / "sdk_2_1_29.jsonl").read_bytes().splitlines()

# Rows of protocol.md 2.3 that the recording does not hold.
OTHERS = {
    "SDK 2.1.29, app-to-cloud.d.ts": b'{"type":"app_user_discovery","packageName":"p","sessionId":"s",'
    b'"includeUserProfiles":true}',
    "SDK 3.x ping": b'{"type":"ping"}',
    "SDK 3.x telemetry": b'{"type":"telemetry_response"}',
    "SDK 3.x audio start": b'{"type":"audio_stream_start"}',
    "SDK 3.x audio end": b'{"type":"audio_stream_end"}',
    "SDK 2.1.29, location_stream": b'{"type":"subscription_update","packageName":"p","subscriptions":'
    b'[{"stream":"location_stream","rate":"high"}],"timestamp":1732000000123}',
}


@pytest.mark.parametrize("frame", RECORDED, ids=range(len(RECORDED)))
def test_every_recorded_frame_of_the_sdk_survives_a_round_trip(frame: bytes) -> None:
    message = from_app.decode(frame)

    assert _repaired(json.loads(frame)) == json.loads(from_app.encode(message))


@pytest.mark.parametrize("frame", OTHERS.values(), ids=OTHERS)
def test_every_other_row_of_the_table_survives_a_round_trip(frame: bytes) -> None:
    message = from_app.decode(frame)

    assert json.loads(frame) == json.loads(from_app.encode(message))


def test_a_display_cut_inside_an_emoji_is_shown_with_a_replacement_character() -> None:
    frame = next(frame for frame in RECORDED if b"\\ud83d" in frame)

    display = from_app.decode(frame)

    assert isinstance(display, from_app.DisplayEvent)
    assert {"layoutType": "text_wall", "text": "cut \N{REPLACEMENT CHARACTER}"} == json.loads(
        bytes(display.layout)
    )


def test_a_layout_passes_through_byte_for_byte() -> None:
    layout = b'{"layoutType":"text_wall","text":"hi","newer":{"field":[1, 2.50]}}'

    display = from_app.decode(b'{"type":"display_event","layout":' + layout + b"}")

    assert isinstance(display, from_app.DisplayEvent)
    assert layout == bytes(display.layout)


def test_a_display_without_a_view_is_for_the_main_view_and_says_so_on_the_wire() -> None:
    display = from_app.decode(b'{"type":"display_event","layout":{"layoutType":"clear_view"}}')

    assert isinstance(display, from_app.DisplayEvent)
    assert display.view == "main"
    assert json.loads(from_app.encode(display))["view"] == "main"


@pytest.mark.parametrize("duration", [b"5000", b"0", b"2500.5"])
def test_a_duration_keeps_the_form_the_app_wrote(duration: bytes) -> None:
    frame = b'{"type":"display_event","layout":{},"durationMs":' + duration + b"}"

    message = from_app.decode(frame)

    assert b'"durationMs":' + duration in from_app.encode(message)


def test_a_duration_that_would_overflow_a_float_is_malformed() -> None:
    frame = b'{"type":"display_event","layout":{},"durationMs":' + b"9" * 400 + b"}"

    with pytest.raises(MalformedMessage, match="durationMs"):
        from_app.decode(frame)


def test_one_bad_entry_does_not_spoil_a_subscription_list() -> None:
    update = from_app.decode(
        b'{"type":"subscription_update","subscriptions":["button_press",7,null,{"a":1}]}'
    )

    assert isinstance(update, from_app.SubscriptionUpdate)
    assert ("button_press", 7, None, {"a": 1}) == update.subscriptions


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"tpa_connection_init","sessionId":"s","packageName":"p"}',  # no key
        b'{"type":"tpa_connection_init","sessionId":"s","apiKey":"k"}',
        b'{"type":"subscription_update","packageName":"p"}',
        b'{"type":"subscription_update","subscriptions":"button_press"}',
        b'{"type":"display_event","view":"main"}',
        b'{"type":"audio_play_request","audioUrl":"u"}',
    ],
)
def test_a_message_without_what_the_server_needs_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        from_app.decode(frame)

    assert not isinstance(caught.value, UnknownType)


def test_a_lenient_reader_gets_an_unknown_message_whole() -> None:
    frame = b'{"type":"from_next_year","x":1}'

    message = from_app.decode_leniently(frame)

    assert isinstance(message, Unknown)
    assert ("from_next_year", frame) == (message.type, bytes(message.raw))


def test_what_the_sdk_leaves_out_is_left_out() -> None:
    message = from_app.TpaConnectionInit(session_id="s", package_name="p", api_key="k")

    assert (
        b'{"type":"tpa_connection_init","sessionId":"s","packageName":"p","apiKey":"k"}'
        == from_app.encode(message)
    )


def test_a_kept_layout_can_be_copied_off_its_frame() -> None:
    display = from_app.decode(b'{"type":"display_event","layout":{"layoutType":"clear_view"}}')

    assert isinstance(display, from_app.DisplayEvent)
    assert msgspec.Raw(b'{"layoutType":"clear_view"}') == display.layout.copy()


def _repaired(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {key: _repaired(item) for key, item in value.items()}
    return value
