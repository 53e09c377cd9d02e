"""How often a login may fail.

Tokens and codes are signed and cannot be guessed; the limit keeps somebody who tries from filling the log,
and tells him to wait. A good token passes all the same: behind a proxy all come from one address, and nobody
is to be kept out by what others send.
"""

from __future__ import annotations

from typing import Final

from actors.token_bucket import TokenBucket

_MOST_ADDRESSES: Final = 4_096


class LoginLimit:
    """Args:
    attempts: failures at once. wait_s: seconds until one more is allowed.
    """

    def __init__(self, *, attempts: int, wait_s: float) -> None:
        self._attempts = attempts
        self._wait_s = wait_s
        self._buckets: dict[str, TokenBucket] = {}

    def failed(self, address: str, now: float) -> float:
        """One more failure of `address`: the seconds it has to wait, 0 while it has some left.

        The address that failed longest ago is forgotten past 4,096.
        """
        bucket = self._buckets.pop(address, None) or TokenBucket(1 / self._wait_s, self._attempts, now=now)
        self._buckets[address] = bucket
        if len(self._buckets) > _MOST_ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if bucket.take(now) else bucket.wait_s(now)
