"""The codec's twin keeps the codec's contract."""

from __future__ import annotations

from actors.ports import Lc3
from adapters.simulated.lc3 import SimulatedLc3, encode
from tests.adapters.lc3.conformance import Lc3Conformance


class TestSimulatedLc3(Lc3Conformance):
    def make_codec(self) -> Lc3:
        return SimulatedLc3()

    def tone(self, level: int, count: int, size: int) -> list[bytes]:
        return [encode(level, size)] * count
