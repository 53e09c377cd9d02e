"""The conversation under anything in any order: what must never happen, and what must always."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.soga import events
from actors.soga.approvals import is_beyond_once, reply_of
from actors.soga.conversation import deadline, step
from actors.soga.settings import SogaSettings
from actors.soga.state import Conversation, approval_key
from protocols.desktop.documents import Option
from tests.actors.soga.talk import agent, approval, task

COLOURS = (Option(id="r", label="Red"), Option(id="b", label="Blue"))
SAID = (
    "yes",
    "no",
    "go ahead",
    "the second",
    "always",
    "red",
    "hey glasshouse",
    "hey glass house run the tests",
    "what time is it",
    "never mind",
    "yes and always allow it",
    "",
)
APPROVALS = (
    approval("one"),
    approval("two", "rm -r build"),
    approval("three", "Which colour", kind="question", options=COLOURS),
)

heard = st.builds(
    events.Heard,
    text=st.sampled_from(SAID),
    is_final=st.booleans(),
    utterance=st.sampled_from(("a", "b", "c", "d")),
    lasted_s=st.sampled_from((0.0, 0.4, 2.0)),
)
agents = st.builds(
    lambda which, number, left_s: (agent(which, agent_id=f"agent_{number}"), left_s),
    st.sampled_from((None, *APPROVALS)),
    st.sampled_from((1, 2)),
    st.sampled_from((0.0, 3.0, 60.0)),
)
tasks = st.builds(
    lambda number, answer, type: task(f"task_{number}", answer=answer, type=type),
    st.sampled_from((1, 2)),
    st.sampled_from((None, "It is ten.", "Which project?")),
    st.sampled_from(("direct_response", "clarifying_question", "agent_result")),
)
happenings = st.one_of(
    heard,
    agents,
    tasks.map(events.TaskSeen),
    st.builds(events.Pressed, is_long=st.booleans()),
    st.builds(events.HeadMoved, is_up=st.booleans()),
    st.builds(events.GlassesSeen, are_here=st.booleans()),
    st.builds(events.GlassesKnown, has_display=st.booleans(), has_speaker=st.booleans()),
    st.builds(
        events.ApprovalAnswered,
        st.builds(
            approval_key, st.sampled_from(("agent_1", "agent_2")), st.sampled_from(("one", "two", "three"))
        ),
        st.sampled_from(("taken", "stale", "failed")),
    ),
    st.builds(events.SpeechOver, st.integers(1, 3)),
    st.just(events.Connected()),
    st.just(events.QuestionFailed("It does not answer.")),
    st.floats(0.01, 20.0),
)


class Watched:
    """A conversation, and what has to hold after each of its steps."""

    def __init__(self, settings: SogaSettings) -> None:
        self.settings = settings
        self.state = Conversation()
        self.now = 1000.0
        self.in_flight: set[str] = set()

    def happen(self, event: events.Event) -> None:
        before = self.state
        self.state, effects = step(before, event, self.now, self.settings)
        if isinstance(event, events.ApprovalAnswered):
            self.in_flight.discard(event.approval)
        for effect in effects:
            self.judge(before, event, effect)
        due = deadline(self.state, self.settings)
        assert due is None or due > self.now, "it would tick for ever"
        self.judge_state()

    def judge(self, before: Conversation, event: events.Event, effect: events.Effect) -> None:
        match effect:
            case events.Answer(agent_id=agent_id, approval_id=approval_id, decision=decision, choice=choice):
                first = before.approvals[0]
                key = approval_key(agent_id, approval_id)
                assert first.key == key
                assert key not in self.in_flight, "answered twice"
                assert before.listening is None
                beyond = {one.id for one in first.approval.options if is_beyond_once(one)}
                assert choice not in beyond
                if decision != "deny":
                    assert before.visible_at is not None, "nobody could read it"
                if isinstance(event, events.Heard):
                    assert event.is_final
                    assert reply_of(event.text, first.approval) is not None
                else:
                    assert decision == "deny" or self.now - (before.visible_at or 0.0) >= 1.0
                self.in_flight.add(key)
            case events.Ask(question):
                assert any(character.isalnum() for character in question)
            case events.Show(text=text, for_s=for_s):
                assert text.replace("\n", "").isprintable()
                assert for_s is None or for_s > 0
            case events.Speak():
                assert self.state.has_speaker or before.has_speaker

    def judge_state(self) -> None:
        state = self.state
        assert len({open.key for open in state.approvals}) == len(state.approvals)
        assert state.visible_at is None or state.approvals
        if state.approvals and state.are_glasses_here:
            assert state.screen is not None
            assert state.screen.approval == state.approvals[0].key, "it is not on the lens"

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := deadline(self.state, self.settings)) is not None and due <= until:
            self.now = due
            self.happen(events.Tick())
        self.now = until


@settings(max_examples=300, deadline=None)
@given(st.lists(happenings, max_size=40), st.sampled_from(("hey glasshouse", "")))
def test_whatever_happens_nothing_is_allowed_by_accident(
    list_of_happenings: list[object], wake_phrase: str
) -> None:
    watched = Watched(SogaSettings(wake_phrase=wake_phrase))
    for happening in list_of_happenings:
        if isinstance(happening, float):
            watched.wait(happening)
        elif isinstance(happening, tuple):
            seen, left_s = happening
            watched.happen(events.AgentSeen(seen, watched.now + left_s if left_s else 0.0))
        else:
            watched.happen(happening)  # type: ignore[arg-type]
    watched.wait(2_000.0)

    assert not watched.state.approvals, "an approval stays for ever"
    assert not watched.state.answers
    assert watched.state.listening is None
    assert watched.state.window is None
