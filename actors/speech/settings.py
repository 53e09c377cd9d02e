"""The timers and limits of transcription streams, each with its default and why that default."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class SpeechSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long a transcription stream waits for what, and when its recogniser is replaced.

    Attributes:
      linger_s: a stream that nobody wants stays open so long; the SDK sends an empty list after every ack.
      reopen_first_s: a recogniser that failed is tried again after so long; it doubles with each failure.
      reopen_most_s: the longest of these waits, where the recogniser itself does not ask for more.
      notice_s: "captions delayed" stays on the lens so long.
      notice_after_s: a wearer who speaks reads it so long after a recogniser was lost, if no other has said
        anything by then; at once where there is no other.
      hang_s: a recogniser that has not moved for so long while voices wait for it is replaced. Deepgram says
        something every second, PocketSphinx every half.
      lag_s: so far behind the voices a recogniser is late;
      lag_patience_s: and after so long of it without catching up it is replaced.
      return_s: the first choice is tried again so long after another recogniser took over, in a pause of the
        speech.
      look_s: how often a stream looks at its recogniser.
      ring_s: how much audio is kept for a recogniser that takes over; 32 kB a second. A final comes sooner
        than that.
      late_alarm_s: words that are final so long after they were said, or wait so long to be heard, are logged
        as a warning, and again when they are half as late.
      replay_speed: how fast that audio is handed over, in seconds of it a second. Deepgram works off 1.25 a
        second whatever comes, PocketSphinx about 8.
      trend_window_s: by windows of so long a stream looks where its recogniser's lateness goes.
      trend_ahead_s: one that will be `lag_s` late within so long, by that trend, is replaced at once if there
        is another; 0 waits until it is.
      breaker_failures: failures in a row, of all streams together, after which a recogniser gets no streams
        for a while.
      breaker_pause_s: that while, the first time; it doubles until a stream goes well.
      breaker_most_s: the longest of these pauses.
      trial_s: after a pause one stream tries; the others wait so long for its first word.
    """

    linger_s: float = 5.0
    reopen_first_s: float = 0.2
    reopen_most_s: float = 10.0
    notice_s: float = 3.0
    notice_after_s: float = 0.9
    hang_s: Annotated[float, Meta(gt=0)] = 4.0
    lag_s: Annotated[float, Meta(gt=0)] = 3.0
    lag_patience_s: Annotated[float, Meta(gt=0)] = 3.0
    return_s: float = 5.0
    look_s: Annotated[float, Meta(gt=0)] = 0.5
    ring_s: Annotated[float, Meta(ge=1)] = 30.0
    late_alarm_s: Annotated[float, Meta(gt=0)] = 2.0
    replay_speed: Annotated[float, Meta(gt=1)] = 4.0
    trend_window_s: Annotated[float, Meta(gt=0)] = 1.0
    trend_ahead_s: float = 6.0
    breaker_failures: Annotated[int, Meta(ge=1)] = 3
    breaker_pause_s: Annotated[float, Meta(gt=0)] = 5.0
    breaker_most_s: Annotated[float, Meta(gt=0)] = 60.0
    trial_s: Annotated[float, Meta(gt=0)] = 5.0
