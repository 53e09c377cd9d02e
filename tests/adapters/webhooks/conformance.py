"""What every implementation of `Webhooks` must do. A test file subclasses this and gives it a `world`."""

from __future__ import annotations

import abc

import pytest
import trio

from actors.ports import ProbeOutcome, WebhookAnswer, WebhookError, Webhooks


class World(abc.ABC):
    """App servers of every temper; each method returns the URL of one."""

    webhooks: Webhooks
    received: list[tuple[str, bytes]]  # method and body of every call that reached an answering server
    is_hanging: trio.Event  # a call has reached the hanging server

    @abc.abstractmethod
    async def answering(self, status: int, body: bytes) -> str: ...
    @abc.abstractmethod
    async def nobody(self) -> str: ...
    @abc.abstractmethod
    async def hanging(self) -> str: ...
    @abc.abstractmethod
    async def dying(self) -> str:
        """Closes the connection in the middle of a call."""


class WebhooksConformance:
    async def test_a_post_reaches_the_app_server_and_its_answer_comes_back(self, world: World) -> None:
        url = await world.answering(200, b'{"status":"success"}')

        answer = await world.webhooks.post(url, b'{"type":"session_request"}', timeout_s=5)

        assert WebhookAnswer(200, b'{"status":"success"}') == answer
        assert [("POST", b'{"type":"session_request"}')] == world.received

    async def test_a_500_is_an_answer_and_not_an_error(self, world: World) -> None:
        url = await world.answering(500, b"no")

        assert WebhookAnswer(500, b"no") == await world.webhooks.post(url, b"{}", timeout_s=5)

    async def test_a_giant_body_is_cut(self, world: World) -> None:
        url = await world.answering(200, b"x" * 1_000_000)

        assert WebhookAnswer(200, b"x" * 65_536) == await world.webhooks.post(url, b"{}", timeout_s=5)

    async def test_nobody_listening_is_refused(self, world: World) -> None:
        url = await world.nobody()

        with pytest.raises(WebhookError) as raised:
            await world.webhooks.post(url, b"{}", timeout_s=5)

        assert ("refused", url) == (raised.value.kind, raised.value.url)

    async def test_a_server_that_hangs_is_a_timeout(self, world: World) -> None:
        url = await world.hanging()
        began = trio.current_time()

        with pytest.raises(WebhookError) as raised:
            await world.webhooks.post(url, b"{}", timeout_s=0.1)

        assert "timeout" == raised.value.kind
        assert 0.1 <= trio.current_time() - began < 1.0

    async def test_a_server_that_dies_in_the_middle_is_a_protocol_error(self, world: World) -> None:
        url = await world.dying()

        with pytest.raises(WebhookError) as raised:
            await world.webhooks.post(url, b"{}", timeout_s=5)

        assert "protocol" == raised.value.kind

    async def test_a_cancelled_post_is_cancelled_and_not_an_error(self, world: World) -> None:
        url = await world.hanging()

        with trio.move_on_after(0.05) as scope:
            await world.webhooks.post(url, b"{}", timeout_s=5)

        assert scope.cancelled_caught

    async def test_a_probe_is_answered_by_any_status(self, world: World) -> None:
        url = await world.answering(503, b"")

        assert ProbeOutcome.ANSWERS is await world.webhooks.probe(url, timeout_s=5)
        assert ["GET"] == [method for method, _ in world.received]

    async def test_only_a_refused_probe_proves_that_nobody_is_there(self, world: World) -> None:
        probe = world.webhooks.probe

        assert ProbeOutcome.REFUSED is await probe(await world.nobody(), timeout_s=5)
        assert ProbeOutcome.UNKNOWN is await probe(await world.dying(), timeout_s=5)
        assert ProbeOutcome.UNKNOWN is await probe(await world.hanging(), timeout_s=0.05)

    async def test_closing_ends_what_runs_and_refuses_the_rest(self, world: World) -> None:
        url = await world.hanging()
        kinds = []

        async def post() -> None:
            with pytest.raises(WebhookError) as raised:
                await world.webhooks.post(url, b"{}", timeout_s=5)
            kinds.append(raised.value.kind)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            await world.is_hanging.wait()
            await world.webhooks.aclose()
        await post()

        assert ["protocol", "protocol"] == kinds
        assert ProbeOutcome.UNKNOWN is await world.webhooks.probe(url, timeout_s=1)
