"""What is known of the glasses: GlassesInfo (protocol.md 9.2). All of it is optional; updates are partial."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.envelope import Scalar, Timestamp
from protocols.errors import MalformedMessage


class GlassesInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A full or partial state. None means not reported."""

    connected: bool | None = None
    model_name: str | None = None
    android_version: Scalar = None
    fw_version: Scalar = None
    build_number: Scalar = None
    ota_version_url: Scalar = None
    app_version: Scalar = None
    bluetooth_name: Scalar = None
    serial_number: Scalar = None
    style: Scalar = None
    color: Scalar = None
    wifi_connected: bool | None = None
    wifi_ssid: Scalar = None
    wifi_local_ip: Scalar = None
    battery_level: float | None = None
    charging: bool | None = None
    case_battery_level: float | None = None
    case_charging: bool | None = None
    case_open: bool | None = None
    case_removed: bool | None = None
    hotspot_enabled: bool | None = None
    hotspot_ssid: Scalar = None
    hotspot_password: Scalar = None
    hotspot_gateway_ip: Scalar = None
    timestamp: Timestamp = None


class AppliedState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What POST `/api/client/device/state` answers (1.2)."""

    is_glasses_connected: bool
    is_phone_connected: bool
    model_name: str | None
    capabilities: msgspec.Raw  # an object or null


def merge(known: GlassesInfo, update: GlassesInfo) -> GlassesInfo:
    """`known` with every field that `update` reports."""
    return msgspec.structs.replace(known, **_reported(update))


def changes(before: GlassesInfo, after: GlassesInfo) -> GlassesInfo:
    """The reported fields of `after` that `before` has otherwise: the delta of a `device_state_update`."""
    known = msgspec.structs.asdict(before)
    delta = {name: value for name, value in _reported(after).items() if value != known[name]}
    return GlassesInfo(**delta)


def decode(body: bytes) -> GlassesInfo:
    """A partial state from a request's body.

    Raises:
      MalformedMessage: no object, or a field of another type.
    """
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(str(error)) from error


_decoder = msgspec.json.Decoder(GlassesInfo)


def _reported(state: GlassesInfo) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(state).items() if value is not None}
