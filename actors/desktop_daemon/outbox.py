"""The outbox: posts what the daemon has to report, and repeats what must arrive.

What goes next is decided by `posting`; this actor sends it. Outcomes lie in the ledger until they are
delivered, so that a daemon that starts after a crash finds them there.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols.desktop.reports import Heartbeat, Report
from runtime import Actor, Ref, RestartInfo, TaskHandle

from . import posting
from .messages import (
    ForemanMessage,
    HeartbeatDue,
    HeartbeatOver,
    LedgerMessage,
    LinkIsUp,
    ListRecords,
    Logged,
    OutboxMessage,
    OutboxTick,
    OutcomeDelivered,
    OutcomeKept,
    Posted,
    RecordsRead,
    ResultLimit,
    Settled,
    StatusChanged,
)
from .parts import DaemonParts
from .ports import ReportAnswer

_READ_AGAIN_S = 1.0
_encoder = msgspec.json.Encoder()


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """What waits.

    Attributes:
      under_way: the post of each agent that is not answered yet.
      has_read: the ledger's undelivered outcomes are in.
      beats: a heartbeat is under way.
      is_failing: the last attempt came to nothing; said once.
    """

    posting: posting.Posting
    under_way: Mapping[str, TaskHandle] = {}
    has_read: bool = False
    beats: bool = False
    is_failing: bool = False


class Outbox(Actor[OutboxMessage]):
    """Posts reports."""

    mailbox_size = 4096

    def __init__(
        self,
        *,
        parts: DaemonParts,
        ledger: Ref[LedgerMessage],
        foreman: Ref[ForemanMessage],
    ) -> None:
        super().__init__()
        self.reports = parts.reports
        self.ledger = ledger
        self.foreman = foreman
        self.settings = parts.settings.reports
        self.time = parts.time
        self.telemetry = parts.telemetry
        self.state = OutboxState(posting=posting.Posting(limit_bytes=self.settings.result_bytes))

    def facts(self) -> Mapping[str, object]:
        lanes = self.state.posting.lanes.values()
        return {
            "outcomes": sum(lane.outcome is not None for lane in lanes),
            "under_way": sum(lane.sent is not None for lane in lanes),
            "attempts": max((lane.attempts for lane in lanes), default=0),
        }

    def started(self, restart: RestartInfo | None) -> None:
        # A crash takes the posts under way along, and may have lost an outcome's arrival: the ledger has it.
        waiting = posting.again(self.state.posting, forget_sent=True)
        self.state = msgspec.structs.replace(
            self.state, posting=waiting, under_way={}, beats=False, has_read=False
        )
        self._read()
        self._pump()

    def receive(self, message: OutboxMessage) -> None:
        waiting = self.state.posting
        match message:
            case StatusChanged(agent_id, report, is_urgent):
                self._keep(posting.told(waiting, agent_id, report, is_urgent=is_urgent))
            case Logged(agent_id, kind, content):
                piece = posting.Piece(kind, content)
                self._keep(posting.logged(waiting, agent_id, piece, self.settings))
            case OutcomeKept(agent_id, report):
                self._keep(posting.concluded(waiting, agent_id, report))
            case Posted():
                self._posted(message)
            case LinkIsUp():
                self._send_anew()
            case ResultLimit(limit_bytes):
                limit = min(limit_bytes, self.settings.result_bytes)
                self._keep(msgspec.structs.replace(waiting, limit_bytes=limit))
            case HeartbeatDue(agent_ids):
                self._beat(agent_ids)
            case HeartbeatOver():
                self.state = msgspec.structs.replace(self.state, beats=False)
            case RecordsRead():
                self._read_over(message)
            case OutboxTick():
                if not self.state.has_read:
                    self._read()
        self._pump()

    def _keep(self, waiting: posting.Posting) -> None:
        self.state = msgspec.structs.replace(self.state, posting=waiting)

    # -- what the ledger holds ----------------------------------------------------------------------------

    def _read(self) -> None:
        self.ask(self.ledger, ListRecords, then=RecordsRead, failed=lambda _: RecordsRead(None))

    def _read_over(self, message: RecordsRead) -> None:
        if message.records is None:
            self.set_timer("read", _READ_AGAIN_S, OutboxTick())
            return
        waiting = self.state.posting
        for record in message.records:
            if record.outcome is not None:
                waiting = posting.concluded(waiting, record.order.agent_id, record.outcome)
        self.state = msgspec.structs.replace(self.state, posting=waiting, has_read=True)

    # -- sending ------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        waiting, posts = posting.next_posts(self.state.posting, self.now, self.settings)
        self._keep(waiting)
        for post in posts:
            self._send(post)
        due_at = posting.due_at(waiting, self.settings)
        if due_at is None:
            self.cancel_timer("due")
        else:
            self.set_timer("due", max(0.0, due_at - self.now), OutboxTick())

    def _send(self, post: posting.Post) -> None:
        agent_id, number = post.agent_id, post.sent.number
        handle = self.start(
            self.reports.post,
            f"subagent/{agent_id}/{post.sent.kind}",
            self._encoded(post.sent.report),
            then=lambda answer: Posted(agent_id, number, answer),
            failed=lambda error: Posted(agent_id, number, None, str(error)),
            name=f"post {post.sent.kind}",
        )
        self.state = msgspec.structs.replace(self.state, under_way={**self.state.under_way, agent_id: handle})

    def _send_anew(self) -> None:
        """The server is there again. What was under way may have been lost with the network: it would wait
        for its answer until it is given up.
        """
        for handle in self.state.under_way.values():
            self.cancel_task(handle)
        self.state = msgspec.structs.replace(self.state, under_way={})
        self._keep(posting.again(self.state.posting, forget_sent=True))

    def _encoded(self, report: Report) -> bytes:
        if report.timestamp is None:
            report = msgspec.structs.replace(report, timestamp=self.time.now_ms())
        return _encoder.encode(report)

    def _posted(self, message: Posted) -> None:
        under_way = {agent: post for agent, post in self.state.under_way.items() if agent != message.agent_id}
        self.state = msgspec.structs.replace(self.state, under_way=under_way)
        self._tell_failure(message.answer, message.cause)
        waiting, delivered = posting.answered(
            self.state.posting,
            message.agent_id,
            message.number,
            message.answer,
            self.now,
            self.system.random.random(),
            self.settings,
        )
        self._keep(waiting)
        if delivered is None:
            return
        if not 200 <= delivered.status < 300:
            self.telemetry.warning(
                "daemon_outcome_refused", agent=delivered.agent_id, status=delivered.status
            )
        self.ledger.tell(OutcomeDelivered(delivered.agent_id))
        self.foreman.tell(Settled(delivered.agent_id))

    def _tell_failure(self, answer: ReportAnswer | None, cause: str) -> None:
        is_failing = answer is None or answer.status >= 500 or answer.status == 401
        if is_failing and not self.state.is_failing:
            said = cause if answer is None else f"status {answer.status}"
            self.telemetry.warning("daemon_reports_fail", cause=said)
        self.state = msgspec.structs.replace(self.state, is_failing=is_failing)

    def _beat(self, agent_ids: tuple[str, ...]) -> None:
        if self.state.beats:
            return
        self.state = msgspec.structs.replace(self.state, beats=True)
        beat = Heartbeat(active_agents=len(agent_ids), agent_ids=agent_ids, timestamp=self.time.now_ms())
        self.start(
            self.reports.post,
            "daemon/heartbeat",
            _encoder.encode(beat),
            then=lambda _: HeartbeatOver(),
            failed=lambda _: HeartbeatOver(),
            name="post heartbeat",
        )
