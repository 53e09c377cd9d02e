"""How often routes may be asked: before any of them sees a request, and once its caller is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quart import Blueprint, Response, g, request

from actors.front.addresses import address_of
from actors.front.rates import Rates
from actors.ports import Telemetry
from protocols import rest, timestamps
from protocols.error_codes import ErrorCode

ALWAYS: Final = frozenset({"/health", "/ready"})
"""What tells whether the server is well is answered however many ask."""

Count = Callable[[Rates, float], float]


def rate_limits(
    rates: Rates,
    telemetry: Telemetry,
    *,
    proxy_hops: int,
    now: Callable[[], float],
    wall: Callable[[], float],
) -> Blueprint:
    """What looks at every request first, and at every answer: a 401 was a failed authentication.

    Args:
      now: seconds that never go back. wall: epoch seconds.
    """
    blueprint = Blueprint("rates", __name__)

    def limited(count: Count) -> Response | None:
        wait_s = count(rates, now())
        if not wait_s:
            return None
        telemetry.warning("requests_limited", address=g.address, path=request.path)
        stamp = timestamps.iso(wall())
        body = rest.failure(
            "Too many requests", ErrorCode.RATE_LIMITED, timestamp=stamp, retry_after_s=wait_s
        )
        return Response(
            body,
            status=429,
            content_type="application/json",
            headers={"Retry-After": str(max(1, round(wait_s)))},
        )

    async def look() -> Response | None:
        forwarded_for = request.headers.get("X-Forwarded-For", "")
        g.address = address_of(request.remote_addr or "", forwarded_for, proxy_hops=proxy_hops)
        g.limited = limited
        if request.path in ALWAYS:
            return None
        return limited(lambda counted, at: counted.request(g.address, at))

    async def hear(answer: Response) -> Response:
        if answer.status_code == 401:
            rates.failed(address_here(), now())
        return answer

    blueprint.before_app_request(look)
    blueprint.after_app_request(hear)
    return blueprint


def over_limit(count: Count) -> Response | None:
    """The 429 of a caller who is known and asks too often; None for others, and where nothing is limited."""
    limited: Callable[[Count], Response | None] | None = g.get("limited")
    return None if limited is None else limited(count)


def address_here() -> str:
    """Where the request under way comes from."""
    found: str | None = g.get("address")
    return request.remote_addr or "" if found is None else found
