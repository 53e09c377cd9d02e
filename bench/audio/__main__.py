"""`glasshouse bench audio`: the ways from a microphone to an app: delay, bytes, CPU and words under loss.

Each row is a fresh server in a network of its own, an app beside it, and phones in another network, behind a
wire that loses and delays packets. What the app heard is compared with what the microphones did: where each
sentence lies in it, when it came, and which of its words PocketSphinx still finds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import report
from bench.audio import network
from bench.audio.heard import delays, lag, same_words, script, words_in, words_of
from bench.report import percentile
from bench.stand import PACKAGE, child_of, cpu_s

SENTENCES_S: Final = len(script().pcm) / 32_000


class Way(NamedTuple):
    """One way from the microphone: the phone's `--audio`, its chunks and what its codec puts out."""

    audio: str
    chunk_ms: int
    codec_kbit_s: float | None
    settings: tuple[str, ...] = ()


WAYS: Final = {
    "WebSocket PCM": Way("pcm", 100, 256.0),
    "WebSocket LC3": Way("lc3", 100, 16.0),
    "UDP LC3": Way("udp", 20, 16.0, ("udp.enabled=true", "udp.port=0")),
    "WebRTC Opus": Way("webrtc", 20, None, ("webrtc.enabled=true", "webrtc.allow_local=true")),
}


def main() -> None:
    options = _options().parse_args()
    if not network.is_possible():
        sys.exit("bench audio makes networks of its own: run it as root, where there is /dev/net/tun")
    rows = []
    for name in options.ways or WAYS:
        for loss in options.loss:
            row = measure(name, WAYS[name], loss / 100, options)
            rows.append(row)
            print(report.table([_shown(row)]), flush=True)
    print()
    print(report.table([_shown(row) for row in rows]))
    print(EXPLANATION)
    claims = judged(rows)
    print(report.table(claims))
    kept = report.write_json(
        "audio", {"rows": rows, "claims": claims, "sentences_s": SENTENCES_S}, options.out
    )
    print(f"kept in {kept}")
    series = {
        way: [(max(row["loss"], 0.1), row["p95_ms"]) for row in rows if row["way"] == way]
        for way in dict.fromkeys(row["way"] for row in rows)
    }
    title, label = "Microphone to app, p95 in ms", "packets lost, % (0 drawn at 0.1)"
    print(f"plot in {report.plot_svg('audio', title, label, series, options.out)}")


EXPLANATION: Final = """
one way: from a sample at the microphone to the app that gets it, of the youngest sample of each chunk; a
sample waits `chunk` ms at most before that. silent: of the sentences, how many ms nothing came for at the
longest. kbit/s: codec alone, and IP packets phone to server with everything around it. CPU: of the server and
its processes, for each second of one microphone. words: how many of those said PocketSphinx finds in
what the app heard, against how many it finds in the recording itself; missing: sentences that could not be
found in what the app heard
"""


