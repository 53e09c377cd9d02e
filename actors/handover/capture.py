"""A session's record, read off the states of its actors. Their mailboxes are empty at that moment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from ..apps.state import AppState
from ..display.arbitration import DisplayState
from ..link.actor import LinkState
from ..liveness import LivenessState
from ..session import wire
from ..session.state import SessionState
from ..speech.feed import AudioFeed
from ..speech.remembering import HistoryState
from ..speech.stream import StreamState
from ..speech.translation import TranslationState
from ..webrtc.negotiation import NegotiationState
from .record import (
    HandedApp,
    HandedLastKnown,
    HandedLink,
    HandedSession,
    HandedSpeech,
    HandedTranslation,
    HandedWebrtc,
)

LONG_AGO = 0.0
"""For "at once" in a record: JSON knows no infinity, and every clock of a process is far past its zero."""


def capture(
    session: SessionState,
    display: DisplayState,
    link: LinkState,
    webrtc: NegotiationState,
    apps: Mapping[str, AppState],
    streams: Mapping[str, StreamState],
    translations: Mapping[tuple[str, str], TranslationState],
    history: HistoryState,
    now: float,
) -> HandedSession:
    """The session as it stands at `now`.

    Args:
      apps: of the apps that have an actor, by package.
      streams: of the transcription streams that have one, by language.
      translations: of the translation streams that have one, by their pair.
    """
    connection = link.connection
    return HandedSession(
        now=now,
        user_id=session.user_id,
        incarnation=session.incarnation,
        started_at=session.started_at,
        started_wall=session.started_wall,
        is_acked=connection is not None and session.acked == connection.id,
        grace_ends_at=session.grace_ends_at,
        to_boot=session.to_boot,
        apps=tuple(
            HandedApp(
                app=entry.app,
                lifecycle=apps[package].lifecycle,
                subscriptions=entry.subscriptions,
                is_stored=entry.is_stored,
                has_listed=entry.has_listed,
                is_farewell_told=entry.is_farewell_told,
                is_missed=entry.is_missed,
                connection=_id_of(apps[package]),
                liveness=_finite(apps[package].liveness),
                complaints=apps[package].complaints,
                takes_audio=apps[package].takes_audio,
                audio_dropped=apps[package].audio_dropped,
            )
            for package, entry in session.apps.items()
            if package in apps
        ),
        display=display,
        microphone=session.microphone,
        glasses=session.glasses,
        last_known=HandedLastKnown(
            session.last_known.location,
            tuple(session.last_known.calendar.items()),
            session.last_known.located_at,
            session.last_known.datetime,
        ),
        plays=session.plays,
        takeovers=session.takeovers,
        to_start=tuple(package for package in session.starting if package not in session.apps),
        stopping=tuple(session.stopping),
        again=tuple(session.again),
        saved=session.saved,
        is_announced=session.announced == wire.user_session(session),
        is_ending=session.is_ending,
        preferences=session.preferences,
        location_tier=session.location_tier,
        requests=session.requests,
        rtmp=session.rtmp,
        speech=tuple(_overheard(session, streams)),
        unwritten=history.unwritten_finals,
        translations=tuple(
            HandedTranslation(*pair, state.untold) for pair, state in translations.items() if state.untold
        ),
        link=None
        if connection is None
        else HandedLink(
            connection.id, _finite(link.liveness), link.is_acked, link.phones, link.audio, link.udp
        ),
        webrtc=HandedWebrtc(webrtc.codec, webrtc.is_wanted) if webrtc.is_capable else None,
    )


def _overheard(session: SessionState, streams: Mapping[str, StreamState]) -> Iterator[HandedSpeech]:
    for language, entry in session.streams.items():
        stream = entry.inlet.stream
        if language in streams and isinstance(stream, AudioFeed):
            yield HandedSpeech(language, stream.unsettled(), streams[language].utterance_id)


def _id_of(app: AppState) -> str | None:
    return None if app.connection is None else app.connection.id


def _finite(state: LivenessState) -> LivenessState:
    json_pinged_at = state.json_pinged_at
    if json_pinged_at == -math.inf:
        json_pinged_at = LONG_AGO
    return replace(state, pinged_at=max(state.pinged_at, LONG_AGO), json_pinged_at=json_pinged_at)
