"""An app session in the process after the one it ran in: what of its lifecycle goes on, and how.

Every socket and every task of the old process is gone, the app server knows nothing of that, and its SDK
dials again after 1, 2 and 4 s with the session it has. So the app is awaited as after a lost socket, and no
webhook goes out while it may still come by itself: it would end the session that is on its way back
(protocol.md 10.6). There is no phone at first.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..moments import moved
from .lifecycle import LifecycleState, PhoneLost, SocketClosed, step
from .lifecycle_events import LifecycleSettings, Phase

ABNORMAL = 1006


def shifted(state: LifecycleState, by_s: float) -> LifecycleState:
    """The same machine on a clock that is `by_s` ahead (`actors.moments`)."""
    return replace(
        state,
        pending_until=moved(state.pending_until, by_s),
        posted_at=moved(state.posted_at, by_s),
        connect_until=moved(state.connect_until, by_s),
        grace_until=moved(state.grace_until, by_s),
        post_at=moved(state.post_at, by_s),
        lost_at=moved(state.lost_at, by_s),
        probe_at=moved(state.probe_at, by_s),
        probe_until=moved(state.probe_until, by_s),
        stopping_until=moved(state.stopping_until, by_s),
    )


def resumed(state: LifecycleState, now: float, settings: LifecycleSettings) -> LifecycleState | None:
    """The machine as it goes on; None for an app that was stopping.

    - A running app, or one in its grace, has the whole grace from now on.
    - A webhook that is out and has brought no socket yet is given `connect_s` for it: nothing more will be
      heard of its POST, which is what `pending_until` is for.
    - A resurrection with no webhook out waits for the phone, as does an app that is dormant.

    Args:
      state: as it stood, moved to this process's clock (`shifted`).
      now: monotonic seconds.
    """
    if state.phase in (Phase.STOPPING, Phase.STOPPED):
        return None
    state = replace(state, pending=None, pending_until=None, probe_at=None, probe_until=None)
    if state.phase is Phase.GRACE:
        return replace(
            state, is_phone_here=False, grace_until=now + settings.grace_s, probe_at=now, lost_at=now
        )
    if state.awaited is not None:
        return replace(
            state,
            is_phone_here=False,
            pending=state.awaited,
            pending_until=now + settings.connect_s,
            connect_until=None,
        )
    if state.phase is Phase.CONNECTING:
        return replace(state, is_phone_here=False)
    state, _ = step(state, PhoneLost(), now, settings)
    if state.phase is Phase.RUNNING:
        assert state.socket_id is not None
        state, _ = step(state, SocketClosed(state.socket_id, ABNORMAL), now, settings)
    # The probe that a lost socket asks for at once is asked for by the actor that will hear of it.
    return replace(state, probe_at=now if state.phase is Phase.GRACE else None, probe_until=None)


def awaited(now: float, settings: LifecycleSettings) -> LifecycleState:
    """The machine of an app of which is known only that it ran."""
    return LifecycleState(
        phase=Phase.GRACE,
        is_phone_here=False,
        grace_until=now + settings.grace_s,
        lost_at=now,
        probe_at=now,
    )
