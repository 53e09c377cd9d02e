"""An app session in the process after the one it ran in: what of its lifecycle goes on, and how.

Every socket and every task of the old process is gone, the app server knows nothing of that, and its SDK
dials again after 1, 2 and 4 s with the session it has. So the app is awaited as after a lost socket, and no
webhook goes out while it may still come by itself: it would end the session that is on its way back
(protocol.md 10.6). There is no phone at first.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..moments import moved
from .lifecycle import LifecycleState, SocketClosed, step
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
    - A resurrection or a dormant app has `returning_s`: its socket may have come, and been lost again, in the
      second that the snapshot does not know. As in every grace, a server that refuses the probe ends it.
    - An app that let go of its socket is dormant.
    - A start whose webhook is out and has brought no socket yet is given `connect_s` for it: nothing more
      will be heard of its POST, which is what `pending_until` is for.

    Args:
      state: as it stood, moved to this process's clock (`shifted`).
      now: monotonic seconds.
    """
    if state.phase in (Phase.STOPPING, Phase.STOPPED):
        return None
    state = replace(
        state, is_phone_here=False, pending=None, pending_until=None, probe_at=None, probe_until=None
    )
    match state.phase:
        case Phase.RUNNING if state.is_released:
            assert state.socket_id is not None
            return step(state, SocketClosed(state.socket_id, ABNORMAL), now, settings)[0]
        case Phase.RUNNING | Phase.GRACE:
            return _in_grace(state, now, settings.grace_s)
        case Phase.RESURRECTING | Phase.DORMANT:
            return _in_grace(state, now, settings.returning_s)
        case _:
            if state.awaited is None:
                return state
            until = now + settings.connect_s
            return replace(state, pending=state.awaited, pending_until=until, connect_until=None)


def _in_grace(state: LifecycleState, now: float, wait_s: float) -> LifecycleState:
    """The machine that waits for its app from now on. Of its last business only the webhooks are kept."""
    return LifecycleState(
        phase=Phase.GRACE,
        is_phone_here=False,
        attempt=state.attempt,
        is_posted=state.is_posted,
        was_posted=state.was_posted,
        posted_at=state.posted_at,
        grace_until=now + wait_s,
        lost_at=now,
        probe_at=now,
    )


def renewed(*, is_phone_here: bool, now: float) -> LifecycleState:
    """The machine of an app that was part of the process before, and ended with it.

    Such an app does not dial by itself: it sleeps until the phone is there, and gets its webhook then.
    """
    if not is_phone_here:
        return LifecycleState(phase=Phase.DORMANT, is_phone_here=False)
    return LifecycleState(phase=Phase.RESURRECTING, lost_at=now, post_at=now)


def awaited(now: float, settings: LifecycleSettings) -> LifecycleState:
    """The machine of an app of which is known only that it ran."""
    return _in_grace(LifecycleState(), now, settings.grace_s)
