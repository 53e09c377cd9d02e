"""App catalogue with a short memory, and what is known of the app servers.

The administration commands change the store from another process, and a running server must see a change 200
ms later at most. So an answer is kept for `catalogue_s` (100 ms): long enough that a thousand starts of one
app are one read, short enough to keep the promise. Callers that ask while a read is under way share it.

Every webhook of every session is asked for here first, and its outcome told, so one breaker stands for an
app's server (`breaker.py`). When a server is back (it registered, it answered a probe after it was gone, or
its breaker closed) the app's sessions are told at once, and stand in line for their webhooks (`line.py`): all
of them are out within half a second, however many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from runtime import Actor, Ref, RestartInfo

from ..ports import AppDocument, ProbeOutcome, Store, Telemetry, Webhooks
from . import breaker, line
from .breaker import BreakerEvent, BreakerSettings
from .messages import (
    AskPermit,
    Call,
    CallTaken,
    CatalogueNotRead,
    CatalogueRead,
    DirectoryMessage,
    FindApp,
    HeldBack,
    LineMoves,
    ListApps,
    ListServers,
    Permit,
    PermitUnused,
    Probed,
    ProbeServer,
    ServerCalled,
    ServerRecovered,
    ServerStarted,
    WebhookFailed,
    WebhookWorked,
    app_sessions,
)
from .servers import AppServer, Registration, report, seen
from .settings import DirectorySettings

Question = FindApp | ListApps | ListServers


class DirectoryState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      apps: the catalogue as it was at `read_at`, by package name.
      waiting: who waits for the read that is under way.
      probes: who waits for the probe that is out, by its URL.
      servers: what is known of each app's server, by package name.
    """

    apps: Mapping[str, AppDocument] = {}
    read_at: float = float("-inf")
    waiting: tuple[Question, ...] = ()
    probes: Mapping[str, tuple[ProbeServer, ...]] = {}
    servers: Mapping[str, AppServer] = {}


