"""docs/rest.md, written from the table of routes: who calls, whose data is reached, what is answered, which
tests hold it to that. A test compares; `python -m config.reference` writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.http.openapi import statuses_of
from adapters.http.routes import Caller, Route
from adapters.http.table import GROUPS

_HEAD = """# REST

Every route of this server, written by `python -m config.reference` from the table that serves them
(`adapters/http/table.py`); a test compares. `GET /api/docs` answers with the same as OpenAPI 3.1, bodies
included, and `tests/system/test_openapi.py` holds a running server to that document with generated requests.
The owner rule, whose data a route reaches, is tried for each of them in `tests/adapters/http/test_owners.py`.

Read on 2026-11-21: schemathesis made 527 requests of the then 81 operations, good ones and bad ones. 165 were
answered with 200, 347 with 4xx, 15 with 501 where something is not offered here; none broke the document or
met a fault of ours. Its first run found one difference: an optional query may be empty, and the document
forbade it.

Every path is also served below `/o/<owner>`. Bodies are JSON. What is no 200 has `message` (or `error`),
`code`, `hop`, `remedy` and, where waiting helps, `retry_after` in seconds ([the codes](apps.md#7-errors)).
`503` with `"error": "no_active_session"` means that the phone's WebSocket is not connected and has to be
dialled first; every other 503 says in `Retry-After` when to ask again.

Who calls, and what they show:

| Caller | Shows |
| --- | --- |
| anybody | nothing |
| user | `Authorization: Bearer <core token>`; with "session" their phone's session has to be live |
| app | `Authorization: Bearer <package>:<key>`, or the key alone, or `X-API-Key` and `X-Package-Name` |
| app, by its body | `packageName` and `apiKey` in the body |
| app, by its socket | `Authorization: Bearer <app session id>`, from the address of the app's own socket |
| administration | `Authorization: Bearer <admin token>`, which is in the data directory |

Nobody is who a query says. A key in the query (protocol of older clouds) is not looked at, since queries end
up in logs. An app reaches its own package's data, of users for whom it runs or who have installed it;
starting an app installs it.
"""

_TESTS = {"app_routes": "tests/system/test_rest.py"}
_SHOWN = {
    Caller.ANYBODY: "anybody",
    Caller.USER: "user",
    Caller.SESSION: "user, session",
    Caller.APP: "app",
    Caller.APP_HEADERS: "app",
    Caller.APP_BODY: "app, by its body",
    Caller.USER_OR_APP: "user or app",
    Caller.APP_SOCKET: "app, by its socket",
    Caller.ADMINISTRATION: "administration",
}


def rest_reference() -> str:
    """The whole document."""
    return "\n".join((_HEAD, *_groups()))


def file_of_tests(module: str) -> str:
    """The file with the tests of a module's routes."""
    return _TESTS.get(module, f"tests/adapters/http/test_{module}.py")


def _groups() -> Iterator[str]:
    for module, (title, routes) in GROUPS.items():
        rows = ["| Route | Caller | Reaches | Answers | What for |", "| --- | --- | --- | --- | --- |"]
        rows += [_row(route) for route in routes]
        yield f"## {title}\n\nTests: `{file_of_tests(module)}`.\n\n" + "\n".join(rows) + "\n"


def _row(route: Route[Any]) -> str:
    paths = ", ".join(f"`{path}`" for path in route.paths)
    statuses = " ".join(str(status) for status in statuses_of(route))
    cells = (f"{route.method} {paths}", _SHOWN[route.caller], route.owner, statuses, route.summary)
    return f"| {' | '.join(cells)} |"
