"""The daemon's folder: what it is told by its user, what it keeps, and who it is.

daemon.toml     settings, the user's own; never written after it is there
token.json      the server and the token of this desktop
agents/         one document an agent
terminals/      what agents keep
status.json     how the running daemon stands
server.lock     held while a daemon runs on this folder
"""

from __future__ import annotations

import os
import socket
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import platformdirs
from msgspec import Meta

from actors.desktop_daemon.settings import (
    AgentSettings,
    DaemonSettings,
    ReconnectSettings,
    ReportSettings,
)
from adapters.desktop_state import AllowedDirectory, Credentials, CredentialsFile
from adapters.telemetry import Level
from adapters.terminal import ClaudeMode

FOLDER_VARIABLE = "GLASSHOUSE_DAEMON"
OBSERVER_KEY_VARIABLE = "GLASSHOUSE_DAEMON_OBSERVER_KEY"
TOKEN_VARIABLE = "GLASSHOUSE_DAEMON_TOKEN"
SERVER_VARIABLES = ("GLASSHOUSE_DAEMON_SERVER_URL", "DAEMON_SERVER_URL")
DEFAULT_ROOT = "~/glasshouse-agents"


class DaemonError(Exception):
    """The daemon cannot do what it is asked: one sentence for who asked."""


class TerminalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How agents' programs are started.

    Attributes:
      claude: the Claude Code CLI, as a name on PATH or as a path.
      claude_config: its CLAUDE_CONFIG_DIR; empty for a folder of the daemon's own.
      claude_mode: `terminal` runs it in a terminal, as you would; `stream` without one, by its structured
        stream, which is sooner ready and takes less of a core.
      shares_claude: it uses your own login and settings instead, and what those allow is not asked about.
      kept_environment: names of variables that agents get beside the usual ones. Anything else stays here.
    """

    claude: str = "claude"
    claude_config: str = ""
    claude_mode: ClaudeMode = "terminal"
    shares_claude: bool = False
    kept_environment: tuple[str, ...] = ()


class ObserverFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A language model that says, in an agent's log, what a screen shows that nobody understands.

    Attributes:
      model: which of Anthropic's; empty, as it is, asks nobody. With one, such screens go to its provider,
        and whatever stands on them.
      key_file: its key, in a file of one line that only you can read; empty takes the key from
        GLASSHOUSE_DAEMON_OBSERVER_KEY. No agent gets it.
      base_url: where it is asked, without `/v1`; empty for ANTHROPIC_BASE_URL, or else Anthropic itself.
    """

    model: str = ""
    key_file: str = ""
    base_url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""


class DaemonFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`daemon.toml`: what the user says, and nobody else.

    Attributes:
      root: where an agent works that was not told where.
      name: of this desktop; the computer's own unless given.
      plaintext: send the token over http to another computer, too.
      log_level: the least that stands in the log.
      directories: where else agents may work, and what they may do there unasked.
    """

    root: str = DEFAULT_ROOT
    name: Annotated[str, Meta(max_length=100)] = ""
    plaintext: bool = False
    log_level: Level = "info"
    directories: tuple[AllowedDirectory, ...] = ()
    agents: AgentSettings = AgentSettings()
    reconnect: ReconnectSettings = ReconnectSettings()
    reports: ReportSettings = ReportSettings()
    terminal: TerminalFile = TerminalFile()
    observer: ObserverFile = ObserverFile()

    @property
    def settings(self) -> DaemonSettings:
        """What the daemon's actors go by."""
        return DaemonSettings(agents=self.agents, reconnect=self.reconnect, reports=self.reports)

    @property
    def desktop_name(self) -> str:
        """What this desktop is called."""
        return self.name or socket.gethostname() or "desktop"


class DaemonHome:
    """The folder.

    Args:
      folder: None takes GLASSHOUSE_DAEMON, else the user's data folder.
    """

    def __init__(self, folder: str | None = None) -> None:
        chosen = folder or os.environ.get(FOLDER_VARIABLE)
        if chosen:
            self.path = Path(chosen).expanduser().absolute()
        else:
            self.path = platformdirs.user_data_path("glasshouse", appauthor=False) / "daemon"
        self.credentials = CredentialsFile(self.path / "token.json")
        self.agents = self.path / "agents"
        self.terminals = self.path / "terminals"
        self.status = self.path / "status.json"
        self.settings_file = self.path / "daemon.toml"

    def make(self) -> None:
        """Make the folder, mode 0700. Raises DaemonError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DaemonError(f"{self.path} cannot be made: {error.strerror}") from error

    def read_settings(self) -> DaemonFile:
        """`daemon.toml`, or the defaults where there is none. Raises DaemonError."""
        try:
            document: dict[str, Any] = tomllib.loads(self.settings_file.read_text(encoding="utf-8"))
            return msgspec.convert(document, DaemonFile)
        except FileNotFoundError:
            return DaemonFile()
        except OSError as error:
            raise DaemonError(f"{self.settings_file} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise DaemonError(f"{self.settings_file}: {error}") from error

    def read_credentials(self, token_file: str | None = None) -> Credentials:
        """Who this desktop is: from a token file or the environment where they name a token, else the login.

        Raises:
          DaemonError: there is no token, or no server to send it to.
        """
        server = next((os.environ[name] for name in SERVER_VARIABLES if os.environ.get(name)), "")
        kept = self.credentials.read()
        token = os.environ.get(TOKEN_VARIABLE, "")
        if token_file is not None:
            token = read_token(token_file)
        if token:
            server = server or ("" if kept is None else kept.server)
            if not server:
                raise DaemonError(f"a token is there and no server; name it with {SERVER_VARIABLES[0]}")
            return Credentials(server=server, token=token)
        if kept is None:
            raise DaemonError("this desktop is not logged in")
        return kept if not server else msgspec.structs.replace(kept, server=server)


def read_token(path: str) -> str:
    """The token in a file of one line. Raises DaemonError."""
    try:
        token = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DaemonError(f"{path} cannot be read: {error}") from error
    if not _is_secret(token):
        raise DaemonError(f"{path} holds no token")
    return token


def read_observer_key(path: str) -> str:
    """The observer's key: in a file of one line where there is a path, else in its variable.

    Raises:
      DaemonError: there is none, or others than this user may read the file.
    """
    if not path:
        key = os.environ.get(OBSERVER_KEY_VARIABLE, "").strip()
        if not _is_secret(key):
            raise DaemonError(
                f"the observer has a model and no key: put it into {OBSERVER_KEY_VARIABLE}, or into a file "
                "that observer.key_file names"
            )
        return key
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o077 or status.st_uid != os.getuid():
                raise DaemonError(f"{path} is not for your eyes alone: chmod 600 {path}")
            key = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DaemonError(f"{path} cannot be read: {error}") from error
    if not _is_secret(key):
        raise DaemonError(f"{path} holds no key")
    return key


def _is_secret(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
