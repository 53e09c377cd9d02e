"""The machine of failover: its decisions one by one, and what holds whatever happens in whatever order."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.speech.failover import (
    AskPhone,
    Began,
    Blame,
    Candidate,
    End,
    Failed,
    FailoverEffect,
    FailoverEvent,
    FailoverState,
    LookAgain,
    Looked,
    Open,
    ReleasePhone,
    Said,
    Step,
    TellWearer,
    Troubled,
    UntellWearer,
    Untroubled,
    step,
)
from actors.speech.settings import SpeechSettings

SETTINGS = SpeechSettings()
THREE = (Candidate("one"), Candidate("two"), Candidate("three"))
NETWORK = Failed("network", "reset", 0.2)


def run(
    *events: tuple[float, FailoverEvent], candidates: tuple[Candidate, ...] = THREE
) -> tuple[FailoverState, Sequence[FailoverEffect]]:
    """The state after these events at these times, and the effects of the last one."""
    state, effects = step(FailoverState(), Began(), 1.0, candidates, SETTINGS)
    for now, event in events:
        state, effects = step(state, event, now, candidates, SETTINGS)
    return state, effects


def opened(effects: Sequence[FailoverEffect]) -> list[str]:
    return [effect.provider for effect in effects if isinstance(effect, Open)]


def test_the_first_choice_is_opened() -> None:
    state, effects = run()

    assert (Open("one"),) == effects
    assert ("one", 0) == (state.provider, state.switches)


def test_the_phone_is_asked_once_and_released_by_the_first_word() -> None:
    only = (Candidate("one"),)
    state, effects = run((5.0, NETWORK), (5.2, Looked()), (5.3, NETWORK), candidates=only)
    assert AskPhone() not in effects, "it has been asked"

    state, effects = step(state, Looked(), 5.8, only, SETTINGS)
    assert (["one"], False) == (opened(effects), ReleasePhone() in effects), "who was opened has said nothing"
    state, effects = step(state, Said(), 6.0, only, SETTINGS)

    assert (UntellWearer(), ReleasePhone()) == effects
    assert not state.is_unserved


def test_the_phone_is_not_asked_while_another_takes_over() -> None:
    assert AskPhone() not in run((5.0, NETWORK))[1]


def test_one_whose_breaker_is_open_is_passed_over() -> None:
    _, effects = run(candidates=(Candidate("one", free_at=9.0), Candidate("two")))

    assert ["two"] == opened(effects)


def test_the_next_takes_over_from_one_that_fails_and_nobody_is_told() -> None:
    state, effects = run((5.0, NETWORK))

    assert Blame("one", "network", "reset", 0.2) in effects
    assert ["two"] == opened(effects)
    assert TellWearer() not in effects
    assert ("two", 1) == (state.provider, state.switches)


def test_where_there_is_no_other_the_wearer_is_told_and_the_same_is_tried_again() -> None:
    only = (Candidate("one"),)
    state, effects = run((5.0, NETWORK), candidates=only)

    assert (Blame("one", "network", "reset", 0.2), End(), TellWearer(), AskPhone()) == effects[:-1]
    assert isinstance(effects[-1], LookAgain)
    assert abs(0.2 - effects[-1].after_s) < 1e-9
    _, effects = step(state, Looked(), 5.3, only, SETTINGS)
    assert ["one"] == opened(effects)


def test_each_failure_in_a_row_waits_twice_as_long_up_to_a_limit() -> None:
    only = (Candidate("one"),)
    state, _ = run(candidates=only)
    waits, now = [], 5.0
    for _ in range(8):
        state, effects = step(state, Failed("closed"), now, only, SETTINGS)
        waits.append(next(effect.after_s for effect in effects if isinstance(effect, LookAgain)))
        now += waits[-1] + 0.001
        state, _ = step(state, Looked(), now, only, SETTINGS)

    assert [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0] == [round(wait_s, 3) for wait_s in waits]


def test_a_word_ends_the_row_of_failures() -> None:
    only = (Candidate("one"),)
    state, _ = run((5.0, Failed("closed")), (6.0, Looked()), (6.5, Said()), candidates=only)

    assert () == state.cooling


def test_a_recognisers_own_word_on_when_to_come_back_counts() -> None:
    state, _ = run((5.0, Failed("quota", "no credits", 60.0)))

    assert 65.0 == state.cooling[0].until


def test_one_that_does_not_move_while_voices_wait_is_replaced() -> None:
    still = Looked(heard_ms=500, waiting_s=3.9)
    state, effects = run((1.5, Looked(heard_ms=500)), (5.4, still))
    assert ("one", []) == (state.provider, opened(effects))

    state, effects = step(state, replace(still, waiting_s=4.1), 5.6, THREE, SETTINGS)

    assert ["two"] == opened(effects)
    assert "hang" == next(effect.kind for effect in effects if isinstance(effect, Blame))


def test_one_that_moves_is_not_taken_for_hanging_however_long_the_voices_wait() -> None:
    looks = [
        (1.0 + second, Looked(heard_ms=100 * second, waiting_s=20.0, is_live=False)) for second in range(15)
    ]

    state, _ = run(*looks)

    assert "one" == state.provider


def test_silence_is_no_reason_to_replace_anybody() -> None:
    state, effects = run((1000.0, Looked(heard_ms=0, waiting_s=0.0)))

    assert ("one", ()) == (state.provider, effects)


def test_one_that_stays_behind_is_replaced_and_one_that_catches_up_is_not() -> None:
    def behind(*waits_s: float) -> str | None:
        looks = [
            (2.0 + second, Looked(heard_ms=1000 * second, waiting_s=wait_s))
            for second, wait_s in enumerate(waits_s, start=1)
        ]
        return run(*looks)[0].provider

    assert "two" == behind(3.5, 3.6, 3.7, 3.8)
    assert "two" == behind(3.5, 3.2, 3.7, 3.8), "a pause in the speech makes it look better"
    assert "one" == behind(6.0, 5.5, 5.0, 4.5, 4.0, 3.5)
    assert "one" == behind(3.5, 3.6, 2.9, 3.5, 3.6)


def test_a_replay_is_not_lateness() -> None:
    looks = [(2.0 + n, Looked(heard_ms=1000 * n, waiting_s=9.0, is_live=False)) for n in range(1, 9)]

    assert "one" == run(*looks)[0].provider


def test_a_better_one_is_gone_back_to_in_a_pause_and_not_before() -> None:
    failed = (5.0, NETWORK)
    at_work = Looked(heard_ms=9000, is_quiet=False)

    assert "two" == run(failed, (9.9, Looked(heard_ms=9000)))[0].provider, "too soon"
    assert "two" == run(failed, (99.0, at_work))[0].provider, "in the middle of an utterance"
    assert "two" == run(failed, (99.0, Looked(heard_ms=9000, waiting_s=0.5)))[0].provider, "somebody speaks"
    state, effects = run(failed, (99.0, Looked(heard_ms=9000)))
    assert ("one", [Open("one")]) == (state.provider, [e for e in effects if isinstance(e, Open)])
    assert not [effect for effect in effects if isinstance(effect, Blame)]


def test_who_took_over_and_says_nothing_is_told_once_while_somebody_speaks() -> None:
    failed = (5.0, NETWORK)
    state, effects = run(failed, (5.5, Looked(waiting_s=3.0)))
    assert (LookAgain(0.4),) == effects

    state, effects = run(failed, (5.5, Looked(waiting_s=3.0)), (5.9, Looked(waiting_s=3.4)))
    assert (TellWearer(),) == effects
    _, again = step(state, Looked(waiting_s=4.0), 6.4, THREE, SETTINGS)
    assert TellWearer() not in again
    _, said = step(state, Said(), 6.5, THREE, SETTINGS)
    assert (UntellWearer(),) == said


def test_nobody_is_told_while_nobody_speaks() -> None:
    _, effects = run((5.0, NETWORK), (7.0, Looked(waiting_s=0.0)))

    assert () == effects


def test_what_a_recogniser_says_of_itself_is_told_once() -> None:
    state, effects = run((2.0, Troubled()))
    assert (TellWearer(),) == effects
    assert () == step(state, Troubled(), 3.0, THREE, SETTINGS)[1]

    assert (UntellWearer(),) == step(state, Untroubled(), 4.0, THREE, SETTINGS)[1]


def test_a_failure_of_nobody_changes_nothing() -> None:
    only = (Candidate("one"),)
    state, _ = run((5.0, NETWORK), candidates=only)

    assert (state, ()) == step(state, NETWORK, 5.1, only, SETTINGS)


looks = st.builds(
    Looked,
    heard_ms=st.integers(0, 60_000),
    waiting_s=st.sampled_from((0.0, 0.05, 0.9, 2.9, 3.0, 4.0, 9.0)),
    is_live=st.booleans(),
    is_quiet=st.booleans(),
)
failures = st.builds(
    Failed,
    kind=st.sampled_from(("network", "auth", "quota", "rate", "protocol", "worker", "closed")),
    cause=st.just("told to"),
    retry_after_s=st.sampled_from((0.0, 0.2, 1.0, 60.0)),
)
events = st.one_of(
    looks, failures, st.just(Said()), st.just(Troubled()), st.just(Untroubled()), st.just(Began())
)
moments = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.01, 0.25, 0.5, 1.0, 3.0, 10.0, 100.0)),
        events,
        st.tuples(*(st.sampled_from((0.0, 0.3, 5.0, 60.0)) for _ in range(3))),
    ),
    max_size=60,
)


@given(moments)
def test_whatever_happens_the_machine_keeps_its_promises(
    history: list[tuple[float, FailoverEvent, tuple[float, ...]]],
) -> None:
    now, told = 1.0, False
    state = FailoverState()
    blamed_until: dict[str, float] = {}
    for wait_s, event, breakers in [(0.0, Began(), (0.0, 0.0, 0.0)), *history]:
        now += wait_s
        candidates = [
            replace(candidate, free_at=now + pause_s if pause_s else 0.0)
            for candidate, pause_s in zip(THREE, breakers, strict=True)
        ]
        before = state
        result: Step = step(state, event, now, candidates, SETTINGS)
        state, effects = result

        assert len([effect for effect in effects if isinstance(effect, Open | End)]) <= 1
        for effect in effects:
            match effect:
                case Blame(provider, _, _, retry_after_s):
                    assert provider == before.provider, "only who runs can fail"
                    blamed_until[provider] = now + retry_after_s
                case Open(provider):
                    assert next(c.free_at for c in candidates if c.name == provider) <= now
                    assert blamed_until.get(provider, 0.0) <= now or isinstance(event, Said)
                case TellWearer():
                    assert not told
                    told = True
                case UntellWearer():
                    assert told
                    told = False
                case LookAgain(after_s):
                    assert after_s > 0
        assert told == state.is_told
        if isinstance(event, Said) and state.provider is not None:
            blamed_until.pop(state.provider, None)
            assert not told
        if state.provider is None:
            assert told, "nobody hears and nobody says so"
            if before.provider is not None or isinstance(event, Looked | Began):
                assert any(isinstance(effect, LookAgain) for effect in effects), "nobody would look again"
