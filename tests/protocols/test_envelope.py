"""Decoding as such: whatever a peer sends, only the two errors of the room come out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols import (
    ABSENT,
    MalformedMessage,
    UnknownType,
    device_state,
    from_app,
    from_phone,
    is_present,
    layouts,
    to_app,
    to_phone,
    transcription,
    webhooks,
)

DECODERS: dict[str, Callable[[bytes], object]] = {
    "from_phone": from_phone.decode,
    "from_app": from_app.decode,
    "to_phone": to_phone.decode,
    "to_app": to_app.decode,
    "webhooks": webhooks.decode,
    "device_state": device_state.decode,
    "layouts": lambda payload: layouts.decode(msgspec.Raw(payload)),
    "transcription": lambda payload: transcription.decode(msgspec.Raw(payload)),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KNOWN_FIELDS = st.sampled_from(
    [
        "packageName",
        "status",
        "lat",
        "lng",
        "layout",
        "subscriptions",
        "timestamp",
        "sessionId",
        "text",
        "level",
    ]
)
TYPES = st.sampled_from(
    ["VAD", "ping", "display_event", "subscription_update", "location_update", "data_stream"]
)


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@given(payload=st.binary(max_size=200))
@example(payload=b"[" * 100_000)
@example(payload=b'{"type":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
@example(payload=b'{"type":"' + b"\xff" + b'"}')
@example(payload=b'{"type":"ping","x":"\xed\xa0\x80"}')
@example(payload=b'{"type":"ping","x":"\\ud83d\\"}')
@example(payload=b'{"type":"location_update","lat":' + b"9" * 5_000 + b',"lng":1}')
@example(payload=b"\xef\xbb\xbf{}")
def test_no_bytes_raise_anything_but_malformed_message(
    decode: Callable[[bytes], object], payload: bytes
) -> None:
    with contextlib.suppress(MalformedMessage):
        decode(payload)


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@given(fields=st.dictionaries(KNOWN_FIELDS, JSON, max_size=5), type_name=TYPES | JSON)
def test_no_object_raises_anything_but_malformed_message(
    decode: Callable[[bytes], object], fields: dict[str, object], type_name: object
) -> None:
    payload = json.dumps({**fields, "type": type_name}).encode()

    with contextlib.suppress(MalformedMessage):
        decode(payload)


@given(fields=st.dictionaries(st.text(max_size=12), JSON, max_size=5))
def test_what_was_decoded_may_be_forwarded(fields: dict[str, object]) -> None:
    payload = json.dumps({**fields, "type": "open_dashboard", "timestamp": None, "sessionId": None}).encode()
    if b"NaN" in payload or b"Infinity" in payload:  # Python writes what is not JSON
        return

    from_phone.decode(payload)
    frame = to_app.data_stream("s", "open_dashboard", msgspec.Raw(payload), None)

    assert json.loads(payload) == json.loads(frame)["data"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b'{"type":null}',
        b'{"type":7}',
        b'{"type":"ping"',
        b'{"type":"ping"}{}',
        b'{"type":"ping","x":\x01}',
        b'{"type":"ping","x":"\xff"}',
        b'{"type":"ping","x":NaN}',
        b"not json",
    ],
)
def test_what_is_no_message_is_malformed_and_not_of_an_unknown_type(payload: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        from_phone.decode(payload)

    assert not isinstance(caught.value, UnknownType)
    assert caught.value.cause


def test_a_message_nested_too_deeply_is_malformed() -> None:
    deep = b'{"type":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    with pytest.raises(MalformedMessage, match="recursion"):
        from_phone.decode(deep)


def test_a_cause_is_cut_before_it_reaches_a_log() -> None:
    with pytest.raises(MalformedMessage) as caught:
        layouts.decode(msgspec.Raw(b'{"layoutType":"' + b"x" * 1_000_000 + b'"}'))

    assert len(str(caught.value)) < 300


def test_a_type_is_cut_before_it_reaches_a_log() -> None:
    with pytest.raises(UnknownType) as caught:
        from_phone.decode(b'{"type":"' + b"x" * 1_000_000 + b'"}')

    assert len(caught.value.type_name) == 200
    assert caught.value.type_name.endswith("...")


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\uDE00", "\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (r"a\ud83d\n\"", 'a\ufffd\n"'),
    ],
)
def test_half_an_emoji_becomes_a_replacement_character(escaped: str, text: str) -> None:
    message = from_phone.decode(b'{"type":"start_app","packageName":"' + escaped.encode() + b'"}')

    assert isinstance(message, from_phone.StartApp)
    assert text == message.package_name


def test_a_pass_through_field_that_is_absent_or_null_is_not_present() -> None:
    assert not is_present(ABSENT)
    assert not is_present(msgspec.Raw(b"null"))
    assert is_present(msgspec.Raw(b'""'))
