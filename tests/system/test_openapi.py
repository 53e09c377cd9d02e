"""A running server keeps to its OpenAPI document, with requests that are generated from it.

Of each route schemathesis makes good requests and bad ones, from whoever the route is for. Every answer has a
status, a content type and a body that the document has; none is a fault of ours; what the document does not
allow is refused, and no route takes a method that it does not have.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from adapters.http import openapi
from adapters.http.routes import Caller
from adapters.http.table import ROUTES
from tests.system.peers import wearer
from tests.system.server import PATIENCE_S, Server

ADA: Final = "ada@example.org"
PACKAGE: Final = "org.example.openapi"
KEY: Final = "key"
GOOD, BAD = 5, 5
"""Requests of each kind and route: more only find more of the same, and all together have 40 s."""

NO_FAULT: Final = {501, 502, 503}
"""What is no fault of ours: not offered here, an app's server, a session that is just not there."""

CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]

ROUTES_OF: Final = {
    f"{route.method} {path}": route
    for route in ROUTES
    for path in openapi.document([route], version="0.0.0")["paths"]
}
SCHEMA: Final[Any] = schemathesis.openapi.from_dict(openapi.document(ROUTES, version="0.0.0"))
OPERATIONS: Final = {one.ok().label: one.ok() for one in SCHEMA.get_all_operations()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It has an app, and a wearer whose phone is connected."""
    settings = ("admin.allow_kill=true", "log_level=error", "session.phone_grace_s=300")
    with Server.start(tmp_path_factory.mktemp("openapi"), *settings) as server:
        trio.run(server.add_app, PACKAGE, "http://127.0.0.1:9")
        is_here, is_over = threading.Event(), threading.Event()

        async def wear() -> None:
            async with wearer(server, ADA):
                is_here.set()
                await trio.to_thread.run_sync(is_over.wait)

        thread = threading.Thread(target=trio.run, args=(wear,))
        thread.start()
        assert is_here.wait(PATIENCE_S)
        yield server
        is_over.set()
        thread.join()


@pytest.fixture(scope="module")
def shown(server: Server) -> dict[Caller, dict[str, str]]:
    """What each kind of caller shows."""
    user, app = {"Authorization": f"Bearer {server.token(ADA)}"}, {"Authorization": f"Bearer {PACKAGE}:{KEY}"}
    return {
        Caller.ANYBODY: {},
        Caller.USER: user,
        Caller.SESSION: user,
        Caller.USER_OR_APP: user,
        Caller.APP: app,
        Caller.APP_HEADERS: {"X-API-Key": KEY, "X-Package-Name": PACKAGE},
        Caller.APP_BODY: {},
        Caller.APP_SOCKET: {"Authorization": f"Bearer {ADA}-{PACKAGE}"},
        Caller.ADMINISTRATION: {"Authorization": f"Bearer {server.file.admin_token}"},
    }


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_route_answers_generated_requests_as_the_document_says(
    label: str, server: Server, shown: dict[Caller, dict[str, str]]
) -> None:
    operation, route = OPERATIONS[label], ROUTES_OF[label]
    headers = shown[route.caller]

    def tried(checks: list[Any]) -> Callable[[Any], None]:
        def try_it(case: Any) -> None:
            response = case.call(base_url=server.url, headers=headers, timeout=PATIENCE_S)
            assert response.status_code < 500 or response.status_code in NO_FAULT, response.text
            case.validate_response(response, checks=checks)

        return try_it

    kinds = [(GenerationMode.POSITIVE, GOOD, CHECKS)]
    if route.request not in (None, bytes) or any(route.query.values()):  # there is something to get wrong
        kinds.append((GenerationMode.NEGATIVE, BAD, [*CHECKS, negative_data_rejection]))
    for mode, count, checks in kinds:
        run = settings(
            max_examples=count,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        run(given(case=operation.as_strategy(generation_mode=mode))(tried(checks)))()
