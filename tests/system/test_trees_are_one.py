"""The server that `serve` builds and the simulated one are the same tree (DESIGN section 11)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from actors.domain import Urls
from actors.webrtc.settings import WebrtcSettings
from adapters.metrics import process_figures
from adapters.tokens import ConsoleKeys
from config.assembly import World, assemble
from config.front import FrontDoorServices
from config.server import open_ports
from config.settings import Settings
from config.simulated import SimulatedServer
from runtime import TreeNode, open_system


class Shape(NamedTuple):
    name: str
    kind: str
    children: tuple[Shape, ...]


def _shape(node: TreeNode) -> Shape:
    return Shape(node.name, node.kind, tuple(_shape(child) for child in node.children))


def _names(shape: Shape) -> list[str]:
    return [child.name for child in shape.children]


@pytest.mark.parametrize("has_webrtc", [False, True])
async def test_serve_and_simulation_assemble_the_same_tree(tmp_path: Path, has_webrtc: bool) -> None:
    settings = Settings(
        data=str(tmp_path),
        jwt_secret="thirty-two bytes or more, they say",
        webrtc=WebrtcSettings(enabled=has_webrtc),
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with open_system("glasshouse") as system, open_ports(system, settings) as (ports, media, _):
            front = FrontDoorServices(
                listening=listening,
                settings=settings,
                telemetry=ports.telemetry,
                wall=system.clock.wall,
                next_id=lambda: system.ids.next("connection"),
            )
            world = World(
                ports=ports,
                media=media,
                front=front.services,
                udp=front.udp,
                admin_token="token",
                process=process_figures,
                make_secret=str,
                console_keys=ConsoleKeys(("key",)),
            )
            urls = Urls("http://127.0.0.1:1", "http://127.0.0.1:1")
            tree = await system.spawn(assemble(system, settings=settings, urls=urls, world=world))
            real = _shape(system.tree(tree))
            system.stop_child(tree)
            with trio.fail_after(10):
                await system.stopped(tree)
    async with open_system("glasshouse", seed=1) as system:
        server = SimulatedServer(system, settings=settings)
        await server.start()
        assert server.tree is not None
        simulated = _shape(system.tree(server.tree))

    assert real == simulated
    expected = [
        "journal",
        "directory",
        "cabinet",
        "snapshots",
        "overload",
        "media",
        "users",
        "roster",
        "desks",
        "desk roster",
        "logins",
        "console sessions",
        "console pages",
        "farewell",
        "front door",
    ]
    assert expected == _names(real)
