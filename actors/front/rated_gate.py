"""A gate that is not knocked at too often: 429 before the real gate looks at anything."""

from __future__ import annotations

import hashlib

from protocols import paths, rest, timestamps
from protocols.error_codes import ErrorCode
from runtime import ActorSystem

from ..ports import Admitted, Gate, Refused, Telemetry, Upgrade
from .addresses import address_of
from .rates import Rates


class RatedGate:
    """A `Gate` before another one.

    Args:
      proxy_hops: how many proxies stand in front.
    """

    def __init__(
        self, gate: Gate, *, rates: Rates, system: ActorSystem, telemetry: Telemetry, proxy_hops: int
    ) -> None:
        self.gate = gate
        self.rates = rates
        self.system = system
        self.telemetry = telemetry
        self.proxy_hops = proxy_hops

    async def admit(self, upgrade: Upgrade) -> Admitted | Refused:
        forwarded_for = upgrade.headers.get("x-forwarded-for", "")
        address = address_of(upgrade.peer, forwarded_for, proxy_hops=self.proxy_hops)
        now = self.system.clock.now()
        wait_s = self.rates.upgrade(address, _caller(upgrade), now)
        if wait_s:
            self.telemetry.warning("upgrades_limited", peer=upgrade.peer, address=address)
            return self._limited(upgrade.path, wait_s)
        verdict = await self.gate.admit(upgrade)
        if isinstance(verdict, Refused) and verdict.status == 401:
            self.rates.failed(address, now)
        return verdict

    def _limited(self, path: str, wait_s: float) -> Refused:
        type_name = "tpa_connection_error" if path in (paths.APP, paths.APP_ALIAS) else "connection_error"
        stamp = timestamps.iso(self.system.clock.wall())
        message = "Too many connections, try again later"
        body = rest.upgrade_refusal(
            type_name, message, ErrorCode.RATE_LIMITED, timestamp=stamp, retry_after_s=wait_s
        )
        return Refused(429, body, {"Retry-After": str(max(1, round(wait_s)))})


def _caller(upgrade: Upgrade) -> str:
    """What stands for the token that is shown; empty where there is none."""
    shown = upgrade.query.get("token") or upgrade.headers.get("authorization", "")
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest() if shown else ""
