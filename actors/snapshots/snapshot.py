"""What of a session outlives the process, and its form on disk.

A snapshot is JSON: `{"version", "now", "session"}`. All times in it are seconds of the clock of the process
that wrote it, whose time was `now`; the next process moves them (`actors.moments`). What a change of `now`
alone would change is nothing but that number, so equal sessions have equal bodies.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from protocols.device_state import GlassesInfo
from protocols.streams import Subscription

from ..apps import lifecycle
from ..apps.lifecycle import LifecycleState
from ..display.arbitration import DisplayState
from ..microphone import MicrophoneState
from ..session.state import SessionState

VERSION = 1
CLOSER_BY = 0.1
"""A snapshot with a deadline is written again when this share of the time to it has passed."""


class AppSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One app of the session; see `session.state.AppEntry`."""

    package_name: str
    lifecycle: LifecycleState
    subscriptions: tuple[Subscription, ...] = ()
    is_stored: bool = False


class SessionSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session; see `session.state.SessionState`.

    Attributes:
      had_phone: the phone was here.
      to_boot: packages of the stored list that had not been started yet.
      microphone: as it is without a phone: what is wanted, and until when.
    """

    user_id: str
    incarnation: str
    started_at: float
    started_wall: float
    had_phone: bool = False
    grace_ends_at: float | None = None
    to_boot: tuple[str, ...] | None = None
    apps: tuple[AppSnapshot, ...] = ()
    display: DisplayState = DisplayState()
    microphone: MicrophoneState = MicrophoneState()
    glasses: GlassesInfo = GlassesInfo()


class StoredSnapshot(msgspec.Struct, frozen=True):
    """A snapshot as it was read.

    Attributes:
      now: what the writer's clock said.
    """

    now: float
    session: SessionSnapshot


class UnreadableSnapshotError(Exception):
    """The bytes are no snapshot that this version understands; the session counts as having none."""


class _Envelope(msgspec.Struct, frozen=True):
    version: int
    now: float
    session: msgspec.Raw


def capture(
    session: SessionState, display: DisplayState, lifecycles: Mapping[str, LifecycleState]
) -> SessionSnapshot:
    """The session as its actors' states have it at one moment.

    Args:
      lifecycles: of the apps that have an actor, by package.
    """
    microphone = session.microphone
    return SessionSnapshot(
        user_id=session.user_id,
        incarnation=session.incarnation,
        started_at=session.started_at,
        started_wall=session.started_wall,
        had_phone=session.phone is not None,
        grace_ends_at=session.grace_ends_at,
        to_boot=session.to_boot,
        apps=tuple(
            AppSnapshot(package, _kept(lifecycles[package]), entry.subscriptions, entry.is_stored)
            for package, entry in session.apps.items()
            if package in lifecycles
        ),
        display=replace(display, is_phone_here=False),
        microphone=MicrophoneState(target=microphone.target, off_at=microphone.off_at),
        glasses=session.glasses,
    )


def _kept(machine: LifecycleState) -> LifecycleState:
    """Without what ends with the process anyway: probes that come and go would be a write each."""
    return replace(machine, pending=None, pending_until=None, probe_at=None, probe_until=None)


def deadline(snapshot: SessionSnapshot) -> float | None:
    """The nearest moment at which something in it runs out; None when nothing does."""
    due = (
        snapshot.grace_ends_at,
        snapshot.display.due_at,
        snapshot.microphone.off_at,
        *(lifecycle.deadline(app.lifecycle) for app in snapshot.apps),
    )
    return min((moment for moment in due if moment is not None), default=None)


def again_at(snapshot: SessionSnapshot, now: float) -> float:
    """When an unchanged snapshot, written at `now`, has to be written again.

    Its deadlines have come nearer meanwhile: to the next process they would seem further away than they are.
    """
    due = deadline(snapshot)
    return float("inf") if due is None else now + max(0.0, due - now) * CLOSER_BY


_encode = msgspec.json.Encoder().encode
_envelope = msgspec.json.Decoder(_Envelope)
_session = msgspec.json.Decoder(SessionSnapshot)


def encode(snapshot: SessionSnapshot) -> bytes:
    """The session's part of the stored form.

    Raises:
      ValueError, OverflowError, TypeError: it holds what JSON cannot: a lone surrogate, a number past 64
        bits.
    """
    return _encode(snapshot)


def stored(body: bytes, now: float) -> bytes:
    """What goes into the store: `encode`'s outcome and the writer's clock."""
    return _encode(_Envelope(VERSION, now, msgspec.Raw(body)))


def decode(stored_form: bytes) -> StoredSnapshot:
    """Read what `stored` made.

    Raises:
      UnreadableSnapshotError: it is damaged, or of another version.
    """
    try:
        envelope = _envelope.decode(stored_form)
        if envelope.version != VERSION:
            raise UnreadableSnapshotError(f"version {envelope.version}, this server reads {VERSION}")
        return StoredSnapshot(envelope.now, _session.decode(envelope.session))
    except (ValueError, RecursionError) as error:
        raise UnreadableSnapshotError(str(error)) from error
