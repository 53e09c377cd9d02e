"""What apps have asked of the phone and wait for: photos, locations, lights. Pure."""

from __future__ import annotations

import enum

import msgspec

from .request_settings import RequestSettings


class Kind(enum.Enum):
    """What was asked for."""

    PHOTO = "photo"
    LOCATION = "location"
    LIGHT = "light"


class Request(msgspec.Struct, frozen=True):
    """One request that the phone has not answered.

    Attributes:
      id: the app's own request or correlation id; among those of a kind there is one of each.
      expires_at: when it is answered with an error, on the system's clock.
      is_by_socket: the app hears of its photo on its socket: it is of generation A, which leaves the id to
        the cloud.
      upload_url: where on its own server the app takes the photo; None where it wants it elsewhere.
      upload_token: what the phone was told to show there.
    """

    kind: Kind
    id: str
    package_name: str
    expires_at: float
    is_by_socket: bool = False
    upload_url: str | None = None
    upload_token: str | None = None


Requests = tuple[Request, ...]


def patience_s(kind: Kind, settings: RequestSettings) -> float:
    """How long the phone has for a request of this kind."""
    return {
        Kind.PHOTO: settings.photo_s,
        Kind.LOCATION: settings.location_s,
        Kind.LIGHT: settings.light_s,
    }[kind]


def find(requests: Requests, kind: Kind, id: str) -> Request | None:
    """The request that waits under this id."""
    return next((one for one in requests if one.kind is kind and one.id == id), None)


def without(requests: Requests, gone: Requests) -> Requests:
    """The requests but those."""
    return tuple(one for one in requests if one not in gone)


def overdue(requests: Requests, now: float) -> Requests:
    """Those that the phone has not answered in time."""
    return tuple(one for one in requests if one.expires_at <= now)


def of_app(requests: Requests, package_name: str) -> Requests:
    return tuple(one for one in requests if one.package_name == package_name)


def deadline(requests: Requests) -> float | None:
    """When the next one is overdue."""
    return min((one.expires_at for one in requests), default=None)


def shifted(request: Request, by_s: float) -> Request:
    """The same request on a clock that is `by_s` ahead (`actors.moments`)."""
    return msgspec.structs.replace(request, expires_at=request.expires_at + by_s)
