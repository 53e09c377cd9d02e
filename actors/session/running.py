"""What runs: apps started and stopped, the list stored before it is announced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from protocols import close_codes
from protocols.error_codes import ErrorCode
from runtime import ChildSpec, Ref

from ..apps.lifecycle import LifecycleState, Phase
from ..apps.messages import AppMessage, Begin, Dialled, EndSession, PhonePresence, StopAnnounced
from ..apps.resumption import awaited
from ..cabinet.messages import EditPreferences
from ..cabinet.preferences import NoteRun
from ..directory import find_app
from ..display import arbitration as display
from ..display.messages import ShowNotice
from ..journal import Commit
from ..ports import AppDocument, Connection, SetRunningApps, retry_after_s
from ..users.roster import EndUser
from . import state as states
from . import wire
from .asking import Asking
from .beginning import ResumedApp
from .core import Asker
from .hardware import missing_hardware
from .messages import (
    AppDialled,
    AppFound,
    AppNotFound,
    AppPhaseChanged,
    AppStartFailed,
    BootAgain,
    MissingOverdue,
    SaveAgain,
    SaveOverdue,
)
from .state import AppEntry

ORPHANS_S = 0.05
"""Sooner than any SDK dials again; later than the end of a session that is being stopped with its apps."""

SAVE_OVERDUE_S = 2.0
"""The journal answers every commit within the store's own patience, unless a crash has lost it."""


