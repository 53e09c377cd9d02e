"""What the conversation remembers: plain frozen data. Times are the caller's monotonic seconds."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.desktop.documents import Approval, Phase


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """A question that is being put.

    Attributes:
      opened_at: when it was opened; what was being said before does not count.
      wake: the utterance whose wake phrase opened it, of which only what follows the phrase counts.
      heard: what is final of it, utterance by utterance.
      interim: what is not; it replaces itself.
      heard_at: when something of it was last heard; None before anything was.
    """

    opened_at: float
    wake: str | None = None
    heard: tuple[str, ...] = ()
    interim: str = ""
    heard_at: float | None = None

    @property
    def text(self) -> str:
        return " ".join(part for part in (*self.heard, self.interim) if part)


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A task of the wearer's voice that has not ended.

    Attributes:
      asked_at: when it was first heard of.
      step: what its agent is doing; empty where it has none.
    """

    asked_at: float
    phase: Phase | None
    step: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be read.

    Attributes:
      for_s: how long it takes.
      until: the same, once it has begun; None while it waits.
      opens_s: for how long a question may follow it without the wake phrase, once it is read.
      is_spoken: it is said as well.
    """

    text: str
    for_s: float
    until: float | None = None
    opens_s: float = 0.0
    is_question: bool = False
    is_spoken: bool = False


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a question needs no wake phrase.

    Attributes:
      text: what the assistant has asked, as long as it is open; empty after an ordinary answer.
    """

    opened_at: float
    until: float
    text: str = ""


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that waits for the wearer.

    Attributes:
      is_answered: the answer is on its way.
      note: what went wrong with it.
    """

    agent_id: str
    task_id: str
    approval: Approval
    expires_at: float
    is_answered: bool = False
    note: str = ""

    @property
    def key(self) -> str:
        return approval_key(self.agent_id, self.approval.approval_id)


def approval_key(agent_id: str, approval_id: str) -> str:
    """Which approval it is: an agent's own ids may be another agent's too."""
    return f"{agent_id}/{approval_id}"


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What should be on the lens.

    Attributes:
      approval: the key of an approval; empty of everything else.
      until: when it goes by itself; None where that is not known beforehand.
      is_progress: it goes by itself `progress_s` after it was shown.
    """

    text: str = ""
    approval: str = ""
    until: float | None = None
    is_progress: bool = False


class Voice(msgspec.Struct, frozen=True):
    """What the glasses are saying, and until when at the latest."""

    number: int
    until: float


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine.

    Attributes:
      asking: the question on its way to the assistant, whose task is not known yet; empty for none.
      tasks: by task id, the newest last.
      told: ids of tasks whose answer was shown, the newest last.
      answers: what is to be read, the first one now.
      approvals: the first one is on the lens.
      settled: keys of approvals that were answered or have gone, the newest last.
      visible_at: since when the first approval has been readable; None while it is not.
      began: when each of the newest utterances began.
      voice: what the glasses are saying.
      quiet_at: when they last fell silent.
      nods: when the head went up, of the newest nods.
      screen: as it was sent last; None when nobody knows what is on the lens.
      shown_at: when that was.
      is_listening_needed: as the cloud was last told; None before it was told.
    """

    has_display: bool = True
    has_speaker: bool = False
    are_glasses_here: bool = True
    listening: Listening | None = None
    asking: str = ""
    tasks: Mapping[str, Followed] = {}
    told: tuple[str, ...] = ()
    answers: tuple[Reading, ...] = ()
    window: Window | None = None
    approvals: tuple[Open, ...] = ()
    settled: tuple[str, ...] = ()
    visible_at: float | None = None
    began: Mapping[str, float] = {}
    voice: Voice | None = None
    quiet_at: float = float("-inf")
    spoken: int = 0
    nods: tuple[float, ...] = ()
    screen: Screen | None = None
    shown_at: float = float("-inf")
    is_listening_needed: bool | None = None
