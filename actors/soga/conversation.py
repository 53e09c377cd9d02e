"""The conversation with one wearer: questions, answers, approvals, and what stands on the lens meanwhile.

A pure machine. After every event it settles: what is over goes, and what should be on the lens is worked out
anew from the state alone (`screen.py`), so nothing stale stays there. What it holds on to:

- An approval is bound to its id. The first one stands on the lens, before everything else; the next one
  begins to count when it is readable, so a second press answers nothing that the wearer has not read.
- What is said while one is open is an answer only as a whole (`approvals.py`), only if it began after the
  approval was readable, and not while a question is being put or the glasses themselves are speaking.
- A question is open until a pause or a press, and goes to the assistant once.
- Answers are read one after the other; approvals and questions go before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, assert_never

from msgspec.structs import replace

from protocols.desktop.documents import APPROVAL_S, Approval, SubAgent, Task
from protocols.desktop.lens import cut

from . import screen as screens
from .approvals import APPROVE, DENY, Reply, reply_of
from .events import (
    AgentSeen,
    Answer,
    ApprovalAnswered,
    Ask,
    Connected,
    Effect,
    Event,
    GlassesKnown,
    GlassesSeen,
    HeadMoved,
    Heard,
    Pressed,
    QuestionFailed,
    Show,
    Speak,
    SpeechOver,
    StopSpeaking,
    TaskSeen,
    Tick,
    UseMicrophone,
)
from .settings import SogaSettings
from .state import Conversation, Followed, Listening, Open, Reading, Voice, Window, approval_key
from .words import after_wake, plain

V = TypeVar("V")

QUESTION_CHARACTERS: Final = 4_000
"""The assistant takes no longer ones (desktop.md section 2)."""

NOTICE_S: Final = 2.5
RECENT_S: Final = 30.0
"""A task that ended longer ago was told by whoever was here then."""

SPOKEN_CPS: Final = 12.0
SPOKEN_START_S: Final = 3.0
"""How fast and how late glasses speak at worst, where nothing is heard of its end."""

LATEST_BEGIN_S: Final = 0.5
"""Who presses while already speaking began so much earlier at most."""

HEARD_LATE_S: Final = 0.5
"""A recogniser's first word of an utterance comes so late at most, and seems to begin so late (DESIGN
section 12)."""

EXPIRY_MARGIN_S: Final = 1.0
"""How far the server's clock and the approval's may be apart."""

EXPIRED: Final = "Nobody answered: not allowed."
ELSEWHERE: Final = "Answered elsewhere."

PATIENCE: Final = 3.0
"""A question of the assistant's waits for its answer so many times as long as an ordinary window is open."""

MOST_REMEMBERED: Final = 32
MOST_ANSWERS: Final = 8

_NEVER_MIND: Final = frozenset({"cancel", "forget it", "never mind", "nevermind", "stop"})


def step(
    state: Conversation, event: Event, now: float, settings: SogaSettings
) -> tuple[Conversation, tuple[Effect, ...]]:
    """Take in `event` at `now` (monotonic seconds) and say what is to be done, in order."""
    turn = _Turn(state, now, settings)
    turn.take(event)
    turn.settle()
    return turn.state, tuple(turn.effects)


def deadline(state: Conversation, settings: SogaSettings) -> float | None:
    """When a `Tick` is due, in the seconds of `step`'s `now`; None while only events can change anything."""
    due = [open.expires_at for open in state.approvals]
    if state.listening is not None:
        due.append(_over_at(state.listening, settings))
    if state.answers and state.answers[0].until is not None:
        due.append(state.answers[0].until)
    if state.window is not None:
        due.append(state.window.until)
    if state.voice is not None:
        due.append(state.voice.until)
    if screens.wanted(state) != state.screen:
        due.append(state.shown_at + settings.update_s)
    return min(due, default=None)


