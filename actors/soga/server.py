"""The server of the assistant's voice: answers its app's webhooks, and keeps a session per user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from protocols import MalformedMessage, webhooks
from runtime import Actor, ChildSpec, Ref, RestartInfo, Terminated

from ..built_in import WebhookPosted
from ..directory import Call, call_server
from ..ports import WebhookAnswer
from .messages import Dismissed, Registered, ServerMessage, SessionMessage, SessionOver, Summoned
from .session import SogaSession

if TYPE_CHECKING:
    from runtime import SupervisorMessage

    from ..domain import Domain

_DONE = WebhookAnswer(200, b'{"status":"success"}')


class Entry(msgspec.Struct, frozen=True):
    """One user's session.

    Attributes:
      is_over: it is being stopped.
      is_wanted: a webhook has asked for the next one meanwhile.
    """

    session: Ref[SessionMessage]
    is_over: bool = False
    is_wanted: bool = False


class SogaServer(Actor[ServerMessage]):
    """One for the server. Its state, user id to session, survives its crashes.

    A session that is ending is not asked to dial: the webhook waits for its end, and gets a new one.
    """

    mailbox_size = 4096

    def __init__(
        self,
        *,
        domain: Domain,
        sessions: Ref[SupervisorMessage],
        make_session: Callable[[str, Ref[ServerMessage]], SogaSession],
    ) -> None:
        self.domain = domain
        self.sessions = sessions
        self.make_session = make_session
        self.telemetry = domain.ports.telemetry
        self.package_name = domain.settings.soga.package_name
        self.state: Mapping[str, Entry] = {}

    def started(self, restart: RestartInfo | None) -> None:
        if restart is None or not restart.state_kept:
            # As every app server says it (protocol.md 4.7): whoever ran with the one before is started anew.
            self.ask(
                self.domain.directory,
                call_server(self.package_name, Call.REGISTER),
                then=lambda _: Registered(),
                failed=Registered,
            )
        for entry in self.state.values():
            self.watch(entry.session)  # its end may be what the crash lost

    def receive(self, message: ServerMessage) -> None:
        match message:
            case WebhookPosted(body, reply_to):
                reply_to.tell(self._answered(body))
            case SessionOver(user_id):
                entry = self.state.get(user_id)
                if entry is not None and not entry.is_over:
                    self._put(user_id, replace(entry, is_over=True))
                    self.stop_child(entry.session)
            case Registered(error):
                if error is not None:
                    self.telemetry.warning("soga_not_registered", cause=str(error))
            case Terminated(ref):
                self._gone(ref)

    def _answered(self, body: bytes) -> WebhookAnswer:
        try:
            request = webhooks.decode(body)
        except MalformedMessage as error:
            return WebhookAnswer(400, msgspec.json.encode({"status": "error", "message": str(error)}))
        entry = self.state.get(request.user_id)
        if isinstance(request, webhooks.StopRequest):
            if entry is not None and not entry.is_over:
                entry.session.tell(Dismissed())
        elif entry is None:
            self._begin(request.user_id)
        elif entry.is_over:
            self._put(request.user_id, replace(entry, is_wanted=True))
        else:
            entry.session.tell(Summoned())
        return _DONE

    def _begin(self, user_id: str) -> None:
        ref = self.spawn(
            ChildSpec(
                name=user_id,
                factory=lambda: self.make_session(user_id, self.ref),
                restart="transient",
            ),
            under=self.sessions,
        )
        self.watch(ref)
        self._put(user_id, Entry(ref))

    def _gone(self, ref: Ref[object]) -> None:
        for user_id, entry in self.state.items():
            if entry.session is ref:
                self.state = {known: other for known, other in self.state.items() if known != user_id}
                if entry.is_wanted:
                    self._begin(user_id)
                return

    def _put(self, user_id: str, entry: Entry) -> None:
        self.state = {**self.state, user_id: entry}
