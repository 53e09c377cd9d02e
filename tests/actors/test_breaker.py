"""The circuit breaker of an app server: pure, by hand and against anything that can happen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.directory.breaker import (
    Allow,
    Answered,
    Asked,
    BreakerEffect,
    BreakerEvent,
    BreakerSettings,
    BreakerState,
    Closed,
    Failed,
    Mode,
    Opened,
    Refuse,
    Registered,
    Silent,
    Succeeded,
    Withdrawn,
    step,
)

SETTINGS = BreakerSettings(failures=3, pause_s=1.0, growth=2.0, longest_s=5.0, jitter=0.2, trial_s=12.0)
LONGEST_WAIT_S = max(SETTINGS.longest_s * (1 + SETTINGS.jitter), SETTINGS.trial_s)


class Breaker:
    """A machine with a clock; chance draws 0 unless told."""

    def __init__(self) -> None:
        self.state = BreakerState()
        self.now = 1000.0
        self.chance = 0.0

    def hear(self, event: BreakerEvent) -> tuple[BreakerEffect, ...]:
        state, effects = step(self.state, event, self.now, SETTINGS, chance=self.chance)
        self.state = msgspec.json.decode(msgspec.json.encode(state), type=BreakerState)
        return effects

    def ask(self, *, may_try: bool = True) -> Allow | Refuse:
        (answer,) = self.hear(Asked(may_try))
        assert isinstance(answer, Allow | Refuse)
        return answer

    def fail(self, *, is_gone: bool = False) -> tuple[BreakerEffect, ...]:
        answer = self.ask()
        assert isinstance(answer, Allow)
        return self.hear(Failed(answer.era, "status 500", is_gone))

    def opened(self, *, is_gone: bool = False) -> Breaker:
        for _ in range(SETTINGS.failures):
            self.fail(is_gone=is_gone)
        assert self.state.mode is Mode.OPEN
        return self


def test_breaker_lets_everything_through_until_so_many_fail_in_a_row() -> None:
    breaker = Breaker()

    breaker.fail()
    breaker.fail()
    before = breaker.ask()
    effects = breaker.fail()

    assert isinstance(before, Allow)
    assert (Opened(1.0),) == effects
    assert Refuse(1.0) == breaker.ask()


def test_success_in_between_forgets_the_failures() -> None:
    breaker = Breaker()

    for _ in range(5):
        breaker.fail()
        breaker.fail()
        assert () == breaker.hear(Succeeded(breaker.state.era))

    assert Mode.CLOSED is breaker.state.mode


def test_open_breaker_says_how_long_is_left() -> None:
    breaker = Breaker().opened()

    breaker.now += 0.25

    assert Refuse(0.75) == breaker.ask()


def test_one_trial_goes_through_and_the_others_wait() -> None:
    breaker = Breaker().opened()
    breaker.now += 1.0

    answers = [breaker.ask() for _ in range(10)]

    assert isinstance(answers[0], Allow)
    assert [Refuse(1.0)] * 9 == answers[1:]


def test_trial_that_succeeds_closes_the_breaker() -> None:
    breaker = Breaker().opened()
    breaker.now += 1.0
    trial = breaker.ask()

    assert isinstance(trial, Allow)
    assert (Closed(),) == breaker.hear(Succeeded(trial.era))
    assert isinstance(breaker.ask(), Allow)


def test_trials_that_fail_pause_longer_each_time_and_a_success_starts_over() -> None:
    breaker = Breaker().opened()
    pauses = []

    for _ in range(4):
        breaker.now += LONGEST_WAIT_S
        (effect,) = breaker.fail()
        assert isinstance(effect, Opened)
        pauses.append(effect.pause_s)
    breaker.now += LONGEST_WAIT_S
    trial = breaker.ask()
    assert isinstance(trial, Allow)
    breaker.hear(Succeeded(trial.era))

    assert [2.0, 4.0, 5.0, 5.0] == pauses
    assert Refuse(1.0) == breaker.opened().ask()


def test_jitter_makes_a_pause_longer_by_a_part_of_it() -> None:
    breaker = Breaker()
    breaker.chance = 0.5

    answer = breaker.opened().ask()

    assert isinstance(answer, Refuse)
    assert answer.retry_after_s == pytest.approx(1.1)


def test_trial_that_never_reports_is_followed_by_another() -> None:
    breaker = Breaker().opened()
    breaker.now += 1.0
    lost = breaker.ask()

    breaker.now += SETTINGS.trial_s
    trial = breaker.ask()

    assert isinstance(lost, Allow)
    assert isinstance(trial, Allow)
    assert () == breaker.hear(Failed(lost.era, "late")), "the lost one is not believed any more"
    assert (Closed(),) == breaker.hear(Succeeded(trial.era))


def test_trial_that_is_withdrawn_gives_its_place_to_the_next() -> None:
    breaker = Breaker().opened()
    breaker.now += 1.0
    trial = breaker.ask()
    assert isinstance(trial, Allow)

    breaker.hear(Withdrawn(trial.era))

    assert isinstance(breaker.ask(), Allow)


def test_webhook_that_is_no_fair_trial_never_is_the_trial() -> None:
    breaker = Breaker().opened()
    breaker.now += 1.0

    assert Refuse(1.0) == breaker.ask(may_try=False)
    assert isinstance(breaker.ask(), Allow)


def test_late_failures_of_webhooks_sent_before_it_opened_change_nothing() -> None:
    breaker = Breaker()
    early = [breaker.ask() for _ in range(10)]
    breaker.opened()
    breaker.now += 1.0
    trial = breaker.ask()
    assert isinstance(trial, Allow)

    for answer in early:
        assert isinstance(answer, Allow)
        assert () == breaker.hear(Failed(answer.era, "timeout"))

    assert (Closed(),) == breaker.hear(Succeeded(trial.era))


@pytest.mark.parametrize("mode", list(Mode))
def test_registration_closes_at_once_and_the_old_processes_failures_do_not_count(mode: Mode) -> None:
    breaker = Breaker()
    early = breaker.ask()
    assert isinstance(early, Allow)
    if mode is not Mode.CLOSED:
        breaker.opened()
    if mode is Mode.HALF_OPEN:
        breaker.now += 1.0
        early = breaker.ask()
        assert isinstance(early, Allow)

    effects = breaker.hear(Registered())
    for _ in range(SETTINGS.failures):
        breaker.hear(Failed(early.era, "timeout"))

    assert (() if mode is Mode.CLOSED else (Closed(),)) == effects
    assert isinstance(breaker.ask(), Allow)


@pytest.mark.parametrize("is_seen_by_probe", [True, False])
def test_first_answered_probe_of_a_server_that_was_gone_closes_at_once(*, is_seen_by_probe: bool) -> None:
    breaker = Breaker().opened(is_gone=not is_seen_by_probe)
    if is_seen_by_probe:
        breaker.hear(Silent())

    assert (Closed(),) == breaker.hear(Answered())
    assert isinstance(breaker.ask(), Allow)


def test_answered_probe_of_a_server_that_was_never_gone_proves_nothing() -> None:
    breaker = Breaker().opened()

    assert () == breaker.hear(Answered())
    assert isinstance(breaker.ask(), Refuse)


class AnyOrder(RuleBasedStateMachine):
    """Sessions ask and report in any order; probes and registrations come when they like."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.out: list[int] = []
        self.opened_until: float | None = None
        self.trial: int | None = None
        self.trial_until = 0.0
        self.failed_in_a_row = 0
        self.was_gone = False

    def hear(self, event: BreakerEvent) -> tuple[BreakerEffect, ...]:
        effects = self.breaker.hear(event)
        for effect in effects:
            if isinstance(effect, Opened):
                assert self.failed_in_a_row >= SETTINGS.failures or self.trial is not None
                shortest, longest = SETTINGS.pause_s, SETTINGS.longest_s * (1 + SETTINGS.jitter)
                assert shortest <= effect.pause_s <= longest
                self.opened_until = self.breaker.now + effect.pause_s
                self.trial = None
            if isinstance(effect, Closed):
                assert self.opened_until is not None or self.trial is not None
                self.opened_until = self.trial = None
                self.failed_in_a_row = 0
        return effects

    @rule(seconds=st.floats(0, 15), chance=st.floats(0, 1, exclude_max=True))
    def time_passes(self, seconds: float, chance: float) -> None:
        self.breaker.now += seconds
        self.breaker.chance = chance

    @rule(may_try=st.booleans())
    def somebody_asks(self, *, may_try: bool) -> None:
        now = self.breaker.now
        (answer,) = self.hear(Asked(may_try))
        if isinstance(answer, Refuse):
            assert 0 < answer.retry_after_s <= LONGEST_WAIT_S
            assert self.opened_until is not None or self.trial is not None
            return
        assert isinstance(answer, Allow)
        self.out.append(answer.era)
        if self.opened_until is not None:
            assert may_try
            assert now >= self.opened_until, "nothing goes out while it is open"
            self.opened_until, self.trial, self.trial_until = None, answer.era, now + SETTINGS.trial_s
        elif self.trial is not None:
            assert may_try
            assert now >= self.trial_until, "one trial at a time"
            self.trial, self.trial_until = answer.era, now + SETTINGS.trial_s

    @precondition(lambda self: self.out)
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "gone", "withdrawn"]))
    def webhook_reports(self, data: st.DataObject, outcome: str) -> None:
        era = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        counts = era == self.breaker.state.era
        if outcome == "succeeded":
            if counts:
                self.failed_in_a_row = 0
                self.was_gone = False
            effects = self.hear(Succeeded(era))
            assert not counts or self.breaker.state.mode is Mode.CLOSED
        elif outcome == "withdrawn":
            effects = self.hear(Withdrawn(era))
            if counts and era == self.trial:
                self.trial, self.opened_until = None, self.breaker.now
        else:
            self.failed_in_a_row += counts
            self.was_gone = self.was_gone or (counts and outcome == "gone")
            effects = self.hear(Failed(era, "broken", outcome == "gone"))
            if counts and (self.failed_in_a_row >= SETTINGS.failures):
                assert self.breaker.state.mode is Mode.OPEN
        assert counts or () == effects, "a report of an earlier era changes nothing"

    @rule(is_up=st.booleans())
    def probe_reports(self, *, is_up: bool) -> None:
        self.hear(Answered() if is_up else Silent())
        if is_up and self.was_gone:
            assert Mode.CLOSED is self.breaker.state.mode
            self.failed_in_a_row = 0
        self.was_gone = not is_up or (self.was_gone and not is_up)

    @rule()
    def server_registers(self) -> None:
        self.hear(Registered())
        self.was_gone = False
        self.failed_in_a_row = 0
        assert Mode.CLOSED is self.breaker.state.mode

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        later = self.breaker.now + LONGEST_WAIT_S
        _, (answer,) = step(self.breaker.state, Asked(), later, SETTINGS, chance=0.0)
        assert isinstance(answer, Allow)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
