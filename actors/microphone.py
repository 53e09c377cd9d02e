"""Whether the phone's microphone should be on, and when the phone is told (protocol.md 5.7).

A pure machine. What the apps want becomes a target; the phone is told when the target differs from what it
was last told. Going off is held back, so that an app's restart does not toggle the hardware; the SDK's empty
list right after an ack is held back for longer (4.8). The first decision for a phone goes out at once; a
later one waits until its burst of changes has settled and until a second after the decision before it: a
wanted microphone is never told later than that, however fast the changes come.

What was told is repeated: to a phone that has come back, at once if it is to listen and 100 ms later in any
case, when glasses connect, every ten seconds while the microphone is on, and to a phone that sends audio
although it was told not to.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from .moments import moved


class MicrophoneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every duration of protocol.md 5.7, with its default.

    Attributes:
      subscription_settle_s: how long a change of subscriptions waits for the next one of its burst.
      language_settle_s: what a change of languages waits on top of that.
      settle_limit_s: a burst that does not end is taken for settled this long after it began.
      debounce_s: least time between two decisions told to the phone.
      off_hold_s: how long nobody must want the microphone before it goes off.
      transient_off_hold_s: the same, when it is an app's first empty list since its ack that wants nothing;
        the
        clouds of generation B and C ignore that list for 8 s.
      keep_alive_s: while it is on the phone is told so this often.
      stray_interval_s: a phone that sends audio while off is told "off" again at most this often.
      resync_delay_s: how long after its arrival a phone is told, or told again; its ack must have reached it.
    """

    subscription_settle_s: float = 0.1
    language_settle_s: float = 0.5
    settle_limit_s: float = 1.0
    debounce_s: float = 1.0
    off_hold_s: float = 3.0
    transient_off_hold_s: float = 8.0
    keep_alive_s: float = 10.0
    stray_interval_s: float = 5.0
    resync_delay_s: float = 0.1


# ---------------------------------------------------------------------------------------------------------
# Events


class Wanted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all running apps together want of the microphone.

    Attributes:
      pcm: some app takes its frames.
      transcription: some app wants speech as text, transcribed or translated.
      bypass_vad: the phone must not wait for its voice detector.
      by_phone: no recogniser serves, so the phone's own is asked for what it hears, beside the audio.
      is_transient: nothing is wanted only because an app's first list since its ack was empty.
    """

    pcm: bool
    transcription: bool
    bypass_vad: bool
    by_phone: bool = False
    is_transient: bool = False


class SubscriptionsChanging(msgspec.Struct, frozen=True, tag=True):
    """Subscriptions have changed; the next `Wanted` may be followed by more of the same burst."""


class LanguageChanging(msgspec.Struct, frozen=True, tag=True):
    """The languages have changed, which takes a recogniser longer to settle."""


class PhoneArrived(msgspec.Struct, frozen=True, tag=True):
    """A phone has got its ack. It does not know what the one before was told."""


class PhoneLost(msgspec.Struct, frozen=True, tag=True):
    """There is no phone; nothing is told until one arrives."""


class GlassesConnected(msgspec.Struct, frozen=True, tag=True):
    """The phone reports glasses CONNECTED or RECONNECTED: they have forgotten their microphone's state."""


class StrayAudio(msgspec.Struct, frozen=True, tag=True):
    """A frame came that nobody wants."""


class Tick(msgspec.Struct, frozen=True, tag=True):
    """The deadline has come."""


MicrophoneEvent = (
    Wanted
    | SubscriptionsChanging
    | LanguageChanging
    | PhoneArrived
    | PhoneLost
    | GlassesConnected
    | StrayAudio
    | Tick
)


# ---------------------------------------------------------------------------------------------------------
# Effects and state


class SendMicrophoneState(msgspec.Struct, frozen=True):
    """Tell the phone. `required_data` is what generations B and C obey, `is_enabled` what A obeys."""

    is_enabled: bool
    required_data: tuple[str, ...]
    bypass_vad: bool


OFF = SendMicrophoneState(is_enabled=False, required_data=(), bypass_vad=False)


class MicrophoneState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole machine.

    Attributes:
      target: what the phone should do, off held back.
      off_at: when a target that nobody wants any more goes off.
      told: what this phone was last told; None before the first time.
      told_at: when that was, repetitions included; 0 before the first time.
      decided_at: when it was last told something else than before.
      settling_since, settles_at: the burst of changes that is under way, or is still to be told.
      resync_at: when the phone is told whatever the target is then.
      stray_at: when the phone was last told "off" for stray audio.
    """

    is_phone_here: bool = False
    target: SendMicrophoneState = OFF
    off_at: float | None = None
    told: SendMicrophoneState | None = None
    told_at: float = 0.0
    decided_at: float | None = None
    settling_since: float | None = None
    settles_at: float | None = None
    resync_at: float | None = None
    stray_at: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether the phone that is here was told to listen."""
        return self.told is not None and self.told.is_enabled


