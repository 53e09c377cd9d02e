"""How often somebody may knock: by address and by caller, on requests, upgrades and failed authentications.

Pure but for the buckets. What is counted is bounded: past `most` keys the one used longest ago is forgotten,
which at worst gives its owner a full bucket again. The clock may stand still, jump or go back: time that is
behind what was seen counts as the same moment, so nobody is locked out by it, nor let through.

The limits are for floods. One app server, or a test rig, may stand for thousands of phones (protocol.md
13.8), so the ones by address are wide; a caller with a good token or key has its own, narrower one.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ..token_bucket import TokenBucket

MOST_KEYS: Final = 8_192
"""A bucket with its name is some 300 bytes."""

Rate = Annotated[float, Meta(ge=0)]
Burst = Annotated[int, Meta(ge=1)]


class RateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody may ask; a rate of 0 is no limit. Past it 429, with `Retry-After`.

    Attributes:
      requests: HTTP requests a second from one address; `/health` and `/ready` are always answered.
      requests_burst: how many may come at once after a silence.
      user_requests: HTTP requests a second of one user.
      user_burst: how many of one user may come at once; a phone that opens sends about ten.
      app_requests: HTTP requests a second with one app's key, for all of its users.
      app_burst: how many with one app's key may come at once.
      upgrades: WebSocket upgrades a second from one address.
      upgrades_burst: how many may come at once: all phones and apps of a server that was restarted.
      caller_upgrades: upgrades a second with one token; a phone that is lost dials every 5 s.
      caller_upgrades_burst: how many with one token may come at once.
      failures: requests, upgrades and apps' first messages with a wrong token or key, a second, from one
        address. Past it nothing from there is looked at for a moment.
      failures_burst: how many may come at once: all phones of a household whose tokens are over.
    """

    requests: Rate = 2_000.0
    requests_burst: Burst = 20_000
    user_requests: Rate = 50.0
    user_burst: Burst = 500
    app_requests: Rate = 1_000.0
    app_burst: Burst = 10_000
    upgrades: Rate = 1_000.0
    upgrades_burst: Burst = 20_000
    caller_upgrades: Rate = 10.0
    caller_upgrades_burst: Burst = 200
    failures: Rate = 10.0
    failures_burst: Burst = 300


class RateLimit:
    """One limit for many keys.

    Args:
      rate: a second; 0 lets everything through.
      burst: at once after a silence.
      most: keys that are kept.
    """

    __slots__ = ("_buckets", "_burst", "_most", "_now", "_rate")

    def __init__(self, rate: float, burst: int, *, most: int = MOST_KEYS) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._now = -math.inf
        self._buckets: dict[str, TokenBucket] = {}  # the one used longest ago first

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Count one of `key`: the seconds it has to wait, 0 when it is let through."""
        if not self._rate:
            return 0.0
        now = self._moment(now)
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst, now=now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if bucket.take(now) else bucket.wait_s(now)

    def wait_s(self, key: str, now: float) -> float:
        """The seconds until one of `key` is let through; counts nothing."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_s(self._moment(now))

    def _moment(self, now: float) -> float:
        if math.isfinite(now) and now > self._now:
            self._now = now
        return self._now if math.isfinite(self._now) else 0.0


class Rates:
    """All limits of a server. Times are seconds of one clock."""

    def __init__(self, settings: RateSettings) -> None:
        self._requests = RateLimit(settings.requests, settings.requests_burst)
        self._users = RateLimit(settings.user_requests, settings.user_burst)
        self._apps = RateLimit(settings.app_requests, settings.app_burst)
        self._upgrades = RateLimit(settings.upgrades, settings.upgrades_burst)
        self._callers = RateLimit(settings.caller_upgrades, settings.caller_upgrades_burst)
        self._failures = RateLimit(settings.failures, settings.failures_burst)

    def request(self, address: str, now: float) -> float:
        """A request came from there: the seconds it has to wait, 0 for none. So in all of these."""
        key = key_of(address)
        return max(self._failures.wait_s(key, now), self._requests.take(key, now))

    def user(self, user_id: str, now: float) -> float:
        """A request of that user."""
        return self._users.take(user_id, now)

    def app(self, package_name: str, now: float) -> float:
        """A request with that app's key."""
        return self._apps.take(package_name, now)

    def upgrade(self, address: str, caller: str, now: float) -> float:
        """An upgrade.

        Args:
          caller: what stands for its token; empty where it showed none.
        """
        key = key_of(address)
        wait_s = max(self._failures.wait_s(key, now), self._upgrades.take(key, now))
        return max(wait_s, self._callers.take(caller, now)) if caller else wait_s

    def failed(self, address: str, now: float) -> None:
        """A token or a key from there was wrong."""
        self._failures.take(key_of(address), now)


def key_of(address: str) -> str:
    """What an address is counted under: of IPv6 the first 64 bits, which one subscriber has to himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
