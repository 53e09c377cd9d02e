"""The display actor: hands requests to the arbitration, and what it decides to the phone's link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from protocols import timestamps, to_phone
from runtime import Actor, Ref, RestartInfo

from ..link.messages import LinkMessage, ToPhone
from ..neighbours import NeighbourBack
from ..ports import Lane, Outgoing
from . import arbitration
from .messages import DisplayMessage, EndNotice, ShowNotice, Surroundings

if TYPE_CHECKING:
    from ..domain import Domain
    from ..session.messages import SessionMessage

SYSTEM_PACKAGE = "system.glasshouse"


class Display(Actor[DisplayMessage]):
    """Its state is the arbitration's: a crash loses neither what is shown nor what waits."""

    def __init__(
        self,
        *,
        user_id: str,
        link: Ref[LinkMessage],
        session: Ref[SessionMessage],
        domain: Domain,
        beginning: arbitration.DisplayState | None = None,
    ) -> None:
        self.user_id = user_id
        self.link = link
        self.session = session
        self.settings = domain.settings.display
        self.state = beginning or arbitration.DisplayState()

    def started(self, restart: RestartInfo | None) -> None:
        self._arm()
        if restart is not None:
            self.session.tell(NeighbourBack(self.ref))

    def receive(self, message: DisplayMessage) -> None:
        for event in self._events(message):
            self.state, effects = arbitration.step(self.state, event, self.now, self.settings)
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

    def _events(self, message: DisplayMessage) -> tuple[arbitration.DisplayEvent, ...]:
        match message:
            case ShowNotice():
                return (self._notice(message),)
            case EndNotice():
                return (arbitration.Withdrawn(SYSTEM_PACKAGE),)
            case Surroundings():
                return tuple(self._missed(message))
            case _:
                return (message,)

    def _missed(self, around: Surroundings) -> Iterator[arbitration.DisplayEvent]:
        """What must have happened, where the state says otherwise. What it knows already is not said again,
        so nothing is shown twice.
        """
        if around.is_phone_here is not self.state.is_phone_here:
            yield arbitration.PhoneArrived() if around.is_phone_here else arbitration.PhoneLost()
        known = dict.fromkeys((*self.state.slots, *(boot.package for boot in self.state.boots)))
        for package in known:
            if package not in (SYSTEM_PACKAGE, *around.apps, *self.state.ended):
                yield arbitration.AppEnded(package)
        if around.core != self.state.core:
            yield arbitration.CoreAppChanged(around.core)

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
