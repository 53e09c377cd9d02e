"""A daemon's login by a short code (RFC 8628 in small): pure decisions about the codes that wait.

The daemon holds a secret device code, of which only the hash is known here, and shows the short user code. A
signed-in user who sees the same code on both screens allows it; the daemon's next poll then gets the token,
once. Guessing is made hopeless by few tries a user, and flooding by few codes a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from .settings import DesktopSettings

ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628 section 6.1: no vowels, so no words, and no digits to mistake for letters."""

CODE_LENGTH: Final = 8
GUESSES_S: Final = 600.0
MADE_S: Final = 60.0

LoginPhase = Literal["pending", "allowed", "denied", "taken"]


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One code that waits.

    Attributes:
      device_hash: `hash_of` the device code.
      polled_at: by the daemon, last.
      user_id: who has allowed it.
    """

    device_hash: str
    user_code: str
    name: str
    expires_at: float
    phase: LoginPhase = "pending"
    polled_at: float = float("-inf")
    user_id: str = ""


class LoginsState(msgspec.Struct, frozen=True):
    """Attributes:
    logins: by device hash.
    made_at: when codes were made in the last minute.
    missed_at: when each user gave a code that there is not, in the last ten minutes.
    """

    logins: Mapping[str, Login] = {}
    made_at: tuple[float, ...] = ()
    missed_at: Mapping[str, tuple[float, ...]] = {}


class Limited(msgspec.Struct, frozen=True):
    """Too many; it is worth trying again after so long."""

    retry_after_s: float


class Begun(msgspec.Struct, frozen=True):
    """A code waits. `expires_in_s` and `interval_s` are for the daemon."""

    user_code: str
    expires_in_s: float
    interval_s: float


class Shown(msgspec.Struct, frozen=True):
    """What a user compares, and has allowed or denied."""

    user_code: str
    name: str
    expires_in_s: float


class Unknown(msgspec.Struct, frozen=True):
    """There is no such code: it never was, has expired, or was answered."""


class Granted(msgspec.Struct, frozen=True):
    """The daemon belongs to this user now."""

    user_id: str
    name: str


class NotYet(msgspec.Struct, frozen=True):
    """Nobody has answered. `is_too_soon`: the daemon asks more often than it was told."""

    interval_s: float
    is_too_soon: bool = False


class Denied(msgspec.Struct, frozen=True):
    """The user does not know that daemon."""


PollOutcome = Granted | NotYet | Denied | Unknown
ShowOutcome = Shown | Unknown | Limited


def begun(
    state: LoginsState, device_hash: str, user_code: str, name: str, now: float, settings: DesktopSettings
) -> tuple[LoginsState, Begun | Limited]:
    """Another code, or a refusal."""
    state = _current(state, now)
    if len(state.made_at) >= settings.logins_a_minute:
        return state, Limited(state.made_at[0] + MADE_S - now)
    if len(state.logins) >= settings.logins_waiting:
        return state, Limited(min(login.expires_at for login in state.logins.values()) - now)
    if device_hash in state.logins or _find(state, user_code) is not None:
        return state, Limited(0.0)  # by chance the same: the next one will be another
    login = Login(device_hash=device_hash, user_code=user_code, name=name, expires_at=now + settings.login_s)
    state = replace(_put(state, login), made_at=(*state.made_at, now))
    return state, Begun(user_code, settings.login_s, settings.login_interval_s)


def shown(
    state: LoginsState, user_id: str, user_code: str, now: float, settings: DesktopSettings
) -> tuple[LoginsState, ShowOutcome]:
    """What waits under a code, for a user to compare."""
    state = _current(state, now)
    missed = state.missed_at.get(user_id, ())
    if len(missed) >= settings.login_guesses:
        return state, Limited(missed[0] + GUESSES_S - now)
    login = _find(state, normal(user_code))
    if login is None or login.phase != "pending":
        missed_at = {**state.missed_at, user_id: (*missed, now)}
        return replace(state, missed_at=missed_at), Unknown()
    return state, Shown(login.user_code, login.name, login.expires_at - now)


def answered(
    state: LoginsState,
    user_id: str,
    user_code: str,
    now: float,
    settings: DesktopSettings,
    *,
    is_allowed: bool,
) -> tuple[LoginsState, ShowOutcome]:
    """A user's decision about a code."""
    state, outcome = shown(state, user_id, user_code, now, settings)
    login = _find(state, normal(user_code))
    if isinstance(outcome, Shown) and login is not None:
        phase: LoginPhase = "allowed" if is_allowed else "denied"
        state = _put(state, replace(login, phase=phase, user_id=user_id))
    return state, outcome


def polled(
    state: LoginsState, device_hash: str, now: float, settings: DesktopSettings
) -> tuple[LoginsState, PollOutcome]:
    """What the daemon hears. The first poll after a permission takes it."""
    state = _current(state, now)
    login = state.logins.get(device_hash)
    if login is None or login.phase == "taken":
        return state, Unknown()
    if login.phase == "denied":
        return state, Denied()
    if login.phase == "allowed":
        return _put(state, replace(login, phase="taken")), Granted(login.user_id, login.name)
    is_too_soon = now - login.polled_at < settings.login_interval_s / 2
    state = _put(state, replace(login, polled_at=now))
    return state, NotYet(settings.login_interval_s, is_too_soon)


def given_back(state: LoginsState, device_hash: str) -> LoginsState:
    """The token could not be made: the next poll gets it."""
    login = state.logins.get(device_hash)
    return state if login is None or login.phase != "taken" else _put(state, replace(login, phase="allowed"))


def normal(user_code: str) -> str:
    """A code as it is compared: letters of the alphabet alone, in upper case."""
    return "".join(letter for letter in user_code.upper() if letter in string.ascii_uppercase)


def user_code_of(secret: str) -> str:
    """A short code drawn from a secret: 20^8 of them, of which few wait at a time."""
    number = int.from_bytes(hashlib.sha256(b"user code " + secret.encode()).digest())
    letters = []
    for _ in range(CODE_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)


def written(user_code: str) -> str:
    """A code as people read it."""
    return f"{user_code[:4]}-{user_code[4:]}"


def _find(state: LoginsState, user_code: str) -> Login | None:
    found = None
    for (
        login
    ) in state.logins.values():  # all of them, in constant time each: nothing leaks by how long it takes
        if hmac.compare_digest(login.user_code.encode(), user_code.encode()):
            found = login
    return found


def _current(state: LoginsState, now: float) -> LoginsState:
    """Without what is long past."""
    missed = {
        user: tuple(one for one in every if now - one < GUESSES_S) for user, every in state.missed_at.items()
    }
    return LoginsState(
        logins={known: login for known, login in state.logins.items() if now < login.expires_at},
        made_at=tuple(one for one in state.made_at if now - one < MADE_S),
        missed_at={user: every for user, every in missed.items() if every},
    )


def _put(state: LoginsState, login: Login) -> LoginsState:
    return replace(state, logins={**state.logins, login.device_hash: login})
