"""A server without a media process: what `Media` is where there is no WebRTC."""

from __future__ import annotations

from .ports import MediaPeer, PeerFault, PeerListener, PeerRequest


class NoMedia:
    """`Media` that has no peers, and says so: phones stay with their WebSocket."""

    @property
    def is_available(self) -> bool:
        return False

    def open(self, request: PeerRequest, listener: PeerListener) -> MediaPeer:
        listener.failed(PeerFault.PROCESS, "this server has no WebRTC stack")
        return _NoPeer()


class _NoPeer:
    def make_offer(self, *, restart_ice: bool = False) -> None:
        """It has failed already; so for all of these."""

    def take_offer(self, sdp: str) -> None:
        """See `make_offer`."""

    def take_answer(self, sdp: str) -> None:
        """See `make_offer`."""

    def take_candidate(self, candidate: str, sdp_mline_index: int | None, sdp_mid: str | None) -> None:
        """See `make_offer`."""

    def close(self) -> None:
        """See `make_offer`."""
