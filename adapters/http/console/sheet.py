"""What one open page has been shown, so that it is told what has become another, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from adapters.http.console.agent_pieces import Append, Keep, Order, Put


class Sheet:
    """What stands on a page: pieces of HTML by their ids, in places that hold them in an order."""

    def __init__(self) -> None:
        self._shown: dict[str, dict[str, str]] = {}

    def put(self, into: str, pieces: Mapping[str, str]) -> list[Order]:
        """What to do so that `into` holds these, the first on top."""
        before = self._shown.get(into)
        orders: list[Order] = []
        if before is None or [*before] != [*pieces]:
            orders.append(Keep(into=into, ids=tuple(pieces), is_ordered=True))
        for place, (piece_id, html) in enumerate(pieces.items()):
            if before is None or before.get(piece_id) != html:
                orders.append(Put(id=piece_id, into=into, html=html, order=-place))
        self._shown[into] = dict(pieces)
        return orders


class Tail:
    """The end of a log on one page."""

    def __init__(self, log_id: str) -> None:
        self._log_id = log_id
        self._told: int | None = None

    def put(self, count: int, lines: tuple[str, ...]) -> list[Order]:
        """What to append: `lines` are the last of `count`."""
        told = self._told
        if told == count:
            return []
        self._told = count
        is_whole = told is None or count < told
        missing = count if told is None or is_whole else count - told
        news = lines[-missing:] if missing else ()
        text = "".join(f"{line}\n" for line in news)
        if not is_whole and missing > len(news):
            text = f"[{missing - len(news):,} lines are left out here]\n{text}"
        return [Append(id=self._log_id, text=text, is_whole=is_whole)]


def piece_id(kind: str, name: str) -> str:
    """An id for something that others have named."""
    return f"{kind}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
