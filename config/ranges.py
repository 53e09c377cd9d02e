"""Which values of a number make sense, where its type does not say so already.

A struct may bound its own fields (`Annotated[float, Meta(gt=0)]`), and then that counts. For the others the
bounds stand here, one entry a setting. A side without any bound is 0, or a year, or a billion. The least
value is one with which the server still does its work, however badly: a duration of 0 is refused where a
period of 0 would spin or a patience of 0 would let nobody in. The greatest keeps out what is surely a slip,
and what the libraries below cannot take (a window of a million seconds ends a recogniser).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Meta

LONGEST_S: Final = 366 * 86_400
MOST: Final = 1_000_000_000

_SOME_TIME: Final = Meta(gt=0, le=LONGEST_S)
_ATTEMPTS: Final = Meta(ge=1, le=1_000)
_WORKERS: Final = Meta(ge=0, le=1_024)
_GIB: Final = 2**30

# Endpointer's frames; it refuses what makes speech begin or end with none or with all frames of its window.
_FRAME_S: Final = 0.03

_LIVENESS: Final = {
    "suspect_after_s": _SOME_TIME,
    "close_after_s": _SOME_TIME,
    "probe_s": Meta(ge=0.1, le=LONGEST_S),
    "protocol_ping_s": Meta(ge=0.1, le=LONGEST_S),
    "quiet_ping_s": Meta(ge=0.1, le=LONGEST_S),
    "json_ping_s": Meta(ge=0.1, le=LONGEST_S),
}

RANGES: Final[dict[str, Meta]] = {
    "lifecycle.connect_s": _SOME_TIME,
    "lifecycle.start_attempts": _ATTEMPTS,
    "lifecycle.webhook_timeout_s": _SOME_TIME,
    "lifecycle.probe_s": Meta(ge=0.01, le=LONGEST_S),
    "lifecycle.probe_growth": Meta(ge=0, le=1),
    "lifecycle.probe_slowest_s": Meta(ge=0.01, le=LONGEST_S),
    "lifecycle.probe_timeout_s": _SOME_TIME,
    "lifecycle.resurrect_attempts": _ATTEMPTS,
    "microphone.keep_alive_s": Meta(ge=0.1, le=LONGEST_S),
    **{f"liveness.{name}": bounds for name, bounds in _LIVENESS.items()},
    **{f"app_liveness.{name}": bounds for name, bounds in _LIVENESS.items()},
    "front_door.init_s": _SOME_TIME,
    "front_door.admit_s": _SOME_TIME,
    "requests.photo_s": _SOME_TIME,
    "requests.location_s": _SOME_TIME,
    "requests.light_s": _SOME_TIME,
    "requests.most": Meta(ge=1, le=MOST),
    "requests.keep_alive_s": Meta(ge=0.1, le=LONGEST_S),
    "requests.keep_alive_ack_s": _SOME_TIME,
    "requests.keep_alives_missed": Meta(ge=1, le=1_000),
    "requests.stream_silence_s": _SOME_TIME,
    "cabinet.value_bytes": Meta(ge=1, le=16 * 2**20),
    "cabinet.storage_bytes": Meta(ge=1, le=16 * 2**20),
    "cabinet.key_characters": Meta(ge=1, le=10_000),
    "cabinet.preferences_bytes": Meta(ge=1, le=16 * 2**20),
    "cabinet.calls": Meta(gt=0, le=MOST),
    "cabinet.burst_calls": Meta(ge=1, le=MOST),
    "cabinet.ticket_s": _SOME_TIME,
    "cabinet.tickets": Meta(ge=1, le=10_000),
    "overload.sample_s": Meta(ge=0.01, le=60),
    "overload.calm_sample_s": Meta(ge=0.01, le=60),
    "overload.late_s": _SOME_TIME,
    "overload.least_work": Meta(ge=0, le=1),
    "overload.first_share": Meta(ge=0, le=1),
    "overload.more_share": Meta(gt=0, le=1),
    "overload.less_share": Meta(gt=0, le=1),
    "overload.gap_s": _SOME_TIME,
    "limits.app_messages": Meta(ge=1, le=MOST),
    "limits.app_burst": Meta(ge=1, le=MOST),
    "limits.app_bytes": Meta(ge=1_024, le=MOST),
    "limits.app_burst_bytes": Meta(ge=1_024, le=MOST),
    "limits.phone_messages": Meta(ge=1, le=MOST),
    "limits.phone_burst": Meta(ge=1, le=MOST),
    "limits.phone_frames": Meta(ge=1, le=MOST),
    "limits.phone_burst_frames": Meta(ge=1, le=MOST),
    "limits.phone_bytes": Meta(ge=1_024, le=MOST),
    "limits.phone_burst_bytes": Meta(ge=1_024, le=MOST),
    "limits.sockets_per_user": Meta(ge=2, le=MOST),
    "limits.subscriptions": Meta(ge=1, le=MOST),
    # A text wall, the simplest layout, has two.
    "limits.display_elements": Meta(ge=2, le=MOST),
    "pocketsphinx.worker_count": _WORKERS,
    "pocketsphinx.prestart": _WORKERS,
    "pocketsphinx.window_s": Meta(ge=0.06, le=10),
    "pocketsphinx.ratio": Meta(gt=0, lt=1),
    "pocketsphinx.vad_mode": Meta(ge=0, le=3),
    "pocketsphinx.quiet_db": Meta(ge=0, le=100),
    "pocketsphinx.pre_roll_s": Meta(ge=0, le=10),
    "pocketsphinx.utterance_soft_s": Meta(ge=1, le=600),
    "pocketsphinx.utterance_hard_s": Meta(ge=1, le=600),
    "pocketsphinx.keep_s": Meta(ge=0.5, le=600),
    "pocketsphinx.start_timeout_s": _SOME_TIME,
    "pocketsphinx.answer_timeout_s": _SOME_TIME,
    "pocketsphinx.attempts": _ATTEMPTS,
    # A bitmap for the lens is 100 kB of text.
    "engine.max_message_bytes": Meta(ge=2**18, le=_GIB),
    "engine.control_limit_bytes": Meta(ge=2**16, le=_GIB),
    "engine.audio_limit_bytes": Meta(ge=3_200, le=_GIB),
    "engine.hard_limit_bytes": Meta(ge=2**16, le=_GIB),
    "engine.close_timeout_s": _SOME_TIME,
    "engine.handshake_timeout_s": _SOME_TIME,
    "engine.frames_per_turn": Meta(ge=1, le=10_000),
    "engine.read_bytes": Meta(ge=1_024, le=2**24),
    "engine.turn_s": Meta(ge=0, le=1),
    "engine.receive_buffer_bytes": Meta(ge=4_096, le=_GIB),
    "engine.unsent_bytes": Meta(ge=4_096, le=_GIB),
    "listener.head_s": _SOME_TIME,
    "listener.admit_s": _SOME_TIME,
    "listener.waiting_heads": Meta(ge=1, le=1_000_000),
    "listener.out_of_resources_s": Meta(ge=0.01, le=60),
    "keeper.start_s": _SOME_TIME,
    "tracing.share": Meta(ge=0, le=1),
}


def bounds_of(name: str, own: Sequence[Meta]) -> tuple[Meta, ...]:
    """What bounds the number `name` on both sides beside its type's `own` bounds."""
    known = (*own, *([RANGES[name]] if name in RANGES else []))
    added = [RANGES[name]] if name in RANGES else []
    if all(meta.ge is None and meta.gt is None for meta in known):
        added.append(Meta(ge=0))
    if all(meta.le is None and meta.lt is None for meta in known):
        added.append(Meta(le=LONGEST_S if name.endswith("_s") else MOST))
    return tuple(added)


def endpointer_problem(window_s: float, ratio: float) -> str | None:
    """What is wrong with the two together, as pocketsphinx 5 counts; None when they will do."""
    frames = int(window_s / _FRAME_S + 0.5)
    for part in (int(ratio * frames), int((1 - ratio) * frames + 0.5)):
        if not 0 < part < frames:
            return (
                f"expected a window and a ratio with which speech begins and ends: of {frames} frames of"
                f" {_FRAME_S:g} s, {part} would decide"
            )
    return None
