"""Every error an app can read, in one table: what it means, who refused, what the developer can do.

An error carries `code`, `message` (what happened this time), `hop` (which part refused), `remedy` (one
sentence) and, where waiting helps, `retry_after` in seconds. An SDK that knows only `code` and `message`
ignores the rest. Errors close nothing; where a close follows, `close_codes` says with which code and why.

The same codes stand in the bodies of refused HTTP requests. docs/apps.md shows this table; a test compares.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec


class Hop(enum.StrEnum):
    """Which part refused."""

    CLOUD = "cloud"  # the door and the routes: nothing of a wearer's was touched
    SESSION = "session"  # the wearer's session, with its display
    PHONE = "phone"
    GLASSES = "glasses"
    APP_SERVER = "app server"
    STORE = "store"
    PROVIDER = "provider"  # a recogniser, a translator


class ErrorCode(enum.StrEnum):
    """Values of `code`; what each means is in `ERRORS`."""

    APP_NOT_STARTED = "APP_NOT_STARTED"
    APP_SERVER_FAILED = "APP_SERVER_FAILED"
    AUDIO_DROPPED = "AUDIO_DROPPED"
    AUDIO_SHED = "AUDIO_SHED"
    CAMERA_BUSY = "CAMERA_BUSY"
    DISPLAY_TOO_LARGE = "DISPLAY_TOO_LARGE"
    GLASSES_NOT_CONNECTED = "GLASSES_NOT_CONNECTED"
    HARDWARE_MISSING = "HARDWARE_MISSING"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_API_KEY = "INVALID_API_KEY"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_STREAM = "INVALID_STREAM"
    INVALID_TOKEN = "INVALID_TOKEN"
    JWT_INVALID = "JWT_INVALID"
    LANGUAGE_NOT_SUPPORTED = "LANGUAGE_NOT_SUPPORTED"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    MISSING_HEADERS = "MISSING_HEADERS"
    NOT_FOUND = "NOT_FOUND"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    OVERLOADED = "OVERLOADED"
    PACKAGE_NOT_FOUND = "PACKAGE_NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    PHONE_AWAY = "PHONE_AWAY"
    PHONE_FAILED = "PHONE_FAILED"
    PHONE_TIMEOUT = "PHONE_TIMEOUT"
    RATE_LIMITED = "RATE_LIMITED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    SESSION_NOT_READY = "SESSION_NOT_READY"
    SPEECH_UNAVAILABLE = "SPEECH_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_SOCKETS = "TOO_MANY_SOCKETS"
    TOO_MANY_SUBSCRIPTIONS = "TOO_MANY_SUBSCRIPTIONS"
    TRANSLATION_FAILED = "TRANSLATION_FAILED"
    TRY_AGAIN = "TRY_AGAIN"


class ErrorKind(msgspec.Struct, frozen=True):
    """One row of the table.

    Attributes:
      meaning: what happened, for the documentation; what happened this time is the error's `message`.
      remedy: what the developer can do, one sentence.
      retry_after_s: when the same is worth trying again, where the sender knows no better; None where waiting
        alone does not help.
    """

    hop: Hop
    meaning: str
    remedy: str
    retry_after_s: float | None = None


ERRORS: Final[Mapping[ErrorCode, ErrorKind]] = {
    ErrorCode.APP_NOT_STARTED: ErrorKind(
        Hop.SESSION,
        "the socket belongs to a start that was given up, or to an app that the wearer has stopped",
        "Wait for the next webhook, and dial within 5 s of it.",
    ),
    ErrorCode.APP_SERVER_FAILED: ErrorKind(
        Hop.APP_SERVER,
        "what was passed on to the app's server was not taken there",
        "Look at `message`, and at the app server's log.",
    ),
    ErrorCode.AUDIO_DROPPED: ErrorKind(
        Hop.APP_SERVER,
        "the app read its socket too slowly, so its oldest microphone frames were dropped",
        "Read the socket without waiting for slow work, or drop the subscription to audio_chunk.",
    ),
    ErrorCode.AUDIO_SHED: ErrorKind(
        Hop.CLOUD,
        "the cloud is overloaded and drops a part of the microphone's audio; told once each time",
        "Expect gaps in audio and captions until it is over; nothing else is lost.",
    ),
    ErrorCode.CAMERA_BUSY: ErrorKind(
        Hop.SESSION,
        "the camera streams already, for this app or another one",
        "Ask again when the stream is over: `stream_status_check` says whether there is one.",
    ),
    ErrorCode.DISPLAY_TOO_LARGE: ErrorKind(
        Hop.SESSION,
        "a display has more text, a larger bitmap or more elements than one may have; it was not shown",
        "Shorten what is shown; `message` names the limit and what came.",
    ),
    ErrorCode.GLASSES_NOT_CONNECTED: ErrorKind(
        Hop.GLASSES,
        "the phone is there, and says that no glasses are connected to it",
        "Wait for `device_state_update` with `connected`, then ask again.",
    ),
    ErrorCode.HARDWARE_MISSING: ErrorKind(
        Hop.GLASSES,
        "the glasses have no such part: a camera, a light, Wi-Fi",
        "Look at the session's `capabilities` before asking, or declare the hardware as required.",
    ),
    ErrorCode.INTERNAL_ERROR: ErrorKind(
        Hop.CLOUD,
        "a mistake in the cloud",
        "Try again; if it stays, report it with the time and the code.",
        1.0,
    ),
    ErrorCode.INVALID_API_KEY: ErrorKind(
        Hop.CLOUD,
        "the app is not known, or its key is another one; both look the same",
        "Use the package name and the key that `glasshouse app add` was given or has printed.",
    ),
    ErrorCode.INVALID_REQUEST: ErrorKind(
        Hop.CLOUD,
        "an HTTP request cannot be understood, lacks something, or is too large or too slow",
        "Correct the request; `message` names what is wrong.",
    ),
    ErrorCode.INVALID_STREAM: ErrorKind(
        Hop.SESSION,
        "an entry of a subscription list names no stream; the others count",
        "Correct or remove the entries that `details` names.",
    ),
    ErrorCode.INVALID_TOKEN: ErrorKind(
        Hop.CLOUD,
        "no good core token came with the request",
        "Send a token of `glasshouse user token` as `Authorization: Bearer`.",
    ),
    ErrorCode.JWT_INVALID: ErrorKind(
        Hop.CLOUD,
        "the token in an app's upgrade is not ours, or too old, or says nothing of an app",
        "Make one with `glasshouse app token PACKAGE`, or send none: the first message says who it is.",
    ),
    ErrorCode.LANGUAGE_NOT_SUPPORTED: ErrorKind(
        Hop.PROVIDER,
        "no recogniser of this cloud understands the language, or translates it",
        "Subscribe to a language that is served; the subscription stands and stays silent.",
    ),
    ErrorCode.MALFORMED_MESSAGE: ErrorKind(
        Hop.CLOUD,
        "what came is no message, of an unknown type, or lacks something; it was dropped",
        "Send what `message` says was expected.",
    ),
    ErrorCode.MISSING_HEADERS: ErrorKind(
        Hop.CLOUD,
        "an app's upgrade has a token and does not say whose session it is for",
        "Send x-user-id and x-session-id, as the webhook names them.",
    ),
    ErrorCode.NOT_FOUND: ErrorKind(
        Hop.CLOUD,
        "nothing is served under this path, or not by this method",
        "Check path and method: what is not offered yet has no path.",
    ),
    ErrorCode.NOT_SUPPORTED: ErrorKind(
        Hop.CLOUD,
        "a request of the protocol that this cloud does not offer yet",
        "Go on without it: docs/apps.md lists what works today.",
    ),
    ErrorCode.OVERLOADED: ErrorKind(
        Hop.CLOUD,
        "the cloud has more to do than it can, and takes no new sessions",
        "Try again after `retry_after`.",
        5.0,
    ),
    ErrorCode.PACKAGE_NOT_FOUND: ErrorKind(
        Hop.CLOUD,
        "no app of this name is in the catalogue",
        "Add it with `glasshouse app add`, or correct the name.",
    ),
    ErrorCode.PERMISSION_DENIED: ErrorKind(
        Hop.SESSION,
        "a stream or a request needs a permission that the app does not declare; the others count",
        "Declare it: `glasshouse app add PACKAGE --permission NAME`, with all that the app needs.",
    ),
    ErrorCode.PHONE_AWAY: ErrorKind(
        Hop.PHONE,
        "the wearer's phone is not connected, was lost meanwhile, or did not answer",
        "Go on without it, or ask again when the glasses are connected.",
    ),
    ErrorCode.PHONE_FAILED: ErrorKind(
        Hop.PHONE,
        "the phone took the request and says that it failed",
        "Look at `message`, which is the phone's.",
    ),
    ErrorCode.PHONE_TIMEOUT: ErrorKind(
        Hop.PHONE,
        "the phone was asked and did not answer in time",
        "Ask again; the glasses may be out of its reach.",
    ),
    ErrorCode.RATE_LIMITED: ErrorKind(
        Hop.CLOUD,
        "more messages, bytes or requests came than may; those over the limit were dropped",
        "Send less often: of displays only one in 300 ms is shown anyway.",
        1.0,
    ),
    ErrorCode.SESSION_NOT_FOUND: ErrorKind(
        Hop.SESSION,
        "the wearer has no session here",
        "Wait for the next webhook.",
    ),
    ErrorCode.SESSION_NOT_READY: ErrorKind(
        Hop.SESSION,
        "the wearer's session is being brought back",
        "Dial again with the same session id.",
        1.0,
    ),
    ErrorCode.SPEECH_UNAVAILABLE: ErrorKind(
        Hop.PROVIDER,
        "a text cannot be spoken: nothing on this cloud speaks, or it speaks too much already",
        "Show the text; `message` says which of the two it is.",
    ),
    ErrorCode.STORE_UNAVAILABLE: ErrorKind(
        Hop.STORE,
        "the store did not answer",
        "Try again after `retry_after`.",
        1.0,
    ),
    ErrorCode.TOO_LARGE: ErrorKind(
        Hop.CLOUD,
        "what is to be kept is larger than it may be; nothing of it was kept",
        "Keep less, or remove what is not needed; `message` names the limit and what came.",
    ),
    ErrorCode.TOO_MANY_SOCKETS: ErrorKind(
        Hop.SESSION,
        "one wearer's apps and phones hold, or wait for, more sockets than one wearer may have",
        "Close sockets that are not used any more, and dial again after `retry_after`.",
        5.0,
    ),
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: ErrorKind(
        Hop.SESSION,
        "a subscription list is longer than one may be; its first entries count",
        "Subscribe to less; `message` names the limit and what came.",
    ),
    ErrorCode.TRANSLATION_FAILED: ErrorKind(
        Hop.PROVIDER,
        "the translator did not answer in time, or refused; told once each time, until it translates again",
        "Expect finals in the language that was spoken, with `didTranslate` false, until it is over.",
    ),
    ErrorCode.TRY_AGAIN: ErrorKind(
        Hop.CLOUD,
        "the cloud is stopping, or something that it asked did not answer in time",
        "Try again after `retry_after`.",
        1.0,
    ),
}


def details(code: ErrorCode, *, retry_after_s: float | None = None) -> dict[str, Any]:
    """What an error says beside its message: `code`, `hop`, `remedy`, and `retry_after` where waiting helps.

    Args:
      retry_after_s: when it is known better than in the table.
    """
    kind = ERRORS[code]
    fields: dict[str, Any] = {"code": code.value, "hop": kind.hop.value, "remedy": kind.remedy}
    wait_s = kind.retry_after_s if retry_after_s is None else retry_after_s
    if wait_s is not None:
        fields["retry_after"] = round(wait_s, 3)
    return fields
