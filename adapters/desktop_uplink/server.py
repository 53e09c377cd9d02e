"""Where the server is, and what must hold before a token is sent there."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

DAEMON_PATH = "/ws/daemon"
REPORTS_PATH = "/daemon-api/"


class ServerAddressError(ValueError):
    """This is no address of a server, or a token must not be sent there. The text says which."""


class ServerAddress(msgspec.Struct, frozen=True):
    """A server's base URL: `https://glasses.example.org`, with a path where it stands below one."""

    url: str

    @classmethod
    def of(cls, text: str, *, allow_plaintext: bool = False) -> ServerAddress:
        """The address in `text`.

        Args:
          allow_plaintext: http to another computer than this one; whoever listens in between has the token
            then, and can run agents here.

        Raises:
          ServerAddressError
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise ServerAddressError(f"{text!r} is not a URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerAddressError(
                f"expected the server's URL, as https://glasses.example.org, got {text!r}"
            )
        if parts.query or parts.fragment or parts.username is not None:
            raise ServerAddressError(f"the server's URL has a query, a fragment or a login: {text!r}")
        if parts.scheme == "http" and not (allow_plaintext or _is_here(parts.hostname)):
            raise ServerAddressError(
                f"{text!r} would send this desktop's token in the clear; use https, or set plaintext = true"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        authority = host if port is None else f"{host}:{port}"
        return cls(f"{parts.scheme}://{authority}{parts.path.rstrip('/')}")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return urlsplit(self.url).netloc

    @property
    def daemon_target(self) -> str:
        """The path of the daemon's WebSocket."""
        return urlsplit(self.url).path + DAEMON_PATH


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
