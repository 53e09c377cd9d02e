"""What a user's session begins with: nothing, its stored running list, or what the process before left."""

from __future__ import annotations

import msgspec

from protocols.streams import Subscription

from ..apps.lifecycle import LifecycleState
from ..display.arbitration import DisplayState
from ..ports import AppDocument
from .state import SessionState


class ResumedApp(msgspec.Struct, frozen=True):
    """An app that the session begins with."""

    app: AppDocument
    lifecycle: LifecycleState
    subscriptions: tuple[Subscription, ...] = ()
    is_stored: bool = True


class Beginning(msgspec.Struct, frozen=True):
    """What a user's subtree begins with.

    Attributes:
      session: without its apps, which have no actors yet.
    """

    session: SessionState
    apps: tuple[ResumedApp, ...] = ()
    display: DisplayState = DisplayState()
