"""How a session goes on in the next process: what each of its actors begins with.

Pure. The snapshot may be a second older than the end of its process; the stored running list is never older
than what anybody was told. So the list decides what runs: an app that the snapshot has and the list has not
was stopped in that second, one that only the list has was started in it, and its SDK is dialling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from protocols.streams import Subscription

from .. import microphone
from ..apps import resumption as apps
from ..apps.lifecycle import LifecycleState, Phase
from ..built_in import is_built_in
from ..cabinet.preferences import NOTHING, Preferences
from ..display import arbitration as display
from ..display.arbitration import DisplaySettings, DisplayState
from ..display.state import shifted as shifted_display
from ..domain import DomainSettings
from ..ports import AppDocument, UserDocument
from ..session.beginning import Beginning, ResumedApp
from ..session.state import SessionState
from ..subscriptions import apply_update
from .snapshot import AppSnapshot, SessionSnapshot, StoredSnapshot


def begun(user_id: str, user: UserDocument | None, preferences: Preferences) -> Beginning:
    """Of a user without a snapshot: the stored list waits for the phone."""
    stored = () if user is None else user.running_apps
    return Beginning(SessionState(user_id=user_id, to_boot=stored, saved=stored, preferences=preferences))


def named(snapshot: SessionSnapshot, user: UserDocument | None) -> tuple[str, ...]:
    """The packages whose documents `resumed` wants."""
    stored = () if user is None else user.running_apps
    return tuple(dict.fromkeys((*(app.package_name for app in snapshot.apps), *stored)))


def resumed(
    snapshot: StoredSnapshot,
    user: UserDocument | None,
    documents: Mapping[str, AppDocument],
    now: float,
    settings: DomainSettings,
    preferences: Preferences = NOTHING,
) -> Beginning:
    """Of a user with a snapshot: the same session, its phone away.

    Args:
      documents: of the packages `named`; an app that has left the catalogue has none, and is left to the
        boot with the phone, which says so.
      now: this process's monotonic seconds; the deadlines keep their remaining time.
    """
    old = snapshot.session
    by_s = now - snapshot.now
    stored = () if user is None else user.running_apps
    not_begun = frozenset(stored if old.to_boot is None else old.to_boot)
    going_on: dict[str, ResumedApp] = {}
    for one in old.apps:
        app = documents.get(one.package_name)
        is_stored = one.package_name in stored
        if app is not None and (is_stored or not one.is_stored):
            machine = _resumed_machine(app, one, by_s, now, settings, has_run=is_stored)
            if machine is not None:
                subscriptions = _granted(app, one.subscriptions)
                going_on[one.package_name] = ResumedApp(app, machine, subscriptions, is_stored)
    for package_name in stored:
        app = documents.get(package_name)
        if app is not None and package_name not in going_on and package_name not in not_begun:
            machine = apps.awaited(now, settings.lifecycle)
            if is_built_in(app):
                machine = apps.renewed(is_phone_here=False, now=now)
            going_on[package_name] = ResumedApp(app, machine)
    known = {one.package_name for one in old.apps}
    mic, _ = microphone.step(
        microphone.shifted(old.microphone, by_s), microphone.PhoneLost(), now, settings.microphone
    )
    session = SessionState(
        user_id=old.user_id,
        incarnation=old.incarnation,
        started_at=old.started_at + by_s,
        started_wall=old.started_wall,
        grace_ends_at=_grace_end(old, by_s, now, settings.session.phone_grace_s),
        to_boot=tuple(package for package in stored if package not in going_on),
        saved=stored,
        microphone=mic,
        glasses=old.glasses,
        preferences=preferences,
    )
    shown = _resumed_display(
        old.display, by_s, now, settings.display, ended=known - going_on.keys(), going_on=going_on
    )
    return Beginning(session, tuple(going_on.values()), shown)


def _resumed_machine(
    app: AppDocument, one: AppSnapshot, by_s: float, now: float, settings: DomainSettings, *, has_run: bool
) -> LifecycleState | None:
    """How its lifecycle goes on. A start that the stored list knows of was through before the end came."""
    if is_built_in(app) and has_run:
        return apps.renewed(is_phone_here=False, now=now)
    if has_run and one.lifecycle.phase in (Phase.CONNECTING, Phase.STOPPING, Phase.STOPPED):
        return apps.awaited(now, settings.lifecycle)
    return apps.resumed(apps.shifted(one.lifecycle, by_s), now, settings.lifecycle)


def _granted(app: AppDocument, subscriptions: Iterable[Subscription]) -> tuple[Subscription, ...]:
    """What the app may still have of its list: its permissions may have changed."""
    requested = [
        one.text if one.rate is None else {"stream": one.text, "rate": one.rate} for one in subscriptions
    ]
    return apply_update((), requested, tuple(permission.type for permission in app.permissions)).accepted


def _grace_end(old: SessionSnapshot, by_s: float, now: float, phone_grace_s: float) -> float:
    if old.had_phone or old.grace_ends_at is None:
        return now + phone_grace_s
    return max(now, old.grace_ends_at + by_s)


def _resumed_display(
    state: DisplayState,
    by_s: float,
    now: float,
    settings: DisplaySettings,
    *,
    ended: Iterable[str],
    going_on: Iterable[str],
) -> DisplayState:
    state = shifted_display(state, by_s)
    state = replace(state, ended=tuple(package for package in state.ended if package not in going_on))
    state, _ = display.step(state, display.PhoneLost(), now, settings)
    for package in sorted(ended):
        state, _ = display.step(state, display.AppEnded(package), now, settings)
    return state
