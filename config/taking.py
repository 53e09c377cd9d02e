"""The server that takes over: stands, hears everything, and goes on with it.

Its tree is up and its front door is closed: the engine is frozen and the listener paused until every session
stands with its sockets. So no byte of a peer is read before there is somebody to hear it.
"""

from __future__ import annotations

import socket
import time

import trio

from actors import handover as records
from actors.allowance import app_allowance
from actors.desktop.roster import DeskRosterMessage, LookForWork
from actors.front.addresses import UNKNOWN
from actors.front.app_gate import StrangerHandler
from actors.front.doorman import DoormanMessage
from actors.handover import HandedSession, UnreadableRecordError
from actors.overload.actor import Excused, OverloadMessage
from actors.ports import CloseInfo, Connection, Telemetry
from actors.users.roster import RosterMessage, adopt_user
from adapters.listener.handing import HandingError, HandingSocket
from config import handover
from config.front import FrontDoorServices
from config.settings import Settings
from protocols import close_codes
from runtime import ActorSystem, Ref, RuntimeFailure

TAKE_S = 10.0
ADOPT_S = 10.0
EXCUSED_S = 2.0
"""Far more than it takes to work off what came during the hand-over of 1,000 sessions."""


class Everything:
    """What was heard, in order. `frozen_at`: see `handover.AllGiven`."""

    def __init__(self) -> None:
        self.sockets: list[tuple[handover.SocketGiven, socket.socket]] = []
        self.sessions: list[HandedSession] = []
        self.dials: list[socket.socket] = []
        self.frozen_at = 0.0

    def close(self) -> None:
        """Close our copies: the giver goes on with its own."""
        for _, sock in self.sockets:
            sock.close()
        for sock in self.dials:
            sock.close()


class Nobody:
    """Hears a connection until its own handler is bound: nothing, since the engine is frozen."""

    def opened(self, connection: Connection) -> None:
        """It is open."""

    def text(self, connection: Connection, payload: bytes) -> None:
        connection.close(close_codes.SERVER_RESTARTING.code, close_codes.SERVER_RESTARTING.reason)

    def binary(self, connection: Connection, payload: bytes) -> None:
        """Nobody takes it."""

    def closed(self, connection: Connection, info: CloseInfo) -> None:
        """Whoever binds the connection hears of it then."""

    def failed(self, connection: Connection, error: Exception) -> None:
        raise error


