"""Whether a peer is still there (DESIGN section 6; protocol.md 4.1, 10.15, 12.8, 13.4, 13.12)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import pytest
import trio
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from trio.testing import MockClock

from actors.liveness import (
    APP_LIVENESS,
    AppOpened,
    CloseLink,
    ConnectionInit,
    Doubted,
    JsonPing,
    JsonPong,
    LivenessEffect,
    LivenessEvent,
    LivenessSettings,
    LivenessState,
    Opened,
    Recovered,
    SendAck,
    SendJsonPing,
    SendJsonPong,
    SendProtocolPing,
    Suspected,
    Tick,
    deadline,
    step,
)
from tests.actors.world import ADA, CAPTIONS, open_world

PHONE = LivenessSettings()


@dataclass
class Peer:
    """A connection with its engine: counts pings and pongs as the engine does, and ticks the machine in time.

    Attributes:
      answers_frames: it answers protocol pings (at once).
      answers_json: it answers a JSON `ping` with `pong`.
      is_gone: half-open: nothing comes from it any more.
    """

    settings: LivenessSettings = PHONE
    answers_frames: bool = True
    answers_json: bool = False
    is_gone: bool = False
    now: float = 0.0
    state: LivenessState = field(default_factory=LivenessState)
    heard_at: float = 0.0
    has_shown_pongs: bool = False
    unanswered: int = 0
    log: list[tuple[float, LivenessEffect]] = field(default_factory=list)

    def open(self, event: Opened | AppOpened) -> None:
        self.heard_at = self.now
        self.feed(event)

    def feed(self, event: LivenessEvent) -> None:
        self.state, effects = step(self.state, event, self.now, self.settings)
        due = deadline(self.state, self.settings)
        assert due is None or due > self.now  # or the actor would spin
        for effect in effects:
            self.log.append((round(self.now, 3), effect))
        for effect in effects:
            if isinstance(effect, SendProtocolPing):
                self.unanswered += 1
                if self.answers_frames and not self.is_gone:
                    self.heard_at, self.has_shown_pongs, self.unanswered = self.now, True, 0
            elif isinstance(effect, SendJsonPing) and self.answers_json and not self.is_gone:
                self.say(JsonPong())

    def say(self, event: LivenessEvent) -> None:
        self.heard_at = self.now
        self.feed(event)

    def send_bytes(self) -> None:
        self.heard_at = self.now

    def tick(self) -> None:
        missed = max(0, self.unanswered - 1)
        self.feed(
            Tick(last_activity_at=self.heard_at, has_shown_pongs=self.has_shown_pongs, missed_pongs=missed)
        )

    def run(self, until: float) -> None:
        while (due := deadline(self.state, self.settings)) is not None and due <= until:
            self.now = due
            self.tick()
        self.now = until

    def times(self, kind: type[LivenessEffect]) -> list[float]:
        return [at for at, effect in self.log if isinstance(effect, kind)]


def phone(*, token_in_query: bool, answers_frames: bool = True, answers_json: bool = False) -> Peer:
    peer = Peer(answers_frames=answers_frames, answers_json=answers_json)
    peer.open(Opened(token_in_query=token_in_query))
    return peer


def speak(peer: Peer, event: LivenessEvent, times: Iterable[float]) -> None:
    for time in times:
        peer.run(time)
        peer.say(event)


# The ack (13.12)


def test_a_phone_with_its_token_in_the_query_is_acknowledged_at_once() -> None:
    peer = phone(token_in_query=True)

    peer.run(5)

    assert peer.times(SendAck) == [0]


def test_a_phone_with_its_token_in_the_header_is_acknowledged_when_it_asks() -> None:
    peer = phone(token_in_query=False)

    speak(peer, ConnectionInit(), [0.4])
    peer.run(5)

    assert peer.times(SendAck) == [0.4]


def test_a_phone_that_never_asks_is_acknowledged_after_a_second() -> None:
    peer = phone(token_in_query=False)

    peer.run(5)

    assert peer.times(SendAck) == [1]


@pytest.mark.parametrize("token_in_query", [True, False])
def test_a_later_connection_init_is_answered_again(token_in_query: bool) -> None:
    peer = phone(token_in_query=token_in_query)

    speak(peer, ConnectionInit(), [3, 4])

    assert peer.times(SendAck)[1:] == [3, 4]


# What each generation is sent


def test_generation_a_gets_no_json_ping() -> None:
    peer = phone(token_in_query=False)

    peer.run(60)

    assert peer.times(SendJsonPing) == []


def test_generation_c_gets_a_json_ping_every_two_seconds() -> None:
    peer = phone(token_in_query=True, answers_json=True)

    peer.run(11)

    assert peer.times(SendJsonPing) == [2, 4, 6, 8, 10]
    assert peer.times(Suspected) == []


def test_generation_d_gets_json_pings_until_its_first_own() -> None:
    peer = phone(token_in_query=True)

    speak(peer, JsonPing(), [4.9, 9.9, 14.9])
    peer.run(16)

    assert peer.times(SendJsonPing) == [2, 4]
    assert peer.times(SendJsonPong) == [4.9, 9.9, 14.9]


def test_every_ping_is_answered_at_once_whoever_sends_it() -> None:
    peer = phone(token_in_query=False)

    speak(peer, JsonPing(), [0.5, 0.6])

    assert peer.times(SendJsonPong) == [0.5, 0.6]


def test_a_protocol_ping_goes_out_every_ten_seconds_to_a_phone_that_talks() -> None:
    peer = phone(token_in_query=True)
    peer.say(JsonPing())

    for tenth in range(1, 350):
        peer.run(tenth / 10)
        peer.send_bytes()

    assert peer.times(SendProtocolPing) == [0, 10, 20, 30]


# Silence


@pytest.mark.parametrize("token_in_query", [True, False])
def test_a_phone_that_answers_frames_and_says_nothing_is_never_suspect(token_in_query: bool) -> None:
    peer = phone(token_in_query=token_in_query)

    peer.run(600)

    assert peer.times(Suspected) == []
    assert peer.times(CloseLink) == []


def test_a_phone_that_was_heard_is_suspect_after_six_seconds_and_closed_after_ten() -> None:
    peer = phone(token_in_query=False)
    peer.run(100)
    peer.send_bytes()
    peer.is_gone = True

    peer.run(200)

    assert peer.times(Suspected) == [106]
    assert peer.log[-1] == (110, CloseLink(1001, "Ping timeout - no pong received"))


def test_a_suspect_is_probed_both_ways() -> None:
    peer = phone(token_in_query=True, answers_json=True)
    peer.run(100)
    peer.is_gone = True
    before = len(peer.log)

    peer.run(106)

    assert [(106.0, Suspected(6.0)), (106.0, SendProtocolPing()), (106.0, SendJsonPing())] == [
        entry for entry in peer.log[before:] if entry[0] == 106
    ]


def test_generation_a_is_probed_by_frames_alone() -> None:
    peer = phone(token_in_query=False)
    peer.run(100)
    peer.is_gone = True

    peer.run(120)

    assert peer.times(SendJsonPing) == []
    assert len(peer.times(CloseLink)) == 1


def test_any_bytes_clear_a_suspect() -> None:
    peer = phone(token_in_query=False, answers_frames=False)
    peer.run(6.5)
    peer.send_bytes()

    peer.run(9)

    assert peer.times(Suspected) == [6]
    assert [effect for _, effect in peer.log if isinstance(effect, Recovered)] == [Recovered(0.5)]


def test_a_suspect_that_speaks_is_cleared_at_once() -> None:
    peer = phone(token_in_query=False, answers_frames=False)

    speak(peer, JsonPing(), [6.5])

    assert peer.log[-2:] == [(6.5, SendJsonPong()), (6.5, Recovered(0.5))]


def test_a_phone_behind_a_proxy_that_eats_pongs_is_not_closed() -> None:
    """Internal note 017 of the original: a pong timeout behind such a proxy was a 13 minute outage."""
    peer = phone(token_in_query=False, answers_frames=False)

    peer.run(1800)

    assert peer.times(CloseLink) == []
    assert peer.times(Suspected) == [6]
    assert len(peer.times(SendProtocolPing)) < 200


def test_a_json_pong_is_not_demanded_of_a_phone_that_has_sent_none() -> None:
    peer = phone(token_in_query=True, answers_frames=False, answers_json=False)

    peer.run(600)

    assert peer.times(CloseLink) == []
    assert len(peer.times(SendJsonPing)) == 300


@pytest.mark.parametrize("answers_json", [True, False])
def test_a_phone_that_speaks_json_is_closed_even_behind_such_a_proxy(answers_json: bool) -> None:
    peer = phone(token_in_query=True, answers_frames=False, answers_json=answers_json)
    if not answers_json:  # generation D
        speak(peer, JsonPing(), [5, 10, 15, 20])
    peer.run(20)
    peer.is_gone = True

    peer.run(60)

    assert peer.times(CloseLink) == [30]


def test_one_unanswered_ping_is_not_yet_a_missed_pong() -> None:
    """A server that was itself asleep finds everybody silent, and closes nobody before it has asked twice."""
    peer = phone(token_in_query=False)
    peer.run(8)
    peer.now = 500.0  # the process was stopped; the peer's bytes wait unread
    peer.is_gone = True

    peer.tick()
    assert peer.times(Suspected) == [500]
    peer.is_gone = False
    peer.send_bytes()
    peer.run(520)

    assert peer.times(CloseLink) == []
    assert peer.times(Recovered) == [502]


def test_a_late_suspicion_leaves_the_probes_their_four_seconds() -> None:
    peer = phone(token_in_query=False)
    peer.run(8)
    peer.now = 500.0
    peer.is_gone = True

    peer.tick()
    peer.run(600)

    assert peer.times(CloseLink) == [504]


def test_a_phone_that_owed_nothing_and_then_spoke_is_closed_when_it_vanishes() -> None:
    peer = phone(token_in_query=False, answers_frames=False)
    speak(peer, JsonPing(), [60])
    peer.is_gone = True

    peer.run(100)

    assert peer.times(CloseLink) == [70]


def test_a_phone_that_was_asked_only_once_is_not_closed() -> None:
    peer = Peer(settings=LivenessSettings(quiet_ping_s=60, probe_s=60))
    peer.open(Opened(token_in_query=False))
    peer.is_gone = True

    peer.run(15)

    assert peer.times(SendProtocolPing) == [0, 6]
    assert peer.times(CloseLink) == []


def test_nothing_follows_a_close() -> None:
    peer = phone(token_in_query=True, answers_json=True)
    peer.run(10)
    peer.is_gone = True
    peer.run(30)
    before = list(peer.log)

    peer.tick()
    for event in (JsonPing(), JsonPong(), ConnectionInit()):
        peer.feed(event)

    assert before == peer.log
    assert deadline(peer.state, PHONE) is None


def test_a_new_connection_starts_from_nothing() -> None:
    peer = phone(token_in_query=True, answers_json=True)
    peer.run(10)
    peer.is_gone = True
    peer.run(50)
    peer.is_gone, peer.answers_json, peer.answers_frames = False, False, False
    peer.has_shown_pongs, peer.unanswered = False, 0

    peer.open(Opened(token_in_query=False))
    peer.run(100)

    assert peer.times(SendAck)[-1] == 51
    assert len(peer.times(CloseLink)) == 1


def test_a_machine_without_a_connection_does_nothing() -> None:
    state, effects = step(LivenessState(), JsonPing(), 5.0, PHONE)

    assert (LivenessState(), ()) == (state, effects)
    assert deadline(state, PHONE) is None


# Apps


def app(*, answers_frames: bool = True) -> Peer:
    peer = Peer(settings=APP_LIVENESS, answers_frames=answers_frames)
    peer.open(AppOpened())
    return peer


def test_an_app_is_pinged_by_frames_every_ten_seconds_and_never_in_json() -> None:
    peer = app()

    peer.run(45)

    assert peer.times(SendProtocolPing) == [0, 10, 20, 30, 40]
    assert {SendProtocolPing} == {type(effect) for _, effect in peer.log}


def test_a_half_open_app_is_noticed_within_25_seconds_by_a_code_it_survives() -> None:
    peer = app()
    peer.run(100)
    peer.is_gone = True

    peer.run(200)

    assert peer.times(Suspected) == [115]
    assert peer.log[-1] == (122, CloseLink(1011, "Ping timeout - no pong received"))


def test_a_doubted_app_is_asked_at_once_and_cleared_by_its_answer() -> None:
    peer = app()
    peer.run(3)
    pings = len(peer.times(SendProtocolPing))

    peer.feed(Doubted())
    peer.run(60)

    assert 3.0 == peer.times(SendProtocolPing)[pings]
    assert peer.state.is_open
    assert peer.state.suspected_at is None


def test_a_doubted_app_that_is_gone_is_closed_seven_seconds_later() -> None:
    peer = app()
    peer.run(3)
    peer.is_gone = True

    peer.feed(Doubted())
    peer.run(60)

    assert [10.0] == peer.times(CloseLink)


def test_an_app_behind_a_proxy_that_eats_pongs_is_not_closed() -> None:
    peer = app(answers_frames=False)

    peer.run(1800)

    assert peer.times(CloseLink) == []


def test_an_app_of_sdk_3_gets_its_pong_and_owes_nothing_for_it() -> None:
    peer = app(answers_frames=False)

    speak(peer, JsonPing(), [3])
    peer.run(300)

    assert peer.times(SendJsonPong) == [3]
    assert peer.times(SendJsonPing) == []
    assert peer.times(CloseLink) == []


def test_an_app_s_socket_gets_no_phone_s_ack() -> None:
    peer = app()

    peer.run(60)

    assert peer.times(SendAck) == []


def test_the_state_goes_on_where_its_own_encoding_stood() -> None:
    peer = phone(token_in_query=True, answers_frames=False)
    peer.run(7)

    assert peer.state == msgspec.json.decode(msgspec.json.encode(peer.state), type=LivenessState)


class Links(RuleBasedStateMachine):
    """Any peer, in any mood, ticked in time: who is there stays, who is gone and owes an answer is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer()
        self.is_phone = True
        self.token_in_query = False
        self.gone_at: float | None = None
        self.log_start = 0

    @rule(
        token_in_query=st.booleans(),
        is_phone=st.booleans(),
        answers_frames=st.booleans(),
        answers_json=st.booleans(),
    )
    def open(self, *, token_in_query: bool, is_phone: bool, answers_frames: bool, answers_json: bool) -> None:
        self.peer = Peer(
            settings=PHONE if is_phone else APP_LIVENESS,
            answers_frames=answers_frames,
            answers_json=answers_json,
            now=self.peer.now,
        )
        self.is_phone, self.token_in_query, self.gone_at = is_phone, token_in_query, None
        self.peer.open(Opened(token_in_query=token_in_query) if is_phone else AppOpened())

    @property
    def is_open(self) -> bool:
        return self.peer.state.is_open

    @precondition(lambda self: self.is_open)
    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 5.0, 9.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        peer = self.peer
        owes = peer.has_shown_pongs or (
            self.is_phone and (peer.state.has_said_ping or peer.state.has_said_pong)
        )
        peer.run(peer.now + seconds)
        if self.gone_at is not None and owes:
            late_s = peer.settings.close_after_s
            assert not self.is_open or peer.now < self.gone_at + late_s + 0.001
        if peer.times(CloseLink):
            assert peer.now >= peer.heard_at + peer.settings.close_after_s

    @precondition(lambda self: self.is_open and self.gone_at is None)
    @rule()
    def the_peer_vanishes(self) -> None:
        self.peer.is_gone = True
        self.gone_at = self.peer.now

    @precondition(lambda self: self.is_open and self.gone_at is None)
    @rule(event=st.sampled_from([JsonPing(), JsonPong(), ConnectionInit()]))
    def the_peer_speaks(self, event: LivenessEvent) -> None:
        before = len(self.peer.log)
        self.peer.say(event)
        said = [effect for _, effect in self.peer.log[before:]]
        assert (SendJsonPong() in said) is isinstance(event, JsonPing)

    @precondition(lambda self: self.is_open and self.gone_at is None)
    @rule()
    def the_peer_sends_audio(self) -> None:
        self.peer.send_bytes()

    def teardown(self) -> None:
        log = [effect for _, effect in self.peer.log]
        kinds = [type(effect) for effect in log]
        if not (self.is_phone and self.token_in_query):
            assert SendJsonPing not in kinds
        if self.is_phone and self.token_in_query and log:
            assert SendAck() in log
        assert kinds.count(CloseLink) <= 1
        assert CloseLink not in kinds[:-1]
        judged = [kind for kind in kinds if kind in (Suspected, Recovered)]
        assert all(judged[i] is (Suspected if i % 2 == 0 else Recovered) for i in range(len(judged)))
        times = self.peer.times(SendJsonPing)
        assert all(later - earlier <= 2.001 for earlier, later in itertools.pairwise(times))


Links.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLinks = Links.TestCase


async def test_the_tree_shows_how_each_socket_is(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.phone()
        server = await world.running_app(phone)
        phone.say({"type": "ping"})
        server.connection.health.round_trip_s = 0.0123
        await trio.sleep(3)

        link = world.system.tree(world.find(f"users/{ADA}/link")).facts
        app = world.system.tree(world.find(f"users/{ADA}/apps/{CAPTIONS}")).facts
        phone.hang_up()
        await world.settle()
        gone = world.system.tree(world.find(f"users/{ADA}/link")).facts

        assert (phone.id, 3.0, 1) == (link["connection"], link["silent_s"], link["phones"])
        assert (server.connection.id, 12.3, "running") == (
            app["connection"],
            app["round_trip_ms"],
            app["phase"],
        )
        assert phone.health.missed_pongs == link["missed_pongs"]
        assert {"phones": 1} == gone
