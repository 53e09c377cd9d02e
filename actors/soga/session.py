"""One wearer's session of the assistant's voice: an app's end of the wire, and a desk's listener.

It keeps the manners of an app on the SDK (protocol.md 3.5): init and ack, then the list of subscriptions; a
connection that breaks is dialled again after 1, 2 and 4 s. What it says and does is the conversation's
(`conversation.py`); this actor carries it between the app's wire and the wearer's desk.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from protocols import Unknown, close_codes, from_app, from_phone, layouts, timestamps, to_app, transcription
from protocols.capabilities import Capabilities
from protocols.desktop.documents import SubAgent, Task
from protocols.session_ids import app_session_id
from protocols.speech_url import speech_url
from runtime import Actor, Ref, RestartInfo, StopReason, Terminated

from ..allowance import app_allowance
from ..assistant.messages import TooManyQueriesError
from ..desktop.messages import (
    AgentChanged,
    AgentLogged,
    DaemonsChanged,
    Desk,
    EnsureDesk,
    Listen,
    TaskChanged,
    ensure_desk,
)
from ..front.app_gate import StrangerHandler
from ..front.doorman import DOORMAN
from . import conversation, events
from .asking import give_answer, list_tasks, list_unfinished, put_question
from .connection import Carried, Closed, LocalConnection, Pinged
from .messages import (
    AgentsListed,
    AnswerTaken,
    ConversationTick,
    DeskFound,
    DeskNotFound,
    DialAgain,
    Dismissed,
    ListAgain,
    NotListed,
    QuestionNotTaken,
    QuestionTaken,
    SeekDesk,
    ServerMessage,
    SessionMessage,
    SessionOver,
    Summoned,
    TasksListed,
)
from .state import Conversation, approval_key

if TYPE_CHECKING:
    from ..domain import Domain

RETRY_DELAYS_S: Final = (1.0, 2.0, 4.0)
SEEK_S: Final = 2.0
QUERY_TIMEOUT_S: Final = 10.0
LOOK_BACK: Final = 20
SPEECH_TRACK: Final = 2  # text-to-speech (protocol.md 8.2)
LOST_QUESTION: Final = "That was lost. Please ask again."
TOO_MUCH: Final = "That is a lot at once. Please ask again in a while."
NO_ASSISTANT: Final = "The assistant does not answer. Please ask again."

_CONNECTED: Final = frozenset({"CONNECTED", "RECONNECTED"})
_capabilities = msgspec.json.Decoder(Capabilities | None)


class SogaState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      is_acked: the cloud has taken the connection.
      failures: dials that came to nothing, in a row.
      is_stopping: the cloud has said that the session ends.
    """

    conversation: Conversation = Conversation()
    connection: LocalConnection | None = None
    is_acked: bool = False
    failures: int = 0
    desk: Desk | None = None
    is_stopping: bool = False


