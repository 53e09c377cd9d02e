"""The store over MongoDB, against FerretDB."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.simulated.telemetry import RecordingTelemetry
from tests.adapters.storage.conformance import Opener, StoreConformance
from tests.adapters.storage.mongodb_stores import store_opener


class TestMongoStore(StoreConformance):
    @pytest.fixture
    async def opener(
        self, mongodb_uri: str, database: str, telemetry: RecordingTelemetry
    ) -> AsyncIterator[Opener]:
        async with store_opener(mongodb_uri, database, telemetry) as opener:
            yield opener


class TestSealedMongoStore(StoreConformance):
    @pytest.fixture
    async def opener(
        self, mongodb_uri: str, database: str, telemetry: RecordingTelemetry
    ) -> AsyncIterator[Opener]:
        key = "a key of thirty-two bytes or more"
        async with store_opener(mongodb_uri, database, telemetry, key=key) as opener:
            yield opener
