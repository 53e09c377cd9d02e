"""The foreman: which agents there are, and what the server wants of them.

An agent is acknowledged when it is kept on the disk, not before. So a daemon that is killed at any moment
either never said that it had an agent, or has it when it comes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from protocols.desktop import frames
from protocols.desktop.documents import FINAL, AgentStatus
from protocols.desktop.reports import CompleteReport
from runtime import Actor, ChildSpec, Ref, RestartInfo, SupervisorMessage, Terminated

from . import life
from .goals import GoalError, said_next, understood
from .messages import (
    AgentMoved,
    AgentRecord,
    AskHeld,
    Entered,
    ForemanMessage,
    FormerFound,
    HeartbeatDue,
    HeartbeatTick,
    KeepOutcome,
    LedgerMessage,
    LinkIsDown,
    LinkIsUp,
    ListRecords,
    OrderCame,
    OutboxMessage,
    PlaceFound,
    ReadAgain,
    RecordsRead,
    ResultLimit,
    RunCounted,
    SayFrame,
    Settled,
    TerminalMessage,
    UplinkMessage,
    WriteAgain,
    counting,
    entering,
    finding,
)
from .parts import DaemonParts
from .ports import AgentOrder, PlaceError, StateError
from .resuming import MOVED, STILL_RUNS, TAKEN, ResumeError, first_goal, must_be_resumable
from .terminal_agent import TerminalAgentActor

_READ_AGAIN_S = 1.0
_LEDGER_S = 60.0
"""How long a disk may take; then the agent is refused."""

_KILL_S = 10.0
"""How long a terminal's processes may take to end (desktop.md 12.7 wants 3 s and a bit)."""

_AGENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
"""What an id may be: it stands in the path of reports and names a file."""

