"""What a wearer has used, for themselves: their sessions, apps and features by the day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from actors.usage import COLLECTION, Usage
from adapters.http.desk import Desk
from adapters.http.routes import Call, Caller, Route, Routes

_MOST_DAYS: Final = 366


class UsedDay(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A day in UTC. `session_s`, and how long each app and feature was there, are seconds."""

    day: str
    sessions: int
    session_s: float
    apps: Mapping[str, float]
    features: Mapping[str, float]


class UsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    success: bool = True
    days: tuple[UsedDay, ...]


READ = Route[None](
    "GET",
    "/api/client/usage",
    Caller.USER,
    "the caller's own days",
    "How long sessions, apps and features were there, by the day, the newest first.",
    answer=UsageAnswer,
    statuses=(503,),
)

ROUTES = (READ,)


def usage_routes(desk: Desk) -> Routes:
    """Their views."""
    routes = Routes("usage", desk)

    async def read(call: Call[None]) -> UsageAnswer:
        found = await desk.store.list_documents(COLLECTION, call.user_id, _MOST_DAYS)
        days = sorted(
            (msgspec.json.decode(each.document, type=Usage) for each in found),
            key=lambda usage: usage.day,
            reverse=True,
        )
        return UsageAnswer(
            days=tuple(
                UsedDay(
                    day=usage.day,
                    sessions=usage.sessions,
                    session_s=round(usage.session_s, 1),
                    apps=usage.apps,
                    features=usage.features,
                )
                for usage in days
            )
        )

    routes.serve(READ, read)
    return routes
