"""An app session and its app server: webhooks, the directory's word on them, new processes of the server."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import msgspec

from protocols import webhooks
from runtime import Actor, fault_point

from ..built_in import is_built_in
from ..directory import HeldBack, Permit, PermitUnused, WebhookFailed, WebhookWorked, ask_permit
from ..ports import AppDocument, CloseInfo, Connection, WebhookAnswer
from . import lifecycle
from .lifecycle_events import Event
from .messages import (
    AppMessage,
    DoubtTick,
    Posted,
    PostToServer,
    StopWebhookOver,
    WebhookAnswered,
    WebhookBroke,
    WebhookPermitted,
)
from .state import AppState

if TYPE_CHECKING:
    from ..domain import Domain


class ServerSide(Actor[AppMessage]):
    """What an app session does towards its app's server.

    No webhook goes out without a permit of the directory, which knows how the server treats the other
    sessions; a directory that cannot answer holds nothing back.
    """

    state: AppState
    app: AppDocument
    user_id: str
    session_id: str
    domain: Domain
    settings: lifecycle.LifecycleSettings

    @abc.abstractmethod
    def _step(self, event: Event) -> None: ...
    @abc.abstractmethod
    def _hung_up(self, connection: Connection, info: CloseInfo) -> None: ...
    @abc.abstractmethod
    def _stamp(self) -> str: ...

    # -- webhooks -----------------------------------------------------------------------------------------

    def _post_webhook(self, attempt: int) -> None:
        body = webhooks.session_request(
            session_id=self.session_id,
            user_id=self.user_id,
            timestamp=self._stamp(),
            websocket_url=self.domain.urls.websocket(self.app),
        )
        self._ask_permit(attempt, body)

    def _post_stop_webhook(self, reason: str) -> None:
        body = webhooks.stop_request(
            session_id=self.session_id, user_id=self.user_id, reason=reason, timestamp=self._stamp()
        )
        self._ask_permit(None, body)

    def _ask_permit(self, attempt: int | None, body: bytes) -> None:
        self.state = msgspec.structs.replace(self.state, asked=(attempt, body))
        self.ask(
            self.domain.directory,
            ask_permit(self.app.package_name, may_try=attempt is not None),
            then=lambda answer: WebhookPermitted(attempt, body, answer),
            failed=lambda _: WebhookPermitted(attempt, body, None),
        )

    def _permitted(self, word: WebhookPermitted) -> None:
        answer, attempt = word.answer, word.attempt
        self.state = msgspec.structs.replace(self.state, asked=None)
        if attempt is None:
            self._stop_permitted(word.body, answer)
        elif isinstance(answer, HeldBack):
            event = lifecycle.WebhookHeldBack(
                attempt, answer.retry_after_s, answer.cause, is_gone=answer.is_gone
            )
            self._step(event)
        elif attempt != self.state.lifecycle.awaited:
            if isinstance(answer, Permit):
                self.domain.directory.tell(PermitUnused(self.app.package_name, answer.era))
            self._step(lifecycle.WebhookHeldBack(attempt, 0.0, "nobody waits for it any more"))
        else:
            era = answer.era if isinstance(answer, Permit) else None
            self.state = msgspec.structs.replace(self.state, era=era)
            self.start(
                self._post,
                word.body,
                self.settings.webhook_timeout_s,
                then=lambda posted: WebhookAnswered(attempt, posted),
                failed=lambda error: WebhookBroke(attempt, error),
                name="webhook",
            )

    def _stop_permitted(self, body: bytes, answer: Permit | HeldBack | None) -> None:
        """Its outcome is not told: it is given 2 s only, and an app's cleanup may take longer."""
        if isinstance(answer, HeldBack):
            cause = f"held back, its server is failing: {answer.cause}"
            self.domain.ports.telemetry.info(
                "stop_webhook_not_sent", package=self.app.package_name, cause=cause
            )
            self._step(lifecycle.StopWebhookDone())
            return
        self.start(
            self._post,
            body,
            self.settings.stopping_s,
            then=lambda _: StopWebhookOver(),
            failed=lambda error: StopWebhookOver(str(error)),
            name="stop webhook",
        )

    async def _post(self, body: bytes, timeout_s: float) -> WebhookAnswer:
        url = webhooks.url(self.app.public_url, "/webhook")
        fault_point("webhook: before the post")
        answer = await self.domain.ports.webhooks.post(url, body, timeout_s=timeout_s)
        fault_point("webhook: answered, and nobody knows")
        return answer

    # -- what is only told --------------------------------------------------------------------------------

    def _post_to_server(self, message: PostToServer) -> None:
        """It needs no permit: whether it arrives decides nothing. A built-in app has its socket only."""
        if is_built_in(self.app):
            return
        path = message.path
        self.start(
            self._tell_server,
            message,
            then=lambda answer: Posted(
                path, None if answer.status < 400 else f"answered with {answer.status}"
            ),
            failed=lambda error: Posted(path, str(error)),
            name=f"post {path}",
        )

    async def _tell_server(self, message: PostToServer) -> WebhookAnswer:
        url = webhooks.url(self.app.public_url, message.path)
        return await self.domain.ports.webhooks.post(
            url, message.body, timeout_s=self.settings.webhook_timeout_s
        )

    # -- what the directory is told -----------------------------------------------------------------------

    def _report_answer(self, status: int) -> None:
        if status < 500:
            self._report_success()
        elif self.state.era is not None:
            cause = f"the webhook was answered with {status}"
            self._report(WebhookFailed(self.app.package_name, self.state.era, cause, is_gone=False))

    def _report_failure(self, kind: str, cause: str) -> None:
        if self.state.era is None:
            return
        if kind in ("fault", "busy"):  # ours, not the app server's
            self._report(PermitUnused(self.app.package_name, self.state.era))
        else:
            is_gone = kind in lifecycle.UNREACHED
            self._report(WebhookFailed(self.app.package_name, self.state.era, cause, is_gone=is_gone))

    def _report_success(self) -> None:
        """The app's socket counts too: the SDK answers its webhook only after the app's whole onSession."""
        if self.state.era is not None:
            self._report(WebhookWorked(self.app.package_name, self.state.era))

    def _report_end(self, cause: str | None) -> None:
        """The app session is over with its webhook unanswered: of one given up for that, it was the cause."""
        if self.state.era is None:
            return
        if cause is None:
            self._report(PermitUnused(self.app.package_name, self.state.era))
        else:
            self._report(WebhookFailed(self.app.package_name, self.state.era, cause, is_gone=False))

    def _report(self, outcome: WebhookWorked | WebhookFailed | PermitUnused) -> None:
        self.state = msgspec.structs.replace(self.state, era=None)
        self.domain.directory.tell(outcome)

    # -- a new process of the app server ------------------------------------------------------------------

    def _server_started(self) -> None:
        """Bring the app back; where it seems to be connected, find out whether that is the old process.

        An app server may run as several processes, so a socket that answers is left alone.
        """
        connection = self.state.connection
        self._step(lifecycle.ServerRegistered())
        if connection is not None and connection is self.state.connection:
            self.perform(connection.ping)
            self._doubt(DoubtTick(connection, self.now))

    def _doubt(self, doubted: DoubtTick) -> None:
        self.state = msgspec.structs.replace(self.state, doubted=doubted)
        due = doubted.asked_at + self.settings.doubt_s
        self.set_timer("doubt", max(0.0, due - self.now), doubted)

    def _doubt_over(self, doubted: DoubtTick) -> None:
        connection = doubted.connection
        # Without pongs so far its silence proves nothing: a proxy may eat them (protocol.md 4.8).
        health = connection.health
        is_silent = health.has_shown_pongs and health.last_activity_at < doubted.asked_at
        if connection is self.state.connection and is_silent:
            cause = "no answer after its app server started anew"
            self.perform(connection.abort)
            self._hung_up(connection, CloseInfo(code=1006, reason=cause, by_us=True))
        self.state = msgspec.structs.replace(self.state, doubted=None)

    def _doubt_confirmed(self, connection: Connection) -> None:
        """A doubted connection has ended: the process that registered will not dial, it never knew of it."""
        doubted = self.state.doubted
        if doubted is not None and doubted.connection is connection:
            self.state = msgspec.structs.replace(self.state, doubted=None)
            self._step(lifecycle.ServerRegistered())
