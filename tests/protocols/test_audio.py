"""What a phone may say about its microphone's format (protocol.md 1.2, 7.1)."""

from __future__ import annotations

import msgspec
import pytest

from protocols import MalformedMessage, audio
from protocols.audio import PCM_FORMAT, AudioFormat, decode_format, lc3_format

FULL = {"sampleRate": 16000, "frameDurationMs": 10, "frameSizeBytes": 40}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"format": "pcm"}, PCM_FORMAT),
        ({"format": "pcm", "lc3Config": FULL}, PCM_FORMAT),
        ({"format": "lc3"}, lc3_format(20)),
        ({"format": "lc3", "lc3Config": None}, lc3_format(20)),
        ({"format": "lc3", "lc3Config": {}}, lc3_format(20)),
        ({"format": "lc3", "lc3Config": FULL, "bitrate": 1}, lc3_format(40)),
        ({"format": "lc3", "lc3Config": {"frameSizeBytes": 60}}, lc3_format(60)),
    ],
)
def test_a_phone_says_what_its_microphone_sends(body: object, expected: AudioFormat) -> None:
    assert expected == decode_format(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "truncated"),
        (b"[]", "object"),
        (b"{}", "format"),
        (b'{"format":7}', "str"),
        (b'{"format":"opus"}', "'opus'; expected 'pcm' or 'lc3'"),
        (b'{"format":"lc3","lc3Config":{"sampleRate":48000}}', "48000 Hz, 10 ms; expected 16000 Hz"),
        (b'{"format":"lc3","lc3Config":{"frameDurationMs":7}}', "16000 Hz, 7 ms"),
        (b'{"format":"lc3","lc3Config":{"frameSizeBytes":30}}', "30; expected one of 20, 40, 60"),
        (b'{"format":"pcm","x":' + b"[" * 100_000, "recursion"),
        (b'{"format":"\xff"}', "utf-8"),
    ],
)
def test_any_other_format_is_told_what_was_expected(body: bytes, said: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        decode_format(body)

    assert said in str(raised.value)


def test_the_answer_echoes_the_format_as_the_phone_spells_it() -> None:
    assert (20, None) == (lc3_format(20).frame_bytes, PCM_FORMAT.frame_bytes)
    assert {"format": "lc3", "lc3Config": FULL} == msgspec.to_builtins(lc3_format(40))
    assert {"format": "pcm"} == msgspec.to_builtins(PCM_FORMAT)
    assert audio.PCM_FRAME_BYTES * 1000 == audio.FRAME_MS * audio.BYTES_A_SECOND
