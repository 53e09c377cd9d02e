"""The server that hands over: comes to rest, tells the next one everything, and ends.

Coming to rest costs the peers little: requests are answered and a first flush is made while everything still
runs; then the engine stops reading, the mailboxes run empty, and what changed meanwhile is flushed. From the
record to the end nothing of this process runs any more: that part is one call that holds the loop, so no
timer, no commit and no webhook of ours can fall between what was told and what we do. If it fails, the loop
goes on where it stood.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import trio

from actors import handover as records
from actors.front.app_gate import StrangerHandler
from actors.journal.actor import StorageWellbeing
from actors.ports import Telemetry
from actors.session.state import SessionState
from actors.snapshots.messages import Flush
from actors.users.roster import Entry
from adapters.listener.handing import HandingError, HandingSocket
from config import handover
from config.front import FrontDoorServices
from config.taking import excuse
from runtime import ActorSystem, Ref, RuntimeFailure

K = TypeVar("K")

DRAIN_S = 2.0
QUIET_S = 2.0
FLUSH_S = 2.0
GIVE_S = 8.0
"""The loop is held for so long at most: well under `watchdog_s`."""
FINISH_S = 1.0

_LOOK_EVERY_S = 0.001


class NotAtRestError(Exception):
    """Something is under way that does not come to its end; the text says what."""


class Giver:
    """Hands everything of this process over.

    Args:
      tree: the path of the application's tree.
      end: ends the process after that; does not return.
    """

    def __init__(
        self,
        system: ActorSystem,
        tree: str,
        front: FrontDoorServices,
        telemetry: Telemetry,
        *,
        end: Callable[[], object] = lambda: os._exit(0),
    ) -> None:
        self._system = system
        self._tree = tree
        self._front = front
        self._telemetry = telemetry
        self._end = end
        self._frozen_at = 0.0

    async def hand_over(self, to: socket.socket) -> str:
        """Hand over to the server at the other end of `to`, and end the process.

        Returns: why this server goes on instead, as if nothing had been.
        """
        self._telemetry.info("handing_over")
        try:
            self._check_version(to)
            await self._come_to_rest()
            self._give(HandingSocket(to, within_s=GIVE_S))
        except (HandingError, NotAtRestError, RuntimeFailure) as error:
            reason = str(error)
        except Exception as error:  # a mistake in a hand-over is no reason to end a server that is well
            self._telemetry.error("hand_over_failed", cause=repr(error))
            reason = f"a mistake of ours: {error!r}"
        else:
            self._leave()
            reason = "it has ended"  # only where `end` returns
        finally:
            to.close()
        await self._go_on()
        self._telemetry.warning("not_handed_over", cause=reason)
        return reason

    def _check_version(self, to: socket.socket) -> None:
        hello = handover.hear(HandingSocket(to, within_s=1.0))
        version = hello.version if isinstance(hello, handover.Hello) else None
        if version != records.VERSION:
            raise HandingError(
                f"the new server takes over version {version}, this one hands over {records.VERSION}: "
                f"restart it instead"
            )

    # -- coming to rest

    async def _come_to_rest(self) -> None:
        listener, host, engine = self._front.listener.now, self._front.host.now, self._front.engine.now
        if listener is None or host is None or engine is None:
            raise NotAtRestError("the front door is being restarted; try again")
        listener.pause()
        cut_off = await host.drain(DRAIN_S)
        if cut_off:
            self._telemetry.warning("requests_cut_off", count=cut_off)
        await self._flush()
        engine.freeze()
        self._frozen_at = time.monotonic()
        await self._await_quiet()
        await self._flush()
        await self._await_quiet()

    async def _flush(self) -> None:
        snapshots = self._system.find(f"{self._tree}/snapshots")
        assert snapshots is not None
        if not await snapshots.ask(Flush, timeout_s=FLUSH_S):
            raise NotAtRestError("storage is not well: the last of the sessions is not stored")

    async def _await_quiet(self) -> None:
        """Wait until nobody has mail and nothing is being stored."""
        with trio.move_on_after(QUIET_S):
            while self._what_is_under_way():  # noqa: ASYNC110 - nothing tells of its end
                await trio.sleep(_LOOK_EVERY_S)
            return
        raise NotAtRestError(f"after {QUIET_S:g} s still {self._what_is_under_way()}")

    def _what_is_under_way(self) -> str:
        engine = self._front.engine.now
        if engine is None or engine.settle() or self._system.scheduler.ready:
            return "there is mail"
        journal: StorageWellbeing = self._state_of(f"{self._tree}/journal")
        if journal.writing or journal.waiting:
            return "something is being stored"
        for session, _ in self._sessions():
            if session.saving:
                return f"a running list is being stored: {session.user_id}"
            for entry in session.apps.values():
                app = self._system.state_of(entry.ref)
                if app is not None and app.parting:
                    return f"a stop is being announced: {session.user_id}"
        return ""

    def _sessions(self) -> Iterator[tuple[SessionState, Entry]]:
        roster: Mapping[str, Entry] = self._state_of(f"{self._tree}/roster")
        for entry in roster.values():
            if entry.session is not None and not entry.is_ending:
                session: SessionState | None = self._system.state_of(entry.session)
                if session is not None and session.incarnation and not session.has_left:
                    yield session, entry

    def _state_of(self, path: str) -> Any:
        ref = self._system.find(path)
        if ref is None:
            raise NotAtRestError(f"{path} is being restarted; try again")
        return self._system.state_of(ref)

    def _states_of(self, refs: Mapping[K, Ref[Any]]) -> dict[K, Any]:
        """The states of those that are not being restarted."""
        found = {key: self._system.state_of(ref) for key, ref in refs.items()}
        return {key: state for key, state in found.items() if state is not None}

    # -- giving

    def _give(self, handing: HandingSocket) -> None:
        """Tell everything, and hear that it has been taken. Holds the loop.

        Raises:
          HandingError: it has not, and nothing of it is any different here.
        """
        engine, listener = self._front.engine.now, self._front.listener.now
        assert engine is not None
        assert listener is not None
        sessions = [self._record(session, entry) for session, entry in self._sessions()]
        owned = {id for session in sessions for id in records.connections_of(session)}
        given = []
        for connection, sock, record in engine.record():
            handler = connection.handler
            if connection.id in owned:
                word = handover.SocketGiven(record)
            elif isinstance(handler, StrangerHandler):
                word = handover.SocketGiven(record, handler.said)
            else:
                continue  # its close is on its way, and `finish` sees to it
            handing.send(handover.encode(word), sock)
            given.append(connection)
        for session in sessions:
            handing.send(handover.encode(handover.SessionGiven(records.encode(session))))
        for dial in listener.held:
            handing.send(handover.encode(handover.DialGiven()), dial)
        everything = handover.AllGiven(self._frozen_at, len(given), len(sessions), len(listener.held))
        handing.send(handover.encode(everything))
        self._telemetry.info(
            "hand_over_told", sessions=len(sessions), sockets=len(given), dials=len(listener.held)
        )
        answer = handover.hear(handing)
        if not isinstance(answer, handover.AllTaken):
            raise HandingError(answer.reason if isinstance(answer, handover.NotTaken) else repr(answer))
        # From here on they are the taker's, whatever becomes of it.
        handing.send(handover.encode(handover.Yours()))
        self._telemetry.info("handed_over")
        engine.let_go(given)

    def _record(self, session: SessionState, entry: Entry) -> records.HandedSession:
        assert entry.session is not None
        assert entry.display is not None
        branch = entry.session.path.rpartition("/")[0]
        return records.capture(
            session,
            self._system.state_of(entry.display),
            self._state_of(f"{branch}/link"),
            self._state_of(f"{branch}/peer").negotiation,
            self._states_of({package: app.ref for package, app in session.apps.items()}),
            self._states_of({language: stream.ref for language, stream in session.streams.items()}),
            self._states_of(session.translations),
            self._state_of(f"{branch}/history"),
            self._system.clock.now(),
        )

    def _leave(self) -> None:
        if self._front.engine.now is not None:
            self._front.engine.now.finish(FINISH_S)
        sys.stderr.flush()
        self._end()

    async def _go_on(self) -> None:
        excuse(self._system, self._tree)
        if self._front.engine.now is not None:
            self._front.engine.now.thaw()
        if self._front.host.now is not None:
            await self._front.host.now.resume()
        if self._front.listener.now is not None:
            self._front.listener.now.resume()
