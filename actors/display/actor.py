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
from ..tracing import Mark
from . import arbitration
from .messages import DisplayMessage, EndNotice, ShowNotice, Surroundings, TracedRequest

if TYPE_CHECKING:
    from ..domain import Domain
    from ..session.messages import SessionMessage

SYSTEM_PACKAGE = "system.glasshouse"


class Display(Actor[DisplayMessage]):
    """Its state is the arbitration's: a crash loses neither what is shown nor what waits."""

    transient = ("traced",)

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
        self.tracer = domain.ports.tracer
        self.traced: dict[tuple[str, str], TracedRequest] = {}
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
                    self.link.tell(ToPhone(self._outgoing(effect), mark=self._mark_of(effect)))
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

    def _note(self, traced: TracedRequest) -> None:
        """One that still waits for its turn has been replaced."""
        request = traced.request
        is_dashboard = request.view == arbitration.DASHBOARD_VIEW
        place = (request.package, request.view if is_dashboard else arbitration.MAIN_VIEW)
        if self.tracer is not None and place in self.traced:
            self.tracer.passed(self.traced[place].mark, "arbitration", self.now, outcome="replaced")
        self.traced[place] = traced

    def _mark_of(self, show: arbitration.Show) -> Mark | None:
        traced = self.traced.get((show.package, show.view)) if self.traced else None
        if traced is None or self.tracer is None or traced.request.layout is not show.layout:
            return None
        del self.traced[show.package, show.view]
        return self.tracer.passed(traced.mark, "arbitration", self.now, outcome="shown")

    def _events(self, message: DisplayMessage) -> tuple[arbitration.DisplayEvent, ...]:
        match message:
            case ShowNotice():
                return (self._notice(message),)
            case EndNotice():
                return (arbitration.Withdrawn(SYSTEM_PACKAGE),)
            case TracedRequest(request):
                self._note(message)
                return (request,)
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
