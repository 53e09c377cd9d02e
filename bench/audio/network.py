"""Two networks of their own, with one wire between them that loses and delays packets.

A kernel may have no netem. So each network has a TUN device, and a process (`link.py`) carries packets from
one to the other: TCP and WebRTC meet real loss, not a proxy's idea of it. Needs root, and changes nothing of
the machine's own network.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SERVER_HOST: Final = "10.77.0.1"
PHONE_HOST: Final = "10.77.0.2"

_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
_IFF_UP_RUNNING: Final = 0x41
_NETMASK: Final = "255.255.255.0"


class Wire:
    """The wire while it is there."""

    def __init__(self, process: subprocess.Popen[str], enter_server: Enter, enter_phone: Enter) -> None:
        self.enter_server = enter_server
        self.enter_phone = enter_phone
        self._process = process

    def spoil(self, *, loss: float, delay_s: float, jitter_s: float) -> None:
        """From now on lose this share of packets, and delay each by `delay_s` and up to `jitter_s` more."""
        self._say({"loss": loss, "delay_s": delay_s, "jitter_s": jitter_s})

    def carried(self) -> dict[str, int]:
        """IP bytes and packets that were put on it since the last call, and those it lost."""
        self._say({"count": True})
        assert self._process.stdout is not None
        counts: dict[str, int] = json.loads(self._process.stdout.readline())
        return counts

    def _say(self, word: dict[str, object]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(word), file=self._process.stdin, flush=True)


Enter = Callable[[], None]
"""For `preexec_fn`: the process that is started lives in that network."""


def is_possible() -> bool:
    """Whether a process started from here may make networks: a container's root often may not. One tries."""
    command = [sys.executable, "-P", "-m", "bench.audio.network"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


@contextmanager
def wire(seed: int = 0) -> Iterator[Wire]:
    """Two networks, joined. Their addresses are SERVER_HOST and PHONE_HOST.

    Raises:
      OSError: the kernel does not allow it.
    """
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    opened = [home]
    try:
        networks = []
        for host in (SERVER_HOST, PHONE_HOST):
            networks.append(_network(host))
            opened += networks[-1]
            _set_network(home)
        (server, server_tun), (phone, phone_tun) = networks
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.audio.link", str(server_tun), str(phone_tun), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(server_tun, phone_tun),
        ) as process:
            try:
                yield Wire(process, lambda: _set_network(server), lambda: _set_network(phone))
            finally:
                process.kill()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _network(host: str) -> tuple[int, int]:
    """A network with a loopback and a TUN device. Leaves this process in it. Returns it and the device."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network of its own is not allowed here")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"wire", _IFF_TUN | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _ioctl(sock, _SIOCSIFADDR, b"wire", _address(host))
        _ioctl(sock, _SIOCSIFNETMASK, b"wire", _address(_NETMASK))
        for name in (b"wire", b"lo"):
            _ioctl(sock, _SIOCSIFFLAGS, name, struct.pack("H", _IFF_UP_RUNNING))
    return os.open("/proc/self/ns/net", os.O_RDONLY), tun


def _set_network(network: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "the network cannot be entered")


def _address(host: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))


def _ioctl(sock: socket.socket, request: int, name: bytes, argument: bytes) -> None:
    fcntl.ioctl(sock, request, struct.pack("16s24s", name, argument))


if __name__ == "__main__":
    _network(SERVER_HOST)
