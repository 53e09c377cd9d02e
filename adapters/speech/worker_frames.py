"""What the server and a recognition worker say to each other over two pipes.

A frame of `protocols.pipe_frames` holds one byte of kind and the payload. The server sends one AUDIO at a
time and waits for its answer, so a pipe never holds more than one frame and nobody's write blocks. Both ends
read with the same reader.

    server to worker                          worker to server
    BEGIN    the stream's cepstral mean       READY    the decoder is loaded
    AUDIO    PCM s16le, mono, 16 kHz          HEARD    AUDIO is recognised, the guess is as before
                                              PARTIAL  AUDIO is recognised, this is the guess now
    END      the utterance is over            FINAL    cepstral mean, a newline, the text
    END_SILENT  likewise, and ends in silence
    ABANDON  nobody wants the utterance       (no answer)

The cepstral mean is what the decoder has learned about a voice and its microphone, as its thirteen numbers in
text. It travels with the stream, because a worker serves a different person each time.
"""

from __future__ import annotations

import enum

from protocols.pipe_frames import MOST_BYTES, FrameError, PipeReader, frame

__all__ = ["MOST_BYTES", "FrameError", "FrameReader", "Kind", "pack"]


class Kind(enum.IntEnum):
    BEGIN = 1
    AUDIO = 2
    END = 3
    END_SILENT = 4
    ABANDON = 5
    READY = 16
    HEARD = 17
    PARTIAL = 18
    FINAL = 19


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    return frame(bytes((kind,)), payload)


class FrameReader:
    """Turns what a pipe gives into frames."""

    def __init__(self) -> None:
        self._pipe = PipeReader()

    def feed(self, chunk: bytes) -> list[tuple[Kind, bytes]]:
        """All frames that are complete now.

        Raises:
          FrameError: a length or a kind that nobody sends.
        """
        try:
            return [(Kind(content[0]), content[1:]) for content in self._pipe.feed(chunk)]
        except ValueError as error:
            raise FrameError(str(error)) from error