def measure(name: str, way: Way, loss: float, options: argparse.Namespace) -> dict[str, Any]:
    """One row."""
    with ExitStack() as stack:
        wire = stack.enter_context(network.wire(options.seed))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-bench-"))
        environment = {**os.environ, "GLASSHOUSE_DATA": folder}
        words = ("--host", network.SERVER_HOST, "--port", "0", "--log-level", "warning")
        chosen = [word for setting in ("speech_provider=none", *way.settings) for word in ("--set", setting)]
        server = stack.enter_context(
            _program("config.cli", "serve", *words, *chosen, env=environment, enter=wire.enter_server)
        )
        stack.callback(server.terminate)
        assert server.stdout is not None
        url = server.stdout.readline().strip().rpartition("listening on ")[2]
        ear = stack.enter_context(_program("bench.audio.ear", enter=wire.enter_server))
        stack.callback(ear.kill)
        key = secrets.token_hex(16)
        app_url = _said(ear, {"package": PACKAGE, "api_key": key, "folder": folder})
        _command(
            environment, "app", "add", PACKAGE, "--url", app_url, "--api-key", key, "--permission", "ALL"
        )
        users = [f"wearer{number}@example.org" for number in range(options.sessions)]
        tokens = [_command(environment, "user", "token", user).splitlines()[-1] for user in users]
        phone = stack.enter_context(_program("bench.audio.phone", enter=wire.enter_phone))
        stack.callback(phone.kill)
        order = {
            "url": url,
            "tokens": tokens,
            "package": PACKAGE,
            "audio": way.audio,
            "chunk_ms": way.chunk_ms,
        }
        if _said(phone, order) != "ready":
            raise RuntimeError("the phones did not come as far as to speak; their error is above")
        child = child_of(server.pid)
        wire.spoil(loss=loss, delay_s=options.delay / 1000, jitter_s=options.jitter / 1000)
        wire.carried()
        cpu, began = _family_cpu_s(child), time.monotonic()
        played = json.loads(_said(phone, {}))
        cpu, lasted = _family_cpu_s(child) - cpu, time.monotonic() - began
        carried = wire.carried()
        time.sleep(options.settle)  # what is still on its way
        print(file=ear.stdin, flush=True)
        ear.wait(timeout=30)
        heard = [
            _judged(Path(folder), user, began) for user, began in zip(users, played["began"], strict=True)
        ]
    return _row(name, way, loss, heard, carried, cpu, lasted, options)


