"""The display actor: hands requests to the arbitration, and what it decides to the phone's link."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from protocols import timestamps, to_phone
from runtime import Actor, Ref, RestartInfo

from ..link.messages import LinkMessage, ToPhone
from ..ports import Lane, Outgoing
from . import arbitration
from .messages import DisplayMessage, EndNotice, ShowNotice

if TYPE_CHECKING:
    from ..domain import Domain

SYSTEM_PACKAGE = "system.glasshouse"


class Display(Actor[DisplayMessage]):
    """Its state is the arbitration's: a crash loses neither what is shown nor what waits."""

    def __init__(
        self,
        *,
        user_id: str,
        link: Ref[LinkMessage],
        domain: Domain,
        beginning: arbitration.DisplayState | None = None,
    ) -> None:
        self.user_id = user_id
        self.link = link
        self.settings = domain.settings.display
        self.state = beginning or arbitration.DisplayState()

    def started(self, restart: RestartInfo | None) -> None:
        self._arm()

    def receive(self, message: DisplayMessage) -> None:
        self.state, effects = arbitration.step(self.state, self._event(message), self.now, self.settings)
        for effect in effects:
            if isinstance(effect, arbitration.Show):
                self.link.tell(ToPhone(self._outgoing(effect)))
        self._arm()

    def _outgoing(self, show: arbitration.Show) -> Outgoing:
        event = to_phone.DisplayEvent(
            view=show.view,
            package_name=show.package,
            layout=show.layout,
            duration_ms=show.duration_ms,
            session_id=self.user_id,
            timestamp=timestamps.iso(self.system.clock.wall()),
        )
        # While the phone is slow only the newest display of a view waits (DESIGN section 3).
        return Outgoing(to_phone.encode(event), lane=Lane.DISPLAY, key=show.view)

    def _event(self, message: DisplayMessage) -> arbitration.DisplayEvent:
        if isinstance(message, ShowNotice):
            return self._notice(message)
        return arbitration.Withdrawn(SYSTEM_PACKAGE) if isinstance(message, EndNotice) else message

    def _notice(self, notice: ShowNotice) -> arbitration.Requested:
        layout = msgspec.json.encode({"layoutType": "text_wall", "text": notice.text})
        return arbitration.Requested(
            package=SYSTEM_PACKAGE,
            view="main",
            layout=msgspec.Raw(layout),
            duration_ms=round(notice.duration_s * 1000),
            force=True,
            is_critical=True,
        )

    def _arm(self) -> None:
        due = arbitration.deadline(self.state)
        if due is None:
            self.cancel_timer("deadline")
        else:
            self.set_timer("deadline", max(0.0, due - self.now), arbitration.Tick())