def shifted(state: MicrophoneState, by_s: float) -> MicrophoneState:
    """The same machine on a clock that is `by_s` ahead (`actors.moments`)."""
    return replace(
        state,
        off_at=moved(state.off_at, by_s),
        told_at=state.told_at if state.told is None else state.told_at + by_s,
        decided_at=moved(state.decided_at, by_s),
        settling_since=moved(state.settling_since, by_s),
        settles_at=moved(state.settles_at, by_s),
        resync_at=moved(state.resync_at, by_s),
        stray_at=moved(state.stray_at, by_s),
    )


def step(
    state: MicrophoneState, event: MicrophoneEvent, now: float, settings: MicrophoneSettings
) -> tuple[MicrophoneState, tuple[SendMicrophoneState, ...]]:
    """What happened, and what the phone is told now: nothing or one message."""
    state = _let_go(state, now)
    match event:
        case Wanted():
            before = state.target
            state = _aim(state, event, now, settings)
            if state.resync_at is not None and state.target.is_enabled and state.target != before:
                return _tell(state, now)  # a first decision need not wait for the resync
        case SubscriptionsChanging():
            state = _unsettle(state, now, settings.subscription_settle_s, settings)
        case LanguageChanging():
            wait_s = settings.subscription_settle_s + settings.language_settle_s
            state = _unsettle(state, now, wait_s, settings)
        case PhoneArrived():
            state = MicrophoneState(
                is_phone_here=True,
                target=state.target,
                off_at=state.off_at,
                resync_at=now + settings.resync_delay_s,
            )
            if state.target.is_enabled:  # the wearer is speaking: at once, and again by the resync
                told, effects = _tell(state, now)
                return replace(told, resync_at=state.resync_at), effects
        case PhoneLost():
            state = MicrophoneState(target=state.target, off_at=state.off_at)
        case GlassesConnected():
            if state.is_phone_here:
                state = replace(state, resync_at=now)
        case StrayAudio():
            if _is_stray(state, now, settings):
                return _tell(replace(state, stray_at=now), now)
        case Tick():
            pass
        case _:
            assert_never(event)
    due = _tell_at(state, settings)
    if due is None or now < due:
        return state, ()
    return _tell(state, now)


def deadline(state: MicrophoneState, settings: MicrophoneSettings) -> float | None:
    """When the machine wants a `Tick`; None while there is nothing to wait for."""
    if not state.is_phone_here:
        return None
    return min((at for at in (state.off_at, _tell_at(state, settings)) if at is not None), default=None)


def _let_go(state: MicrophoneState, now: float) -> MicrophoneState:
    """What has run out by now."""
    if state.off_at is not None and now >= state.off_at:
        state = replace(state, target=OFF, off_at=None)
    if state.settles_at is not None and now >= state.settles_at and state.target == state.told:
        state = replace(state, settling_since=None, settles_at=None)
    return state


def _aim(state: MicrophoneState, wanted: Wanted, now: float, settings: MicrophoneSettings) -> MicrophoneState:
    if wanted.pcm or wanted.transcription:
        required = ("pcm", "transcription") if wanted.by_phone else ("pcm",)
        target = SendMicrophoneState(is_enabled=True, required_data=required, bypass_vad=wanted.bypass_vad)
        return replace(state, target=target, off_at=None)
    if not state.target.is_enabled:
        return state
    off_at = now + (settings.transient_off_hold_s if wanted.is_transient else settings.off_hold_s)
    return replace(state, off_at=off_at if state.off_at is None else min(off_at, state.off_at))


def _unsettle(
    state: MicrophoneState, now: float, wait_s: float, settings: MicrophoneSettings
) -> MicrophoneState:
    since = now if state.settling_since is None else state.settling_since
    settles_at = max(now + wait_s, state.settles_at or now)
    return replace(state, settling_since=since, settles_at=min(settles_at, since + settings.settle_limit_s))


def _is_stray(state: MicrophoneState, now: float, settings: MicrophoneSettings) -> bool:
    """Whether audio that comes now breaks what the phone was told, and it has not just been told so.

    Within `debounce_s` of the message the frames were under way already.
    """
    if state.told != OFF or state.target != OFF or now < state.told_at + settings.debounce_s:
        return False
    return state.stray_at is None or now >= state.stray_at + settings.stray_interval_s


def _tell_at(state: MicrophoneState, settings: MicrophoneSettings) -> float | None:
    """When the phone is to be told the target as it stands."""
    if not state.is_phone_here:
        return None
    if state.resync_at is not None:
        return state.resync_at
    if state.target == state.told:
        return state.told_at + settings.keep_alive_s if state.target.is_enabled else None
    if state.decided_at is None:
        return state.told_at
    settles_at = state.told_at if state.settles_at is None else state.settles_at
    return max(settles_at, state.decided_at + settings.debounce_s)


def _tell(state: MicrophoneState, now: float) -> tuple[MicrophoneState, tuple[SendMicrophoneState, ...]]:
    """Tell the target. A first "off" is no decision: what is wanted next goes out at once."""
    is_decision = state.target != (OFF if state.told is None else state.told)
    state = replace(
        state,
        told=state.target,
        told_at=now,
        decided_at=now if is_decision else state.decided_at,
        settling_since=None,
        settles_at=None,
        resync_at=None,
    )
    return state, (state.target,)
