"""The OpenAPI document (3.1), made of the table of routes; the types' schemas are msgspec's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from adapters.http.rates import ALWAYS
from adapters.http.routes import Caller, Route

_REF: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_NEEDED: Final = {"type": "string", "minLength": 1}
_PART: Final = re.compile(r"<(?:\w+:)?(\w+)>")

_SECURITY: Final[Mapping[Caller, list[dict[str, list[str]]]]] = {
    Caller.ANYBODY: [],
    Caller.USER: [{"coreToken": []}],
    Caller.SESSION: [{"coreToken": []}],
    Caller.APP: [{"appKey": []}],
    Caller.APP_HEADERS: [{"appKeyHeader": [], "packageHeader": []}],
    Caller.APP_BODY: [],
    Caller.USER_OR_APP: [{"coreToken": []}, {"appKey": []}],
    Caller.APP_SOCKET: [{"sessionId": []}],
    Caller.ADMINISTRATION: [{"adminToken": []}],
}
_SCHEMES: Final = {
    "coreToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "appKey": {"type": "http", "scheme": "bearer", "description": "PACKAGE:KEY, or the key alone"},
    "appKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "packageHeader": {"type": "apiKey", "in": "header", "name": "X-Package-Name"},
    "sessionId": {"type": "http", "scheme": "bearer", "description": "an app session's id"},
    "adminToken": {"type": "http", "scheme": "bearer"},
}


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """Most answers that are no 200. Some 401 and 503 have `error` instead of `success`."""

    code: str
    hop: str
    remedy: str
    message: str | None = None
    error: str | None = None
    success: bool | None = None
    retry_after: float | None = None
    timestamp: str | None = None


def document(routes: Iterable[Route[Any]], *, version: str) -> dict[str, Any]:
    """The document of these routes.

    Args:
      version: of the server.
    """
    routes = tuple(routes)
    types = [one for route in routes for one in (route.request, route.answer) if one not in (None, bytes)]
    schemas, components = msgspec.json.schema_components((*types, Failed), ref_template=_REF)
    *schemas_of_types, failed = schemas
    by_type = {id(one): schema for one, schema in zip(types, schemas_of_types, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for path in route.paths:
            shown = _PART.sub(r"{\1}", path)
            paths.setdefault(shown, {})[route.method.lower()] = _operation(route, path, by_type, failed)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Glasshouse", "version": version},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def statuses_of(route: Route[Any]) -> tuple[int, ...]:
    """Every status that the route may answer, in order."""
    brought = {
        Caller.ANYBODY: (),
        Caller.USER: (401,),
        Caller.SESSION: (401, 503),
        Caller.APP: (401, 503),
        Caller.APP_HEADERS: (401, 503),
        Caller.APP_BODY: (401, 503),
        Caller.USER_OR_APP: (401, 503),
        Caller.APP_SOCKET: (401, 503),
        Caller.ADMINISTRATION: (401,),
    }[route.caller]
    body = () if route.request is None else (400, 408, 413)
    ok = () if route.is_never_ok else (200,)
    limited = () if route.path in ALWAYS else (429,)
    return tuple(sorted({*ok, *brought, *body, *limited, *route.statuses}))


def _operation(
    route: Route[Any], path: str, by_type: Mapping[int, dict[str, Any]], failed: dict[str, Any]
) -> dict[str, Any]:
    parts = [(name, "path", True) for name in _PART.findall(path)]
    query = [(name, "query", is_needed) for name, is_needed in route.query.items()]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": f"Reaches {route.owner}.",
        "security": _SECURITY[route.caller],
        "parameters": [
            {"name": name, "in": place, "required": is_needed, "schema": _NEEDED if is_needed else _TEXT}
            for name, place, is_needed in (*parts, *query)
        ],
        "responses": {
            str(status): _response(route, status, by_type, failed) for status in statuses_of(route)
        },
    }
    if route.request is not None:
        is_json = route.request is not bytes
        content = {"schema": by_type[id(route.request)]} if is_json else {}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json" if is_json else route.body_type: content},
        }
    return operation


def _response(
    route: Route[Any], status: int, by_type: Mapping[int, dict[str, Any]], failed: dict[str, Any]
) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status != 200:
        schema: dict[str, Any] = failed if route.has_usual_errors else {}
    else:
        schema = {} if route.answer is None else by_type[id(route.answer)]
    content_type = route.answer_type if status == 200 else "application/json"
    response["content"] = {content_type: {"schema": schema} if schema else {}}
    return response
