"""The WebSocket engine, and the gates that stand on it.

`Engine` (pump.py) owns every socket; `ServerConnection` (connection.py) is one connection without its
socket, which the simulated engine drives too.
"""

from .connection import ServerConnection, Wire
from .load import PumpLoad
from .pump import Engine
from .refusal import response_of
from .settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "PumpLoad", "ServerConnection", "Wire", "response_of"]
