"""Simple storage: what an app keeps for a user (protocol.md 1.3, 10.26).

An app reaches what it has kept itself, of users for whom it runs or who have installed it, and nothing else:
its package is the key's, and the user in the path has to be one of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.cabinet.messages import edit_storage
from actors.cabinet.preferences import TooLargeError
from actors.cabinet.reading import find_storage
from actors.cabinet.storage import ClearValues, PutValues, RemoveValue, StorageEdit
from actors.token_bucket import TokenBucket
from adapters.http.desk import Desk
from adapters.http.owners import reachable
from adapters.http.routes import Call, Caller, Failure, Route, Routes
from protocols import keeping
from protocols.error_codes import ErrorCode

MOST_BUCKETS: Final = 10_000

OWN = "the caller's own values, of users who run it or have installed it"
STATUSES: Final = (403, 429, 503)

ALL = "/api/sdk/simple-storage/<user_id>"
ONE = "/api/sdk/simple-storage/<user_id>/<path:key>"

READ_ALL = Route[None](
    "GET",
    ALL,
    Caller.APP,
    OWN,
    "All values.",
    answer=keeping.StoredValuesAnswer,
    statuses=STATUSES,
)
PUT_ALL = Route(
    "PUT",
    ALL,
    Caller.APP,
    OWN,
    "Put values beside what is there: 100 KB each, 1 MB together.",
    request=keeping.StoredValues,
    answer=keeping.Kept,
    statuses=(*STATUSES, 413),
)
CLEAR = Route[None](
    "DELETE", ALL, Caller.APP, OWN, "Remove all values.", answer=keeping.Kept, statuses=STATUSES
)
READ_ONE = Route[None](
    "GET",
    ONE,
    Caller.APP,
    OWN,
    "One value.",
    answer=keeping.StoredValueAnswer,
    statuses=(*STATUSES, 404),
)
PUT_ONE = Route(
    "PUT",
    ONE,
    Caller.APP,
    OWN,
    "Put one value, of 100 KB at most.",
    request=keeping.StoredValue,
    answer=keeping.Kept,
    statuses=(*STATUSES, 413),
)
REMOVE_ONE = Route[None](
    "DELETE",
    ONE,
    Caller.APP,
    OWN,
    "Remove one value; one that is not there is no error.",
    answer=keeping.Kept,
    statuses=STATUSES,
)

ROUTES = (READ_ALL, PUT_ALL, CLEAR, READ_ONE, PUT_ONE, REMOVE_ONE)


def storage_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("simple storage", desk)
    rates = Rates(desk.limits.calls, desk.limits.burst_calls)

    async def values(call: Call[Any], user_id: str) -> Mapping[str, str]:
        await admitted(call, user_id)
        return await find_storage(desk.store, user_id.lower(), call.caller_app.package_name)

    async def read_all(call: Call[None], user_id: str) -> keeping.StoredValuesAnswer:
        return keeping.StoredValuesAnswer(data=await values(call, user_id))

    async def read_one(call: Call[None], user_id: str, key: str) -> keeping.StoredValueAnswer:
        known = await values(call, user_id)
        if key not in known:
            raise Failure(404, ErrorCode.NOT_FOUND, "There is no value under this key")
        return keeping.StoredValueAnswer(data=known[key])

    async def put_all(call: Call[keeping.StoredValues], user_id: str) -> keeping.Kept:
        return await edited(call, user_id, PutValues(call.body.data))

    async def put_one(call: Call[keeping.StoredValue], user_id: str, key: str) -> keeping.Kept:
        return await edited(call, user_id, PutValues({key: call.body.value}))

    async def clear(call: Call[None], user_id: str) -> keeping.Kept:
        return await edited(call, user_id, ClearValues())

    async def remove_one(call: Call[None], user_id: str, key: str) -> keeping.Kept:
        return await edited(call, user_id, RemoveValue(key))

    async def edited(call: Call[Any], user_id: str, edit: StorageEdit) -> keeping.Kept:
        await admitted(call, user_id)
        try:
            await desk.cabinet.ask(edit_storage(user_id.lower(), call.caller_app.package_name, edit))
        except TooLargeError as error:
            raise Failure(413, ErrorCode.TOO_LARGE, str(error)) from error
        return keeping.Kept()

    async def admitted(call: Call[Any], user_id: str) -> None:
        """Whether the app may call now, and for this user.

        Raises:
          Failure: it may not.
        """
        package_name = call.caller_app.package_name
        wait_s = rates.wait_s(f"{package_name} {user_id.lower()}", desk.wall())
        if wait_s:
            message = f"more than {desk.limits.calls:g} calls a second"
            raise Failure(429, ErrorCode.RATE_LIMITED, message, retry_after_s=wait_s)
        await reachable(desk, call.caller_app, user_id.lower())

    routes.serve(READ_ALL, read_all)
    routes.serve(PUT_ALL, put_all)
    routes.serve(CLEAR, clear)
    routes.serve(READ_ONE, read_one)
    routes.serve(PUT_ONE, put_one)
    routes.serve(REMOVE_ONE, remove_one)
    return routes


class Rates:
    """How often somebody calls, for the last ten thousand of them.

    Args:
      rate: calls a second.
      burst: calls at once after a silence.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}

    def wait_s(self, who: str, now: float) -> float:
        """Take one call; how long to wait where there is none, 0 where there was."""
        bucket = self._buckets.pop(who, None) or TokenBucket(self._rate, self._burst, now=now)
        self._buckets[who] = bucket  # the one that has called last is the last to be forgotten
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if bucket.take(now) else bucket.wait_s(now)
