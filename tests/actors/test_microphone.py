"""When the phone's microphone is switched (protocol.md 5.7, 4.8)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from actors.microphone import (
    OFF,
    GlassesConnected,
    LanguageChanging,
    MicrophoneEvent,
    MicrophoneSettings,
    MicrophoneState,
    PhoneArrived,
    PhoneLost,
    SendMicrophoneState,
    StrayAudio,
    SubscriptionsChanging,
    Tick,
    Wanted,
    deadline,
    step,
)

SETTINGS = MicrophoneSettings()
ON = SendMicrophoneState(is_enabled=True, required_data=("pcm",), bypass_vad=False)
RAW = SendMicrophoneState(is_enabled=True, required_data=("pcm",), bypass_vad=True)

SPEECH = Wanted(pcm=False, transcription=True, bypass_vad=False)
PCM = Wanted(pcm=True, transcription=False, bypass_vad=True)
NOTHING = Wanted(pcm=False, transcription=False, bypass_vad=False)
EMPTY_LIST = Wanted(pcm=False, transcription=False, bypass_vad=False, is_transient=True)

Story = list[tuple[float, MicrophoneEvent]]
Told = list[tuple[float, SendMicrophoneState]]


def at(event: MicrophoneEvent, *times: float) -> Story:
    """The same event several times."""
    return [(time, event) for time in times]


def tell(story: Story, until: float) -> Told:
    """What the phone is told, and when, if the machine gets its ticks in time. Times to a millisecond."""
    state, told = MicrophoneState(), []
    rest = [*story, (until, Tick())]
    due: float | None = None
    while rest:
        now, event = rest.pop(0)
        if due is not None and due < now:
            rest.insert(0, (now, event))
            now, event = due, Tick()
        state, effects = step(state, event, now, SETTINGS)
        due = deadline(state, SETTINGS)
        assert due is None or due > now  # or the actor would spin
        told += [(round(now, 3), effect) for effect in effects]
    return told


STORIES: dict[str, tuple[Story, float, Told]] = {
    "a phone that nobody wants to hear is told so once": ([(0, PhoneArrived())], 60, [(0.1, OFF)]),
    "the first wish goes out at once": ([(0, PhoneArrived()), (5, SPEECH)], 6, [(0.1, OFF), (5, ON)]),
    "the first wish does not even wait for the resync": (
        [(0, PhoneArrived()), (0.05, SPEECH)],
        5,
        [(0.05, ON)],
    ),
    "the first wish does not wait for its burst": (
        [(0, PhoneArrived()), (5, SubscriptionsChanging()), (5, SPEECH)],
        6,
        [(0.1, OFF), (5, ON)],
    ),
    "raw audio bypasses the phone's voice detector": (
        [(0, PhoneArrived()), (5, PCM)],
        6,
        [(0.1, OFF), (5, RAW)],
    ),
    "a second decision waits a second": (
        [(0, PhoneArrived()), (5, SPEECH), (5.002, PCM)],
        7,
        [(0.1, OFF), (5, ON), (6, RAW)],
    ),
    "a change that is taken back in time is never told": (
        [(0, PhoneArrived()), (5, SPEECH), (5.1, PCM), (5.9, SPEECH)],
        10,
        [(0.1, OFF), (5, ON)],
    ),
    "a decision after a quiet time waits for its burst only": (
        [(0, PhoneArrived()), (1, SPEECH), (5, SubscriptionsChanging()), (5, PCM)],
        7,
        [(0.1, OFF), (1, ON), (5.1, RAW)],
    ),
    "a burst ends 100 ms after its last change": (
        [(0, PhoneArrived()), (1, SPEECH), *at(SubscriptionsChanging(), 5, 5.05, 5.12), (5.12, PCM)],
        7,
        [(0.1, OFF), (1, ON), (5.22, RAW)],
    ),
    "languages take 500 ms longer": (
        [(0, PhoneArrived()), (1, SPEECH), (5, LanguageChanging()), (5, PCM), (5.3, SubscriptionsChanging())],
        7,
        [(0.1, OFF), (1, ON), (5.6, RAW)],
    ),
    "a burst without an end is taken for settled": (
        [
            (0, PhoneArrived()),
            (1, SPEECH),
            (5, SubscriptionsChanging()),
            (5, PCM),
            *at(SubscriptionsChanging(), *(5 + number / 20 for number in range(1, 60))),
        ],
        8,
        [(0.1, OFF), (1, ON), (6, RAW)],
    ),
    "off is held back for 3 s": (
        [(0, PhoneArrived()), (1, SPEECH), (5, NOTHING)],
        20,
        [(0.1, OFF), (1, ON), (8, OFF)],
    ),
    "hearing again that nothing is wanted does not hold it longer": (
        [(0, PhoneArrived()), (1, SPEECH), (5, NOTHING), (7, NOTHING)],
        20,
        [(0.1, OFF), (1, ON), (8, OFF)],
    ),
    "an app that comes back within 3 s does not toggle the hardware": (
        [(0, PhoneArrived()), (1, SPEECH), (5, NOTHING), (7.9, SPEECH)],
        10,
        [(0.1, OFF), (1, ON)],
    ),
    "an app's first empty list holds it for 8 s": (
        [(0, PhoneArrived()), (1, SPEECH), (2, EMPTY_LIST), (9.9, SPEECH)],
        10.5,
        [(0.1, OFF), (1, ON)],
    ),
    "an app that stays without subscriptions gives the microphone up": (
        [(0, PhoneArrived()), (1, SPEECH), (2, EMPTY_LIST)],
        30,
        [(0.1, OFF), (1, ON), (10, OFF)],
    ),
    "a real end after the empty list counts from itself": (
        [(0, PhoneArrived()), (1, SPEECH), (2, EMPTY_LIST), (3, NOTHING)],
        30,
        [(0.1, OFF), (1, ON), (6, OFF)],
    ),
    "while on the phone is told every 10 s": (
        [(0, PhoneArrived()), (1, SPEECH)],
        35,
        [(0.1, OFF), (1, ON), (11, ON), (21, ON), (31, ON)],
    ),
    "stray audio is answered, and at most once per 5 s": (
        [(0, PhoneArrived()), *at(StrayAudio(), *(number / 10 for number in range(1, 130)))],
        13,
        [(0.1, OFF), (1.1, OFF), (6.1, OFF), (11.1, OFF)],
    ),
    "audio during the hold is not stray": (
        [
            (0, PhoneArrived()),
            (1, SPEECH),
            (5, NOTHING),
            *at(StrayAudio(), *(5 + number / 10 for number in range(30))),
        ],
        8.5,
        [(0.1, OFF), (1, ON), (8, OFF)],
    ),
    "audio that was under way when the microphone went off is not stray": (
        [(0, PhoneArrived()), (1, SPEECH), (5, NOTHING), (8.05, StrayAudio()), (8.9, StrayAudio())],
        12,
        [(0.1, OFF), (1, ON), (8, OFF)],
    ),
    "wanted audio is never stray": (
        [(0, PhoneArrived()), (1, SPEECH), (5, StrayAudio())],
        6,
        [(0.1, OFF), (1, ON)],
    ),
    "a phone that comes back to be heard is told at once and 100 ms later": (
        [(0, PhoneArrived()), (1, SPEECH), (5, PhoneLost()), (6, PhoneArrived())],
        7,
        [(0.1, OFF), (1, ON), (6, ON), (6.1, ON)],
    ),
    "a phone that replaces another is told as well": (
        [(0, PhoneArrived()), (1, SPEECH), (5, PhoneArrived())],
        6,
        [(0.1, OFF), (1, ON), (5, ON), (5.1, ON)],
    ),
    "nothing is told while the phone is away, and what changed is told on its return": (
        [(0, PhoneArrived()), (1, SPEECH), (2, PhoneLost()), (3, PCM), (40, PhoneArrived())],
        41,
        [(0.1, OFF), (1, ON), (40, RAW), (40.1, RAW)],
    ),
    "a hold goes on while the phone is away": (
        [(0, PhoneArrived()), (1, SPEECH), (2, NOTHING), (3, PhoneLost()), (3.5, PhoneArrived())],
        20,
        [(0.1, OFF), (1, ON), (3.5, ON), (3.6, ON), (5, OFF)],
    ),
    "a hold runs out while the phone is away": (
        [(0, PhoneArrived()), (1, SPEECH), (2, NOTHING), (3, PhoneLost()), (9, PhoneArrived())],
        20,
        [(0.1, OFF), (1, ON), (9.1, OFF)],
    ),
    "glasses that connect are told at once": (
        [(0, PhoneArrived()), (1, SPEECH), (5, GlassesConnected()), (20, NOTHING), (30, GlassesConnected())],
        31,
        [(0.1, OFF), (1, ON), (5, ON), (15, ON), (23, OFF), (30, OFF)],
    ),
    "glasses without a phone change nothing": ([(0, GlassesConnected()), (1, StrayAudio())], 5, []),
    "off after on keeps its second": (
        [(0, PhoneArrived()), (1, SPEECH), (2, NOTHING), (4.5, PCM)],
        6,
        [(0.1, OFF), (1, ON), (4.5, RAW)],
    ),
}


@pytest.mark.parametrize(("story", "until", "told"), STORIES.values(), ids=STORIES)
def test_a_story(story: Story, until: float, told: Told) -> None:
    assert told == tell(story, until)


def test_the_state_goes_on_where_its_own_encoding_stood() -> None:
    state, _ = step(MicrophoneState(), PhoneArrived(), 0, SETTINGS)
    state, _ = step(state, PCM, 0.05, SETTINGS)

    assert state == msgspec.json.decode(msgspec.json.encode(state), type=MicrophoneState)
    assert state.is_on


def test_no_phone_needs_no_ticks() -> None:
    assert deadline(MicrophoneState(), SETTINGS) is None


class Microphone(RuleBasedStateMachine):
    """Any history, with ticks in time or late, against what a wearer and a developer rely on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.state = MicrophoneState()
        self.wish: SendMicrophoneState = OFF
        self.wish_since = 0.0
        self.idle_since = 0.0  # since when nobody wants it
        self.has_phone = False
        self.phone_since = 0.0
        self.last: SendMicrophoneState | None = None
        self.last_at = 0.0
        self.is_repeat_allowed = False  # a phone or glasses arrived since the last message
        self.strays: list[float] = []

    def feed(self, event: MicrophoneEvent) -> None:
        before = self.state
        self.state, effects = step(self.state, event, self.now, SETTINGS)
        assert len(effects) <= 1
        due = deadline(self.state, SETTINGS)
        assert due is None or due > self.now  # or the actor would spin
        for effect in effects:
            self.sent(effect, before, event)

    def sent(self, effect: SendMicrophoneState, before: MicrophoneState, event: MicrophoneEvent) -> None:
        assert self.has_phone
        if effect == self.last and not self.is_repeat_allowed:
            if effect.is_enabled:
                assert self.now >= self.last_at + SETTINGS.keep_alive_s
            else:
                assert isinstance(event, StrayAudio)
                assert not self.strays or self.now >= self.strays[-1] + SETTINGS.stray_interval_s
                self.strays.append(self.now)
        if not effect.is_enabled and self.last is not None and self.last.is_enabled:
            assert not self.wish.is_enabled
            assert self.now >= self.idle_since + SETTINGS.off_hold_s
        if not effect.is_enabled:
            assert effect == OFF
        self.last, self.last_at = effect, self.now
        self.is_repeat_allowed = isinstance(event, PhoneArrived)  # the resync follows

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 0.9, 2.0, 7.0]))
    def time_passes_with_ticks_in_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := deadline(self.state, SETTINGS)) is not None and due <= end:
            self.now = due
            self.feed(Tick())
        self.now = end
        if self.has_phone:
            self.check_promises()

    @rule(seconds=st.sampled_from([0.05, 1.5, 12.0]))
    def time_passes_and_the_tick_is_late(self, seconds: float) -> None:
        self.now += seconds
        self.feed(Tick())

    def check_promises(self) -> None:
        """What holds whenever the ticks came in time."""
        assert self.state.is_phone_here
        if self.now >= self.phone_since + SETTINGS.resync_delay_s:
            assert self.last is not None
        late_s = max(SETTINGS.debounce_s, SETTINGS.settle_limit_s) + SETTINGS.resync_delay_s
        if self.wish.is_enabled and self.now >= max(self.wish_since, self.phone_since) + late_s:
            assert self.last == self.wish
            assert self.now <= self.last_at + SETTINGS.keep_alive_s
        idle_s = SETTINGS.transient_off_hold_s + late_s
        if not self.wish.is_enabled and self.now >= max(self.idle_since, self.phone_since) + idle_s:
            assert self.last == OFF

    @rule(pcm=st.booleans(), transcription=st.booleans(), is_transient=st.booleans())
    def apps_want(self, pcm: bool, transcription: bool, is_transient: bool) -> None:
        wish = SendMicrophoneState(True, ("pcm",), pcm) if pcm or transcription else OFF
        if self.wish.is_enabled and not wish.is_enabled:
            self.idle_since = self.now
        if wish != self.wish:
            self.wish, self.wish_since = wish, self.now
        self.feed(Wanted(pcm=pcm, transcription=transcription, bypass_vad=pcm, is_transient=is_transient))

    @rule(event=st.sampled_from([SubscriptionsChanging(), LanguageChanging()]))
    def a_list_changes(self, event: MicrophoneEvent) -> None:
        self.feed(event)

    @rule()
    def a_phone_arrives(self) -> None:
        self.has_phone, self.phone_since = True, self.now
        self.last, self.is_repeat_allowed, self.strays = None, True, []
        self.feed(PhoneArrived())

    @rule()
    def the_phone_is_lost(self) -> None:
        self.has_phone = False
        self.feed(PhoneLost())

    @precondition(lambda self: self.has_phone)
    @rule()
    def glasses_connect(self) -> None:
        self.is_repeat_allowed = True
        self.feed(GlassesConnected())

    @rule()
    def audio_nobody_wants(self) -> None:
        if not self.wish.is_enabled:
            self.feed(StrayAudio())


Microphone.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
TestMicrophone = Microphone.TestCase
