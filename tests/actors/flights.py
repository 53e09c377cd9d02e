"""A world that dies in mid-flight: what a session leaves to the process after its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.domain import DomainSettings
from adapters.simulated.store import SimulatedDocuments
from tests.actors.world import ADA, AppServer, FakeConnection, World, open_world

BOB = "bob@example.org"


@asynccontextmanager
async def mid_flight(
    documents: SimulatedDocuments, settings: DomainSettings | None = None
) -> AsyncIterator[tuple[World, FakeConnection, AppServer]]:
    """A world in which captions run; it dies at the end of the block, with its last snapshots written."""
    async with open_world(documents, settings) as world:
        await world.phone(BOB)
        phone = await world.phone()
        server = await world.running_app(phone)
        yield world, phone, server
        await trio.sleep(1.2)
        await world.die()


def incarnation(world: World) -> str:
    session = world.system.state_of(world.find(f"users/{ADA}/session"))
    return str(session.incarnation)
