"""A recognition worker: one warm PocketSphinx decoder behind two pipes.

The decoder holds the interpreter lock for whole calls, so it lives in a process of its own, exec'd as
`python -m adapters.speech.pocketsphinx_worker`. It reads frames from descriptor 0 and answers on descriptor
1; the C library, which prints to descriptor 1 when it feels like it, is given standard error instead. It ends
when its pipe closes, so it never outlives the server, and it leaves Ctrl-C to the server.
"""

from __future__ import annotations

import os
import signal

from pocketsphinx import Decoder  # type: ignore[import-untyped]

from .worker_frames import FrameReader, Kind, pack

# Measured on the five shipped sentences, docs/decisions/0005-end-of-speech.md.
_DECODER = {
    "fwdflat": False,  # a second pass at the end: 0.2 to 0.4 s, and no better
    "bestpath": False,  # a third pass at the end: 50 ms, and one word of 71 worse
    "maxhmmpf": 5000,  # instead of 30,000: a quarter less CPU, the same words
    "loglevel": "FATAL",
}
_MEAN_EVERY_BYTES = 16_000  # half a second: how often the cepstral mean follows the voice
_WARMING = bytes(16_000)


class Recogniser:
    """One decoder, one utterance at a time."""

    def __init__(self) -> None:
        self._decoder = Decoder(**_DECODER)
        self._mean = self._decoder.get_cmn()
        self._text = ""
        self._since_mean = 0
        self._is_in_utterance = False
        self.begin("")  # the first utterance touches memory that the others then find warm
        self.hear(_WARMING)
        self.end()

    def begin(self, mean: str) -> None:
        """Begin an utterance of a voice with this cepstral mean; empty when it is not known yet."""
        self.end()
        self._decoder.reinit_feat()  # 0.05 ms; without it the end of the utterance before colours this one
        self._decoder.set_cmn(mean or self._mean)
        self._decoder.start_utt()
        self._is_in_utterance = True
        self._text = ""
        self._since_mean = 0

    def hear(self, pcm: bytes) -> str | None:
        """Recognise some audio; the guess at the utterance where it has changed."""
        while pcm:  # cut where the mean is taken, so that a replay in other pieces says the same
            piece, pcm = (
                pcm[: _MEAN_EVERY_BYTES - self._since_mean],
                pcm[_MEAN_EVERY_BYTES - self._since_mean :],
            )
            self._decoder.process_raw(piece)
            self._since_mean += len(piece)
            if self._since_mean == _MEAN_EVERY_BYTES:
                self._decoder.get_cmn(True)  # alone it learns at the end of an utterance: late for the first
                self._since_mean = 0
        text = self._hypothesis()
        if text == self._text:
            return None
        self._text = text
        return text

    def result(self) -> tuple[str, str]:
        """The text of the utterance, and the cepstral mean after it."""
        return self._hypothesis(), self._decoder.get_cmn(True)

    def end(self) -> None:
        """Decode the last 80 ms, which wait for what may follow them. Does nothing after an utterance."""
        if self._is_in_utterance:
            self._decoder.end_utt()
            self._is_in_utterance = False

    def _hypothesis(self) -> str:
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""


def serve(requests: int, answers: int) -> None:
    """Answer frames until the pipe of the requests, or that of the answers, is closed."""
    recogniser = Recogniser()
    reader = FrameReader()
    try:
        os.write(answers, pack(Kind.READY))
        while chunk := os.read(requests, 65_536):
            for kind, payload in reader.feed(chunk):
                answer = _answer(recogniser, kind, payload)
                if answer:
                    os.write(answers, answer)
                if kind is Kind.END_SILENT:
                    recogniser.end()  # 10 to 60 ms for silence: after the answer
    except BrokenPipeError:
        return  # the server is gone: nobody is left to answer


def _answer(recogniser: Recogniser, kind: Kind, payload: bytes) -> bytes:
    match kind:
        case Kind.BEGIN:
            recogniser.begin(payload.decode())
        case Kind.AUDIO:
            text = recogniser.hear(payload)
            return pack(Kind.HEARD) if text is None else pack(Kind.PARTIAL, text.encode())
        case Kind.END | Kind.END_SILENT:
            if kind is Kind.END:
                recogniser.end()
            text, mean = recogniser.result()
            return pack(Kind.FINAL, f"{mean}\n{text}".encode())
        case Kind.ABANDON:
            recogniser.end()
        case _:
            raise AssertionError(f"the server sent {kind.name}, which is a worker's")
    return b""


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    serve(requests, answers)


if __name__ == "__main__":
    main()
