from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from actors.ports import WebhookAnswer, WebhookError
from adapters.simulated.webhooks import KINDS, Call, SimulatedWebhooks
from tests.adapters.webhooks.conformance import WebhooksConformance, World


class SimulatedWorld(World):
    def __init__(self) -> None:
        self.received = []
        self.is_hanging = trio.Event()
        self.webhooks = self.simulated = SimulatedWebhooks(random.Random(1))

    async def answering(self, status: int, body: bytes) -> str:
        async def answer(call: Call) -> WebhookAnswer:
            self.received.append((call.method, call.body))
            return WebhookAnswer(status, body)

        self.simulated.serve("http://answering", answer)
        return "http://answering/webhook"

    async def nobody(self) -> str:
        return "http://nobody/webhook"

    async def hanging(self) -> str:
        async def answer(call: Call) -> WebhookAnswer:
            self.is_hanging.set()
            await trio.sleep_forever()

        self.simulated.serve("http://hanging", answer)
        return "http://hanging/webhook"

    async def dying(self) -> str:
        async def answer(call: Call) -> WebhookAnswer:
            self.simulated.remove("http://dying")
            await trio.sleep_forever()

        self.simulated.serve("http://dying", answer)
        return "http://dying/webhook"


@pytest.fixture
def world() -> World:
    return SimulatedWorld()


class TestSimulatedWebhooks(WebhooksConformance):
    pass


async def hello(call: Call) -> WebhookAnswer:
    return WebhookAnswer(200, call.path.encode())


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_fault_can_be_had_and_ends(
    kind: str, autojump_clock: trio.testing.MockClock
) -> None:
    webhooks = SimulatedWebhooks(random.Random(1))
    webhooks.serve("http://app", hello)
    webhooks.faults["http://app"] = kind
    began = trio.current_time()

    with pytest.raises(WebhookError) as raised:
        await webhooks.post("http://app/webhook", b"{}", timeout_s=10)
    took_s = trio.current_time() - began
    del webhooks.faults["http://app"]

    assert kind == raised.value.kind
    assert (10 if kind in ("busy", "timeout", "too_slow") else 0) == took_s
    assert WebhookAnswer(200, b"/webhook") == await webhooks.post("http://app/webhook", b"{}", timeout_s=10)


async def test_the_longest_base_answers() -> None:
    async def inner(call: Call) -> WebhookAnswer:
        return WebhookAnswer(200, b"inner " + call.path.encode())

    webhooks = SimulatedWebhooks(random.Random(1))
    webhooks.serve("http://host/", hello)
    webhooks.serve("http://host/apps/a", inner)

    assert b"inner /webhook" == (await webhooks.post("http://host/apps/a/webhook", b"", timeout_s=1)).body
    assert b"/apps/ab/webhook" == (await webhooks.post("http://host/apps/ab/webhook", b"", timeout_s=1)).body


async def durations(seed: int) -> list[float]:
    webhooks = SimulatedWebhooks(random.Random(seed), max_delay_s=1.0)
    webhooks.serve("http://app", hello)
    times = []
    for _ in range(5):
        began = trio.current_time()
        await webhooks.post("http://app/webhook", b"", timeout_s=10)
        times.append(round(trio.current_time() - began, 6))
    return times


async def test_delays_replay_from_their_seed(autojump_clock: trio.testing.MockClock) -> None:
    assert await durations(1) == await durations(1)
    assert await durations(1) != await durations(2)


async def test_what_the_answerer_raises_is_raised() -> None:
    async def broken(call: Call) -> WebhookAnswer:
        raise LookupError("a mistake in the scenario")

    webhooks = SimulatedWebhooks(random.Random(1))
    webhooks.serve("http://app", broken)

    with pytest.raises(LookupError, match="a mistake in the scenario"):
        await webhooks.post("http://app/webhook", b"", timeout_s=1)
