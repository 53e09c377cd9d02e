"""The lens in a terminal: one line that changes in place, or a line per change where that cannot be."""

from __future__ import annotations

import shutil
from typing import TextIO

from clients.demo.timing import Reading, percentile


class OutputClosedError(Exception):
    """Whoever read the output has gone, as `head` does when it has its lines."""


class Screen:
    """Writes what the wearer sees.

    Each method raises `OutputClosedError` when nobody reads any more.

    Args:
      out: a terminal, or anything else that takes text.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._is_open = False
        self._last = ""

    def say(self, text: str = "") -> None:
        """A line of the demo itself."""
        self.settle()
        self._print(text)

    def lens(self, text: str) -> None:
        """What stands on the lens now."""
        text = " / ".join(text.split("\n"))
        if text == self._last:
            return
        self._last = text
        if not self._is_terminal:
            if text:
                self._print(f"  lens | {text}")
            return
        width = shutil.get_terminal_size().columns - 10
        self._print(f"\r\x1b[K  lens | {text[-width:]}", end="")
        self._is_open = True

    def settle(self) -> None:
        """Leave what stands on the lens and go on below it."""
        if self._is_open:
            self._is_open = False
            self._print("")
        self._last = ""

    def _print(self, text: str, end: str = "\n") -> None:
        try:
            print(text, end=end, file=self._out, flush=True)
        except BrokenPipeError as error:
            raise OutputClosedError from error


def summary(
    readings: list[Reading], audio_s: list[float] | None, display_s: list[float], *, lost_frames: int
) -> list[str]:
    """What was said, what was read, and how long it took, as lines.

    Args:
      audio_s: None where the frames at the app are not those that the phone sent.
    """
    lines = ["", "What was said, and what the wearer read"]
    for reading in readings:
        if reading.said:
            lines.append(f"  said  {reading.said}")
        lines.append(f"  read  {reading.read or '(nothing)'}")
    finals_s = [reading.final_after_s for reading in readings if reading.final_after_s is not None]
    lines += ["", "How long it took                                     p50       p99     of"]
    for label, values in (
        ("audio frame, glasses to app", audio_s),
        ("end of speech to the final text at the app", finals_s),
        ("display, app to lens (at most one per 300 ms)", display_s),
    ):
        if values is None:
            lines.append(f"  {label:<46} see `glasshouse bench audio`: WebRTC cuts frames of its own")
        elif values:
            p50, p99 = (percentile(values, percent) * 1000 for percent in (50, 99))
            lines.append(f"  {label:<46} {p50:6.1f} ms {p99:6.1f} ms {len(values):6}")
        else:
            lines.append(f"  {label:<46} none seen")
    if lost_frames:
        lines.append(f"  {lost_frames} audio frames did not reach the app")
    return lines
