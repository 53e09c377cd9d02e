from __future__ import annotations

import pytest

from adapters.speech.worker_frames import MOST_BYTES, FrameError, FrameReader, Kind, pack

FRAMES = [(Kind.BEGIN, b""), (Kind.AUDIO, bytes(1000)), (Kind.FINAL, b"40,3\nhe might")]


@pytest.mark.parametrize("chunk_bytes", [1, 3, 7, 4096])
def test_frames_arrive_whole_however_the_pipe_cuts_them(chunk_bytes: int) -> None:
    wire = b"".join(pack(kind, payload) for kind, payload in FRAMES)
    reader = FrameReader()

    read = []
    for begin in range(0, len(wire), chunk_bytes):
        read += reader.feed(wire[begin : begin + chunk_bytes])

    assert FRAMES == read


@pytest.mark.parametrize(
    ("wire", "cause"),
    [
        (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes"),
        (bytes(4), "a frame of 0 bytes"),
        ((MOST_BYTES + 1).to_bytes(4, "little"), "expected 1 to"),
        (b"\x01\x00\x00\x00\x63", "99 is not a valid Kind"),
    ],
)
def test_what_is_no_frame_is_an_error(wire: bytes, cause: str) -> None:
    with pytest.raises(FrameError, match=cause):
        FrameReader().feed(wire)