class SogaSession(Actor[SessionMessage]):
    """One per wearer who has started the app."""

    mailbox_size = 4096

    def __init__(
        self, *, user_id: str, key: str, server: Ref[ServerMessage], desks: Ref[EnsureDesk], domain: Domain
    ) -> None:
        self.user_id = user_id
        self.key = key
        self.server = server
        self.desks = desks
        self.domain = domain
        self.settings = domain.settings.soga
        self.telemetry = domain.ports.telemetry
        self.session_id = app_session_id(user_id, self.settings.package_name)
        self.state = SogaState()

    def started(self, restart: RestartInfo | None) -> None:
        connection = self.state.connection
        if connection is None or not connection.is_open:
            self._dial()
        if self.state.desk is None:
            self._seek_desk()
        else:
            self._attend(self.state.desk, is_after_crash=True)
        self._arm()

    def stopping(self, reason: StopReason) -> None:
        if self.state.connection is not None:
            self.perform(self.state.connection.hang_up, close_codes.GOING_AWAY)

    def receive(self, message: SessionMessage) -> None:
        match message:
            case Carried(connection_id, payload):
                if self._is_current(connection_id):
                    self._carried(to_app.decode(payload))
            case Pinged(connection_id):
                if self.state.connection is not None and self._is_current(connection_id):
                    self.perform(self.state.connection.pong)
            case Closed(connection_id, code):
                if self._is_current(connection_id):
                    self._closed(code)
            case Summoned():
                self._dial()
            case Dismissed():
                self.state = replace(self.state, is_stopping=True)
                if self.state.connection is None:
                    self._end()
            case DialAgain():
                self._dial()
            case DeskFound(desk):
                self.state = replace(self.state, desk=desk)
                self.watch(desk.assistant)
                self.watch(desk.desktops)
                self._attend(desk, is_after_crash=False)
            case DeskNotFound(error):
                self.telemetry.warning("soga_without_desk", user=self.user_id, cause=str(error))
                self.set_timer("desk", SEEK_S, SeekDesk())
            case SeekDesk():
                self._seek_desk()
            case ListAgain(is_after_crash):
                if self.state.desk is not None:
                    self._attend(self.state.desk, is_after_crash=is_after_crash)
            case NotListed(error, is_after_crash):
                self.telemetry.warning("soga_without_desk", user=self.user_id, cause=str(error))
                self.set_timer("list", SEEK_S, ListAgain(is_after_crash))
            case TasksListed(tasks, is_after_crash):
                self._tasks_listed(tasks, is_after_crash=is_after_crash)
            case AgentsListed(agents, is_after_crash):
                self._agents_listed(agents, is_after_crash=is_after_crash)
            case QuestionTaken(task) | TaskChanged(task):
                self._step(self._task_seen(task))
            case QuestionNotTaken(error):
                self.telemetry.warning("soga_question_failed", user=self.user_id, cause=str(error))
                is_too_much = isinstance(error, TooManyQueriesError)
                self._step(events.QuestionFailed(TOO_MUCH if is_too_much else NO_ASSISTANT))
            case AgentChanged(agent):
                self._step(self._agent_seen(agent))
            case AnswerTaken(key, outcome):
                self._step(events.ApprovalAnswered(key, outcome))
            case ConversationTick():
                self._step(events.Tick())
            case AgentLogged() | DaemonsChanged():
                pass  # for the page
            case Terminated():
                self._lost_desk(message.ref)

    # -- the wire -----------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Dial the app's door; a connection that is still there gives way, as the SDK has it."""
        self.cancel_timer("dial")
        old = self.state.connection
        if old is not None:
            self._say(from_app.OwnershipRelease(reason="switching_clouds"))
            self.perform(old.hang_up, close_codes.NORMAL)
        doorman = self.system.registry.find(DOORMAN)
        if doorman is None:
            self._not_connected()
            return
        connection = LocalConnection(self.system.ids.next("connection"), self.ref, self.system.clock.now)
        self.state = replace(self.state, connection=connection, is_acked=False)
        allowance = app_allowance(self.domain.settings.limits)
        self.perform(connection.open, StrangerHandler(doorman, allowance, None))
        self._say(
            from_app.TpaConnectionInit(
                session_id=self.session_id, package_name=self.settings.package_name, api_key=self.key
            )
        )

    def _closed(self, code: int) -> None:
        self.state = replace(self.state, connection=None)
        if self.state.is_stopping or code in close_codes.NO_RETRY_BY_SDK:
            self._end()
        else:
            self._not_connected()

    def _not_connected(self) -> None:
        failures = 1 if self.state.is_acked else self.state.failures + 1
        self.state = replace(self.state, connection=None, is_acked=False, failures=failures)
        if failures > len(RETRY_DELAYS_S):
            self._end()  # the next webhook begins anew
        else:
            self.set_timer("dial", RETRY_DELAYS_S[failures - 1], DialAgain())

    def _end(self) -> None:
        self.server.tell(SessionOver(self.user_id))

    def _is_current(self, connection_id: str) -> bool:
        return self.state.connection is not None and self.state.connection.id == connection_id

    def _say(self, message: from_app.AppMessage) -> None:
        connection = self.state.connection
        if connection is not None:
            stamped = replace(message, timestamp=timestamps.iso(self.system.clock.wall()))
            self.perform(connection.say, from_app.encode(stamped))

    def _carried(self, message: to_app.MessageToApp | Unknown) -> None:
        match message:
            case to_app.TpaConnectionAck():
                self.state = replace(self.state, is_acked=True, failures=0)
                self._step(self._glasses(message.capabilities))
                self._step(events.Connected())
            case to_app.DataStream():
                self._hear(message)
            case to_app.CapabilitiesUpdate():
                self._step(self._glasses(message.capabilities))
            case to_app.AudioPlayResponse(request_id=request_id):
                number = request_id.rpartition("-")[2]
                if number.isdecimal():
                    self._step(events.SpeechOver(int(number)))
            case to_app.AppStopped():
                self.state = replace(self.state, is_stopping=True)
            case to_app.TpaConnectionError() | to_app.PermissionError():
                self.telemetry.warning("soga_complained_to", user=self.user_id, cause=message.message)
            case _:
                pass

    def _hear(self, message: to_app.DataStream) -> None:
        if message.stream_type.startswith("transcription:"):
            said = transcription.decode(message.data)
            lasted_s = max(0.0, (said.end_time - said.start_time) / 1000)
            utterance = said.utterance_id or f"at {said.start_time}"
            self._step(
                events.Heard(text=said.text, is_final=said.is_final, utterance=utterance, lasted_s=lasted_s)
            )
            return
        match from_phone.decode(bytes(message.data)):
            case from_phone.ButtonPress(press_type=press_type):
                self._step(events.Pressed(is_long=press_type == "long"))
            case from_phone.HeadPosition(position=position):
                self._step(events.HeadMoved(is_up=position == "up"))
            case from_phone.GlassesConnectionState(status=status):
                self._step(events.GlassesSeen(are_here=status in _CONNECTED))
            case _:
                pass

    def _glasses(self, raw: msgspec.Raw) -> events.GlassesKnown:
        known = _capabilities.decode(raw)
        speaking = self.domain.ports.speaking
        has_voice = speaking is not None and speaking.synthesis.is_ready
        return events.GlassesKnown(
            has_display=known is None or known.has_display,
            has_speaker=has_voice and known is not None and known.has_speaker,
        )

    # -- the desk -----------------------------------------------------------------------------------------

    def _seek_desk(self) -> None:
        self.ask(self.desks, ensure_desk(self.user_id), then=DeskFound, failed=DeskNotFound)

    def _attend(self, desk: Desk, *, is_after_crash: bool) -> None:
        """Hear of everything from now on, and how it stands now."""
        desk.assistant.tell(Listen(self.ref))
        desk.desktops.tell(Listen(self.ref))
        self.ask(
            desk.assistant,
            list_tasks(LOOK_BACK),
            then=lambda tasks: TasksListed(tasks, is_after_crash),
            failed=lambda error: NotListed(error, is_after_crash),
        )
        self.ask(
            desk.desktops,
            list_unfinished(),
            then=lambda agents: AgentsListed(agents, is_after_crash),
            failed=lambda error: NotListed(error, is_after_crash),
        )

    def _lost_desk(self, ref: Ref[object]) -> None:
        desk = self.state.desk
        if desk is not None and ref in (desk.assistant, desk.desktops):
            self.unwatch(desk.assistant)
            self.unwatch(desk.desktops)
            self.state = replace(self.state, desk=None)
            self.set_timer("desk", SEEK_S, SeekDesk())

    def _tasks_listed(self, tasks: Iterable[Task], *, is_after_crash: bool) -> None:
        for task in sorted(tasks, key=lambda one: one.created_at):
            self._step(self._task_seen(task))
        if is_after_crash and self.state.conversation.asking:
            self._step(events.QuestionFailed(LOST_QUESTION))

    def _agents_listed(self, agents: Iterable[SubAgent], *, is_after_crash: bool) -> None:
        unfinished = {agent.agent_id: agent for agent in agents}
        for agent in sorted(unfinished.values(), key=lambda one: one.updated_at):
            self._step(self._agent_seen(agent))
        for open in self.state.conversation.approvals:
            if open.agent_id not in unfinished:
                self._step(events.ApprovalAnswered(open.key, "stale"))
            elif is_after_crash and open.is_answered:
                self._step(events.ApprovalAnswered(open.key, "failed"))

    def _task_seen(self, task: Task) -> events.TaskSeen:
        ended = task.completed_at
        age_s = 0.0 if ended is None else max(0.0, self.system.clock.wall() - ended / 1000)
        return events.TaskSeen(task, age_s)

    def _agent_seen(self, agent: SubAgent) -> events.AgentSeen:
        expires_at = 0.0
        if agent.approval is not None and agent.approval.expires_at:
            expires_at = self.now + agent.approval.expires_at / 1000 - self.system.clock.wall()
        return events.AgentSeen(agent, expires_at)

    # -- the conversation and its effects -----------------------------------------------------------------

    def _step(self, event: events.Event) -> None:
        machine, effects = conversation.step(self.state.conversation, event, self.now, self.settings)
        self.state = replace(self.state, conversation=machine)
        for effect in effects:
            self._perform(effect)
        self._arm()

    def _perform(self, effect: events.Effect) -> None:
        desk = self.state.desk
        match effect:
            case events.Show(text=text, for_s=for_s, is_critical=is_critical):
                layout = layouts.TextWall(text=text) if text else layouts.ClearView()
                self._say(
                    from_app.DisplayEvent(
                        package_name=self.settings.package_name,
                        layout=layouts.to_raw(layout),
                        duration_ms=None if for_s is None else max(1, round(for_s * 1000)),
                        force_display=is_critical or None,
                    )
                )
            case events.Ask(question):
                if desk is None:
                    self._step(events.QuestionFailed(NO_ASSISTANT))
                    return
                self.ask(
                    desk.assistant,
                    put_question(question),
                    then=QuestionTaken,
                    failed=QuestionNotTaken,
                    timeout_s=QUERY_TIMEOUT_S,
                )
            case events.Answer():
                self._answer(effect)
            case events.Speak(number, text):
                self._say(
                    from_app.AudioPlayRequest(
                        package_name=self.settings.package_name,
                        request_id=f"{self.settings.package_name}-{number}",
                        audio_url=speech_url(self.domain.urls.internal, text),
                        volume=1,
                        stop_other_audio=True,
                        track_id=SPEECH_TRACK,
                    )
                )
            case events.StopSpeaking():
                self._say(
                    from_app.AudioStopRequest(package_name=self.settings.package_name, track_id=SPEECH_TRACK)
                )
            case events.UseMicrophone(is_needed):
                self._subscribe(hears=is_needed)

    def _answer(self, answer: events.Answer) -> None:
        key, desk = approval_key(answer.agent_id, answer.approval_id), self.state.desk
        if desk is None:
            self._step(events.ApprovalAnswered(key, "failed"))
            return
        self.ask(
            desk.desktops,
            give_answer(answer),
            then=lambda outcome: AnswerTaken(key, outcome),
            failed=lambda _: AnswerTaken(key, "failed"),
        )

    def _subscribe(self, *, hears: bool) -> None:
        speech = (f"transcription:{self.settings.language}",) if hears else ()
        wanted = (*speech, "button_press", "head_position", "glasses_connection_state")
        self._say(from_app.SubscriptionUpdate(package_name=self.settings.package_name, subscriptions=wanted))

    def _arm(self) -> None:
        due = conversation.deadline(self.state.conversation, self.settings)
        if due is None:
            self.cancel_timer("conversation")
        else:
            self.set_timer("conversation", max(0.0, due - self.now), ConversationTick())
