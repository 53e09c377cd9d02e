"""`glasshouse demo`: say something into simulated glasses and read it on their lens."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import trio

from clients.cloud import Cloud, CloudError, open_cloud
from clients.command_line import COMMAND, run
from clients.demo.captions import GREETING, NAME, PACKAGE, CaptionsApp
from clients.demo.screen import OutputClosedError, Screen, summary
from clients.demo.timing import Said, Spoken, display_delays, frame_delays, readings
from clients.glasses import Frame, Glasses, MicrophoneOptions
from clients.glasses.microphone import Audio, Source
from clients.recordings import SAMPLE_RATE_HZ, Recording, WavError, load_wav, recordings

USER = "ada@example.org"
PAUSE_S = 1.5  # of silence between two sentences
LAST_WORD_S = 5.0  # how long the last final may take
LAST_FRAME_S = 1.0  # and the last frame
BYTES_A_SECOND = SAMPLE_RATE_HZ * 2
VOICE = "rms"
SENTENCES = 3
SETTINGS: Final = {
    "udp": ("udp.enabled=true", "udp.port=0"),
    "webrtc": ("webrtc.enabled=true", "webrtc.allow_local=true"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--say", metavar="TEXT", help="Speak TEXT through flite, where that is installed.")
@click.option(
    "--wav",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Play FILE: 16-bit PCM at 16000 Hz.",
)
@click.option(
    "--sentences",
    metavar="N",
    type=click.IntRange(min=1),
    help="Play N of the recorded sentences. [default: 3]",
)
@click.option(
    "--audio",
    type=click.Choice(["pcm", "lc3", "udp", "webrtc"]),
    default="pcm",
    help="What the phone sends: PCM, LC3 as phones of 2026 do, LC3 over UDP, encrypted, or Opus over WebRTC.",
    show_default=True,
)
@click.option(
    "--mic",
    type=click.Choice(["phone", "glasses"]),
    default="phone",
    help="Whose microphone hears it. The glasses' sends LC3 over (simulated) Bluetooth.",
    show_default=True,
)
@click.option("--keep", is_flag=True, help="Leave the server running until Ctrl-C.")
def demo(
    say: str | None,
    wav: Path | None,
    sentences: int | None,
    audio: Audio,
    mic: Source,
    keep: bool,
) -> int:
    """Say something into simulated glasses and read it on their lens.

    A cloud, a captions app and the glasses talk over real sockets on this machine.
    """
    if [say, wav, sentences].count(None) < 2:
        raise click.UsageError("--say, --wav and --sentences exclude each other")
    if say is not None and not any(character.isalnum() for character in say):
        raise click.BadParameter(f"expected words, got {say!r}", param_hint="--say")
    screen = Screen(sys.stdout)
    microphone = MicrophoneOptions(audio=audio, source=mic)
    reasons: list[BaseException] = []
    try:
        with tempfile.TemporaryDirectory(prefix="glasshouse-demo-") as folder:
            spoken = _what_to_say(say, wav, sentences or SENTENCES, Path(folder))
            return trio.run(_until_told_to_end, spoken, microphone, Path(folder) / "data", screen, keep)
    except BaseException as error:
        reasons += _single(error)
    return _end(reasons, screen)


def main() -> int:
    """Run the demo with the words of the command line.

    Returns: 0 when the wearer has read something, 1 when not, 2 for wrong words, 128 and the signal's number
      when one ended it.
    """
    return run(demo, "demo")


def _end(reasons: Sequence[BaseException], screen: Screen) -> int:
    """What ended the demo, told in a sentence; the exit status.

    Raises:
      BaseException: a mistake of the program.
    """
    for reason in reasons:
        if not isinstance(reason, KeyboardInterrupt | OutputClosedError | WavError | CloudError | OSError):
            raise reason
    if any(isinstance(reason, KeyboardInterrupt) for reason in reasons):
        return 128 + signal.SIGINT
    if any(isinstance(reason, OutputClosedError) for reason in reasons):
        # What is left in the buffer would be written once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    screen.settle()
    print("glasshouse demo:", *reasons, file=sys.stderr)
    return 1


def _single(error: BaseException) -> list[BaseException]:
    """The errors of a group, however deep; an error itself otherwise."""
    if isinstance(error, BaseExceptionGroup):
        return [one for part in error.exceptions for one in _single(part)]
    return [error]


async def _until_told_to_end(
    spoken: Sequence[Recording], microphone: MicrophoneOptions, data: Path, screen: Screen, keep: bool
) -> int:
    """Run, and end in order at a signal."""
    status = 0
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def end_at_a_signal() -> None:
                nonlocal status
                async for number in signals:
                    status = 128 + number
                    nursery.cancel_scope.cancel()

            nursery.start_soon(end_at_a_signal)
            status = await _run(spoken, microphone, data, screen, keep)
            nursery.cancel_scope.cancel()
    return status


async def _run(
    spoken: Sequence[Recording], microphone: MicrophoneOptions, data: Path, screen: Screen, keep: bool
) -> int:
    screen.say("starting the cloud ...")
    async with open_cloud(data, SETTINGS.get(microphone.audio, ())) as cloud, trio.open_nursery() as nursery:
        screen.say(f"the cloud listens on {cloud.url}")
        api_key = secrets.token_hex(32)
        app = CaptionsApp(api_key, now=trio.current_time)
        await nursery.start(app.run)
        await cloud.add_app(PACKAGE, app.url, api_key, name=NAME)
        glasses = Glasses(cloud.url, await cloud.token(USER), microphone=microphone)
        nursery.start_soon(glasses.run)
        nursery.start_soon(_watch_lens, glasses, screen)
        await glasses.wait_for(lambda phone: phone.is_connected, timeout_s=10)
        if microphone.audio == "udp":
            await glasses.wait_for(lambda phone: phone.is_on_udp, timeout_s=10)
        if microphone.audio == "webrtc":
            await glasses.wait_for(lambda phone: phone.is_on_webrtc, timeout_s=20)
        await glasses.start_app(PACKAGE)
        await glasses.wait_for(
            lambda phone: phone.is_microphone_on and phone.lens.text == GREETING, timeout_s=15
        )
        screen.say(f"{NAME} runs for {USER}; now somebody speaks:")
        was_read = await _speak(spoken, glasses, app, screen)
        if keep:
            await _keep(cloud, app, screen)
        nursery.cancel_scope.cancel()
    if not was_read:
        print("glasshouse demo: nothing was recognised, so the wearer read nothing", file=sys.stderr)
    return 0 if was_read else 1


async def _speak(spoken: Sequence[Recording], glasses: Glasses, app: CaptionsApp, screen: Screen) -> bool:
    """Play everything in real time, wait for the last word, and tell how it went."""
    silence = bytes(int(PAUSE_S * BYTES_A_SECOND) // 2 * 2)
    frames: list[Frame] = []
    already = len(app.frames_at)
    played = b"".join(recording.pcm + silence for recording in spoken)
    began = trio.current_time()
    await glasses.play(played, on_frame=frames.append)
    sentences = []
    offset_s = 0.0
    for recording in spoken:
        start_s, end_s = recording.speech_start_s or 0.0, recording.speech_end_s or recording.duration_s
        sentences.append(Spoken(recording.text, began + offset_s + start_s, began + offset_s + end_s))
        offset_s += recording.duration_s + PAUSE_S
    with trio.move_on_after(LAST_WORD_S):
        while not any(final.at >= sentences[-1].ended_at for final in app.finals):
            await glasses.play(bytes(BYTES_A_SECOND // 10), on_frame=frames.append)  # the room is quiet
    screen.settle()
    sent_at = [frame.at for frame in frames if frame.was_sent]
    with trio.move_on_after(LAST_FRAME_S):
        await app.wait_for_frames(already + len(sent_at))
    received_at = app.frames_at[already:]
    is_relayed = glasses.webrtc is None  # frame by frame
    on_lens = [
        Said(shown.text, shown.at)
        for shown in glasses.lens.history
        if shown.package_name == PACKAGE and shown.at >= began
    ]
    outcome = readings(sentences, app.finals)
    lines = summary(
        outcome,
        frame_delays(sent_at, received_at) if is_relayed else None,
        display_delays([said for said in app.shown if said.at >= began], on_lens),
        lost_frames=len(sent_at) - len(received_at) if is_relayed else 0,
    )
    screen.say("\n".join(lines))
    return any(reading.read for reading in outcome)


async def _watch_lens(glasses: Glasses, screen: Screen) -> None:
    seen = 0

    def has_more(phone: Glasses) -> bool:
        return len(phone.lens.history) > seen

    while True:
        await glasses.wait_for(has_more, timeout_s=float("inf"))
        seen = len(glasses.lens.history)
        screen.lens(glasses.lens.text)


async def _keep(cloud: Cloud, app: CaptionsApp, screen: Screen) -> None:
    host = cloud.url.removeprefix("http://")
    screen.say(
        f"\nThe server goes on until Ctrl-C:\n"
        f"  health   {cloud.url}/health\n"
        f"  phones   ws://{host}/glasses-ws?token=...   ({COMMAND} user token EMAIL --data {cloud.data})\n"
        f"  apps     ws://{host}/app-ws\n"
        f"  the app  {app.url}\n"
        f"  its tree {COMMAND} tree --data {cloud.data}\n"
        f"  its log  {cloud.log}"
    )
    await trio.sleep_forever()


def _what_to_say(say: str | None, wav: Path | None, sentences: int, folder: Path) -> Sequence[Recording]:
    if wav is not None:
        return (load_wav(wav),)
    if say is not None:
        return (_speech_of(say, folder),)
    return recordings()[-sentences:]


def _speech_of(text: str, folder: Path) -> Recording:
    """`text` spoken by flite.

    Raises:
      CloudError: flite is not installed, or failed.
    """
    if shutil.which("flite") is None:
        raise CloudError("--say needs flite (on Debian and Ubuntu: apt install flite); or give --wav FILE")
    target = folder / "said.wav"
    done = subprocess.run(
        ["flite", "-voice", VOICE, "-t", text, "-o", str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CloudError(f"flite failed: {done.stderr.strip()}")
    return load_wav(target)._replace(text=text.lower())
