"""Settings of WebRTC: for whom it is there, who offers, which servers help, how long is waited for what."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from zlib import crc32

import msgspec
from msgspec import Meta

from protocols.webrtc import IceServer

from ..audio.routing import STALL_S
from .ports import IceServerSettings

_SERVER: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:(?P<username>[^:@/?\s]+):(?P<credential>[^@\s]+)@)?(?P<rest>[^@/\s]+)"
)


class WebrtcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The microphone over WebRTC.

    Attributes:
      enabled: offer it to phones that have it.
      percent: of a hundred wearers so many get it, always the same ones.
      users: these get it too, whatever the percentage says.
      offerer: who makes the offer. Phones of the one generation that has WebRTC make it themselves; with
        `server` the server does, and where both do at once its offer is the one that counts.
      allow_local: loopback and private addresses are offered and followed too, to try it on one machine.
      ice_servers: what helps both sides to find a way, as stun:HOST:PORT or
        turn:USER:PASSWORD@HOST:PORT?transport=udp; a colon in USER is written %3A, a comma %2C, an @ in
        PASSWORD %40.
      start_wait_s: a phone that starts its audio while its peer still connects is answered so long after.
      connect_s: a peer that is not connected after so long has failed.
      lost_s: a peer that was lost and has not come back after so long has failed.
      stall_s: a peer that brings no audio for so long is not heard any more, until it does.
      retry_first_s: a peer that failed is tried again after so long; it doubles with each failure.
      retry_most_s: the longest of these waits.
      settled_s: a peer that was connected for so long failed anew, not again.
      free_offers: a phone may offer so often in `offers_s` without waiting.
      offers_s: beyond those each offer waits until an earlier one is so long ago, and only the newest waits.
      signals: signalling messages a second of one phone.
      signals_burst: signalling messages that may come at once.
      alarm_loss: the log warns when a larger part than this of a peer's packets never comes.
      alarm_round_trip_s: the log warns when a packet and its answer take longer than this.
      alarm_jitter_s: the log warns when packets come more unevenly than this (RFC 3550).
      alarm_after_s: a warning comes when it has been so for so long without a break.
    """

    enabled: bool = False
    percent: Annotated[float, Meta(ge=0, le=100)] = 100.0
    users: tuple[str, ...] = ()
    offerer: Literal["client", "server"] = "client"
    allow_local: bool = False
    ice_servers: Annotated[tuple[str, ...], Meta(extra={"secret": True})] = ()
    start_wait_s: float = 1.0
    connect_s: Annotated[float, Meta(gt=0)] = 10.0
    lost_s: float = 5.0
    stall_s: Annotated[float, Meta(ge=0.04, le=1)] = STALL_S
    retry_first_s: Annotated[float, Meta(ge=0.1)] = 1.0
    retry_most_s: Annotated[float, Meta(ge=0.1)] = 60.0
    settled_s: float = 10.0
    free_offers: Annotated[int, Meta(ge=1, le=100)] = 5
    offers_s: float = 10.0
    signals: Annotated[float, Meta(ge=1)] = 50.0
    signals_burst: Annotated[int, Meta(ge=1)] = 200
    alarm_loss: Annotated[float, Meta(gt=0, le=1)] = 0.05
    alarm_round_trip_s: Annotated[float, Meta(gt=0)] = 0.3
    alarm_jitter_s: Annotated[float, Meta(gt=0)] = 0.06
    alarm_after_s: float = 5.0

    @property
    def servers(self) -> tuple[IceServerSettings, ...]:
        """`ice_servers` as the media process takes them; what cannot be read is left out."""
        return tuple(server for text in self.ice_servers if (server := ice_server(text)) is not None)


def refusal(settings: WebrtcSettings, user_id: str, *, is_available: bool) -> str:
    """Why a wearer gets no WebRTC; empty where they do. The same answer for a wearer every time."""
    if not settings.enabled:
        return "WebRTC is not enabled on this server"
    is_chosen = share_of(user_id) * 100.0 < settings.percent
    if not is_chosen and user_id not in map(str.lower, settings.users):
        return "WebRTC is not enabled for this wearer"
    return "" if is_available else "this server has no WebRTC stack"


def share_of(text: str) -> float:
    """A number from 0 to 1, the same for a text on every server and spread evenly over all of them."""
    return crc32(text.encode("utf-8", "surrogatepass")) / 2**32


def ice_server(text: str) -> IceServerSettings | None:
    """The server that `text` names; None when it names none."""
    match = _SERVER.fullmatch(text)
    if match is None:
        return None
    username, credential = (_unquoted(match[name] or "") for name in ("username", "credential"))
    if match["scheme"].startswith("turn") != bool(username):  # TURN always asks for both, STUN for neither
        return None
    return IceServerSettings(
        urls=(f"{match['scheme']}:{match['rest']}",), username=username, credential=credential
    )


def on_the_wire(server: IceServerSettings) -> IceServer:
    """The server as a phone is told of it."""
    return IceServer(urls=server.urls, username=server.username or None, credential=server.credential or None)


def _unquoted(text: str) -> str:
    return re.sub(r"%([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)