class Taker:
    """Takes everything over from the server at the other end of `taking`.

    Args:
      tree: the path of the application's tree.
    """

    def __init__(
        self,
        taking: socket.socket,
        system: ActorSystem,
        tree: str,
        front: FrontDoorServices,
        settings: Settings,
        telemetry: Telemetry,
    ) -> None:
        self._taking = taking
        self._system = system
        self._tree = tree
        self._front = front
        self._settings = settings.domain
        self._telemetry = telemetry

    def greet(self) -> None:
        """Say which version is understood, before the keeper is told that this server stands."""
        HandingSocket(self._taking, within_s=TAKE_S).send(handover.encode(handover.Hello(records.VERSION)))

    async def take_over(self) -> None:
        """Wait until everything is given, and go on with it; the front door is open when this returns.

        Raises:
          HandingError: the giver goes on itself. Nothing was touched.
        """
        await trio.lowlevel.wait_readable(self._taking)
        handing = HandingSocket(self._taking, within_s=TAKE_S)
        # In a thread, which ends by that deadline: the loop has its own to do, and nothing of it is touched.
        everything = await trio.to_thread.run_sync(receive, handing)
        self._taking.close()
        await self._adopt(everything)
        self._telemetry.info(
            "taken_over",
            sessions=len(everything.sessions),
            sockets=len(everything.sockets),
            dials=len(everything.dials),
            pause_ms=round((time.monotonic() - everything.frozen_at) * 1000),
        )

    async def _adopt(self, everything: Everything) -> None:
        engine, listener = await self._front.engine.wait(), await self._front.listener.wait()
        connections: dict[str, Connection] = {}
        strangers: list[tuple[Connection, tuple[bytes, ...]]] = []
        for given, sock in everything.sockets:
            connection = engine.take_over(sock, given.connection, Nobody())
            if connection is not None:
                connections[connection.id] = connection
                if given.said is not None:
                    strangers.append((connection, given.said))
        async with trio.open_nursery() as nursery:
            for session in everything.sessions:
                nursery.start_soon(self._adopt_session, session, connections)
        for stranger, said in strangers:
            self._adopt_stranger(stranger, said)
        with trio.move_on_after(ADOPT_S):
            while self._system.scheduler.ready:  # nothing tells that nobody has mail
                await trio.lowlevel.checkpoint()
        for dial in everything.dials:
            listener.hold(dial)
        excuse(self._system, self._tree)
        take_up_desks(self._system, self._tree)
        self._front.open()

    async def _adopt_session(self, record: HandedSession, connections: dict[str, Connection]) -> None:
        roster: Ref[RosterMessage] | None = self._system.find(f"{self._tree}/roster")
        assert roster is not None
        now = self._system.clock.now()
        beginning = records.adopted(record, connections, now, self._settings)
        try:
            await roster.ask(adopt_user(record.user_id, beginning), timeout_s=ADOPT_S)
        except RuntimeFailure as error:
            self._telemetry.error("session_not_taken_over", user=record.user_id, cause=str(error))
            # Whoever dials again finds the session by its snapshot, as after a crash.
            close = close_codes.SERVER_RESTARTING
            for owned in records.connections_of(record):
                if owned in connections:
                    connections[owned].close(close.code, close.reason)

    def _adopt_stranger(self, connection: Connection, said: tuple[bytes, ...]) -> None:
        doorman: Ref[DoormanMessage] | None = self._system.find(f"{self._tree}/front door/doorman")
        assert doorman is not None
        handler = StrangerHandler(doorman, app_allowance(self._settings.limits), UNKNOWN)
        connection.bind(handler)
        handler.opened(connection)
        for payload in said:
            handler.text(connection, payload)


def excuse(system: ActorSystem, tree: str) -> None:
    """What has waited for a hand-over is no overload: none of its audio is to be shed."""
    overload: Ref[OverloadMessage] | None = system.find(f"{tree}/overload")
    if overload is not None:
        overload.tell(Excused(EXCUSED_S))


def take_up_desks(system: ActorSystem, tree: str) -> None:
    """The other server writes no more: what agents and tasks it has left is final now."""
    desks: Ref[DeskRosterMessage] | None = system.find(f"{tree}/desk roster")
    if desks is not None:
        desks.tell(LookForWork())


def receive(handing: HandingSocket) -> Everything:
    """Hear everything, and that it is ours.

    Raises:
      HandingError: it is not; the giver goes on itself.
    """
    everything = Everything()
    try:
        while not isinstance(word := _hear_one(handing, everything), handover.AllGiven):
            pass
        heard = (len(everything.sockets), len(everything.sessions), len(everything.dials))
        if heard != (word.sockets, word.sessions, word.dials):
            raise HandingError(f"{heard} was heard of {word}")
        everything.frozen_at = word.frozen_at
        handing.send(handover.encode(handover.AllTaken()))
        if not isinstance(handover.hear(handing), handover.Yours):
            raise HandingError("the other server says what cannot be")
    except (HandingError, UnreadableRecordError) as error:
        everything.close()
        if isinstance(error, HandingError):
            raise
        handing.send(handover.encode(handover.NotTaken(f"a session could not be read: {error}")))
        raise HandingError(str(error)) from error
    return everything


def _hear_one(handing: HandingSocket, everything: Everything) -> handover.Word:
    payload, passed = handing.receive()
    word = handover.decode(payload)
    match word:
        case handover.SocketGiven() if passed is not None:
            everything.sockets.append((word, passed))
        case handover.DialGiven() if passed is not None:
            everything.dials.append(passed)
        case handover.SessionGiven():
            everything.sessions.append(records.decode(word.record))
        case handover.AllGiven():
            pass
        case _:
            raise HandingError("the other server says what cannot be")
    return word
