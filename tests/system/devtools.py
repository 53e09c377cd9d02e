"""Chromium as a person's browser: shown a page, clicked and typed into, looked at.

It is driven by its own DevTools protocol over a WebSocket on loopback: clicks and keys go in where a person's
would, and what is on the page comes out. Nothing but this machine is asked for anything.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import trio
import trio_websocket

from tests.system.browser import FLAGS, chromium
from tests.system.server import PATIENCE_S, eventually

PHONE: Final = (360, 740)
PHONE_PICTURE: Final = (390, 844)
DESK: Final = (1000, 900)
_KEYS: Final = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), " ": (32, " ")}


class Page:
    """One tab.

    Attributes:
      console: what the page and the browser complained of, a refusal of the security policy among it.
    """

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._answers: dict[int, trio.MemorySendChannel[dict[str, Any]]] = {}
        self.console: list[str] = []

    async def run(self) -> None:
        """Read what the browser says, until it is gone."""
        with trio.CancelScope():
            while True:
                try:
                    told = msgspec.json.decode(await self._connection.get_message())
                except trio_websocket.ConnectionClosed:
                    return
                if "id" in told:
                    self._answers.pop(told["id"]).send_nowait(told)
                elif told["method"] == "Log.entryAdded":
                    self.console.append(told["params"]["entry"]["text"])
                elif told["method"] == "Runtime.exceptionThrown":
                    self.console.append(str(told["params"]["exceptionDetails"]))

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol."""
        number = next(self._numbers)
        send, receive = trio.open_memory_channel[dict[str, Any]](1)
        self._answers[number] = send
        body = msgspec.json.encode({"id": number, "method": method, "params": parameters})
        await self._connection.send_message(body.decode())
        with trio.fail_after(PATIENCE_S):
            answer = await receive.receive()
        assert "error" not in answer, (method, parameters, answer)
        result: dict[str, Any] = answer["result"]
        return result

    async def goto(self, url: str) -> None:
        """Show another page; returns when it is there, with its script."""
        await self.command("Page.navigate", url=url)
        await self.shows("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript; None while the page changes."""
        answer = await self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    async def shows(self, expression: str) -> Any:
        """Wait until an expression is true of the page."""
        with trio.move_on_after(PATIENCE_S):
            wanted = f"((value) => value instanceof Node || value)({expression})"
            while not (value := await self.value(wanted)):  # noqa: ASYNC110 - a page sets no event here
                await trio.sleep(0.02)
            return value
        text = await self.value("document.body.innerText")
        raise AssertionError(f"never true: {expression}\n{self.console}\n{text}")

    async def reads(self, text: str) -> None:
        """Wait until a text is to be read on the page."""
        await self.shows(f"document.body.innerText.includes({msgspec.json.encode(text).decode()})")

    async def click(self, selector: str) -> None:
        """Click in the middle of the first element that a selector finds; it has to be in sight there."""
        where = await self.shows(
            f"""(() => {{
                const found = document.querySelector({msgspec.json.encode(selector).decode()});
                if (!found) return null;
                found.scrollIntoView({{ block: "center", behavior: "instant" }});
                const box = found.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return found.contains(hit) ? [x, y] : null;
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.command(
                "Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1
            )

    async def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        await self.command("Input.insertText", text=text)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key: Enter, Tab, Escape, the space, or a letter."""
        code, text = _KEYS.get(key) or (ord(key.upper()), key)
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        await self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **common)

    async def size(self, width: int, height: int, *, is_dark: bool = False) -> None:
        """Be so large, and light or dark."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path, *, height: int | None = None, scale: float = 1.0) -> None:
        """Keep what is to be seen, the whole page, or as much of it as has this height."""
        box = (await self.command("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": box["width"], "scale": scale}
        clip["height"] = box["height"] if height is None else min(height, box["height"])
        answer = await self.command(
            "Page.captureScreenshot", captureBeyondViewport=True, format="png", clip=clip
        )
        await trio.Path(path).write_bytes(base64.b64decode(answer["data"]))

    async def accessible(self) -> list[tuple[str, str]]:
        """Role and name of everything that a screen reader is told of, in order."""
        answer = await self.command("Accessibility.getFullAXTree")
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in answer["nodes"]
            if not node.get("ignored")
        ]


class Chromium:
    """A browser without a window; it has as many strangers' tabs as are asked for.

    Args:
      flags: more of the browser's own.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        program = chromium()
        assert program is not None
        self._port_file = folder / "profile" / "DevToolsActivePort"
        command = [
            program,
            *FLAGS,
            *flags,
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # it refuses to be root with one
            f"--user-data-dir={folder / 'profile'}",
            "--remote-debugging-port=0",
            "--hide-scrollbars",  # pictures are cut where they would be
        ]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        with (folder / "browser.log").open("w") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _said(self) -> str:
        """The port and the path of its WebSocket, once both are written."""
        said = self._port_file.read_text() if self._port_file.exists() else ""
        return said if "/" in said else ""

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A tab of somebody whom the browser has never seen: no cookies, nothing kept."""
        port, path = (await eventually(self._said)).split()
        async with _connected(f"ws://127.0.0.1:{port}{path}") as browser:
            context = (await browser.command("Target.createBrowserContext"))["browserContextId"]
            target = await browser.command("Target.createTarget", url="about:blank", browserContextId=context)
            async with _connected(f"ws://127.0.0.1:{port}/devtools/page/{target['targetId']}") as page:
                for domain in ("Page", "Runtime", "Log", "Accessibility"):
                    await page.command(f"{domain}.enable")
                await page.size(*DESK)
                yield page
            await browser.command("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Page]:
    async with (
        trio_websocket.open_websocket_url(url, max_message_size=2**26) as connection,
        trio.open_nursery() as nursery,
    ):
        page = Page(connection)
        nursery.start_soon(page.run)
        yield page
        nursery.cancel_scope.cancel()
