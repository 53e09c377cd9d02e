"""What the conversation hears and what it asks for. The machine itself is `conversation.py`."""

from __future__ import annotations

from typing import Literal

import msgspec

from protocols.desktop.documents import Decision, SubAgent, Task

# ---------------------------------------------------------------------------------------------------------
# Events


class Connected(msgspec.Struct, frozen=True, tag=True):
    """The app's connection is acknowledged: what should be on the lens is shown anew."""


class GlassesKnown(msgspec.Struct, frozen=True, tag=True):
    """What the glasses have. Without any known they count as having a display and no speaker."""

    has_display: bool
    has_speaker: bool


class GlassesSeen(msgspec.Struct, frozen=True, tag=True):
    """The wearer's glasses came, with or behind their phone, or went away: nothing is read meanwhile."""

    are_here: bool


class Heard(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a recogniser makes of an utterance.

    Attributes:
      utterance: its id; interims and their final share it.
      lasted_s: from its beginning to what is recognised of it so far.
    """

    text: str
    is_final: bool
    utterance: str
    lasted_s: float = 0.0


class Pressed(msgspec.Struct, frozen=True, tag=True):
    """The button of the glasses."""

    is_long: bool


class HeadMoved(msgspec.Struct, frozen=True, tag=True):
    """The head went up, or came down."""

    is_up: bool


class TaskSeen(msgspec.Struct, frozen=True, tag=True):
    """A task as it stands, whoever asked for it.

    Attributes:
      age_s: since its end; 0 of one that has just ended or has not.
    """

    task: Task
    age_s: float = 0.0


class QuestionFailed(msgspec.Struct, frozen=True, tag=True):
    """The assistant could not be asked. `cause` is plain language that fits the lens."""

    cause: str


class AgentSeen(msgspec.Struct, frozen=True, tag=True):
    """An agent as it stands, whoever it works for.

    Attributes:
      expires_at: of its approval, on the clock of `now`.
    """

    agent: SubAgent
    expires_at: float = 0.0


class ApprovalAnswered(msgspec.Struct, frozen=True, tag=True):
    """What became of an answer; `failed` where nobody knows. `approval` is its key."""

    approval: str
    outcome: Literal["taken", "stale", "unknown", "failed"]


class SpeechOver(msgspec.Struct, frozen=True, tag=True):
    """The glasses have played what they were asked to, or have not."""

    number: int


class Tick(msgspec.Struct, frozen=True, tag=True):
    """`deadline(state)` has come."""


Event = (
    Connected
    | GlassesKnown
    | GlassesSeen
    | Heard
    | Pressed
    | HeadMoved
    | TaskSeen
    | QuestionFailed
    | AgentSeen
    | ApprovalAnswered
    | SpeechOver
    | Tick
)

# ---------------------------------------------------------------------------------------------------------
# Effects


class Show(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Put a text on the lens; the empty one clears it.

    Attributes:
      for_s: None stays until it is replaced.
      is_critical: before all others, and at once (DESIGN section 3).
    """

    text: str
    for_s: float | None = None
    is_critical: bool = False


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Put the question to the wearer's assistant."""

    question: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer an approval."""

    agent_id: str
    approval_id: str
    decision: Decision
    choice: str | None = None


class Speak(msgspec.Struct, frozen=True, tag=True):
    """Say it through the glasses' speaker; `SpeechOver` has the same number."""

    number: int
    text: str


class StopSpeaking(msgspec.Struct, frozen=True, tag=True):
    """Nothing of it is to be heard any more."""


class UseMicrophone(msgspec.Struct, frozen=True, tag=True):
    """Whether anything is listened to from now on."""

    is_needed: bool


Effect = Show | Ask | Answer | Speak | StopSpeaking | UseMicrophone
