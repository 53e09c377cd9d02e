"""What goes over `/ws/daemon`: one JSON object a text frame, by `type` (desktop.md section 4)."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from protocols.desktop.documents import AgentStatus, Decision

PROTOCOL = 1
PING_S = 30.0
SILENCE_S = 75.0
"""A daemon that says nothing for so long is closed with HEARTBEAT_LOST."""

MISSING_CREDENTIALS = 4001
TOKEN_REVOKED = 4003
REPLACED = 4008
FRAME_TOO_LARGE = 4009
HEARTBEAT_LOST = 4010
SHUTTING_DOWN = 1000


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", omit_defaults=True):
    """The base of both directions."""


class SpawnOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How an agent runs. `timeout` in milliseconds; None leaves it to the daemon."""

    auto_approve: bool = False
    timeout: int | None = None
    stream_output: bool = True


class SpawnAgent(Frame, frozen=True, kw_only=True, tag="spawn_agent", omit_defaults=False):
    """Start an agent.

    Attributes:
      resumes: an agent that has ended on that daemon, whose session this one goes on with: in its directory,
        with `goal` as the next thing that it is told. Left out where there is none.
    """

    agent_id: str
    agent_type: Literal["terminal", "coding"] = "terminal"
    goal: str
    working_directory: str | None = None
    options: SpawnOptions = SpawnOptions()
    resumes: str | msgspec.UnsetType = msgspec.UNSET


class KillAgent(Frame, frozen=True, kw_only=True, tag="kill_agent"):
    agent_id: str


class ApproveAgent(Frame, frozen=True, kw_only=True, tag="approve_agent"):
    """`choice` is an option's id; it goes with `choose`."""

    agent_id: str
    approval_id: str
    decision: Decision
    choice: str | None = None
    message: str | None = None


class SendInput(Frame, frozen=True, kw_only=True, tag="send_input"):
    agent_id: str
    text: str


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    pass


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome", omit_defaults=False):
    """The answer to `hello`.

    Attributes:
      server_time: epoch milliseconds.
      resume: agents that the server waits for. lost: agents of the hello that have ended here: kill them.
    """

    server_time: int
    resume: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    heartbeat_ms: int = 30_000
    max_result_bytes: int = 262_144


ToDaemon = SpawnAgent | KillAgent | ApproveAgent | SendInput | Ping | Welcome


class HeldAgent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An agent that a daemon has."""

    agent_id: str
    status: AgentStatus = "running"
    seq: int = 0


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame of a daemon of ours. The token names the daemon, not `daemon_id`."""

    protocol: int = PROTOCOL
    daemon_id: str | None = None
    name: str | None = None
    version: str | None = None
    adapters: tuple[str, ...] = ()
    agents: tuple[HeldAgent, ...] = ()


class Pong(Frame, frozen=True, kw_only=True, tag="pong"):
    pass


class AgentAck(Frame, frozen=True, kw_only=True, tag="agent_ack"):
    agent_id: str
    status: Literal["started", "error"]
    error: str | None = None


FromDaemon = Hello | Pong | AgentAck

_to_daemon: Final[msgspec.json.Decoder[ToDaemon]] = msgspec.json.Decoder(ToDaemon)
_from_daemon: Final[msgspec.json.Decoder[FromDaemon]] = msgspec.json.Decoder(FromDaemon)
_encoder = msgspec.json.Encoder()


def read_to_daemon(payload: bytes) -> ToDaemon:
    """What the server said. Raises msgspec.DecodeError (a ValidationError is one) for anything else."""
    return _to_daemon.decode(payload)


def read_from_daemon(payload: bytes) -> FromDaemon:
    """What a daemon said. Raises msgspec.DecodeError (a ValidationError is one) for anything else."""
    return _from_daemon.decode(payload)


def encode(frame: ToDaemon | FromDaemon) -> bytes:
    """The text frame."""
    return _encoder.encode(frame)
