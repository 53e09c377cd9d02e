"""What an app session's actor keeps across a crash."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from protocols import capabilities

from ..liveness import LivenessState
from ..ports import Connection
from . import lifecycle
from .complaints import Complaints
from .handler import AppSocketHandler
from .lifecycle_events import Effect
from .messages import Dialled, DoubtTick, GlassesKnown, SettingsKnown


class AppState(msgspec.Struct, frozen=True):
    """What a crash does not lose.

    Attributes:
      connection: the current connection, the one RUNNING stands for.
      handler: who hears the connection.
      liveness: whether its peer is still there.
      dialled: connections whose init waits for the lifecycle's answer, or that it still has to close, by id.
      parting: the last effects of a stop; they wait until the session has stored and announced it.
      settings: the app's and the system's; None until the session has told them.
      complaints: what of the app's mistakes was told, and what is to be told yet.
      takes_audio: it has asked for audio or for what is recognised from it.
      overloads_told: how many of the server's overloads it has heard of, or was not here for.
      audio_dropped: how many of the connection's microphone frames the app was told it has missed.
      era: the permit of the webhook whose outcome the directory has not been told.
      asked: the webhook, and its body, for which the directory is being asked.
      errors: what went wrong with the app, by type: codes it was told, starts, webhooks, lost sockets.
      doubted: the connection that a new process of the app server put in doubt: it may be half-open.
    """

    lifecycle: lifecycle.LifecycleState
    connection: Connection | None = None
    liveness: LivenessState = LivenessState()
    dialled: Mapping[str, Dialled] = {}
    parting: tuple[Effect, ...] = ()
    glasses: GlassesKnown = GlassesKnown(capabilities.to_raw(None), None, msgspec.Raw(b"{}"))
    settings: SettingsKnown | None = None
    complaints: Complaints = Complaints()
    takes_audio: bool = False
    overloads_told: int = 0
    audio_dropped: int = 0
    era: int | None = None
    handler: AppSocketHandler | None = None
    asked: tuple[int | None, bytes] | None = None
    errors: Mapping[str, int] = {}
    doubted: DoubtTick | None = None
