"""When the server is overloaded, and how much of the audio it sheds then: a pure machine.

It hears one number again and again: how late the server is, in seconds. That is the longest time for which
something that had arrived waited since the last look, be it a socket for the engine or an actor for its turn.
Being late once is nothing, however late: what held the server is over by then. Being late at every look for
`enter_s` is overload.

While it lasts, audio makes room for everything else: a share of it is dropped before it is routed. The share
follows the lateness: quickly up, slowly down. So presses and displays find a server that is not behind, and
as much audio passes as there is room for. It is over when nothing has been shed and nothing was late for
`leave_s`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace


class OverloadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When the server counts as overloaded, and what it does then.

    Attributes:
      late_s: what has arrived waits so long: the server is late. A press crosses it twice, to the app and
        back, and has 200 ms.
      least_work: what is late while the server uses less than this share of a core is late by the work of
        other programs, which shedding audio does not lessen.
      enter_s: late at every look for so long is overload; 0 takes the first.
      target_s: while overloaded more audio is shed as long as something waits longer than this.
      refuse_after_s: an overload that has lasted so long turns new sessions away; a crowd that comes at once
        is over by then.
      leave_s: nothing shed and nothing late for so long ends it.
      sample_s: time between two looks while it is late or overloaded.
      calm_sample_s: time between two looks while all is well; the engine says at once when it falls behind.
      first_share: share of the audio that is shed at once on entering, from 0 to 1.
      more_share: what is added to the share at a look that finds it twice as late as `target_s`, or later; in
        between less.
      less_share: what is taken off it at a look that does not.
      trend_window_s: by windows of so long it looks where its lateness goes, while all is well.
      trend_ahead_s: when it will be `late_s` late within so long, by that trend, shedding begins at
        `target_s` already; 0 never does.
      oldest_audio_s: older audio is shed before all other while overloaded.
      gap_s: a stream loses its share in one piece within so long, not frame by frame: words between two gaps
        stay whole.
      retry_after_s: who is turned away is asked to come back after so long.
    """

    late_s: float = 0.08
    least_work: float = 0.15
    enter_s: float = 0.1
    target_s: float = 0.04
    refuse_after_s: float = 2.0
    leave_s: float = 2.0
    sample_s: float = 0.1
    calm_sample_s: float = 1.0
    first_share: float = 0.5
    more_share: float = 0.1
    less_share: float = 0.04
    trend_window_s: Annotated[float, Meta(gt=0)] = 5.0
    trend_ahead_s: float = 30.0
    oldest_audio_s: float = 1.0
    gap_s: float = 2.0
    retry_after_s: float = 5.0


class OverloadState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the machine stands. Times are those of `step`'s `now`.

    Attributes:
      late_since: since when every look found the server late; None while all is well, or overloaded.
      entered_at: when the overload began; None while there is none.
      calm_since: since when nothing is shed and nothing late in it.
      is_closed: new sessions are turned away.
      share: of the audio that is shed, from 0 to 1.
      entries: how many overloads there were.
    """

    late_since: float | None = None
    entered_at: float | None = None
    calm_since: float | None = None
    is_closed: bool = False
    share: float = 0.0
    entries: int = 0

    @property
    def is_on(self) -> bool:
        return self.entered_at is not None

    @property
    def is_watchful(self) -> bool:
        """Whether the next look must not be long in coming."""
        return self.is_on or self.late_since is not None


class Entered(msgspec.Struct, frozen=True):
    """From here on the server is overloaded. `late_s` is what gave the reason."""

    late_s: float


class Left(msgspec.Struct, frozen=True):
    """The overload is over."""

    lasted_s: float


OverloadEffect = Entered | Left


def step(
    state: OverloadState, late_s: float, now: float, settings: OverloadSettings, *, is_rising: bool = False
) -> tuple[OverloadState, tuple[OverloadEffect, ...]]:
    """One look.

    Args:
      late_s: the longest that something which had arrived has waited since the last look.
      now: monotonic seconds.
      is_rising: the lateness grows, and will be `late_s` before long: what is later than `target_s` is late.
    """
    if state.entered_at is not None:
        return _follow(state, state.entered_at, late_s, now, settings)
    if late_s < (min(settings.target_s, settings.late_s) if is_rising else settings.late_s):
        return (state if state.late_since is None else replace(state, late_since=None)), ()
    late_since = now if state.late_since is None else state.late_since
    if now - late_since < settings.enter_s:
        return replace(state, late_since=late_since), ()
    entered = OverloadState(entered_at=now, share=settings.first_share, entries=state.entries + 1)
    return entered, (Entered(late_s),)


def _follow(
    state: OverloadState, entered_at: float, late_s: float, now: float, settings: OverloadSettings
) -> tuple[OverloadState, tuple[OverloadEffect, ...]]:
    if not state.is_closed and now - entered_at >= settings.refuse_after_s:
        state = replace(state, is_closed=True)
    if late_s > settings.target_s:
        excess = min(1.0, late_s / settings.target_s - 1.0) if settings.target_s else 1.0
        share = min(1.0, state.share + settings.more_share * excess)
        return replace(state, share=share, calm_since=None), ()
    share = max(0.0, state.share - settings.less_share)
    if share:
        return replace(state, share=share, calm_since=None), ()
    calm_since = now if state.calm_since is None else state.calm_since
    if now - calm_since < settings.leave_s:
        return replace(state, share=0.0, calm_since=calm_since), ()
    return OverloadState(entries=state.entries), (Left(now - entered_at),)
