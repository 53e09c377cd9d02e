"""The frames of `/ws/daemon` as they are written and read (desktop.md section 4)."""

from __future__ import annotations

import msgspec
import pytest

from protocols.desktop import frames
from protocols.desktop.frames import (
    AgentAck,
    ApproveAgent,
    HeldAgent,
    Hello,
    KillAgent,
    Ping,
    Pong,
    SpawnAgent,
    ToDaemon,
    Welcome,
)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            SpawnAgent(agent_id="a", goal="mend it"),
            b'{"type":"spawn_agent","agentId":"a","agentType":"terminal","goal":"mend it",'
            b'"workingDirectory":null,'
            b'"options":{"autoApprove":false,"timeout":null,"streamOutput":true}}',
        ),
        (
            SpawnAgent(agent_id="b", goal="go on", working_directory="/srv", resumes="a"),
            b'{"type":"spawn_agent","agentId":"b","agentType":"terminal","goal":"go on",'
            b'"workingDirectory":"/srv",'
            b'"options":{"autoApprove":false,"timeout":null,"streamOutput":true},"resumes":"a"}',
        ),
        (KillAgent(agent_id="a"), b'{"type":"kill_agent","agentId":"a"}'),
        (
            ApproveAgent(agent_id="a", approval_id="1", decision="deny", message="no"),
            b'{"type":"approve_agent","agentId":"a","approvalId":"1","decision":"deny","message":"no"}',
        ),
        (Ping(), b'{"type":"ping"}'),
        (
            Welcome(server_time=1),
            b'{"type":"welcome","serverTime":1,"resume":[],"lost":[],"heartbeatMs":30000,'
            b'"maxResultBytes":262144}',
        ),
    ],
)
def test_a_frame_to_a_daemon_says_all_it_has_to(frame: ToDaemon, expected: bytes) -> None:
    assert expected == frames.encode(frame)
    assert frame == frames.read_to_daemon(expected)


def test_an_original_daemons_frames_are_understood() -> None:
    assert Pong() == frames.read_from_daemon(b'{"type":"pong"}')
    assert AgentAck(agent_id="a", status="started") == frames.read_from_daemon(
        b'{"type":"agent_ack","agentId":"a","status":"started","unknown":[1]}'
    )


def test_a_hello_needs_nothing_but_its_type() -> None:
    assert Hello() == frames.read_from_daemon(b'{"type":"hello"}')
    said = b'{"type":"hello","protocol":1,"agents":[{"agentId":"a","status":"needs_approval","seq":4}]}'
    held = HeldAgent(agent_id="a", status="needs_approval", seq=4)
    assert Hello(agents=(held,)) == frames.read_from_daemon(said)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b'{"type":"spawn_agent"}', b'{"type":"agent_ack","agentId":"a","status":"perhaps"}'],
)
def test_what_is_no_daemons_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        frames.read_from_daemon(payload)