class Directory(Actor[DirectoryMessage]):
    """One for the server.

    Args:
      probe_timeout_s: the limit for one probe, `lifecycle.probe_timeout_s`.
      built_in: apps that are part of this server; they go before stored ones of their package.
    """

    mailbox_size = 16_384

    def __init__(
        self,
        *,
        store: Store,
        webhooks: Webhooks,
        telemetry: Telemetry,
        settings: DirectorySettings,
        breaker_settings: BreakerSettings,
        probe_timeout_s: float,
        built_in: Sequence[AppDocument] = (),
    ) -> None:
        self.store = store
        self.webhooks = webhooks
        self.telemetry = telemetry
        self.settings = settings
        self.breaker_settings = breaker_settings
        self.probe_timeout_s = probe_timeout_s
        self.built_in = built_in
        self.state = DirectoryState()

    def started(self, restart: RestartInfo | None) -> None:
        if self.state.waiting:
            self._read()
        for url in self.state.probes:
            self._probe(url)
        for package_name, server in self.state.servers.items():
            if server.line.waiting:
                self._move_line(package_name)

    def receive(self, message: DirectoryMessage) -> None:
        match message:
            case FindApp() | ListApps() | ListServers():
                self._asked(message)
            case ProbeServer():
                self._probe_asked(message)
            case Probed(url, outcome):
                self._probed(url, outcome)
            case AskPermit():
                self._permit_asked(message)
            case WebhookWorked(package_name, era):
                self._saw(package_name, is_up=True)
                self._step(package_name, breaker.Succeeded(era))
            case WebhookFailed(package_name, era, cause, is_gone):
                if is_gone:
                    self._saw(package_name, is_up=False)
                self._step(package_name, breaker.Failed(era, cause, is_gone))
            case PermitUnused(package_name, era):
                self._step(package_name, breaker.Withdrawn(era))
            case ServerCalled():
                self._called(message)
            case CatalogueRead(apps):
                waiting = self.state.waiting
                known = {app.package_name: app for app in (*apps, *self.built_in)}
                servers = {
                    package: one
                    for package, one in self.state.servers.items()
                    if package in known or one.line.waiting
                }
                self.state = replace(self.state, apps=known, read_at=self.now, waiting=(), servers=servers)
                for question in waiting:
                    self._answer(question)
            case CatalogueNotRead(error):
                waiting = self.state.waiting
                self.state = replace(self.state, waiting=())
                self.telemetry.warning("catalogue_not_read", cause=str(error))
                for question in waiting:
                    if self.state.read_at > float("-inf"):
                        self._answer(question)  # sessions go on from memory while the store is not well
                    else:
                        question.reply_to.fail(error)
            case LineMoves(package_name):
                self._move_line(package_name)
            case _:
                assert_never(message)

    # -- the catalogue ------------------------------------------------------------------------------------

    def _asked(self, question: Question) -> None:
        if not self.state.waiting and self.now - self.state.read_at <= self.settings.catalogue_s:
            self._answer(question)
            return
        is_first = not self.state.waiting
        self.state = replace(self.state, waiting=(*self.state.waiting, question))
        if is_first:
            self._read()

    def _answer(self, question: Question) -> None:
        match question:
            case FindApp(package_name, reply_to):
                reply_to.tell(self.state.apps.get(package_name))
            case ListApps(reply_to):
                reply_to.tell(tuple(self.state.apps.values()))
            case ListServers(reply_to):
                reports = (
                    report(
                        package,
                        app.public_url,
                        self._server(package),
                        sessions=len(self._sessions(package)),
                        now=self.now,
                    )
                    for package, app in self.state.apps.items()
                )
                reply_to.tell(tuple(reports))

    def _read(self) -> None:
        self.start(self.store.list_apps, then=CatalogueRead, failed=CatalogueNotRead, name="read catalogue")

    # -- whether a server answers -------------------------------------------------------------------------

    def _probe_asked(self, question: ProbeServer) -> None:
        server = self._server(question.package_name)
        if server.silent_at is not None and self.now - server.silent_at < self.settings.silence_s:
            question.reply_to.tell(server.silence)
            return
        is_first = question.url not in self.state.probes
        askers = (*self.state.probes.get(question.url, ()), question)
        self.state = replace(self.state, probes={**self.state.probes, question.url: askers})
        if is_first:
            self._probe(question.url)

    def _probe(self, url: str) -> None:
        self.start(self._ask_server, url, then=lambda outcome: Probed(url, outcome), name="probe")

    async def _ask_server(self, url: str) -> ProbeOutcome:
        return await self.webhooks.probe(url, timeout_s=self.probe_timeout_s)

    def _probed(self, url: str, outcome: ProbeOutcome) -> None:
        is_up = outcome is ProbeOutcome.ANSWERS
        askers = self.state.probes[url]
        rest = {other: waiting for other, waiting in self.state.probes.items() if other != url}
        self.state = replace(self.state, probes=rest)
        for package_name in dict.fromkeys(asker.package_name for asker in askers):
            was_up = self._server(package_name).is_up
            self._saw(package_name, is_up=is_up)
            self._put(
                package_name,
                replace(
                    self._server(package_name),
                    probed_at=self._wall(),
                    silent_at=None if is_up else self.now,
                    silence=outcome,
                ),
            )
            has_closed = self._step(package_name, breaker.Answered() if is_up else breaker.Silent())
            if is_up and was_up is False and not has_closed:
                self._tell_sessions(package_name, ServerRecovered())
        for asker in askers:
            asker.reply_to.tell(outcome)

    def _saw(self, package_name: str, *, is_up: bool) -> None:
        server = self._server(package_name)
        if server.is_up is not is_up:
            if is_up:
                self.telemetry.info("app_server_up", package=package_name)
            else:
                self.telemetry.info("app_server_down", package=package_name)
            self._put(package_name, seen(server, is_up=is_up, wall=self._wall()))

    # -- the breaker --------------------------------------------------------------------------------------

    def _permit_asked(self, question: AskPermit) -> None:
        """Answer at once, unless many ask at the same time: then in turn. A stop webhook never waits."""
        server = self._server(question.package_name)
        if question.may_try:
            joined, is_next = line.join(server.line, question, self.now, self.settings)
            self._put(question.package_name, replace(server, line=joined))
            if not is_next:
                if len(joined.waiting) == 1:
                    self._await_line(question.package_name)
                return
        self._permit(question)

    def _move_line(self, package_name: str) -> None:
        server = self._server(package_name)
        moved, asking = line.move(server.line, self.now, self.settings)
        self._put(package_name, replace(server, line=moved))
        for question in asking:
            self._permit(question)
        if moved.waiting:
            self._await_line(package_name)

    def _await_line(self, package_name: str) -> None:
        self.set_timer(f"line {package_name}", self.settings.lot_s, LineMoves(package_name))

    def _permit(self, question: AskPermit) -> None:
        package_name = question.package_name
        machine, effects = self._stepped(package_name, breaker.Asked(question.may_try))
        for effect in effects:
            match effect:
                case breaker.Allow(era):
                    question.reply_to.tell(Permit(era))
                case breaker.Refuse(retry_after_s):
                    self.telemetry.count("webhook_held_back")
                    question.reply_to.tell(HeldBack(retry_after_s, machine.cause, machine.is_gone))

    def _step(self, package_name: str, event: BreakerEvent) -> bool:
        """Step the breaker of an app's server; whether it has just closed, and the sessions are told."""
        machine, effects = self._stepped(package_name, event)
        has_closed = False
        for effect in effects:
            match effect:
                case breaker.Opened(pause_s):
                    self.telemetry.warning(
                        "app_server_failing",
                        package=package_name,
                        failures=machine.failures,
                        cause=machine.cause,
                        pause_s=round(pause_s, 3),
                    )
                case breaker.Closed():
                    self.telemetry.info("app_server_recovered", package=package_name)
                    self._tell_sessions(package_name, ServerRecovered())
                    has_closed = True
        return has_closed

    def _stepped(
        self, package_name: str, event: BreakerEvent
    ) -> tuple[breaker.BreakerState, tuple[breaker.BreakerEffect, ...]]:
        server = self._server(package_name)
        chance = self.system.random.random()
        machine, effects = breaker.step(server.breaker, event, self.now, self.breaker_settings, chance=chance)
        if machine is not server.breaker:
            self._put(package_name, replace(server, breaker=machine))
        return machine, effects

    # -- what a server says of itself ---------------------------------------------------------------------

    def _called(self, call: ServerCalled) -> None:
        package_name = call.package_name
        sessions = self._sessions(package_name)
        self._saw(package_name, is_up=True)
        server = replace(self._server(package_name), silent_at=None)
        if call.call is Call.HEARTBEAT:
            self._put(package_name, replace(server, heartbeat_at=self._wall()))
            self._step(package_name, breaker.Answered())
            told = 0
        else:
            known = server.registration
            registration = Registration(
                id=self.system.ids.next("registration"),
                at=self._wall(),
                webhook_url=call.webhook_url or ("" if known is None else known.webhook_url),
                server_urls=call.server_urls or (() if known is None else known.server_urls),
            )
            self._put(package_name, replace(server, registration=registration))
            self._stepped(package_name, breaker.Registered())
            self._tell_sessions(package_name, ServerStarted())
            told = len(sessions)
            self.telemetry.info(
                "app_server_registered", package=package_name, call=call.call.value, sessions=told
            )
        registered = self._server(package_name).registration
        call.reply_to.tell(CallTaken(None if registered is None else registered.id, told))

    # -- telling the sessions -----------------------------------------------------------------------------

    def _tell_sessions(self, package_name: str, news: ServerStarted | ServerRecovered) -> None:
        for session in self._sessions(package_name):
            session.tell(news)

    def _sessions(self, package_name: str) -> tuple[Ref[Any], ...]:
        return self.system.registry.members(app_sessions(package_name))

    # -- the state ----------------------------------------------------------------------------------------

    def _server(self, package_name: str) -> AppServer:
        known: AppServer | None = self.state.servers.get(package_name)
        return _UNKNOWN if known is None else known

    def _put(self, package_name: str, server: AppServer) -> None:
        self.state = replace(self.state, servers={**self.state.servers, package_name: server})

    def _wall(self) -> float:
        return self.system.clock.wall()


_UNKNOWN = AppServer()