def _row(
    name: str,
    way: Way,
    loss: float,
    heard: Sequence[Mapping[str, Any]],
    carried: Mapping[str, int],
    cpu: float,
    lasted: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    ways_ms = [delay * 1000 for one in heard for delay in one["delays"]]
    of = statistics.mean(one["of"] for one in heard)
    return {
        "way": name,
        "loss": loss * 100,
        "chunk_ms": way.chunk_ms,
        "p50_ms": percentile(ways_ms, 50) if ways_ms else None,
        "p95_ms": percentile(ways_ms, 95) if ways_ms else None,
        "worst_ms": max(ways_ms, default=None),
        "silent_ms": max(one["silent_s"] for one in heard) * 1000,
        "codec_kbit_s": way.codec_kbit_s,
        "wire_kbit_s": carried["bytes_up"] * 8 / 1000 / lasted / options.sessions,
        "lost": carried["lost_up"],
        "packets": carried["packets_up"],
        "cpu_ms": cpu * 1000 / lasted / options.sessions,
        "words": statistics.mean(one["words"] for one in heard) / of,
        "missing": sum(one["missing"] for one in heard),
    }


def _judged(folder: Path, user: str, began: float) -> dict[str, Any]:
    """What one app session heard of the script."""
    pcm = (folder / f"{user}.pcm").read_bytes()
    arrivals = [(at, size) for at, size in json.loads((folder / f"{user}.json").read_text())]
    found: dict[str, Any] = {"delays": [], "words": 0, "of": 0, "missing": 0, "silent_s": 0.0}
    near = None
    for sentence in script().sentences:
        said = sentence.text.split()
        found["of"] += same_words(said, words_of(sentence))
        by = lag(script().pcm, pcm, sentence.begin, sentence.end, near=near)
        if by is None:
            found["missing"] += 1
            continue
        near = by
        begin, end = sentence.begin, sentence.end
        found["delays"] += delays(arrivals, began=began, lag=by, begin=begin, end=end)
        came = [at for at, size in arrivals if begin < size // 2 - by <= end]
        gaps = [late - early for early, late in itertools.pairwise(came)]
        found["silent_s"] = max(found["silent_s"], *gaps, 0.0)
        part = pcm[max(0, 2 * (begin + by)) : 2 * (end + by)]
        found["words"] += same_words(said, words_in(part))
    return found


def judged(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """What becomes of seed 003's claims, and of the aim, in these rows."""
    clean = {row["way"]: row for row in rows if not row["loss"]}
    claims: list[dict[str, object]] = []
    pcm, webrtc = clean.get("WebSocket PCM"), clean.get("WebRTC Opus")
    lossy = next((row for row in rows if row["way"] == "WebRTC Opus" and row["loss"] == 5), None)
    if pcm is not None and webrtc is not None:
        less = 1 - webrtc["wire_kbit_s"] / pcm["wire_kbit_s"]
        claims += [
            _claim("WebRTC: 24 to 55 ms", f"{webrtc['p50_ms']:.0f} ms p50", webrtc["p50_ms"] <= 55),
            _claim(
                "WebRTC: faster than WebSocket", f"{pcm['p50_ms']:.1f} ms", webrtc["p50_ms"] < pcm["p50_ms"]
            ),
            _claim("WebRTC: 64 kbit/s", f"{webrtc['wire_kbit_s']:.0f} kbit/s", webrtc["wire_kbit_s"] <= 64),
            _claim("80 % less server bandwidth", f"{less * 100:.0f} % less in, none less out", less >= 0.8),
            _claim(
                "exponential scaling (audio past the server)",
                f"{webrtc['cpu_ms'] / pcm['cpu_ms']:.1f} times the CPU: the server is the peer",
                webrtc["cpu_ms"] < pcm["cpu_ms"],
            ),
        ]
    if pcm is not None and lossy is not None:
        claims += [
            _claim(
                "aim: at 5 % loss WebRTC hears what PCM hears without",
                f"{lossy['words'] * 100:.0f} of {pcm['words'] * 100:.0f} %",
                lossy["words"] >= pcm["words"],
            ),
            _claim("aim: at 5 % loss p95 under 100 ms", f"{lossy['p95_ms']:.0f} ms", lossy["p95_ms"] < 100),
        ]
    return claims


def _claim(claim: str, measured: str, holds: bool) -> dict[str, object]:
    return {"claim": claim, "measured": measured, "holds": "yes" if holds else "NO"}


def _shown(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "way": row["way"],
        "loss %": row["loss"],
        "chunk": row["chunk_ms"],
        "one way p50": row["p50_ms"],
        "p95": row["p95_ms"],
        "worst": row["worst_ms"],
        "silent": row["silent_ms"],
        "codec kbit/s": row["codec_kbit_s"],
        "wire kbit/s": row["wire_kbit_s"],
        "lost": f"{row['lost']} of {row['packets']}",
        "CPU ms": row["cpu_ms"],
        "words %": row["words"] * 100,
        "missing": row["missing"],
    }


def _program(module: str, *words: str, enter: network.Enter, env: dict[str, str] | None = None) -> Any:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        preexec_fn=enter,
    )


def _said(process: Any, order: Mapping[str, object]) -> str:
    """What it answers to a line of JSON."""
    print(json.dumps(order), file=process.stdin, flush=True)
    line: str = process.stdout.readline()
    return line.strip()


def _command(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-P", "-m", "config.cli", *words]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def _family_cpu_s(process: int) -> float:
    """What it and its children have computed so far."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return cpu_s(process) + sum(_family_cpu_s(int(child)) for child in children)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glasshouse bench audio", description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), help="all unless given")
    parser.add_argument("--loss", nargs="+", type=float, default=[0.0, 1.0, 5.0, 10.0], help="percent")
    parser.add_argument("--delay", type=float, default=10.0, help="ms that every packet takes")
    parser.add_argument("--jitter", type=float, default=5.0, help="ms more at most, by chance")
    parser.add_argument("--sessions", type=int, default=2, help="phones at once")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds that late audio is waited for")
    parser.add_argument("--seed", type=int, default=1, help="of what is lost")
    parser.add_argument("--out", type=Path, help="folder for JSON and plot")
    return parser


if __name__ == "__main__":
    main()
