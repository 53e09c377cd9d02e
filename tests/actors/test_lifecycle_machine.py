"""The app lifecycle against a world that does anything: sockets, servers, phones and answers in every order.

The world of `Anything` has no sense; it only keeps the promises of ports and actors (each webhook reports at
most once, each socket has one id). `Repaired` is a world of an app server that dies, hangs and returns, which
then is left in peace: an app that has not been given up must run again.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.apps.lifecycle import (
    Adopt,
    AuthenticationFailed,
    CloseSocket,
    Effect,
    Ended,
    Event,
    LifecycleSettings,
    LifecycleState,
    OwnershipReleased,
    Phase,
    PhaseChanged,
    PhoneLost,
    PhoneReturned,
    PostStopWebhook,
    PostWebhook,
    ProbeServer,
    RefuseSocket,
    SendAppStopped,
    ServerProbed,
    ServerRecovered,
    ServerRegistered,
    SocketArrived,
    SocketClosed,
    StartFailed,
    StartRequested,
    StopRequested,
    StopWebhookDone,
    Tick,
    WebhookAnswered,
    WebhookFailed,
    WebhookHeldBack,
    deadline,
    step,
)
from actors.ports import ProbeOutcome

SETTINGS = LifecycleSettings()
KINDS = ("refused", "unreachable", "dns", "tls", "busy", "timeout", "too_slow", "protocol")
REASONS = ("user_disabled", "system_stop", "error", "session_ended")
CODES = (1000, 1001, 1005, 1006, 1008, 1011)


class Checked:
    """A machine whose promises are looked at after every step."""

    def __init__(self) -> None:
        self.state = LifecycleState()
        self.now = 0.0
        self.open_webhooks: dict[int, float] = {}
        self.current: str | None = None
        self.phase = Phase.STOPPED
        self.open_sockets: set[str] = set()

    def hear(self, event: Event) -> tuple[Effect, ...]:
        if isinstance(event, SocketClosed):
            self.open_sockets.discard(event.socket_id)
            if event.socket_id == self.current:
                self.current = None
        if isinstance(event, SocketArrived):
            self.open_sockets.add(event.socket_id)
        if isinstance(event, WebhookAnswered | WebhookFailed | WebhookHeldBack):
            self.open_webhooks.pop(event.attempt, None)
        state, effects = step(self.state, event, self.now, SETTINGS)
        answers = [effect for effect in effects if isinstance(effect, Adopt | RefuseSocket)]
        assert (1 if isinstance(event, SocketArrived) else 0) == len(answers)
        self.state = msgspec.json.decode(msgspec.json.encode(state), type=LifecycleState)
        for index, effect in enumerate(effects):
            self.check(effect, is_last=index == len(effects) - 1)
        due = deadline(self.state)
        assert due is None or due > self.now
        return effects

    def check(self, effect: Effect, *, is_last: bool) -> None:
        match effect:
            case PostWebhook(attempt):
                # A POST that has not reported for 12 s died with the actor: its promise is void.
                self.open_webhooks = {
                    each: at for each, at in self.open_webhooks.items() if self.now < at + 12.0
                }
                assert self.current is None
                assert {} == self.open_webhooks
                assert self.phase in (Phase.CONNECTING, Phase.RESURRECTING)
                self.open_webhooks[attempt] = self.now
            case Adopt(socket_id):
                assert socket_id in self.open_sockets
                self.current = socket_id
            case CloseSocket(socket_id):
                assert socket_id != self.current or self.phase is Phase.STOPPING
                self.current = None if socket_id == self.current else self.current
            case SendAppStopped(socket_id):
                assert socket_id == self.current
            case ProbeServer():
                assert self.phase in (Phase.GRACE, Phase.RESURRECTING)
            case PhaseChanged(phase):
                assert phase is not self.phase
                self.phase = phase
            case Ended():
                assert is_last
                assert self.phase is Phase.STOPPED
            case StartFailed() | RefuseSocket() | PostStopWebhook():
                pass


class Anything(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.life = Checked()
        self.sockets = 0

    @rule(missing=st.sampled_from([None, None, None, "CAMERA"]))
    def start(self, missing: str | None) -> None:
        self.life.hear(StartRequested(missing))

    @rule(reason=st.sampled_from(REASONS))
    def stop(self, reason: str) -> None:
        self.life.hear(StopRequested(reason))

    @rule()
    def stop_webhook_done(self) -> None:
        self.life.hear(StopWebhookDone())

    @rule()
    def dial(self) -> None:
        self.sockets += 1
        self.life.hear(SocketArrived(f"s{self.sockets}"))

    @precondition(lambda self: self.life.current)
    @rule()
    def init_again(self) -> None:
        self.life.hear(SocketArrived(self.life.current or ""))

    @precondition(lambda self: self.life.open_sockets)
    @rule(data=st.data(), code=st.sampled_from(CODES))
    def close(self, data: st.DataObject, code: int) -> None:
        socket_id = data.draw(st.sampled_from(sorted(self.life.open_sockets)))
        self.life.hear(SocketClosed(socket_id, code))

    @precondition(lambda self: self.life.current)
    @rule(code=st.sampled_from(CODES))
    def lose_the_current_one(self, code: int) -> None:
        self.life.hear(SocketClosed(self.life.current or "", code))

    @precondition(lambda self: self.life.open_sockets)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        socket_id = data.draw(st.sampled_from(sorted(self.life.open_sockets)))
        self.life.hear(OwnershipReleased(socket_id, "clean_shutdown"))

    @precondition(lambda self: self.life.open_webhooks)
    @rule(data=st.data(), status=st.sampled_from([200, 204, 400, 404, 500, 502, 503]))
    def answer(self, data: st.DataObject, status: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.life.open_webhooks)))
        self.life.hear(WebhookAnswered(attempt, status))

    @precondition(lambda self: self.life.open_webhooks)
    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def fail(self, data: st.DataObject, kind: str) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.life.open_webhooks)))
        self.life.hear(WebhookFailed(attempt, kind, "x"))

    @precondition(lambda self: self.life.open_webhooks)
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 0.5, 5.0, 600.0]), is_gone=st.booleans())
    def hold_back(self, data: st.DataObject, seconds: float, is_gone: bool) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.life.open_webhooks)))
        self.life.hear(WebhookHeldBack(attempt, seconds, "x", is_gone))

    @rule(outcome=st.sampled_from(ProbeOutcome))
    def probe(self, outcome: ProbeOutcome) -> None:
        self.life.hear(ServerProbed(outcome))

    @rule(
        event=st.sampled_from(
            [
                PhoneLost(),
                PhoneReturned(),
                ServerRegistered(),
                ServerRecovered(),
                AuthenticationFailed("x"),
                Tick(),
            ]
        )
    )
    def hear(self, event: Event) -> None:
        self.life.hear(event)

    @rule(seconds=st.sampled_from([0.05, 0.2, 1.0, 2.0, 5.0, 10.0, 12.0, 60.0, 3600.0]), ticks=st.booleans())
    def wait(self, seconds: float, ticks: bool) -> None:
        until = self.life.now + seconds
        while ticks and (due := deadline(self.life.state)) is not None and due <= until:
            self.life.now = due
            self.life.hear(Tick())
        self.life.now = until
        self.life.hear(Tick())

    @invariant()
    def running_means_a_current_socket(self) -> None:
        assert (self.life.phase is Phase.RUNNING) == (self.life.current is not None)
        assert self.life.state.socket_id == self.life.current
        assert self.life.state.phase is self.life.phase

    @invariant()
    def a_phase_that_is_no_rest_has_a_deadline(self) -> None:
        at_rest = self.life.phase in (Phase.STOPPED, Phase.RUNNING, Phase.DORMANT)
        assert at_rest or deadline(self.life.state) is not None


ABSENCES = (
    (ProbeOutcome.REFUSED, "refused"),
    (ProbeOutcome.UNKNOWN, "unreachable"),
    (ProbeOutcome.UNKNOWN, "dns"),
    (ProbeOutcome.UNKNOWN, "timeout"),
)


class Repaired(RuleBasedStateMachine):
    """An app server that can die, hang and come back; its SDK dials again after 1, 2 and 4 s."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Checked()
        self.is_up = True
        self.absence = (ProbeOutcome.REFUSED, "refused")
        self.is_erring = False
        self.is_held_back = False
        self.is_stopped = False
        self.sockets = 0
        self.held: list[int] = []
        self.act(StartRequested())

    def act(self, event: Event) -> None:
        for effect in self.life.hear(event):
            match effect:
                case PostWebhook(attempt):
                    self.webhook(attempt)
                case ProbeServer():
                    self.act(ServerProbed(ProbeOutcome.ANSWERS if self.is_up else self.absence[0]))
                case PostStopWebhook():
                    self.act(StopWebhookDone())
                case CloseSocket(socket_id) | RefuseSocket(socket_id):
                    self.act(SocketClosed(socket_id, 1000))
                case Ended():
                    self.is_stopped = True

    def webhook(self, attempt: int) -> None:
        if self.is_held_back:
            self.act(WebhookHeldBack(attempt, 5.0, "status 500", is_gone=not self.is_up))
        elif not self.is_up:
            self.act(WebhookFailed(attempt, self.absence[1], "nobody is there"))
        elif self.is_erring:
            self.held.append(attempt)
        else:
            self.sockets += 1
            self.act(SocketArrived(f"s{self.sockets}"))
            self.act(WebhookAnswered(attempt, 200))

    def let_pass(self, seconds: float) -> None:
        until = self.life.now + seconds
        while (due := deadline(self.life.state)) is not None and due <= until:
            self.life.now = due
            self.act(Tick())
        self.life.now = until

    @rule(absence=st.sampled_from(ABSENCES))
    def server_dies(self, absence: tuple[ProbeOutcome, str]) -> None:
        self.absence = absence
        self.is_up = False
        for socket_id in sorted(self.life.open_sockets):
            self.act(SocketClosed(socket_id, 1006))
        self.report("protocol")

    @rule()
    def server_is_back(self) -> None:
        self.is_up = True

    @rule()
    def server_errs(self) -> None:
        self.is_erring = True

    @rule()
    def server_recovers(self) -> None:
        self.is_erring = False
        self.report("timeout")

    @rule()
    def breaker_opens(self) -> None:
        self.is_held_back = True

    @rule(is_told=st.booleans())
    def breaker_closes(self, is_told: bool) -> None:
        self.is_held_back = False
        if is_told:
            self.act(ServerRecovered())

    def report(self, kind: str) -> None:
        held, self.held = self.held, []
        for attempt in held:
            self.act(WebhookFailed(attempt, kind, "x"))

    @precondition(lambda self: self.life.current)
    @rule()
    def socket_drops(self) -> None:
        self.act(SocketClosed(self.life.current or "", 1006))

    @precondition(lambda self: self.is_up)
    @rule()
    def sdk_dials_again(self) -> None:
        self.sockets += 1
        self.act(SocketArrived(f"s{self.sockets}"))

    @rule(event=st.sampled_from([PhoneLost(), PhoneReturned(), ServerRegistered()]))
    def phone_or_server(self, event: Event) -> None:
        self.act(event)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 11.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.let_pass(seconds)

    def teardown(self) -> None:
        """The faults end: within the pauses of a resurrection the app runs, unless it was given up."""
        self.is_up = True
        self.is_held_back = False
        self.server_recovers()
        self.act(PhoneReturned())
        self.let_pass(30.0)
        assert self.is_stopped or self.life.phase is Phase.RUNNING
        self.act(StartRequested())
        assert Phase.RUNNING is self.life.phase


TestAnything = Anything.TestCase
TestAnything.settings = hypothesis_settings(max_examples=150, stateful_step_count=60, deadline=None)
TestRepaired = Repaired.TestCase
TestRepaired.settings = hypothesis_settings(max_examples=100, stateful_step_count=40, deadline=None)