Phase = Literal["placing", "entering", "counting", "live", "over"]


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, as the foreman knows it.

    Attributes:
      phase: placing: its directory is looked for, before that the agent that it goes on with, whose end is
        waited for. entering, counting: its record is being written.
        live: its actor is there. over: its outcome waits for the server.
      frame: what it was asked for with, until it is kept.
      is_unwanted: it was killed; perhaps before its actor was there.
      is_settled: the server has its outcome; its processes are still ending.
    """

    phase: Phase
    status: AgentStatus = "initializing"
    seq: int = 0
    frame: frames.SpawnAgent | None = None
    order: AgentOrder | None = None
    ref: Ref[TerminalMessage] | None = None
    is_unwanted: bool = False
    is_settled: bool = False

    @property
    def is_ending(self) -> bool:
        """It has its end, and its processes have not."""
        return self.phase == "live" and (self.is_unwanted or self.is_settled or self.status in FINAL)


class ForemanState(msgspec.Struct, frozen=True, kw_only=True):
    """What it knows.

    Attributes:
      finished: ids of agents that are over and delivered, the newest last.
      has_read: the ledger's records are in.
    """

    hands: Mapping[str, Hand] = {}
    finished: tuple[str, ...] = ()
    has_read: bool = False
    is_online: bool = False
    heartbeat_s: float = 30.0


class Foreman(Actor[ForemanMessage]):
    """Starts, kills and hands over."""

    mailbox_size = 4096

    def __init__(
        self,
        *,
        parts: DaemonParts,
        ledger: Ref[LedgerMessage],
        outbox: Ref[OutboxMessage],
        uplink: Ref[UplinkMessage],
        agents: Ref[SupervisorMessage],
    ) -> None:
        super().__init__()
        self.parts = parts
        self.settings = parts.settings.agents
        self.telemetry = parts.telemetry
        self.ledger = ledger
        self.outbox = outbox
        self.uplink = uplink
        self.agents = agents
        self.state = ForemanState()

    def facts(self) -> Mapping[str, object]:
        return {"agents": self._busy(), "most": self.settings.most, "finished": len(self.state.finished)}

    def started(self, restart: RestartInfo | None) -> None:
        if not self.state.has_read:
            self._read()
        # What was asked by an incarnation that crashed is asked once more.
        for agent_id, hand in tuple(self.state.hands.items()):
            self._ask_ledger_or_place(agent_id, hand)
        if self.state.is_online:
            self._beat()

    def receive(self, message: ForemanMessage) -> None:
        match message:
            case OrderCame() | AskHeld() if not self.state.has_read:
                self.stash()
            case OrderCame(frame):
                self._order(frame)
            case AskHeld(reply_to):
                reply_to.tell(self._held())
            case LinkIsUp():
                self.state = msgspec.structs.replace(self.state, is_online=True)
                self._beat()
            case LinkIsDown():
                self.state = msgspec.structs.replace(self.state, is_online=False)
                self.cancel_timer("heartbeat")
            case HeartbeatTick():
                self._beat()
            case AgentMoved(agent_id, status, seq):
                self._change(agent_id, status=status, seq=seq)
            case FormerFound():
                self._former_found(message)
            case PlaceFound():
                self._placed(message)
            case Entered():
                self._entered(message)
            case RunCounted():
                self._counted(message)
            case Settled(agent_id):
                self._settled(agent_id)
            case RecordsRead(records):
                self._records(records)
            case ReadAgain():
                self._read()
            case WriteAgain(agent_id):
                hand = self.state.hands.get(agent_id)
                if hand is not None:
                    self._ask_ledger_or_place(agent_id, hand)
            case Terminated():
                self._ended(message)

    # -- what the daemon before this one left -------------------------------------------------------------

    def _read(self) -> None:
        self.ask(self.ledger, ListRecords, then=RecordsRead, failed=lambda _: RecordsRead(None))

    def _records(self, records: tuple[AgentRecord, ...] | None) -> None:
        if records is None:
            self.set_timer("read", _READ_AGAIN_S, ReadAgain())
            return
        if self.state.has_read:
            return
        for record in records:
            agent_id = record.order.agent_id
            if record.is_over:
                self._finish(agent_id)
            elif record.outcome is not None:
                outcome = record.outcome
                self._hand(agent_id, Hand(phase="over", status=outcome.status, seq=outcome.seq or 0))
            else:
                self._left_behind(record)
        self.state = msgspec.structs.replace(self.state, has_read=True)
        self.unstash()

    def _left_behind(self, record: AgentRecord) -> None:
        order = record.order
        alive = self.system.find(f"{self.agents.path}/{order.agent_id}")
        if alive is not None and alive.is_alive:  # only this actor has started anew
            self._hand(order.agent_id, Hand(phase="live", status="running", order=order, ref=alive))
            self.watch(alive)
        elif record.run >= self.settings.runs:
            self._conclude(order.agent_id, f"It was cut off {record.run} times and is not started again.")
        elif not self.parts.terminals.can_resume(order.adapter):
            self._conclude(
                order.agent_id,
                f"The desktop daemon ended while it ran, and {order.adapter} cannot go on where it was.",
            )
        else:
            self._hand(order.agent_id, Hand(phase="counting", status="running", order=order))
            self._count(order.agent_id)

    def _ask_ledger_or_place(self, agent_id: str, hand: Hand) -> None:
        """Ask once more what an agent waits for."""
        if hand.phase == "placing" and hand.frame is not None:
            self._look_for(hand.frame)
        elif hand.phase == "entering" and hand.order is not None:
            self._enter(agent_id, hand.order)
        elif hand.phase == "counting":
            self._count(agent_id)

    def _ask_later(self, agent_id: str) -> None:
        """The ledger has crashed, or the disk takes long: it may be written or not."""
        self.set_timer(f"write {agent_id}", _READ_AGAIN_S, WriteAgain(agent_id))

    def _count(self, agent_id: str) -> None:
        self.ask(
            self.ledger,
            counting(agent_id),
            then=lambda record: RunCounted(agent_id, record),
            failed=lambda error: RunCounted(agent_id, error),
            timeout_s=_LEDGER_S,
        )

    def _counted(self, message: RunCounted) -> None:
        hand = self.state.hands.get(message.agent_id)
        if hand is None or hand.phase != "counting":
            return
        outcome = message.outcome
        if isinstance(outcome, StateError):
            self._conclude(message.agent_id, f"The desktop could not write down that it goes on: {outcome}")
        elif isinstance(outcome, Exception):
            self._ask_later(message.agent_id)
        elif hand.is_unwanted:
            self._cancel(message.agent_id)
        else:
            self._spawn(msgspec.structs.replace(outcome.order, is_resume=True), outcome.run)

    # -- orders -------------------------------------------------------------------------------------------

    def _order(self, frame: OrderFrame) -> None:
        match frame:
            case frames.SpawnAgent():
                self._spawn_asked(frame)
            case frames.KillAgent(agent_id=agent_id):
                self._kill(agent_id)
            case frames.ApproveAgent():
                answer = life.Answered(
                    approval_id=frame.approval_id,
                    decision=frame.decision,
                    choice=frame.choice,
                    message=frame.message,
                )
                self._hand_over(frame.agent_id, answer)
            case frames.SendInput(agent_id=agent_id, text=text):
                self._hand_over(agent_id, life.InputCame(text))
            case frames.Welcome():
                self._welcome(frame)

    def _welcome(self, frame: frames.Welcome) -> None:
        heartbeat_s = min(max(frame.heartbeat_ms / 1000, 1.0), 300.0)
        self.state = msgspec.structs.replace(self.state, heartbeat_s=heartbeat_s)
        self.outbox.tell(ResultLimit(frame.max_result_bytes))
        self._beat()
        for agent_id in frame.lost:
            self._kill(agent_id)

    def _hand_over(self, agent_id: str, event: life.Event) -> None:
        hand = self.state.hands.get(agent_id)
        if hand is not None and hand.phase == "live" and hand.ref is not None:
            hand.ref.tell(event)
        else:
            self.telemetry.info("daemon_order_without_agent", order=type(event).__name__)

    def _kill(self, agent_id: str) -> None:
        hand = self.state.hands.get(agent_id)
        if hand is None:
            return
        if hand.phase == "live":
            self._hand_over(agent_id, life.KillAsked())
        self._change(agent_id, is_unwanted=True)

    # -- a new agent --------------------------------------------------------------------------------------

    def _spawn_asked(self, frame: frames.SpawnAgent) -> None:
        agent_id = frame.agent_id
        hand = self.state.hands.get(agent_id)
        if agent_id in self.state.finished:
            self._refuse(agent_id, "it has ended here already")
        elif hand is not None:
            if hand.phase in ("live", "over", "counting"):  # else its acknowledgement is still to come
                self._say(frames.AgentAck(agent_id=agent_id, status="started"))
        elif not _AGENT_ID.fullmatch(agent_id):
            self._refuse(agent_id, "its id is not one")
        elif self._busy(but=frame.resumes) >= self.settings.most:
            self._refuse(agent_id, f"Max concurrent agents ({self.settings.most}) reached")
        else:
            self._hand(agent_id, Hand(phase="placing", frame=frame))
            self._look_for(frame)

    def _look_for(self, frame: frames.SpawnAgent) -> None:
        """The agent's place; before that the agent that it goes on with."""
        if frame.resumes:
            self.ask(
                self.ledger,
                finding(frame.resumes),
                then=lambda record: FormerFound(frame.agent_id, record),
                failed=lambda error: FormerFound(frame.agent_id, error),
                timeout_s=_LEDGER_S,
            )
            return
        try:
            adapter, goal = understood(frame.goal, self.parts.terminals.names, self.settings)
        except GoalError as error:
            self._refuse(frame.agent_id, str(error))
        else:
            self._find_place(frame, adapter, goal, None)

    def _former_found(self, message: FormerFound) -> None:
        agent_id, record = message.agent_id, message.former
        hand = self.state.hands.get(agent_id)
        if hand is None or hand.phase != "placing" or hand.frame is None:
            return
        if isinstance(record, Exception):
            self._ask_later(agent_id)
            return
        terminals = self.parts.terminals
        try:
            former = must_be_resumable(
                None if record is None else record.order,
                terminals.names,
                can_resume=record is not None and terminals.can_resume(record.order.adapter),
            )
            goal = said_next(hand.frame.goal, self.settings)
        except (GoalError, ResumeError) as error:
            self._refuse(agent_id, str(error))
            return
        using = self._hands_in(former.session_uuid)
        if any(not other.is_ending for other in using.values()):
            self._refuse(agent_id, STILL_RUNS if former.agent_id in using else TAKEN)
        elif not using:  # else it is asked again when they have ended
            self._find_place(hand.frame, former.adapter, goal, former)

    def _hands_in(self, session_uuid: str) -> dict[str, Hand]:
        """Agents in a session, until their processes have ended."""
        return {
            agent_id: hand
            for agent_id, hand in self.state.hands.items()
            if hand.order is not None and hand.order.session_uuid == session_uuid and hand.phase != "over"
        }

    def _find_place(
        self, frame: frames.SpawnAgent, adapter: str, goal: str, former: AgentOrder | None
    ) -> None:
        self.start(
            self._order_of,
            frame,
            adapter,
            goal,
            former,
            then=lambda order: PlaceFound(frame.agent_id, order),
            failed=lambda error: PlaceFound(frame.agent_id, None, _said(error)),
            name="find the place",
        )

    async def _order_of(
        self, frame: frames.SpawnAgent, adapter: str, goal: str, former: AgentOrder | None
    ) -> AgentOrder:
        place = await self.parts.places.find(frame.working_directory if former is None else former.cwd)
        if former is not None and place.cwd != former.cwd:
            raise PlaceError(MOVED)
        fresh = _uuid(self.system.random.getrandbits(128))
        asked_ms = frame.options.timeout
        timeout_s = self.settings.timeout_s
        return AgentOrder(
            agent_id=frame.agent_id,
            adapter=adapter,
            goal=goal,
            cwd=place.cwd,
            session_uuid=fresh if former is None else former.session_uuid,
            former_goal="" if former is None else first_goal(former),
            timeout_s=timeout_s if asked_ms is None else max(1.0, min(asked_ms / 1000, timeout_s)),
            allowed=place.allowed,
        )

    def _placed(self, message: PlaceFound) -> None:
        agent_id, order = message.agent_id, message.order
        hand = self.state.hands.get(agent_id)
        if hand is None or hand.phase != "placing":
            return
        if order is None or hand.is_unwanted:
            self._refuse(agent_id, message.cause or "it was stopped before it began")
            return
        if self._hands_in(order.session_uuid):
            self._refuse(agent_id, TAKEN)
            return
        self._change(agent_id, phase="entering", order=order)
        self._enter(agent_id, order)

    def _enter(self, agent_id: str, order: AgentOrder) -> None:
        record = AgentRecord(order=order, began_ms=self.parts.time.now_ms())
        self.ask(
            self.ledger,
            entering(record),
            then=lambda _: Entered(agent_id),
            failed=lambda error: Entered(agent_id, error),
            timeout_s=_LEDGER_S,
        )

    def _entered(self, message: Entered) -> None:
        agent_id = message.agent_id
        hand = self.state.hands.get(agent_id)
        if hand is None or hand.phase != "entering" or hand.order is None:
            return
        if isinstance(message.error, StateError):
            self._refuse(agent_id, f"this desktop could not keep it: {message.error}")
            return
        if message.error is not None:
            self._ask_later(agent_id)
            return
        self._say(frames.AgentAck(agent_id=agent_id, status="started"))
        if hand.is_unwanted:
            self._cancel(agent_id)
        else:
            self._spawn(hand.order, 1)

    def _spawn(self, order: AgentOrder, run: int) -> None:
        parts = self.parts
        ref = self.spawn(
            ChildSpec(
                name=order.agent_id,
                factory=lambda: TerminalAgentActor(
                    order=order,
                    run=run,
                    parts=parts,
                    ledger=self.ledger,
                    outbox=self.outbox,
                    foreman=self.ref,
                ),
                restart="transient",
                shutdown_s=_KILL_S,
            ),
            under=self.agents,
        )
        self.watch(ref)
        self._change(order.agent_id, phase="live", ref=ref, order=order, frame=None)

    # -- its end ------------------------------------------------------------------------------------------

    def _ended(self, message: Terminated) -> None:
        for agent_id, hand in self.state.hands.items():
            if hand.ref is not message.ref or hand.phase != "live":
                continue
            if hand.is_settled:
                self._drop(agent_id)
            else:
                # Where it has an outcome that counts: the ledger has it already. Else it crashed for good.
                self._conclude(agent_id, "The desktop daemon failed while it ran.", keeps_status=True)
            self._look_for_those_that_waited()
            return

    def _look_for_those_that_waited(self) -> None:
        """One that goes on with a session waits until nothing runs in it."""
        for hand in tuple(self.state.hands.values()):
            if hand.phase == "placing" and hand.frame is not None and hand.frame.resumes:
                self._look_for(hand.frame)

    def _conclude(self, agent_id: str, error: str, *, keeps_status: bool = False) -> None:
        self.ledger.tell(KeepOutcome(agent_id, CompleteReport(status="failed", error=error)))
        hand = self.state.hands.get(agent_id)
        status: AgentStatus = "failed"
        if keeps_status and hand is not None and hand.status in FINAL:
            status = hand.status
        self._hand(agent_id, Hand(phase="over", status=status, seq=0 if hand is None else hand.seq))

    def _cancel(self, agent_id: str) -> None:
        self.ledger.tell(KeepOutcome(agent_id, CompleteReport(status="cancelled", error="Stopped.")))
        self._hand(agent_id, Hand(phase="over", status="cancelled"))

    def _refuse(self, agent_id: str, cause: str) -> None:
        self.telemetry.info("daemon_agent_refused", agent=agent_id, cause=cause)
        self._drop(agent_id)
        self._say(frames.AgentAck(agent_id=agent_id, status="error", error=cause))

    def _settled(self, agent_id: str) -> None:
        hand = self.state.hands.get(agent_id)
        self._finish(agent_id)
        if hand is not None and hand.phase == "live":
            self._hand(agent_id, msgspec.structs.replace(hand, is_settled=True))

    def _finish(self, agent_id: str) -> None:
        """From now on only its id is known."""
        finished = (*self.state.finished, agent_id)[-self.settings.remembered :]
        self.state = msgspec.structs.replace(self.state, finished=finished)
        self._drop(agent_id)

    # -- what it knows ------------------------------------------------------------------------------------

    def _busy(self, *, but: str | msgspec.UnsetType = msgspec.UNSET) -> int:
        """Agents that run; not the one that ends before another goes on with it."""
        return sum(
            hand.phase != "over" and not (agent_id == but and hand.is_ending)
            for agent_id, hand in self.state.hands.items()
        )

    def _held(self) -> tuple[frames.HeldAgent, ...]:
        return tuple(
            frames.HeldAgent(agent_id=agent_id, status=hand.status, seq=hand.seq)
            for agent_id, hand in self.state.hands.items()
            if hand.phase not in ("placing", "entering")
        )

    def _beat(self) -> None:
        if self.state.is_online:
            ids = tuple(agent_id for agent_id, hand in self.state.hands.items() if hand.phase == "live")
            self.outbox.tell(HeartbeatDue(ids))
            self.set_timer("heartbeat", self.state.heartbeat_s, HeartbeatTick())

    def _say(self, frame: frames.AgentAck) -> None:
        self.uplink.tell(SayFrame(frame))

    def _hand(self, agent_id: str, hand: Hand) -> None:
        self.state = msgspec.structs.replace(self.state, hands={**self.state.hands, agent_id: hand})

    def _change(self, agent_id: str, **changes: object) -> None:
        hand = self.state.hands.get(agent_id)
        if hand is not None:
            self._hand(agent_id, msgspec.structs.replace(hand, **changes))

    def _drop(self, agent_id: str) -> None:
        hands = {known: hand for known, hand in self.state.hands.items() if known != agent_id}
        self.state = msgspec.structs.replace(self.state, hands=hands)


OrderFrame = frames.SpawnAgent | frames.KillAgent | frames.ApproveAgent | frames.SendInput | frames.Welcome


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, PlaceError) else f"{type(error).__name__}: {error}"


def _uuid(bits: int) -> str:
    """A random UUID (RFC 9562, version 4) of 128 random bits."""
    bits = bits & ~(0xF << 76) | 0x4 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
