"""Chromium as a phone: a page on loopback that speaks the phone's protocol, and the browser that shows it.

The page has no other way to the test than its own server: it posts what happens, and asks what it is to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

PAGE: Final = Path(__file__).with_name("browser_page.html")
_ORDER_S: Final = 1.0  # a page that asks waits so long, and asks again
FLAGS: Final = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    # Nothing but this machine is asked for anything.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

MICROPHONE: Final = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""One that hears a file, with leave to be used."""

Sound = Literal["microphone", "recording"]


def chromium() -> str | None:
    """The browser; `./run test` installs it where it can."""
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


def write_wav(path: Path, pcm: bytes) -> Path:
    """PCM of 16 kHz as a file of 48 kHz, which is what browsers capture: straight lines between samples."""
    samples = array("h", pcm)
    following = array("h", [*samples[1:], 0])
    fine = array("h", bytes(6 * len(samples)))
    fine[0::3] = samples
    fine[1::3] = array("h", [(2 * one + other) // 3 for one, other in zip(samples, following, strict=True)])
    fine[2::3] = array("h", [(one + 2 * other) // 3 for one, other in zip(samples, following, strict=True)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(fine.tobytes())
    return path


class Browser:
    """The page's other end.

    Attributes:
      told: what the page has said, in order.
    """

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self._orders: queue.Queue[list[str]] = queue.Queue()

    def order(self, *words: str) -> None:
        """Let the wearer do something: `start_app` PACKAGE, `restart_ice`."""
        self._orders.put([*words])

    def said(self, what: str) -> list[Any]:
        """All that the page said of it."""
        return [message[what] for message in self.told if what in message]

    @contextmanager
    def shown(self, folder: Path, cloud: str, sound: Sound, wav: Path) -> Iterator[None]:
        """Show the page.

        Args:
          folder: where the browser may leave what it likes.
          cloud: the WebSocket of a phone, with its token.
          sound: how the page comes by `wav`, again and again: with the microphone, or as a recording. Without
            leave to use the microphone a browser hides its addresses behind names of mDNS.
        """
        program = chromium()
        assert program is not None
        handler = type("PageHandler", (_Handler,), {"browser": self, "wav": wav})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            command = [
                program,
                *FLAGS,
                *(MICROPHONE if sound == "microphone" else ()),
                *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # it refuses to be root with one
                f"--user-data-dir={folder / 'profile'}",
                f"--use-file-for-fake-audio-capture={wav}",
                f"http://127.0.0.1:{server.server_port}/?{urlencode({'cloud': cloud, 'sound': sound})}",
            ]
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
            with (folder / "browser.log").open("w") as log:
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            try:
                yield
            except BaseException as error:
                error.add_note(f"the page said {self.told}")
                raise
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                server.shutdown()
                serving.join()


class _Handler(BaseHTTPRequestHandler):
    browser: Browser
    wav: Path

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/":
                self._answer("text/html", PAGE.read_bytes())
            case "/sound.wav":
                self._answer("audio/wav", self.wav.read_bytes())
            case "/order":
                try:
                    order = self.browser._orders.get(timeout=_ORDER_S)
                except queue.Empty:
                    order = ["none"]
                self._answer("application/json", json.dumps(order).encode())
            case _:
                self.send_error(404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.browser.told.append(json.loads(body))
        self._answer("text/plain", b"")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the browser is gone
            self.wfile.write(body)
