"""The codes by which daemons log in, everybody's. They wait in memory: a new server knows none of them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from runtime import Actor, ReplyTo

from ..ports import Telemetry
from . import login
from .login import Begun, Limited, LoginsState, PollOutcome, Shown, ShowOutcome
from .settings import DesktopSettings


class BeginLogin(msgspec.Struct, frozen=True):
    """Have a code wait. Both codes are the caller's, who knows where secrets come from."""

    device_hash: str
    user_code: str
    name: str
    reply_to: ReplyTo[Begun | Limited]


class ShowLogin(msgspec.Struct, frozen=True):
    """What waits under a code?"""

    user_id: str
    user_code: str
    reply_to: ReplyTo[ShowOutcome]


class AnswerLogin(msgspec.Struct, frozen=True):
    """A user allows a daemon, or does not."""

    user_id: str
    user_code: str
    is_allowed: bool
    reply_to: ReplyTo[ShowOutcome]


class PollLogin(msgspec.Struct, frozen=True):
    """A daemon asks whether it may."""

    device_hash: str
    reply_to: ReplyTo[PollOutcome]


class GiveLoginBack(msgspec.Struct, frozen=True):
    """What was granted could not be kept; the next poll is to have it."""

    device_hash: str


LoginsMessage = BeginLogin | ShowLogin | AnswerLogin | PollLogin | GiveLoginBack


def begin_login(
    device_hash: str, user_code: str, name: str
) -> Callable[[ReplyTo[Begun | Limited]], BeginLogin]:
    """What an ask for a code is made with."""
    return lambda reply_to: BeginLogin(device_hash, user_code, name, reply_to)


def show_login(user_id: str, user_code: str) -> Callable[[ReplyTo[ShowOutcome]], ShowLogin]:
    """What an ask about a code is made with."""
    return lambda reply_to: ShowLogin(user_id, user_code, reply_to)


def answer_login(
    user_id: str, user_code: str, *, is_allowed: bool
) -> Callable[[ReplyTo[ShowOutcome]], AnswerLogin]:
    """What an ask to allow a code, or not, is made with."""
    return lambda reply_to: AnswerLogin(user_id, user_code, is_allowed, reply_to)


def poll_login(device_hash: str) -> Callable[[ReplyTo[PollOutcome]], PollLogin]:
    """What a daemon's ask is made with."""
    return lambda reply_to: PollLogin(device_hash, reply_to)


class Logins(Actor[LoginsMessage]):
    """Its state is `LoginsState`, kept across crashes."""

    def __init__(self, *, settings: DesktopSettings, telemetry: Telemetry) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.state = LoginsState()

    def receive(self, message: LoginsMessage) -> None:
        match message:
            case BeginLogin(device_hash, user_code, name, reply_to):
                self.state, begun = login.begun(
                    self.state, device_hash, user_code, name, self.now, self.settings
                )
                if isinstance(begun, Limited):
                    self.telemetry.warning("daemon_logins_limited", waiting=len(self.state.logins))
                reply_to.tell(begun)
            case ShowLogin(user_id, user_code, reply_to):
                self.state, shown = login.shown(self.state, user_id, user_code, self.now, self.settings)
                self._told(user_id, shown)
                reply_to.tell(shown)
            case AnswerLogin(user_id, user_code, is_allowed, reply_to):
                self.state, shown = login.answered(
                    self.state, user_id, user_code, self.now, self.settings, is_allowed=is_allowed
                )
                self._told(user_id, shown)
                reply_to.tell(shown)
            case PollLogin(device_hash, reply_to):
                self.state, polled = login.polled(self.state, device_hash, self.now, self.settings)
                reply_to.tell(polled)
            case GiveLoginBack(device_hash):
                self.state = login.given_back(self.state, device_hash)

    def _told(self, user_id: str, outcome: ShowOutcome) -> None:
        if not isinstance(outcome, Shown):
            self.telemetry.warning("daemon_code_unknown", user=user_id, limited=isinstance(outcome, Limited))
