"""`glasshouse bench microphones`: N microphones that are transcribed, and what the server adds to it.

The real server on one core, its recogniser a server that speaks Deepgram's protocol and answers in 300 ms,
recorded speech from the raw driver, an app that gets the audio and the words. For each N: the server's share
of its core, the relay's delay, and the server's own stages as its tree tells them: from a frame's arrival to
the recogniser's socket, and from a result to the app. The tree knows each stream's p99 to its class (1, 2, 3,
5, 7, 10 ms and so on); shown are the middle stream's and the worst's.

    glasshouse bench microphones
    glasshouse bench microphones --sessions 100 --peers 10
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench import engine, report
from bench.stand import DRIVER_CORE, PACKAGE, Driver, Stand, cpu_s, memory_kb, serving

ANSWER_S: Final = 0.3
AIM_MS: Final = 10
"""Of the server's own share, p99: audio to the recogniser's socket, words to the app's."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="glasshouse bench microphones", description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, nargs="+", default=[25, 50, 100, 150], help="values of N")
    parser.add_argument("--peers", type=int, default=0, help="wearers beside them who speak over WebRTC")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured time of a run")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for JSON")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for sessions in options.sessions:
        rows.append(measure(sessions, options))
        print(report.table(rows[-1:]), flush=True)
    print(
        "\nms. core: the server's share of its core; to speech: a frame's arrival to the recogniser's socket;"
    )
    print(
        "to app: a result to the app's session; p99 of the middle stream and of the worst; late: the driver"
    )
    print(report.table(rows))
    held = [row["N"] for row in rows if max(row["to speech worst"], row["to app worst"]) <= AIM_MS]
    print(f"microphones on one core with both p99 at most {AIM_MS} ms: {max(held, default=0)}")
    print("kept in", report.write_json("microphones", {"rows": rows}, options.out))


def measure(sessions: int, options: Namespace) -> dict[str, Any]:
    """One run: a fresh server, N phones that speak, an app that reads along."""
    with (
        _recogniser() as url,
        serving(
            "speech_provider=deepgram",
            "deepgram_api_key=bench",
            f"deepgram.url={url}",
            "webrtc.enabled=true",
            "webrtc.allow_local=true",
        ) as stand,
        stand.driver(
            "bench._microphones_load",
            tokens=stand.tokens(f"user{number}@example.org" for number in range(sessions)),
            seed=1,
            start_timeout_s=30 + sessions * 0.1,
            warm_up_s=6.0,  # the streams are opened, the first boot screens go
            measure_s=options.seconds,
        ) as driver,
    ):
        idle_kb = memory_kb(stand.child)
        driver.say("go")
        driver.expect("started")
        with _peers(stand, options.peers):
            driver.expect("measuring")
            cpu, clock = cpu_s(stand.child), time.perf_counter()
            driver.expect("measured")
            cpu, clock = cpu_s(stand.child) - cpu, time.perf_counter() - clock
            loaded_kb = memory_kb(stand.child)
        stages = list(_stages(stand.tree()))
        result = driver.record()
    send, delivery = (
        sorted(stage[name]["p99_ms"] for stage in stages if stage.get(name)) for name in ("send", "delivery")
    )
    if not send or not delivery:
        raise RuntimeError("the tree has no stage of any stream: nothing was transcribed")
    return {
        "N": sessions,
        "peers": options.peers,
        "core %": cpu / clock * 100,
        "audio p50": report.percentile(result["frame_delays"], 50) * 1000,
        "audio p99": report.percentile(result["frame_delays"], 99) * 1000,
        "to speech": send[len(send) // 2],
        "to speech worst": send[-1],
        "to app": delivery[len(delivery) // 2],
        "to app worst": delivery[-1],
        "interims": result["interims"],
        "finals": result["finals"],
        "lost": result["frames_sent"] - result["frames_received"],
        "KB/session": (loaded_kb - idle_kb) / sessions,
        "late p99": report.percentile(result["lateness"], 99) * 1000,
    }


def _stages(actor: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of every transcription stream below `actor`."""
    found = (actor.get("facts") or {}).get("stages")
    if found:
        yield found
    for child in actor.get("children", ()):
        yield from _stages(child)


@contextmanager
def _recogniser() -> Iterator[str]:
    words = ["--port", "0", "--answer-s", str(ANSWER_S)]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "clients.deepgram_loopback", *words],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: engine.pin(DRIVER_CORE),
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().rpartition("listening on ")[2]
        finally:
            process.kill()


@contextmanager
def _peers(stand: Stand, count: int) -> Iterator[None]:
    """Wearers who speak over WebRTC until the end of the block."""
    if not count:
        yield
        return
    tokens = list(stand.tokens(f"peer{number}@example.org" for number in range(count)).values())
    url = f"http://127.0.0.1:{stand.port}"
    order = {"url": url, "tokens": tokens, "package": PACKAGE, "audio": "webrtc", "chunk_ms": 20}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.audio.phone"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: engine.pin(DRIVER_CORE),
    ) as process:
        try:
            phones = Driver(process)
            phones.say(json.dumps(order))
            phones.expect("ready")
            phones.say("")
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
