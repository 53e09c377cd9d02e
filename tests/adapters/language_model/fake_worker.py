"""A model's process without a model: its answer is what the question says.

`hang` is not answered in time, `stall` holds the whole process, `die` ends it, `nonsense` breaks its pipe,
`fail` is refused, `long` has an answer that fits into no frame. Started with `mute`, it is never ready.
"""

from __future__ import annotations

import os
import sys
import time

import trio

from actors.language_ports import LanguageModelError, ModelAnswer, ModelRequest
from actors.ports import Telemetry
from adapters.language_model.frames import Configure
from adapters.language_model.worker import main


class EchoModel:
    name = "echo"

    def __init__(self, configure: Configure, telemetry: Telemetry) -> None:
        self.configure = configure
        self.telemetry = telemetry

    async def prepare(self) -> None:
        if "mute" in sys.argv:
            await trio.sleep_forever()

    async def answer(self, request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        said = request.messages[-1].text
        self.telemetry.count("echoed")
        match said:
            case "hang":
                try:
                    with trio.move_on_after(timeout_s):
                        await trio.sleep_forever()
                except trio.Cancelled:
                    self.telemetry.warning("echo_cancelled", said=said)
                    raise
                raise LanguageModelError("echo", "timeout", "nothing came")
            case "stall":
                time.sleep(3600)  # noqa: ASYNC251 - it is to hold the process
            case "die":
                os._exit(7)
            case "nonsense":
                os.write(_answers(), b"\xff" * 8)
                await trio.sleep_forever()
            case "fail":
                raise LanguageModelError("echo", "rate", "too much", retry_after_s=7.5)
            case "long":
                said = "x" * 2_000_000
        return ModelAnswer(
            text=said, is_complete=True, input_tokens=1, output_tokens=2, model=self.configure.key
        )

    async def aclose(self) -> None:
        pass


def _answers() -> int:
    """The pipe to the server: what standard output was."""
    for descriptor in range(3, 20):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}") == _OUTPUT:
                return descriptor
        except OSError:
            continue
    raise AssertionError("no pipe")


_OUTPUT = os.readlink("/proc/self/fd/1")

if __name__ == "__main__":
    main(EchoModel)
