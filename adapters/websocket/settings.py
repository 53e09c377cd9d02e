"""The engine's settings, each with its unit, its default and why that default."""

from __future__ import annotations

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and timeouts of every connection.

    Attributes:
      max_message_bytes: a longer message, whole or in fragments, closes with 1009 (protocol.md 13.13: 16
      MiB).
      control_limit_bytes: past this many waiting bytes of control messages the peer is closed with 1013.
      audio_limit_bytes: the audio lane drops its oldest beyond this; one second of 16 kHz PCM is 32,000.
      hard_limit_bytes: past this many unsent bytes of all lanes the connection is no longer read. It has
        `hard_limit_s` to drain, then it is closed with 1013.
      hard_limit_s: seconds a connection may stay over its hard limit.
      close_timeout_s: seconds a peer has to answer our close frame, and to end its socket after the closing
        handshake; the default of `websockets`.
      handshake_timeout_s: seconds until the request head must be complete and the answer taken.
      frames_per_turn: frames of one socket handled before it is another's turn. A burst of tiny frames costs
        6 us each, so 64 of them stay under half a millisecond.
      read_bytes: bytes read from one socket in one turn, at most.
      turn_s: seconds the pump works before other tasks run.
      receive_buffer_bytes: SO_RCVBUF, which the kernel doubles for its own book-keeping: about one second of
        audio, so that a reader that falls behind is at most that late.
      unsent_bytes: TCP_NOTSENT_LOWAT. Without it the kernel takes up to 4 MiB (two minutes of audio) before
        the lanes see that a peer is slow.
    """

    max_message_bytes: int = 16 * 2**20
    control_limit_bytes: int = 2**20
    audio_limit_bytes: int = 32_000
    hard_limit_bytes: int = 4 * 2**20
    hard_limit_s: float = 5.0
    close_timeout_s: float = 10.0
    handshake_timeout_s: float = 10.0
    frames_per_turn: int = 64
    read_bytes: int = 65_536
    turn_s: float = 0.002
    receive_buffer_bytes: int = 20_000
    unsent_bytes: int = 32_000
