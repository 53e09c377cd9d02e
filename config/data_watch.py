"""Whether the store on disk is still the one that the server has open.

A file that was deleted, or moved with its folder, stays open and takes every commit: nothing fails, and all
of it is gone with the process. So its name is looked at now and then.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio

from actors.ports import Telemetry
from adapters.storage import FILE_NAME

EVERY_S = 10.0


class DataWatch:
    """Watches the store's file in the data directory `data`; it is there when this is made.

    Attributes:
      problem: what is wrong with it at the moment; empty when nothing is.
    """

    def __init__(self, data: str, telemetry: Telemetry) -> None:
        self.problem = ""
        self._path = Path(data) / FILE_NAME
        self._telemetry = telemetry
        self._ours = self._identity()

    def health(self) -> dict[str, object]:
        """What `GET /health` says of it: nothing while all is well."""
        return {"status": "data_lost", "problem": self.problem} if self.problem else {}

    async def run(self) -> None:
        """Look every 10 s until cancelled."""
        while True:
            await trio.sleep(EVERY_S)
            self.look()

    def look(self) -> None:
        """Look now; a change for the worse is an error in the log, one for the better is told too."""
        there = self._identity()
        if there == self._ours:
            if self.problem:
                self._telemetry.warning("data_found", path=str(self._path))
            self.problem = ""
            return
        problem = f"{self._path} is gone" if there is None else f"{self._path} is another file"
        if problem != self.problem:
            cause = "moved or deleted under the server; what is stored from now on will be lost: restart it"
            self._telemetry.error("data_lost", path=str(self._path), cause=cause)
        self.problem = problem

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino
