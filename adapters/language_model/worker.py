"""The process that a language model lives in: questions come through one pipe, answers go through another.

It is exec'd as `python -P -m adapters.language_model.worker`. It takes frames from descriptor 0 and writes
them to descriptor 1; what libraries print goes to standard error. It ends when its pipe closes, so it never
outlives who started it, and it leaves Ctrl-C to them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
import trio

from actors.language_ports import LanguageModel, LanguageModelError
from actors.ports import Telemetry
from adapters.language_model import frames
from adapters.language_model.frames import Answered, Ask, Cancel, Configure, Counted, Failed, Ready, Told
from protocols.pipe_frames import FrameError, PipeReader

_CHUNK: Final = 65_536

Make = Callable[[Configure, Telemetry], LanguageModel]


def main(make: Make) -> None:
    """Serve until the pipe closes.

    Args:
      make: what answers, by the first frame.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.dup(1)
    os.dup2(2, 1)
    trio.run(_Worker(make, answers).run)


class _Worker:
    def __init__(self, make: Make, answers: int) -> None:
        self._make = make
        self._answers = answers
        self._running: dict[int, trio.CancelScope] = {}
        self._out, self._waiting = trio.open_memory_channel[bytes](10_000)

    async def run(self) -> None:
        reader = PipeReader()
        model: LanguageModel | None = None
        async with (
            trio.lowlevel.FdStream(os.dup(0)) as pipe,
            trio.lowlevel.FdStream(self._answers) as answers,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._write, answers)
            while chunk := await pipe.receive_some(_CHUNK):
                try:
                    messages = [frames.read_to_worker(payload) for payload in reader.feed(bytes(chunk))]
                except (FrameError, msgspec.DecodeError):
                    break  # whoever writes that is no server of ours
                for message in messages:
                    match message:
                        case Configure():
                            model = self._make(message, self)
                            await model.prepare()
                            self._say(Ready())
                        case Ask():
                            assert model is not None, "the first frame is Configure"
                            nursery.start_soon(self._answer, model, message)
                        case Cancel(number):
                            if number in self._running:
                                self._running[number].cancel()
            nursery.cancel_scope.cancel()

    async def _answer(self, model: LanguageModel, ask: Ask) -> None:
        with trio.CancelScope() as self._running[ask.number]:
            try:
                answer = await model.answer(ask.request, timeout_s=ask.timeout_s)
                self._say(Answered(ask.number, answer))
            except LanguageModelError as error:
                self._say(Failed(ask.number, error.kind, error.cause, error.retry_after_s))
            except frames.TooLargeError as error:
                self._say(Failed(ask.number, "protocol", f"its answer: {error}", 0.0))
        del self._running[ask.number]

    def _say(self, message: frames.FromWorker) -> None:
        try:
            self._out.send_nowait(frames.pack(message))
        except trio.WouldBlock:
            os._exit(1)  # nobody reads: whoever started this process has given it up

    async def _write(self, pipe: trio.abc.SendStream) -> None:
        try:
            async for piece in self._waiting:
                await pipe.send_all(piece)
        except trio.BrokenResourceError:
            os._exit(0)  # the server is gone

    # what the model tells of itself is the server's to log

    def debug(self, event: str, **fields: object) -> None:
        self._tell("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._tell("error", event, fields)

    def count(self, event: str, amount: int = 1) -> None:
        self._say(Counted(event, amount))

    def counters(self) -> Mapping[str, int]:
        return {}

    def _tell(
        self,
        level: Literal["debug", "info", "warning", "error"],
        event: str,
        fields: Mapping[str, object],
    ) -> None:
        self._say(Told(level, event, {name: str(value) for name, value in fields.items()}))


def _anthropic(configure: Configure, telemetry: Telemetry) -> LanguageModel:
    from adapters.language_model.anthropic import AnthropicModel

    return AnthropicModel(
        key=configure.key,
        base_url=configure.base_url,
        telemetry=telemetry,
        settings=configure.settings,
    )


if __name__ == "__main__":
    main(_anthropic)