class Running(Asking):
    """Keeps the running list, the stored list and the phone's list one truth."""

    def _boot(self) -> None:
        """Start what the stored list names, once the phone is acknowledged and the store has answered."""
        if self.state.acked is None or self.state.acked != self.state.phone or not self.state.to_boot:
            return
        for package_name in self.state.to_boot:
            self._start_app(package_name, ())

    def _start_app(self, package_name: str, askers: tuple[Asker, ...]) -> None:
        entry = self.state.apps.get(package_name)
        if entry is not None and (entry.phase in states.LEAVING or package_name in self.state.stopping):
            waiting = (*self.state.again.get(package_name, ()), *askers)
            self.state = msgspec.structs.replace(
                self.state, again={**self.state.again, package_name: waiting}
            )
            return
        if entry is not None and entry.phase is not Phase.CONNECTING:
            self._announce(is_answer=True)  # protocol.md 13.5: starting what runs is a success
            for asker in askers:
                asker.tell(True)
            return
        is_looked_up = package_name in self.state.starting
        waiting = (*self.state.starting.get(package_name, ()), *askers)
        self.state = msgspec.structs.replace(
            self.state, starting={**self.state.starting, package_name: waiting}
        )
        if not is_looked_up and entry is None:
            self._look_up(package_name)

    def _look_up(self, package_name: str) -> None:
        self.ask(
            self.domain.directory,
            find_app(package_name),
            then=lambda app: AppFound(package_name, app),
            failed=lambda error: AppNotFound(package_name, error),
        )

    def _app_found(self, package_name: str, app: AppDocument | None) -> None:
        if package_name in self.state.apps:
            return  # the answer to an earlier question: a stop came in between, and another start
        if package_name not in self.state.starting or self.state.is_ending:
            self._start_over(package_name, False)
            return
        if app is None:
            self.telemetry.warning(
                "app_start_failed", user=self.user_id, package=package_name, cause="not in the catalogue"
            )
            self._start_over(package_name, None, error=f"App {package_name} is not known")
            return
        missing = missing_hardware(app, self.state.glasses.model_name)
        if missing:
            self.telemetry.warning(
                "app_start_failed", package=package_name, stage="HARDWARE_CHECK", cause=missing
            )
            self._start_over(
                package_name, False, error=f"{app.name} needs {missing}, which these glasses lack"
            )
            return
        is_stored = package_name in (self.state.to_boot or ())
        if app.app_type == "standard":
            other = states.standard_app(self.state)
            if other is not None:
                self._stop_app(other, (), reason="system_stop")
        if is_stored:
            self.near.display.tell(display.AppReturning(package_name))
        else:
            self.near.display.tell(display.AppStarting(package_name, app.name))
        machine = LifecycleState(phase=Phase.DORMANT if is_stored else Phase.STOPPED)
        phase = Phase.DORMANT if is_stored else Phase.CONNECTING
        ref = self._take_in(ResumedApp(app, machine, is_stored=is_stored), phase)
        self._boot_done(package_name)
        self._core_app()
        if self.state.phone is None:
            ref.tell(PhonePresence(is_present=False))
        ref.tell(Begin())

    def _app_not_found(self, package_name: str, error: Exception) -> None:
        """Nobody could say what the app is: one of the stored list is asked for again, and not given up."""
        self.telemetry.error("app_lookup_failed", package=package_name, cause=str(error))
        if package_name in (self.state.to_boot or ()):
            self._start_over(package_name, None)
            self.set_timer("boot", retry_after_s(error), BootAgain())
        else:
            self._start_over(package_name, None, error="The app could not be looked up; try again")

    def _take_in(self, one: ResumedApp, phase: Phase) -> Ref[AppMessage]:
        """Give an app its actor and its entry."""
        package_name = one.app.package_name
        ref = self.spawn(
            ChildSpec(
                name=package_name,
                factory=lambda: self.make_app(
                    user_id=self.user_id,
                    app=one.app,
                    beginning=one.lifecycle,
                    session=self.ref,
                    display=self.near.display,
                    domain=self.domain,
                    socket=one.socket,
                ),
                restart="transient",
            ),
            under=self.near.apps,
        )
        self.watch(ref)
        entry = AppEntry(
            app=one.app,
            ref=ref,
            phase=phase,
            connection=None if one.socket is None else one.socket.connection,
            subscriptions=one.subscriptions,
            is_stored=one.is_stored,
            has_listed=one.has_listed,
            is_farewell_told=one.is_farewell_told,
            is_missed=one.is_missed,
        )
        self.state = states.put_app(self.state, package_name, entry)
        ref.tell(self._glasses_known())
        ref.tell(self._settings_known(one.app))
        return ref

    def _resume_apps(self, resumed: Iterable[ResumedApp]) -> None:
        """Take in the apps that the process before had. Sockets that did not come with them are awaited."""
        for one in resumed:
            self._take_in(one, one.lifecycle.phase)
        self._core_app()
        self._route()

    def _boot_done(self, package_name: str) -> None:
        to_boot = self.state.to_boot
        if to_boot and package_name in to_boot:
            rest = tuple(package for package in to_boot if package != package_name)
            self.state = msgspec.structs.replace(self.state, to_boot=rest)

    def _start_over(self, package_name: str, outcome: bool | None, *, error: str | None = None) -> None:
        """A start is decided: tell who asked."""
        askers = self.state.starting.get(package_name, ())
        rest = {
            package: waiting for package, waiting in self.state.starting.items() if package != package_name
        }
        self.state = msgspec.structs.replace(self.state, starting=rest)
        for asker in askers:
            asker.tell(outcome)
        if error is not None:
            self._boot_done(package_name)
            self._save()
            self._announce(error=error)

    def _app_start_failed(self, failure: AppStartFailed) -> None:
        self.telemetry.warning(
            "app_start_failed", package=failure.package_name, stage=failure.stage, cause=failure.cause
        )
        error = None
        if failure.retry_after_s is not None:
            error = f"{failure.package_name} cannot be started: {failure.cause}"
        self._start_over(failure.package_name, False, error=error)

    def _stop_app(
        self, package_name: str, askers: tuple[Asker, ...], *, reason: str = "user_disabled"
    ) -> None:
        again = self.state.again
        if package_name in again:
            for asker in again[package_name]:
                asker.tell(False)
            rest = {package: waiting for package, waiting in again.items() if package != package_name}
            self.state = msgspec.structs.replace(self.state, again=rest)
        entry = self.state.apps.get(package_name)
        if entry is None:
            self._boot_done(package_name)
            if package_name in self.state.starting:
                self._start_over(package_name, False)
            self._save()
            self._announce(is_answer=True)  # protocol.md 13.5
            for asker in askers:
                asker.tell(True)
            return
        waiting = (*self.state.stopping.get(package_name, ()), *askers)
        self.state = msgspec.structs.replace(
            self.state, stopping={**self.state.stopping, package_name: waiting}
        )
        entry.ref.tell(EndSession(reason))

    def _app_dialled(self, dialled: AppDialled) -> None:
        if not self._has_room(dialled.connection):
            self.telemetry.warning("user_sockets_limited", user=self.user_id, package=dialled.package_name)
            self._turn_away(dialled, ErrorCode.TOO_MANY_SOCKETS, close_codes.TOO_MANY_SOCKETS)
            return
        entry = self.state.apps.get(dialled.package_name)
        if entry is not None:
            entry.ref.tell(Dialled(dialled.connection, dialled.pending))
            return
        if states.may_still_start(self.state, dialled.package_name):
            # After our restart the SDK's retry can be quicker than our look at the stored list (13.14).
            error, close = ErrorCode.SESSION_NOT_READY, close_codes.SESSION_NOT_READY
        else:
            # A late joiner of a start that was given up has no handlers behind it (protocol.md 10.20).
            error, close = ErrorCode.APP_NOT_STARTED, close_codes.APP_NOT_STARTED
        self.telemetry.warning(
            "app_refused", package=dialled.package_name, peer=dialled.connection.peer, cause=close.reason
        )
        self._turn_away(dialled, error, close)

    def _has_room(self, connection: Connection) -> bool:
        """Whether the wearer may have one more socket; if so it is counted until it closes."""
        sockets = tuple(each for each in self.state.sockets if each.is_open)
        phones = 0 if self.state.phone is None else 1
        has_room = len(sockets) + phones < self.domain.settings.limits.sockets_per_user
        sockets = (*sockets, connection) if has_room else sockets
        self.state = msgspec.structs.replace(self.state, sockets=sockets)
        return has_room

    def _turn_away(self, dialled: AppDialled, error: ErrorCode, close: close_codes.Close) -> None:
        self.perform(dialled.connection.send, wire.connection_error(error, close.reason, self._stamp()))
        self.perform(dialled.connection.close, close.code, close.reason)

    def _app_phase_changed(self, change: AppPhaseChanged) -> None:
        entry = self.state.apps.get(change.package_name)
        if entry is None:
            return
        was_running = entry.phase is Phase.RUNNING
        was_stored = entry.is_stored
        is_running = change.phase is Phase.RUNNING
        is_leaving = change.phase in states.LEAVING
        entry = msgspec.structs.replace(
            entry,
            phase=change.phase,
            connection=change.connection,
            has_listed=entry.has_listed and change.connection is entry.connection,
            is_stored=entry.is_stored or is_running,
            subscriptions=() if is_leaving else entry.subscriptions,
            is_missed=entry.is_missed and not is_running,
        )
        self.state = states.put_app(self.state, change.package_name, entry)
        if is_running and not was_running:
            self.telemetry.info("app_running", user=self.user_id, package=change.package_name)
            self._core_app()
            if not was_stored:
                self._note_run(change.package_name)
        if is_leaving:
            self._forget_requests(change.package_name)
            self.near.display.tell(display.AppEnded(change.package_name))
            self._core_app()
        if change.phase in states.MISSING and was_running:
            self.set_timer(
                f"missing {change.package_name}", self.settings.missing_s, MissingOverdue(change.package_name)
            )
        elif change.phase not in states.MISSING:
            self.cancel_timer(f"missing {change.package_name}")
        self._route()
        self._save()

    def _note_run(self, package_name: str) -> None:
        """What the wearer has started is theirs from then on: the app may keep something for them."""
        run = NoteRun(package_name, round(self.system.clock.wall() * 1000))
        self.domain.cabinet.tell(EditPreferences(self.user_id, run))

    def _await_missing(self) -> None:
        """Give every app without a socket a little time, with the wearer there to read of it."""
        for package_name, entry in self.state.apps.items():
            if entry.phase in states.MISSING and not entry.is_missed:
                self.set_timer(
                    f"missing {package_name}", self.settings.missing_s, MissingOverdue(package_name)
                )

    def _tell_missing(self, package_name: str) -> None:
        """The wearer reads that an app does not answer: its silence must not look like a quiet room."""
        entry = self.state.apps.get(package_name)
        if entry is None or entry.phase not in states.MISSING or self.state.acked is None:
            return
        self.state = states.put_app(self.state, package_name, msgspec.structs.replace(entry, is_missed=True))
        self.telemetry.warning("app_missed", user=self.user_id, package=package_name)
        text = f"{entry.app.name} does not answer. It goes on by itself when its server is back."
        self.near.display.tell(ShowNotice(text, self.settings.missing_notice_s))

    def _core_app(self) -> None:
        self.near.display.tell(display.CoreAppChanged(states.standard_app(self.state)))

    def _neighbour_gone(self, ref: Ref[Any]) -> None:
        for language, stream in self.state.streams.items():
            if stream.ref is ref:
                rest = {known: other for known, other in self.state.streams.items() if known != language}
                self.state = msgspec.structs.replace(self.state, streams=rest)
                self._route()
                return
        if self._forget_translation(ref):
            self._route()
            return
        for package_name, entry in self.state.apps.items():
            if entry.ref is ref:
                self._app_gone(package_name)
                return

    def _take_back_orphans(self) -> None:
        """A crash of `apps` or `speech` took its children along: what ran goes on with actors anew.

        An app's SDK dials again, since its socket was closed with 1012, and finds itself awaited.
        """
        for stream in tuple(self.state.streams.values()):
            if not stream.ref.is_alive and self.near.speech.is_alive:
                self._neighbour_gone(stream.ref)
        for translation in tuple(self.state.translations.values()):
            if not translation.is_alive and self.near.speech.is_alive:
                self._neighbour_gone(translation)
        for package_name, entry in tuple(self.state.apps.items()):
            if entry.ref.is_alive or not self.near.apps.is_alive:
                continue
            if not entry.is_stored or entry.phase in states.LEAVING or self.state.is_ending:
                self._app_gone(package_name)
                continue
            machine = awaited(self.now, self.domain.settings.lifecycle)
            ref = self._take_in(ResumedApp(entry.app, machine, entry.subscriptions), machine.phase)
            if self.state.phone is not None:
                ref.tell(PhonePresence(is_present=True))
            self._route()
        self._await_missing()

    def _app_gone(self, package_name: str) -> None:
        self.state = states.without_app(self.state, package_name)
        self._forget_requests(package_name)
        self._start_over(package_name, False)
        self.near.display.tell(display.AppEnded(package_name))
        self._core_app()
        self._route()
        if self.state.is_ending:
            if not self.state.apps:
                self._leave()
            return
        self._save()
        askers = self.state.again.get(package_name)
        if askers is not None:
            rest = {
                package: waiting for package, waiting in self.state.again.items() if package != package_name
            }
            self.state = msgspec.structs.replace(self.state, again=rest)
            self._start_app(package_name, askers)

    def _leave(self) -> None:
        """Nothing is left of the session: have its subtree stopped."""
        self.state = msgspec.structs.replace(self.state, has_left=True)
        self.roster.tell(EndUser(self.user_id))

    # -- the stored list and its announcement -------------------------------------------------------------

    def _save(self, *, again: bool = False) -> None:
        """Store the running list if it changed, then announce; never announce what is not stored."""
        if self.state.is_ending or self.state.to_boot is None:
            return
        wanted = states.stored_list(self.state)
        if wanted == self.state.saved and not again:
            if not self.state.saving:
                self._announce()
            return
        token = self.state.tokens + 1
        self.state = msgspec.structs.replace(self.state, saved=wanted, saving=token, tokens=token)
        self._commit(token, wanted)

    def _commit(self, token: int, wanted: tuple[str, ...]) -> None:
        self.domain.journal.tell(Commit((SetRunningApps(self.user_id, wanted),), token, self.ref))
        self.set_timer("save overdue", SAVE_OVERDUE_S, SaveOverdue(token))

    def _save_overdue(self, token: int) -> None:
        """The same list again, under the same token: whichever is stored first counts."""
        if token == self.state.saving:
            self._commit(token, self.state.saved)

    def _saved(self, token: int) -> None:
        if token == self.state.saving:
            self.state = msgspec.structs.replace(self.state, saving=0)
            self._announce()

    def _not_saved(self, token: int, retry_after_s: float) -> None:
        """Storage is not well: the session goes on from memory, and tries again when asked to."""
        if token == self.state.saving:
            self.state = msgspec.structs.replace(self.state, saving=0)
            self.set_timer("save", retry_after_s, SaveAgain())
            self._announce()

    def _announce(self, *, is_answer: bool = False, error: str | None = None) -> None:
        """Tell the phone the truth about its apps, then everybody who waited for it.

        Args:
          is_answer: somebody asked for it, so it is said even when nothing is new.
        """
        self.cancel_timer("announce")
        truth = wire.user_session(self.state)
        if is_answer or error is not None or truth != self.state.announced:
            self.state = msgspec.structs.replace(self.state, announced=truth)
            self._to_phone(wire.app_state_change(self.state, self._stamp(), error=error))
        if self.state.saving:
            return
        for package_name, entry in self.state.apps.items():
            if entry.phase is Phase.RUNNING and package_name in self.state.starting:
                self._start_over(package_name, True)
            elif entry.phase in states.LEAVING and not entry.is_farewell_told:
                told = msgspec.structs.replace(entry, is_farewell_told=True)
                self.state = states.put_app(self.state, package_name, told)
                entry.ref.tell(StopAnnounced())
        for package_name, askers in self.state.stopping.items():
            leaving = self.state.apps.get(package_name)
            if leaving is None or leaving.phase in states.LEAVING:
                for asker in askers:
                    asker.tell(True)
                rest = {
                    other: waiting for other, waiting in self.state.stopping.items() if other != package_name
                }
                self.state = msgspec.structs.replace(self.state, stopping=rest)
