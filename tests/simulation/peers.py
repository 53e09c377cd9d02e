"""Who takes part in the campaign: phones, apps on their servers, the calendar; and what was done to them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import trio

from actors.ports import WebhookAnswer
from adapters.simulated.webhooks import Call
from clients.app_sdk import AppServer, AppSession
from clients.glasses import Glasses
from config.simulated import SimulatedServer
from protocols import to_phone
from protocols.from_phone import ButtonPress
from protocols.transcription import TranscriptionData

if TYPE_CHECKING:
    from tests.simulation.campaign import Campaign

CAPTIONS: Final = "org.example.captions"
BUTTONS: Final = "org.example.buttons"
PACKAGES: Final = (CAPTIONS, BUTTONS)
KEY: Final = "a key"

ALL: Final = "*"
"""Everybody: the place of a trouble that spares no user or no app."""


@dataclass(frozen=True)
class Trouble:
    """What was done, when, and to whom; `user` and `package` are `ALL`, or "" for neither."""

    at: float
    kind: str
    user: str = ""
    package: str = ""

    def hits_phone(self, user: str) -> bool:
        return self.user in (user, ALL) and self.package in ("", ALL)

    def hits_app(self, user: str, package: str) -> bool:
        return self.user in (user, ALL) and self.package in (package, ALL)


class JumpingClock:
    """trio's clock under a calendar that somebody sets."""

    def __init__(self) -> None:
        self.now = trio.lowlevel.current_clock().current_time
        self.epoch_s = 1_700_000_000.0

    def wall(self) -> float:
        return self.epoch_s + self.now()


@dataclass
class Wearer:
    """A phone and its glasses, and what its owner did and meant.

    Attributes:
      presses: number and time of every press that was sent.
      wanted: what was started before the faults.
      is_fickle: packages that were started or stopped amid the faults: either may have come of it.
    """

    user: str
    glasses: Glasses
    presses: list[tuple[int, float]] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    is_fickle: set[str] = field(default_factory=set)
    count: int = 0

    def acks(self) -> list[float]:
        received = self.glasses.received
        return [one.at for one in received if isinstance(one.message, to_phone.ConnectionAck)]

    async def press(self) -> None:
        self.count += 1
        at = trio.current_time()
        if self.glasses.is_connected and await self.glasses.press_button(str(self.count)):
            self.presses.append((self.count, at))


class App:
    """An app on its server, whose processes come and go; what all of them heard.

    Attributes:
      began: user to the times of `on_session`; acks: of every connection; pressed: numbers in order; heard:
        the times of transcriptions.
      is_failing: its webhooks are answered with 500.
    """

    def __init__(self, campaign: Campaign, package: str) -> None:
        self.campaign = campaign
        self.package = package
        self.url = f"https://{package}.example"
        self.began: dict[str, list[float]] = {}
        self.acks: dict[str, list[float]] = {}
        self.pressed: dict[str, list[int]] = {}
        self.heard: dict[str, list[float]] = {}
        self.is_failing = False
        self.process: _AppProcess | None = None
        self._scope = trio.CancelScope()

    def session_of(self, user: str) -> AppSession | None:
        return None if self.process is None else self.process.sessions.get(f"{user}-{self.package}")

    def up(self) -> None:
        self.process = _AppProcess(self)
        self._scope = trio.CancelScope()
        self.campaign.nursery.start_soon(self._run, self.process, self._scope)
        self.serve_on(self.campaign.server)

    def down(self) -> None:
        """As by kill -9: its sockets are reset, its port refuses."""
        for link, owner in self.campaign.links.items():
            if owner == self.package:
                link.reset()
        self.campaign.server.webhooks.remove(self.url)
        self._scope.cancel()
        self.process = None

    def serve_on(self, server: SimulatedServer) -> None:
        if self.process is not None:
            server.webhooks.serve(self.url, functools.partial(self._answer, self.process))

    async def _run(self, process: _AppProcess, scope: trio.CancelScope) -> None:
        with scope:
            await process.run()

    async def _answer(self, process: _AppProcess, call: Call) -> WebhookAnswer:
        if self.is_failing and call.path == "/webhook":
            return WebhookAnswer(500)
        status, body = await process.handle(call.method, call.path, call.body)
        return WebhookAnswer(status, body)


class _AppProcess(AppServer):
    def __init__(self, app: App) -> None:
        campaign = app.campaign
        dial = functools.partial(campaign.dial, app.package)
        super().__init__(app.package, KEY, port=None, connect=dial, wall=campaign.clock.wall)
        self.app = app

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        app = self.app
        app.began.setdefault(user_id, []).append(trio.current_time())
        app.campaign.world.note(f"on_session {app.package} {user_id}")
        self._acked(user_id, None)
        session.events.on_reconnected(functools.partial(self._acked, user_id))
        session.events.on_button_press(functools.partial(self._pressed, user_id))
        if app.package == CAPTIONS:
            session.events.on_transcription(functools.partial(self._heard, session))

    def _acked(self, user: str, _: None) -> None:
        self.app.acks.setdefault(user, []).append(trio.current_time())

    def _pressed(self, user: str, press: ButtonPress) -> None:
        self.app.pressed.setdefault(user, []).append(int(press.button_id or 0))

    def _heard(self, session: AppSession, heard: TranscriptionData) -> None:
        self.app.heard.setdefault(session.user_id, []).append(trio.current_time())
        session.layouts.show_text_wall(heard.text)