class _Turn:
    """One step: the state as it changes, and the effects in their order."""

    def __init__(self, state: Conversation, now: float, settings: SogaSettings) -> None:
        self.state = state
        self.now = now
        self.settings = settings
        self.effects: list[Effect] = []

    def take(self, event: Event) -> None:
        match event:
            case Connected():
                self._change(screen=None, is_listening_needed=None, visible_at=None)
            case GlassesKnown(has_display, has_speaker):
                self._change(has_display=has_display, has_speaker=has_speaker)
            case GlassesSeen(are_here):
                self._change(are_glasses_here=are_here, visible_at=None, nods=())
            case Heard():
                self._heard(event)
            case Pressed(is_long):
                self._pressed(is_long=is_long)
            case HeadMoved(is_up):
                if is_up:
                    self._nodded()
            case TaskSeen(task, age_s):
                self._task_seen(task, age_s)
            case QuestionFailed(cause):
                self._change(asking="")
                self._notice(cause)
            case AgentSeen(agent, expires_at):
                self._agent_seen(agent, expires_at)
            case ApprovalAnswered(key, outcome):
                self._approval_answered(key, outcome)
            case SpeechOver(number):
                if self.state.voice is not None and self.state.voice.number == number:
                    self._fell_silent()
            case Tick():
                pass
            case _:
                assert_never(event)

    # -- what is said -------------------------------------------------------------------------------------

    def _heard(self, heard: Heard) -> None:
        began = self.state.began.get(heard.utterance, self.now - heard.lasted_s)
        self._change(began=_newest({**self.state.began, heard.utterance: began}))
        if self.state.listening is not None:
            self._heard_of_question(self.state.listening, heard, began)
            return
        rest = after_wake(heard.text, self.settings.wake_phrase)
        if rest is not None:
            self._open(Listening(opened_at=self.now, wake=heard.utterance))
            assert self.state.listening is not None
            self._heard_of_question(self.state.listening, heard, began)
        elif self.state.approvals:
            if heard.is_final and self._is_addressed(began - HEARD_LATE_S, self.state.visible_at):
                reply = reply_of(heard.text, self.state.approvals[0].approval)
                if reply is not None:
                    self._reply(reply)
        elif (
            self.state.window is not None
            and plain(heard.text)
            and self._is_addressed(began, self.state.window.opened_at)
        ):
            self._open(Listening(opened_at=began))
            assert self.state.listening is not None
            self._heard_of_question(self.state.listening, heard, began)

    def _is_addressed(self, began: float, since: float | None) -> bool:
        """Whether it was said for what stands there since then, and not by the glasses themselves."""
        if since is None or self.state.voice is not None:
            return False
        return began >= max(since, self.state.quiet_at)

    def _heard_of_question(self, listening: Listening, heard: Heard, began: float) -> None:
        text = heard.text.strip()
        rest = after_wake(text, self.settings.wake_phrase)
        if rest is None and heard.utterance == listening.wake:
            # The recogniser has changed its mind: nobody was called.
            if heard.is_final and not listening.heard:
                self._change(listening=None)
            return
        if heard.utterance != listening.wake and began < listening.opened_at - LATEST_BEGIN_S:
            return
        text = text if rest is None else rest
        heard_at = self.now if plain(text) else listening.heard_at
        if not heard.is_final:
            self._change(listening=replace(listening, interim=text, heard_at=heard_at))
            return
        parts = (*listening.heard, text) if plain(text) else listening.heard
        self._change(listening=replace(listening, heard=parts, interim="", heard_at=heard_at))
        if plain(" ".join(parts)) in _NEVER_MIND:
            self._change(listening=None)
            self._notice("Never mind.")

    # -- questions ----------------------------------------------------------------------------------------

    def _open(self, listening: Listening) -> None:
        self._hush()
        if self.state.answers and self.state.answers[0].until is not None:
            self._read()  # who asks on has read it
        self._change(listening=listening, window=None)

    def _close_question(self) -> None:
        """Put what was heard to the assistant; nothing was a mistake."""
        listening = self.state.listening
        assert listening is not None
        self._change(listening=None)
        question = listening.text[:QUESTION_CHARACTERS].strip()
        if plain(question):
            self._change(asking=question)
            self.effects.append(Ask(question))

    def _task_seen(self, task: Task, age_s: float) -> None:
        if task.source != "voice" or task.task_id in self.state.told:
            return
        known = self.state.tasks.get(task.task_id)
        if task.status == "processing":
            asked_at = self.now if known is None else known.asked_at
            step = "" if known is None else known.step
            followed = Followed(asked_at=asked_at, phase=task.phase, step=step)
            self._change(tasks=_newest({**self.state.tasks, task.task_id: followed}), asking="")
            return
        if known is None and age_s > RECENT_S:
            return
        rest = {task_id: one for task_id, one in self.state.tasks.items() if task_id != task.task_id}
        told = (*self.state.told, task.task_id)[-MOST_REMEMBERED:]
        self._change(tasks=rest, told=told, asking="")
        asked_at = self.now - age_s if known is None else known.asked_at
        self._answer(task, self.now - asked_at)

    def _answer(self, task: Task, took_s: float) -> None:
        result = task.result
        text = cut(result.glasses_display if result is not None else task.error or "")
        if not text:
            text = "That did not work." if task.status == "failed" else "Done."
        is_question = result is not None and result.type == "clarifying_question"
        opens_s = 0.0
        if is_question:
            opens_s = max(self.settings.follow_up_s * PATIENCE, self.settings.listen_s)
        elif took_s <= self.settings.conversation_s and task.status == "completed":
            opens_s = self.settings.follow_up_s
        reading = Reading(
            text=text,
            for_s=max(self.settings.read_least_s, len(text) / self.settings.read_cps),
            opens_s=opens_s,
            is_question=is_question,
            is_spoken=True,
        )
        self._change(answers=(*self.state.answers, reading)[-MOST_ANSWERS:])

    def _notice(self, text: str) -> None:
        notice = Reading(text=cut(text), for_s=NOTICE_S)
        self._change(answers=(*self.state.answers, notice)[-MOST_ANSWERS:])

    def _read(self) -> None:
        """The first answer has been read."""
        self._change(answers=self.state.answers[1:])

    # -- approvals ----------------------------------------------------------------------------------------

    def _agent_seen(self, agent: SubAgent, expires_at: float) -> None:
        followed = self.state.tasks.get(agent.task_id)
        if followed is not None and agent.current_step is not None:
            step = replace(followed, step=agent.current_step)
            self._change(tasks={**self.state.tasks, agent.task_id: step})
        asked = agent.approval if agent.status == "needs_approval" else None
        for open in self.state.approvals:
            is_asked = asked is not None and open.approval.approval_id == asked.approval_id
            if open.agent_id == agent.agent_id and not is_asked:
                self._settled(open.key)
                if not open.is_answered:
                    is_over = self.now >= open.expires_at - EXPIRY_MARGIN_S
                    self._notice(EXPIRED if is_over else ELSEWHERE)
        if asked is not None:
            self._asked(agent, asked, expires_at)

    def _asked(self, agent: SubAgent, asked: Approval, expires_at: float) -> None:
        key = approval_key(agent.agent_id, asked.approval_id)
        if key in self.state.settled or any(open.key == key for open in self.state.approvals):
            return
        if not self.state.approvals:
            self._hush()
            self._put_off()
        expires_at = expires_at if expires_at > 0 else self.now + APPROVAL_S
        open = Open(agent_id=agent.agent_id, task_id=agent.task_id, approval=asked, expires_at=expires_at)
        self._change(approvals=(*self.state.approvals, open))

    def _put_off(self) -> None:
        """What was being read, or asked by the assistant, comes again when the approval has gone."""
        window = self.state.window
        if self.state.answers and self.state.answers[0].until is not None:
            again = replace(self.state.answers[0], until=None, is_spoken=False)
            self._change(answers=(again, *self.state.answers[1:]))
        elif window is not None and window.text:
            opens_s = window.until - window.opened_at
            asked = Reading(text=window.text, for_s=0.0, opens_s=opens_s, is_question=True)
            self._change(answers=(asked, *self.state.answers))
        self._change(window=None)

    def _reply(self, reply: Reply) -> None:
        first = self.state.approvals[0]
        if first.is_answered:
            return
        self._put(replace(first, is_answered=True, note=""))
        self._change(nods=())
        self.effects.append(
            Answer(
                agent_id=first.agent_id,
                approval_id=first.approval.approval_id,
                decision=reply.decision,
                choice=reply.choice,
            )
        )

    def _approval_answered(self, key: str, outcome: str) -> None:
        open = next((one for one in self.state.approvals if one.key == key), None)
        if open is None:
            return
        if outcome == "failed":
            self._put(replace(open, is_answered=False, note="Not sent, say it again"))
            return
        self._settled(key)
        if outcome == "taken":
            self._goes_on(open.task_id)
        else:
            self._notice("Too late: it is not open any more.")

    def _goes_on(self, task_id: str) -> None:
        """The agent works again as soon as it has its answer; the task says so only when its daemon has."""
        followed = self.state.tasks.get(task_id)
        if followed is not None and followed.phase == "needs_approval":
            self._change(tasks={**self.state.tasks, task_id: replace(followed, phase="running")})

    def _put(self, changed: Open) -> None:
        self._change(
            approvals=tuple(changed if one.key == changed.key else one for one in self.state.approvals)
        )

    def _settled(self, key: str) -> None:
        rest = tuple(one for one in self.state.approvals if one.key != key)
        if rest[:1] != self.state.approvals[:1]:
            self._change(visible_at=None, nods=())
        settled = (*self.state.settled, key)[-MOST_REMEMBERED:]
        self._change(approvals=rest, settled=settled)

    def _is_readable(self) -> bool:
        """Whether the first approval has been on the lens for long enough to be allowed without a word."""
        since = self.state.visible_at
        return (
            self.state.has_display
            and since is not None
            and self.now - since >= self.settings.approve_after_s
            and self.state.approvals[0].approval.kind != "question"
        )

    # -- hands and head -----------------------------------------------------------------------------------

    def _pressed(self, *, is_long: bool) -> None:
        state = self.state
        if state.listening is not None:
            if is_long:
                self._change(listening=None)
            else:
                self._close_question()
        elif state.approvals:
            if is_long:
                self._reply(DENY)
            elif self._is_readable():
                self._reply(APPROVE)
        elif is_long:
            self._hush()
            self._change(answers=(), window=None)
        else:
            self._open(Listening(opened_at=self.now))

    def _nodded(self) -> None:
        if not self.state.approvals or self.state.listening is not None or not self._is_readable():
            return
        nods = (*(at for at in self.state.nods if self.now - at <= self.settings.nod_s), self.now)
        self._change(nods=nods)
        if len(nods) >= 2:
            self._reply(APPROVE)

    # -- settling -----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Do what is due, then bring lens, voice and microphone to what they should be."""
        before = None
        while before is not self.state:
            before = self.state
            self._expire()
        self._show()
        needed = self._needs_microphone()
        if needed is not self.state.is_listening_needed:
            self._change(is_listening_needed=needed)
            self.effects.append(UseMicrophone(needed))

    def _expire(self) -> None:
        state, now = self.state, self.now
        if state.voice is not None and now >= state.voice.until:
            self._fell_silent()
        if state.listening is not None and now >= _over_at(state.listening, self.settings):
            self._close_question()
        for open in state.approvals:
            if now >= open.expires_at:
                self._settled(open.key)
                self._notice(EXPIRED)
        if state.window is not None and now >= state.window.until:
            self._change(window=None)
        self._turn_page()

    def _turn_page(self) -> None:
        """The next answer, where nothing goes before it; a window behind the one that has been read."""
        state = self.state
        if not state.answers:
            return
        first = state.answers[0]
        if first.until is None:
            if state.listening is None and not state.approvals:
                self._begin_reading(first)
        elif self.now >= first.until:
            self._read()

    def _begin_reading(self, first: Reading) -> None:
        until = self.now + first.for_s
        self._change(answers=(replace(first, until=until), *self.state.answers[1:]))
        if first.is_spoken:
            self._speak(first.text)
        if first.opens_s:
            said_until = until if self.state.voice is None else max(until, self.state.voice.until)
            text = first.text if first.is_question else ""
            window = Window(opened_at=self.now, until=said_until + first.opens_s, text=text)
            self._change(window=window)

    def _show(self) -> None:
        wanted, shown = screens.wanted(self.state), self.state.screen
        if wanted.approval and self.state.visible_at is None and self.state.are_glasses_here:
            self._change(visible_at=self.now)
            if not self.state.has_display:
                self._speak(wanted.text)
        if wanted == shown:
            return
        is_approval = bool(wanted.approval)
        is_new_approval = is_approval and (shown is None or shown.approval != wanted.approval)
        if not is_new_approval and self.now < self.state.shown_at + self.settings.update_s:
            return
        for_s = self.settings.progress_s if wanted.is_progress else None
        if wanted.until is not None:
            for_s = wanted.until - self.now
        self.effects.append(Show(text=wanted.text, for_s=for_s, is_critical=is_approval))
        self._change(screen=wanted, shown_at=self.now)

    def _needs_microphone(self) -> bool:
        state = self.state
        is_waiting = state.listening is not None or state.window is not None or bool(state.approvals)
        return bool(plain(self.settings.wake_phrase)) or is_waiting

    # -- the speaker --------------------------------------------------------------------------------------

    def _speak(self, text: str) -> None:
        if not self.state.has_speaker:
            return
        number = self.state.spoken + 1
        until = self.now + SPOKEN_START_S + len(text) / SPOKEN_CPS
        self._change(spoken=number, voice=Voice(number, until))
        self.effects.append(Speak(number, text))

    def _hush(self) -> None:
        if self.state.voice is not None:
            self._fell_silent()
            self.effects.append(StopSpeaking())

    def _fell_silent(self) -> None:
        self._change(voice=None, quiet_at=self.now)

    def _change(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)


def _over_at(listening: Listening, settings: SogaSettings) -> float:
    """When the question is over if nothing more is heard."""
    latest = listening.opened_at + settings.question_s
    if listening.heard_at is None:
        return min(latest, listening.opened_at + settings.listen_s)
    wait_s = settings.stale_s if listening.interim else settings.pause_s
    return min(latest, listening.heard_at + wait_s)


def _newest(many: Mapping[str, V]) -> Mapping[str, V]:
    """No more than are worth remembering."""
    return many if len(many) <= MOST_REMEMBERED else dict(list(many.items())[-MOST_REMEMBERED:])
