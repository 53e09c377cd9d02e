"""One app session: the app's lifecycle, its connection, and what passes over it.

What happens next is decided by `lifecycle.py`; this actor performs its effects: webhooks, probes, acks,
closes. The connection belongs to the engine: it survives a crash of this actor, and so does the lifecycle's
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from protocols import close_codes, from_app, system_settings, timestamps, to_app, webhooks
from protocols.error_codes import ErrorCode
from protocols.session_ids import app_session_id
from runtime import Ref, RestartInfo, StopReason

from .. import liveness
from ..allowance import app_allowance
from ..connection_facts import connection_facts
from ..directory import ProbeServer, ServerRecovered, ServerStarted, app_sessions
from ..display import arbitration as display
from ..display.messages import TracedRequest
from ..display.size import too_large
from ..neighbours import NeighbourBack
from ..ports import AppDocument, CloseInfo, Connection, ProbeOutcome, WebhookError
from ..session.messages import (
    AppAsked,
    AppPhaseChanged,
    AppStartFailed,
    PlayRequested,
    StopPlaying,
    SubscriptionsRequested,
)
from ..tracing import ANSWER_S, Mark
from . import lifecycle, refusals, resumption
from .explaining import Explaining, is_audio
from .handler import AppSocketHandler
from .lifecycle import Phase
from .lifecycle_events import Effect, Event
from .messages import (
    AppBabbled,
    AppFlooded,
    AppHungUp,
    AppMessage,
    AppSaid,
    AudioTick,
    AwaitApp,
    Begin,
    ComplaintsTick,
    Deliver,
    Dialled,
    DoubtTick,
    EndSession,
    GlassesKnown,
    LifecycleTick,
    LivenessTick,
    Pending,
    PhonePresence,
    Posted,
    PostToServer,
    Report,
    ServerProbed,
    SettingsKnown,
    StopAnnounced,
    StopWebhookOver,
    WebhookAnswered,
    WebhookBroke,
    WebhookPermitted,
)
from .state import AppState

if TYPE_CHECKING:
    from ..display.messages import DisplayMessage
    from ..domain import Domain
    from ..session.beginning import AppSocket
    from ..session.messages import SessionMessage


class AppSession(Explaining):
    """One per app and user.

    Args:
      beginning: where its life begins: STOPPED, until a start is asked for; DORMANT, brought back by the
        stored running list as soon as the phone is there and the app's server answers, however long that
        takes; or where the process before left it.
      socket: its open connection, where that came along from the process before.
    """

    mailbox_size = 4096
    transient = ("told",)

    def __init__(
        self,
        *,
        user_id: str,
        app: AppDocument,
        beginning: lifecycle.LifecycleState,
        session: Ref[SessionMessage],
        display: Ref[DisplayMessage],
        domain: Domain,
        socket: AppSocket | None = None,
    ) -> None:
        self.user_id = user_id
        self.app = app
        self.session = session
        self.display = display
        self.domain = domain
        self.settings = domain.settings.lifecycle
        self.telemetry = domain.ports.telemetry
        self.tracer = domain.ports.tracer
        self.told: Mark | None = None
        self.session_id = app_session_id(user_id, app.package_name)
        self.state = AppState(beginning)
        if socket is not None:
            self.state = AppState(
                beginning,
                socket.connection,
                socket.liveness,
                {socket.connection.id: Dialled(socket.connection, Pending())},
                complaints=socket.complaints,
                takes_audio=socket.takes_audio,
                audio_dropped=socket.audio_dropped,
            )

    def facts(self) -> Mapping[str, object]:
        phase = self.state.lifecycle.phase.value
        facts = connection_facts(self.state.connection, self.now)
        return {"phase": phase, "errors": dict(self.state.errors), **facts}

    def started(self, restart: RestartInfo | None) -> None:
        self.join(app_sessions(self.app.package_name))
        connection = self.state.connection
        if restart is not None:
            self._recover(is_clean=not restart.state_kept)
        elif connection is not None and not connection.is_open:
            # It broke on its way from another process.
            self._hung_up(connection, CloseInfo(code=1006))
        elif connection is not None:
            self._take_over(self.state.dialled[connection.id])
        self._arm()
        self._arm_complaints()
        self._look_after()
        if self.state.doubted is not None:
            self._doubt(self.state.doubted)

    def _recover(self, *, is_clean: bool) -> None:
        """Find what the crash has lost: a message, what was asked for, or the end itself."""
        connection, machine = self.state.connection, self.state.lifecycle
        if connection is not None and not connection.is_open:
            # Its end was the message that the crash lost, or is still to come and then changes nothing.
            self._hung_up(connection, CloseInfo(code=1006))
        if self.state.asked is not None:
            self._ask_permit(*self.state.asked)
        if machine.probe_until is not None:
            self._step(lifecycle.ServerProbed(ProbeOutcome.UNKNOWN))
        self._report_state()
        self.session.tell(NeighbourBack(self.ref, is_clean))

    def _report_state(self) -> None:
        package, connection, handler = self.app.package_name, self.state.connection, self.state.handler
        phase = self.state.lifecycle.phase
        if phase is not Phase.STOPPED:  # not begun yet: the session knows better
            self.session.tell(AppPhaseChanged(package, phase, connection))
        if connection is not None and handler is not None and handler.requested is not None:
            self.session.tell(SubscriptionsRequested(package, handler.requested))

    def stopping(self, reason: StopReason) -> None:
        # A socket that is still there belongs to an app that did not stop: it is to come back (protocol.md
        # 10.17).
        if self.state.connection is not None and self.state.lifecycle.phase is Phase.RUNNING:
            close = close_codes.SERVER_RESTARTING
            self.perform(self.state.connection.close, close.code, close.reason)

    def receive(self, message: AppMessage) -> None:
        match message:
            case Deliver(outgoing, mark):
                if self.state.connection is not None:
                    self.perform(self.state.connection.send, outgoing)
                    if mark is not None and self.tracer is not None:
                        self.told = self.tracer.passed(
                            mark, "to app", self.now, package=self.app.package_name
                        )
            case AppSaid(connection, said):
                self._heard(connection, said)
            case AppBabbled(connection, cause):
                self._complain("app_message_malformed", connection, ErrorCode.MALFORMED_MESSAGE, cause)
            case AppFlooded():
                self._slow_down(message)
            case ComplaintsTick():
                self._tell_held()
            case Begin():
                self._begin()
            case Report():
                self._report_state()
            case AwaitApp():
                machine = resumption.awaited(self.now, self.settings)
                self.state = msgspec.structs.replace(self.state, lifecycle=machine)
                self._report_state()
                self._arm()
            case Dialled(connection):
                dialled = {**self.state.dialled, connection.id: message}
                self.state = msgspec.structs.replace(self.state, dialled=dialled)
                self._step(lifecycle.SocketArrived(connection.id))
            case AppHungUp(connection, info):
                self._hung_up(connection, info)
            case EndSession(reason):
                self._step(lifecycle.StopRequested(reason))
            case StopAnnounced():
                self._part()
            case PhonePresence(is_present):
                self._step(lifecycle.PhoneReturned() if is_present else lifecycle.PhoneLost())
                if is_present:
                    self._watch_over(liveness.Doubted())
            case GlassesKnown():
                self.state = msgspec.structs.replace(self.state, glasses=message)
            case SettingsKnown():
                self._take_settings(message)
            case PostToServer():
                self._post_to_server(message)
            case Posted(path, cause):
                if cause is not None:
                    package = self.app.package_name
                    self.telemetry.warning("app_server_not_told", package=package, path=path, cause=cause)
            case WebhookAnswered(attempt, answer):
                self._report_answer(answer.status)
                self._step(lifecycle.WebhookAnswered(attempt, answer.status))
            case WebhookBroke(attempt, error):
                kind = error.kind if isinstance(error, WebhookError) else "fault"
                self._note_error(f"webhook {kind}")
                self._report_failure(kind, str(error))
                self._step(lifecycle.WebhookFailed(attempt, kind, str(error)))
            case WebhookPermitted():
                self._permitted(message)
            case StopWebhookOver(cause):
                if cause is not None:
                    self.telemetry.warning("stop_webhook_failed", package=self.app.package_name, cause=cause)
                self._step(lifecycle.StopWebhookDone())
            case ServerProbed(outcome):
                self._step(lifecycle.ServerProbed(outcome))
            case ServerStarted():
                self._server_started()
            case ServerRecovered():
                self._step(lifecycle.ServerRecovered())
            case DoubtTick():
                self._doubt_over(message)
            case LifecycleTick():
                self._step(lifecycle.Tick())
            case LivenessTick():
                self._look_after()
            case AudioTick():
                self._look_at_audio()

    def _begin(self) -> None:
        machine = self.state.lifecycle
        if machine.phase is not Phase.DORMANT:
            self._step(lifecycle.StartRequested())
        elif machine.is_phone_here:
            self._step(lifecycle.PhoneReturned())

    def _take_settings(self, known: SettingsKnown) -> None:
        """Tell the app what has changed, over both of the ways that its SDK listens to (protocol.md 9.3)."""
        before, connection = self.state.settings, self.state.connection
        self.state = msgspec.structs.replace(self.state, settings=known)
        if before is None or connection is None:
            return
        stamp = self._stamp()
        if known.own != before.own:
            update = to_app.SettingsUpdate(
                package_name=self.app.package_name,
                session_id=self.session_id,
                settings=known.own,
                timestamp=stamp,
            )
            self._say(connection, update)
            self._post_to_server(PostToServer("/settings", webhooks.settings_change(self.user_id, known.own)))
        if known != before:
            # After the app's own too: the SDK (2.1.29) takes those for the system's, and forgets these.
            system = to_app.AugmentosSettingsUpdate(
                session_id=self.session_id, settings=known.system, timestamp=stamp
            )
            self._say(connection, system)

    # -- what the app says --------------------------------------------------------------------------------

    def _heard(self, connection: Connection, message: from_app.AppMessage) -> None:
        if isinstance(message, from_app.OwnershipRelease):
            # Honoured for the socket it came on, current or not (protocol.md 10.19).
            self._step(lifecycle.OwnershipReleased(connection.id, message.reason or ""))
            return
        if connection is not self.state.connection:
            return
        package = self.app.package_name
        match message:
            case from_app.SubscriptionUpdate(subscriptions=requested):
                self.state = msgspec.structs.replace(self.state, takes_audio=any(map(is_audio, requested)))
                self._look_at_audio()
                self.session.tell(SubscriptionsRequested(package, requested))
            case from_app.DisplayEvent():
                if self._fits(connection, too_large(message.layout, self.domain.settings.limits)):
                    self.display.tell(self._answering(self._display_request(message)))
            case from_app.DashboardContentUpdate(content=content, modes=modes):
                if self._fits(connection, self._line_too_large(content, modes)):
                    self.display.tell(display.DashboardContent(package, content, modes))
            case from_app.DashboardSystemUpdate(section=section, content=content):
                if self._is_dashboard() and self._fits(connection, self._line_too_large(content)):
                    self.display.tell(display.DashboardSection(section, content))
            case from_app.DashboardModeChange(mode=mode):
                if self._is_dashboard():
                    self.display.tell(display.DashboardMode(mode))
            case from_app.AudioPlayRequest():
                self.session.tell(PlayRequested(package, message))
            case from_app.AudioStopRequest(track_id=track_id):
                self.session.tell(StopPlaying(package, track_id))
            case from_app.Ping():
                self._say(connection, to_app.Pong(timestamp=self._stamp()))
            case (
                from_app.PhotoRequest()
                | from_app.RgbLedControl()
                | from_app.LocationPollRequest()
                | from_app.RequestWifiSetup()
                | from_app.RtmpStreamRequest()
                | from_app.RtmpStreamStop()
                | from_app.StreamStatusCheck()
            ):
                self.session.tell(AppAsked(package, message))
            case _:
                refusal = refusals.answer(message, self._stamp())
                if refusal is not None:
                    self.telemetry.info("app_request_refused", package=package, type=type(message).__name__)
                    self._say(connection, refusal)

    def _display_request(self, message: from_app.DisplayEvent) -> display.Requested:
        duration_ms = message.duration_ms
        return display.Requested(
            package=self.app.package_name,
            view=message.view,
            layout=message.layout.copy(),
            duration_ms=None if duration_ms is None else round(duration_ms),
            force=bool(message.force_display),
            is_critical=bool(message.force_display) and self.app.is_system,
        )

    def _answering(self, request: display.Requested) -> display.Requested | TracedRequest:
        """With the mark of what the app was told just before, where that is traced."""
        told, self.told = self.told, None
        if told is None or self.tracer is None or self.now - told.at > ANSWER_S:
            return request
        return TracedRequest(request, self.tracer.passed(told, "app", self.now, package=request.package))

    def _is_dashboard(self) -> bool:
        return self.app.package_name == self.domain.settings.display.dashboard_package

    def _hung_up(self, connection: Connection, info: CloseInfo) -> None:
        dialled = {known: other for known, other in self.state.dialled.items() if known != connection.id}
        self.state = msgspec.structs.replace(self.state, dialled=dialled)
        if connection is self.state.connection:
            self._note_error("socket lost")
            self.telemetry.info(
                "app_socket_lost",
                user=self.user_id,
                package=self.app.package_name,
                code=info.code,
                reason=info.reason,
                was_reset=info.was_reset,
            )
            self.state = msgspec.structs.replace(self.state, connection=None)
        self._step(lifecycle.SocketClosed(connection.id, info.code))
        self._doubt_confirmed(connection)

    # -- the lifecycle and its effects --------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        before = (self.state.lifecycle.phase, self.state.connection)
        machine, effects = lifecycle.step(self.state.lifecycle, event, self.now, self.settings)
        self.state = msgspec.structs.replace(self.state, lifecycle=machine)
        is_stop = isinstance(event, lifecycle.StopRequested) and event.reason != "session_ended"
        is_over = False
        for effect in effects:
            if isinstance(effect, lifecycle.Ended):
                is_over = True
            elif is_stop and isinstance(effect, lifecycle.SendAppStopped | lifecycle.CloseSocket):
                # protocol.md 4.5: the phone's list tells the stop before the app's socket does.
                self.state = msgspec.structs.replace(self.state, parting=(*self.state.parting, effect))
            else:
                self._perform(effect)
        if (machine.phase, self.state.connection) != before:
            self.session.tell(AppPhaseChanged(self.app.package_name, machine.phase, self.state.connection))
        if is_over:
            self._report_end(None)
            self._part()
            self.stop()
        else:
            self._arm()

    def _part(self) -> None:
        parting = self.state.parting
        self.state = msgspec.structs.replace(self.state, parting=())
        for effect in parting:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case lifecycle.PostWebhook(attempt):
                self._post_webhook(attempt)
            case lifecycle.PostStopWebhook(reason):
                self._post_stop_webhook(reason)
            case lifecycle.ProbeServer():
                self.ask(
                    self.domain.directory,
                    lambda reply: ProbeServer(
                        self.app.package_name, webhooks.url(self.app.public_url, "/health"), reply
                    ),
                    then=ServerProbed,
                    failed=lambda _: ServerProbed(ProbeOutcome.UNKNOWN),
                )
            case lifecycle.Adopt(socket_id):
                self._adopt(socket_id)
            case lifecycle.RefuseSocket(socket_id, code, error_code, message):
                connection = self._connection(socket_id)
                if connection is not None:
                    self._say(connection, to_app.error(ErrorCode(error_code), message, self._stamp()))
                    self.perform(connection.close, code, message)
                    self.perform(setattr, self.state.dialled[socket_id].pending, "is_taken", True)
            case lifecycle.CloseSocket(socket_id, code, reason):
                connection = self._connection(socket_id)
                if connection is not None:
                    self.perform(connection.close, code, reason)
            case lifecycle.SendAppStopped(socket_id, reason):
                connection = self._connection(socket_id)
                if connection is not None:
                    self._say(connection, to_app.AppStopped(reason=reason, timestamp=self._stamp()))
            case lifecycle.StartFailed(stage, cause, retry_after_s):
                self._report_end(cause)
                self._note_error(f"start {stage.value}")
                self.session.tell(AppStartFailed(self.app.package_name, stage.value, cause, retry_after_s))
            case _:
                pass  # PhaseChanged is told by `_step`, once and with the connection; Ended ends it there

    def _adopt(self, socket_id: str) -> None:
        """Make a dialled connection the current one: ack, the glasses' state, what came meanwhile."""
        dialled = self.state.dialled[socket_id]
        connection = dialled.connection
        overload = self.domain.overload.state
        self.state = msgspec.structs.replace(
            self.state,
            connection=connection,
            audio_dropped=connection.health.audio_dropped,
            overloads_told=overload.entries - overload.is_on,
        )
        self._report_success()
        stamp = self._stamp()
        glasses, settings = self.state.glasses, self.state.settings
        ack = to_app.connection_ack(
            session_id=self.session_id,
            settings=_NO_SETTINGS if settings is None else settings.own,
            system_settings=_DEFAULT_SYSTEM_SETTINGS if settings is None else settings.system,
            capabilities=glasses.capabilities,
            timestamp=stamp,
        )
        self._say(connection, ack)
        self._say(
            connection, to_app.DeviceStateUpdate(state=glasses.state, full_snapshot=True, timestamp=stamp)
        )
        self._take_over(dialled)
        self._watch_over(liveness.AppOpened())

    def _take_over(self, dialled: Dialled) -> None:
        handler = AppSocketHandler(self.ref, app_allowance(self.domain.settings.limits))
        self.state = msgspec.structs.replace(self.state, handler=handler)
        self.perform(_bind, dialled, handler)

    def _connection(self, socket_id: str) -> Connection | None:
        dialled = self.state.dialled.get(socket_id)
        return None if dialled is None else dialled.connection

    # -- the connection's liveness ------------------------------------------------------------------------

    def _look_after(self) -> None:
        if self.state.connection is not None:
            self._look_at_audio()
            health = self.state.connection.health
            self._watch_over(
                liveness.Tick(
                    last_activity_at=health.last_activity_at,
                    has_shown_pongs=health.has_shown_pongs,
                    missed_pongs=health.missed_pongs,
                )
            )

    def _watch_over(self, event: liveness.LivenessEvent) -> None:
        """Ping the app's socket, and give up one whose peer is gone without a word (within 25 s)."""
        connection = self.state.connection
        if connection is None:
            return
        settings = self.domain.settings.app_liveness
        machine, effects = liveness.step(self.state.liveness, event, self.now, settings)
        self.state = msgspec.structs.replace(self.state, liveness=machine)
        for effect in effects:
            match effect:
                case liveness.SendProtocolPing():
                    self.perform(connection.ping)
                case liveness.CloseLink(_, reason):
                    self.telemetry.info(
                        "app_silent", user=self.user_id, package=self.app.package_name, reason=reason
                    )
                    self.perform(connection.abort)
                    self._hung_up(connection, CloseInfo(code=1006, reason=reason, by_us=True))
                    return
                case _:
                    pass  # an app gets no JSON ping and no ack from this machine; suspicion changes nothing
        due = liveness.deadline(machine, settings)
        if due is not None:
            self.set_timer("liveness", max(0.0, due - self.now), LivenessTick())

    # -- small things -------------------------------------------------------------------------------------

    def _stamp(self) -> str:
        return timestamps.iso(self.system.clock.wall())

    def _arm(self) -> None:
        due = lifecycle.deadline(self.state.lifecycle)
        if due is None:
            self.cancel_timer("lifecycle")
        else:
            self.set_timer("lifecycle", max(0.0, due - self.now), LifecycleTick())


_NO_SETTINGS = msgspec.Raw(b"[]")
_DEFAULT_SYSTEM_SETTINGS = msgspec.Raw(msgspec.json.encode(system_settings.for_apps({})))


def _bind(dialled: Dialled, handler: AppSocketHandler) -> None:
    dialled.connection.bind(handler)
    dialled.pending.is_taken = True
    for payload in dialled.pending:
        handler.text(dialled.connection, payload)
