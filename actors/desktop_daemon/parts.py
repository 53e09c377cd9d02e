"""What the daemon's actors are made of: its settings and its ports. `config` puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ports import Telemetry
from ..service import ServiceSpec
from .ports import Dialler, Places, Reports, StateFolder, TerminalAgents
from .server_time import ServerTime
from .settings import DaemonSettings


@dataclass(frozen=True)
class DaemonParts:
    """One for the program.

    Attributes:
      name: of this desktop, as its user calls it.
      version: of this program.
      services: what the agents need that is no actor; started before them and stopped after.
    """

    settings: DaemonSettings
    terminals: TerminalAgents
    places: Places
    folder: StateFolder
    dialler: Dialler
    reports: Reports
    telemetry: Telemetry
    time: ServerTime
    name: str
    version: str
    services: Sequence[ServiceSpec] = ()
