"""The settings of the MongoDB store, each with its unit, its default and why that default."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class MongoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How MongoDB is asked, and how the process that asks it is kept.

    Attributes:
      database: what the documents lie in.
      call_s: how long a call may take, with everything that is tried again in it, before it is an error. A
        planned change of primary takes 1 to 2 s; one after a crash about 12, and then sessions go on from
        memory and callers are told when to ask again.
      attempt_s: how long one attempt may take. What has not answered by then is asked again, over another
        connection, while `call_s` lasts.
      most_waiting: calls that may wait for an answer; one more is refused.
      start_s: a process that is not ready by then is killed. It needs half a second, and the database.
      restart_first_s, restart_most_s: how long no process is started after one has died, doubled by every
        one that dies within `restart_most_s` of its start.
    """

    database: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = "mentraos"
    call_s: Annotated[float, Meta(gt=0)] = 5.0
    attempt_s: Annotated[float, Meta(gt=0)] = 2.0
    most_waiting: Annotated[int, Meta(ge=1)] = 10_000
    start_s: Annotated[float, Meta(gt=0)] = 20.0
    restart_first_s: Annotated[float, Meta(gt=0)] = 0.1
    restart_most_s: Annotated[float, Meta(gt=0)] = 10.0
