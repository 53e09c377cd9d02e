"""An agent that goes on with the session of one that has ended: whether it may, and as what."""

from __future__ import annotations

from collections.abc import Sequence

from .ports import AgentOrder


class ResumeError(Exception):
    """It cannot go on. The text says why, for people."""


FORGOTTEN = "this desktop does not know the former agent any more"
STILL_RUNS = "the former agent still runs"
TAKEN = "another agent goes on with it already"
MOVED = "the former agent's directory is another one now"


def must_be_resumable(former: AgentOrder | None, names: Sequence[str], *, can_resume: bool) -> AgentOrder:
    """The former agent's order, where its session can be gone on with.

    Args:
      former: as it was kept; None for one that was not, or was forgotten.
      names: adapters that can run here.
      can_resume: whether its adapter goes on where a run has ended.

    Raises:
      ResumeError: it cannot.
    """
    if former is None:
        raise ResumeError(FORGOTTEN)
    if not can_resume:
        raise ResumeError(f"{former.adapter} cannot go on where it ended")
    if former.adapter not in names:
        raise ResumeError(f"{former.adapter} cannot run on this desktop")
    return former


def first_goal(former: AgentOrder) -> str:
    """What the session began with, however often it was gone on with since."""
    return former.former_goal or former.goal
