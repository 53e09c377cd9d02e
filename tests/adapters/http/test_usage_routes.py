"""What a wearer has used, over REST: the days of the one who asks, and of nobody else."""

from __future__ import annotations

import msgspec
from trio.testing import MockClock

from actors.document_ports import PutDocument
from actors.usage import COLLECTION, Usage, key_of
from tests.adapters.http.rest_scene import ADA, BOB, CAPTIONS, scene

PATH = "/api/client/usage"


def day_of(user: str, day: str, **fields: object) -> PutDocument:
    document = msgspec.json.encode({"day": day, **fields})
    return PutDocument(
        collection=COLLECTION, key=key_of(user, day), user_id=user, document=document, updated_at_ms=1
    )


async def test_a_wearer_reads_their_own_days_the_newest_first(autojump_clock: MockClock) -> None:
    async with scene() as there:
        await there.world.store.commit(
            [
                day_of(ADA, "2026-11-20", sessions=1),
                day_of(ADA, "2026-11-21", sessions=2, session_s=61.25, apps={CAPTIONS: 60.0}),
                day_of(BOB, "2026-11-21", sessions=9),
            ]
        )

        answer = await there.get(PATH, user=ADA)
        nobody = await there.get(PATH)

        newest, before = answer.body["days"]
        assert {
            "day": "2026-11-21",
            "sessions": 2,
            "sessionS": 61.2,
            "apps": {CAPTIONS: 60.0},
            "features": {},
        } == (newest)
        assert ("2026-11-20", 1) == (before["day"], before["sessions"])
        assert 401 == nobody.status


async def test_who_has_used_nothing_reads_no_days(autojump_clock: MockClock) -> None:
    async with scene() as there:
        assert {"success": True, "days": []} == (await there.get(PATH, user=ADA)).body


async def test_a_store_that_is_away_makes_them_ask_again(autojump_clock: MockClock) -> None:
    async with scene() as there:
        there.world.store.outage = "the disk is gone"

        answer = await there.get(PATH, user=ADA)

        assert 503 == answer.status
        assert "Retry-After" in answer.headers


def test_a_day_of_an_older_server_is_read() -> None:
    assert Usage(day="2026-11-21") == msgspec.json.decode(b'{"day":"2026-11-21"}', type=Usage)
