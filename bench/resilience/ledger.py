"""What was acknowledged, and whether it is still there.

All the time one app is started and stopped over REST, for one wearer after the other. What the answer says is
acknowledged: from then on the wearer's running list has the app, or has it not, whatever dies. After each
scenario the list is read back, from the store and as the phone was last told it. An unanswered request leaves
it open what is so; that wearer is not judged until the next answer.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import threading
from contextlib import closing, suppress
from typing import Final

from adapters.storage import FILE_NAME

from .world import PACKAGE, SWITCHED, World

PAUSE_S: Final = 0.1


class Ledger(threading.Thread):
    """Writes in a thread of its own until `stop`.

    Attributes:
      acknowledged: what the last answer said, by session number.
      answers, failures: how many requests were answered, and how many were not.
    """

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[int, bool] = {}
        self.answers = self.failures = 0
        self._world = world
        self._is_writing = threading.Lock()
        self._is_over = threading.Event()

    def run(self) -> None:
        index = 0
        while not self._is_over.wait(PAUSE_S):
            with self._is_writing:
                self._switch(index)
            index = (index + 1) % len(self._world.users)

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def lost(self) -> list[str]:
        """What was acknowledged and is not so: one sentence each. Nothing is written meanwhile."""
        with self._is_writing:
            with suppress(TimeoutError):  # what a phone is told may be under way
                self._world.wait(lambda: not self._told_wrong(), "the running lists", 2.0)
            wrong = self._told_wrong()
            stored = self._stored()
            for index, is_on in self.acknowledged.items():
                expected = {PACKAGE, SWITCHED} if is_on else {PACKAGE}
                user = self._world.users[index]
                if expected != set(stored.get(user, ())):
                    wrong.append(f"{user}: stored {stored.get(user)}, acknowledged {sorted(expected)}")
        return wrong

    def _switch(self, index: int) -> None:
        word = "stop" if self.acknowledged.get(index) else "start"
        token = self._world.token(index)
        self.acknowledged.pop(index, None)
        try:
            status, said = self._world.rest("POST", f"/apps/{SWITCHED}/{word}", token=token)
        except (OSError, http.client.HTTPException):
            self.failures += 1
            return
        if status == 200:
            self.answers += 1
            self.acknowledged[index] = said["data"]["isRunning"]
        else:
            self.failures += 1

    def _told_wrong(self) -> list[str]:
        return [
            f"{self._world.users[index]}: the phone was told {self._world.listed.get(index)}, "
            f"acknowledged {SWITCHED} {'on' if is_on else 'off'}"
            for index, is_on in self.acknowledged.items()
            if is_on != (SWITCHED in self._world.listed.get(index, ()))
        ]

    def _stored(self) -> dict[str, list[str]]:
        with closing(sqlite3.connect(self._world.data / FILE_NAME)) as file:
            rows = file.execute("SELECT user_id, running_apps FROM users").fetchall()
        return {user: json.loads(apps) for user, apps in rows}
