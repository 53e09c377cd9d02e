"""An app's life with a clock, and lives in every phase, for tests."""

from __future__ import annotations

from actors.apps.lifecycle import (
    Effect,
    Event,
    LifecycleSettings,
    LifecycleState,
    Phase,
    PhoneLost,
    PostWebhook,
    ProbeServer,
    ServerProbed,
    SocketArrived,
    SocketClosed,
    StartRequested,
    StopRequested,
    Tick,
    WebhookAnswered,
    deadline,
    step,
)
from actors.ports import ProbeOutcome

SETTINGS = LifecycleSettings()
ANSWERS, REFUSED, UNKNOWN = ProbeOutcome


class Life:
    """A machine with a clock: events at a time, and ticks exactly when they are due."""

    def __init__(self, settings: LifecycleSettings = SETTINGS) -> None:
        self.settings = settings
        self.state = LifecycleState()
        self.now = 1000.0
        self.since = self.now
        self.log: list[tuple[float, Effect]] = []

    def phase(self) -> Phase:
        return self.state.phase

    def hear(self, *events: Event) -> tuple[Effect, ...]:
        heard: list[Effect] = []
        for event in events:
            self.state, effects = step(self.state, event, self.now, self.settings)
            self.log += [(round(self.now - self.since, 6), effect) for effect in effects]
            heard += effects
        return tuple(heard)

    def advance(
        self, seconds: float, *, is_server_up: bool | None = None, probed: ProbeOutcome | None = None
    ) -> tuple[Effect, ...]:
        """Let time pass. With `probed` every probe says so at once; `is_server_up`: it answers or refuses."""
        if is_server_up is not None:
            probed = ANSWERS if is_server_up else REFUSED
        until = self.now + seconds
        heard: list[Effect] = []
        if probed is not None and self.state.probe_until is not None:
            heard += self.hear(ServerProbed(probed))
        while (due := deadline(self.state)) is not None and due <= until:
            self.now = max(self.now, due)
            effects = self.hear(Tick())
            heard += effects
            if probed is not None and ProbeServer() in effects:
                heard += self.hear(ServerProbed(probed))
        self.now = until
        return tuple(heard)

    def advance_to_webhook(self, *, is_server_up: bool | None = None) -> float:
        """Let time pass until a webhook goes out; how long that took."""
        before, posts = self.now, self.times(PostWebhook)
        while self.times(PostWebhook) == posts:
            due = deadline(self.state)
            assert due is not None
            self.advance(max(0.0, due - self.now), is_server_up=is_server_up)
        return self.now - before

    def times(self, kind: type[Effect]) -> list[float]:
        return [at for at, effect in self.log if isinstance(effect, kind)]

    def mark(self) -> None:
        """Count times and effects from here."""
        self.since = self.now
        self.log.clear()


def running(settings: LifecycleSettings = SETTINGS) -> Life:
    life = Life(settings)
    life.hear(StartRequested(), SocketArrived("s1"), WebhookAnswered(1, 200))
    life.mark()
    return life


def in_grace(settings: LifecycleSettings = SETTINGS) -> Life:
    life = running(settings)
    life.hear(SocketClosed("s1", 1006))
    return life


def resurrecting(settings: LifecycleSettings = SETTINGS) -> Life:
    """The grace has passed with a server that answered; webhook 2 is out."""
    life = in_grace(settings)
    life.hear(ServerProbed(ANSWERS))
    life.advance(10.0, is_server_up=True)
    life.mark()
    return life


def dormant() -> Life:
    life = in_grace()
    life.hear(PhoneLost(), ServerProbed(ANSWERS))
    life.advance(10.0, is_server_up=True)
    life.mark()
    return life


def stopping() -> Life:
    life = running()
    life.hear(StopRequested("user_disabled"))
    life.mark()
    return life


IN_PHASE = {
    Phase.STOPPED: Life,
    Phase.RUNNING: running,
    Phase.GRACE: in_grace,
    Phase.RESURRECTING: resurrecting,
    Phase.DORMANT: dormant,
    Phase.STOPPING: stopping,
}
