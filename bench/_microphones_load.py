"""The load of `bench microphones`: as in `bench relay`, with recorded speech and an app that reads along."""

from __future__ import annotations

import json

from bench import _load
from bench._load import FRAME_BYTES, Driver, Phone, begin
from clients.recordings import recordings

OTHER = -1
SUBSCRIPTIONS = ["audio_chunk", "transcription:en-US"]


class SpeakingDriver(Driver):
    """Every phone plays the same recordings, each from another place on; the stamp is the first 0.5 ms."""

    subscriptions = SUBSCRIPTIONS

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        pcm = b"".join(recording.pcm for recording in recordings())
        self.chunks = [
            pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm) - FRAME_BYTES, FRAME_BYTES)
        ]
        self.finals = self.interims = 0

    def _frame_of(self, phone: Phone, now: float) -> bytes:
        chunk = self.chunks[(phone.sent + 37 * phone.index) % len(self.chunks)]
        return _load.HEAD + _load.STAMP.pack(now, phone.sent) + chunk[_load.STAMP.size :]

    def _press(self, phone: Phone, now: float) -> None:
        """Nobody presses anything."""

    def _webhook_arrived(self, request: dict[str, str]) -> None:
        # A wearer who speaks over WebRTC is another program's; the app has a socket for them, no more.
        self.by_user.setdefault(request["userId"], Phone(OTHER, request["userId"], ""))
        super()._webhook_arrived(request)

    def _frame_arrived(self, phone: Phone, payload: bytes) -> None:
        if phone.index != OTHER:
            super()._frame_arrived(phone, payload)

    def _app_heard(self, phone: Phone, payload: bytes) -> None:
        if b'"data_stream"' in payload and b"transcription" in payload:
            if json.loads(payload)["data"].get("isFinal"):
                self.finals += 1
            else:
                self.interims += 1
        else:
            super()._app_heard(phone, payload)


def main() -> None:
    driver, settings = begin(SpeakingDriver)
    driver.run(warm_up_s=settings["warm_up_s"], measure_s=settings["measure_s"])
    print(
        json.dumps({**driver.result.__dict__, "finals": driver.finals, "interims": driver.interims}),
        flush=True,
    )


if __name__ == "__main__":
    main()
