"""A worker process without a decoder: it tells what it was given, or misbehaves as its first word says.

steady      the guess is the number of bytes, the final text their checksum
once KIND FILE   misbehaves as KIND when FILE is not there yet, and makes it; then steady
hangs, dies, babbles, confuses, deafens   on the third piece of audio
silent      never says that it is ready
"""

from __future__ import annotations

import os
import signal
import sys
import zlib
from pathlib import Path

from adapters.speech.worker_frames import FrameReader, Kind, pack

MISBEHAVE_AT = 3


def misbehave(kind: str) -> None:
    if kind == "hangs":
        signal.pause()
    elif kind == "dies":
        os._exit(3)
    elif kind == "babbles":
        os.write(1, b"\xff" * 8)
    elif kind == "deafens":
        os.close(0)
    elif kind == "confuses":
        os.write(1, pack(Kind.FINAL))
    else:
        assert kind == "steady"


def heard() -> bytes:
    try:
        return os.read(0, 65_536)
    except OSError:  # it has made itself deaf
        signal.pause()
        return b""


def main(words: list[str]) -> None:
    kind = words[0]
    if kind == "silent":
        signal.pause()
    if kind == "once":
        flag = Path(words[2])
        try:
            flag.touch(exist_ok=False)
            kind = words[1]
        except FileExistsError:
            kind = "steady"
    reader = FrameReader()
    audio, pieces, mean = b"", 0, ""
    os.write(1, pack(Kind.READY))
    while chunk := heard():
        for asked, payload in reader.feed(chunk):
            if asked is Kind.BEGIN:
                audio, pieces, mean = b"", 0, payload.decode()
            elif asked is Kind.AUDIO:
                audio += payload
                pieces += 1
                if pieces == MISBEHAVE_AT:
                    misbehave(kind)
                os.write(1, pack(Kind.PARTIAL, b"%d bytes" % len(audio)))
            elif asked in (Kind.END, Kind.END_SILENT):
                text = f"{zlib.crc32(audio):08x} after {mean or 'nothing'}"
                os.write(1, pack(Kind.FINAL, f"{len(audio)}\n{text}".encode()))


main(sys.argv[1:])
