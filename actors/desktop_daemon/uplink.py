"""The uplink: one connection to the server at a time, dialled again whenever it is lost.

When to dial and when to let go is decided by `reconnect`; this actor dials, answers pings, and says hello
with the agents that are here.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.desktop import frames
from runtime import Actor, Ref, RestartInfo, TaskHandle

from . import reconnect
from .messages import (
    AskHeld,
    DialOver,
    ForemanMessage,
    FrameCame,
    HeldAgents,
    HelloDue,
    LinkIsDown,
    LinkIsUp,
    LinkOpened,
    OrderCame,
    OutboxMessage,
    SayFrame,
    UplinkMessage,
    UplinkTick,
)
from .parts import DaemonParts
from .ports import DialError, Link, LinkClosed

_ASK_AGAIN_S = 1.0


class UplinkState(msgspec.Struct, frozen=True, kw_only=True):
    """Where it stands.

    Attributes:
      dial: number of the newest dial; what older ones say does not count.
      malformed: frames that could not be read.
    """

    reconnect: reconnect.ReconnectState
    dial: int = 0
    dialling: TaskHandle | None = None
    link: Link | None = None
    malformed: int = 0


class Uplink(Actor[UplinkMessage]):
    """Holds the connection."""

    mailbox_size = 4096

    def __init__(
        self, *, parts: DaemonParts, foreman: Ref[ForemanMessage], outbox: Ref[OutboxMessage]
    ) -> None:
        super().__init__()
        self.parts = parts
        self.settings = parts.settings.reconnect
        self.telemetry = parts.telemetry
        self.foreman = foreman
        self.outbox = outbox
        self.state = UplinkState(reconnect=reconnect.ReconnectState())

    def facts(self) -> Mapping[str, object]:
        machine = self.state.reconnect
        return {
            "phase": machine.phase,
            "cause": machine.cause,
            "attempt": machine.attempt,
            "for_s": round(self.now - machine.since, 1),
            "malformed": self.state.malformed,
        }

    def started(self, restart: RestartInfo | None) -> None:
        if restart is not None:
            # The crash has taken the dial along.
            machine = self.state.reconnect
            if machine.phase in ("dialling", "online"):
                machine = msgspec.structs.replace(machine, phase="waiting", due_at=self.now)
            self.state = msgspec.structs.replace(self.state, reconnect=machine, dialling=None, link=None)
            self.foreman.tell(LinkIsDown())
        self._step(reconnect.Tick())

    def receive(self, message: UplinkMessage) -> None:
        match message:
            case SayFrame(frame):
                self._say(frame)
            case LinkOpened(dial, link) if dial == self.state.dial:
                self.state = msgspec.structs.replace(self.state, link=link)
                self._step(reconnect.Opened())
                self._ask_held(dial)
            case FrameCame(dial, payload) if dial == self.state.dial:
                self._step(reconnect.Heard())
                self._heard(payload)
            case DialOver(dial, outcome) if dial == self.state.dial:
                self._over(outcome)
            case HeldAgents() if message.dial == self.state.dial and self.state.link is not None:
                self._greet(message)
            case HelloDue(dial) if dial == self.state.dial and self.state.link is not None:
                self._ask_held(dial)
            case UplinkTick():
                if self.state.reconnect.phase == "refused":
                    self._step(reconnect.Tick(has_other_token=self.parts.dialler.has_other_token()))
                else:
                    self._step(reconnect.Tick())
            case _:
                pass  # of a dial that is over

    # -- what is said -------------------------------------------------------------------------------------

    def _heard(self, payload: bytes) -> None:
        try:
            frame = frames.read_to_daemon(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.state = msgspec.structs.replace(self.state, malformed=self.state.malformed + 1)
            self.telemetry.info("daemon_frame_malformed", cause=str(error))
            return
        match frame:
            case frames.Ping():
                self._say(frames.Pong())
            case frames.Welcome():
                self.perform(self.parts.time.learn, frame.server_time)
                self.foreman.tell(OrderCame(frame))
            case _:
                self.foreman.tell(OrderCame(frame))

    def _ask_held(self, dial: int) -> None:
        self.ask(
            self.foreman,
            AskHeld,
            then=lambda agents: HeldAgents(dial, agents),
            failed=lambda _: HeldAgents(dial, None),
        )

    def _greet(self, message: HeldAgents) -> None:
        if message.agents is None:
            self.set_timer("hello", _ASK_AGAIN_S, HelloDue(message.dial))
            return
        hello = frames.Hello(
            name=self.parts.name,
            version=self.parts.version,
            adapters=self.parts.terminals.names,
            agents=message.agents,
        )
        self._say(hello)
        self.foreman.tell(LinkIsUp())
        self.outbox.tell(LinkIsUp())

    def _say(self, frame: frames.FromDaemon) -> None:
        if self.state.link is not None:
            self.perform(self.state.link.send, frames.encode(frame))

    # -- the connection -----------------------------------------------------------------------------------

    def _over(self, outcome: LinkClosed | Exception) -> None:
        self.state = msgspec.structs.replace(self.state, dialling=None)
        match outcome:
            case LinkClosed():
                self._step(reconnect.Ended(outcome))
            case DialError():
                self._step(reconnect.Failed(outcome.cause, outcome.status, outcome.retry_after_s))
            case _:
                self._step(reconnect.Failed(f"{type(outcome).__name__}: {outcome}"))

    def _step(self, event: reconnect.Event) -> None:
        machine, effects = reconnect.step(
            self.state.reconnect, event, self.now, self.system.random.random(), self.settings
        )
        self.state = msgspec.structs.replace(self.state, reconnect=machine)
        for effect in effects:
            match effect:
                case reconnect.Dial():
                    self._dial()
                case reconnect.Drop():
                    self._drop()
                case reconnect.Say():
                    self._tell()
        if machine.due_at is None:
            self.cancel_timer("due")
        else:
            self.set_timer("due", max(0.0, machine.due_at - self.now), UplinkTick())

    def _dial(self) -> None:
        ref, number = self.ref, self.state.dial + 1
        handle = self.start(
            self.parts.dialler.dial,
            lambda link: ref.tell(LinkOpened(number, link)),
            lambda payload: ref.tell(FrameCame(number, payload)),
            then=lambda info: DialOver(number, info),
            failed=lambda error: DialOver(number, error),
            name="dial",
        )
        self.state = msgspec.structs.replace(self.state, dial=number, dialling=handle, link=None)

    def _drop(self) -> None:
        if self.state.dialling is not None:
            self.cancel_task(self.state.dialling)
        self.state = msgspec.structs.replace(self.state, dialling=None)

    def _tell(self) -> None:
        machine = self.state.reconnect
        if machine.phase == "online":
            self.telemetry.info("uplink_online")
            return
        was_online = self.state.link is not None
        self.state = msgspec.structs.replace(self.state, link=None)
        if was_online:
            self.foreman.tell(LinkIsDown())
        if machine.phase == "refused":
            self.telemetry.error("uplink_refused", cause=machine.cause)
        else:
            self.telemetry.warning("uplink_offline", cause=machine.cause, attempt=machine.attempt)
