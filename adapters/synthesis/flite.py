"""`SpeechSynthesis` by flite, a process for each text.

No shell, and the text is not on the command line, where everybody on the machine could read it: text and
sound are files in memory, since flite goes back in its sound to write the length, which no pipe lets it. A
process is bounded in time, what it is given in length, and how many there are at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

import trio

from actors.ports import Telemetry
from actors.synthesis_ports import SynthesisError
from adapters.synthesis.settings import FliteSettings

_WAV: Final = b"RIFF"
_MOST_TOLD: Final = 200
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class Flite:
    """`actors.synthesis_ports.SpeechSynthesis`.

    Args:
      environment: of this process; flite gets of it what finds programs and libraries, and no secret.
    """

    def __init__(
        self, settings: FliteSettings, telemetry: Telemetry, *, environment: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._environment = {name: environment[name] for name in _ENVIRONMENT if name in environment}
        self._program = shutil.which(settings.program, path=environment.get("PATH"))
        self._places = trio.Semaphore(settings.at_once)
        self._waiting = 0

    @property
    def is_ready(self) -> bool:
        """Whether flite was found when the server started."""
        return self._program is not None

    async def speak(self, text: str) -> bytes:
        """`text` as a WAV file: PCM s16le, mono, 16 kHz (8 kHz for the voice `kal`).

        Raises:
          SynthesisError: there is no flite, too much is being spoken, the text is too long, or the process
            failed or took too long.

        Cancellation: the process is killed.
        """
        settings = self._settings
        if self._program is None:
            cause = f"there is no {settings.program} on this server (on Debian and Ubuntu: apt install flite)"
            raise SynthesisError("missing", cause)
        if len(text) > settings.characters:
            raise SynthesisError("too_long", f"{len(text)} characters; at most {settings.characters}")
        if self._waiting >= settings.waiting + settings.at_once:
            raise SynthesisError("busy", f"{self._waiting} texts are being spoken or wait")
        self._waiting += 1
        try:
            with trio.move_on_after(settings.wait_s) as patience:
                await self._places.acquire()
            if patience.cancelled_caught:
                raise SynthesisError("busy", f"no free place in {settings.wait_s:g} s")
            try:
                return await self._run(self._program, text)
            finally:
                self._places.release()
        finally:
            self._waiting -= 1

    async def _run(self, program: str, text: str) -> bytes:
        with (
            os.fdopen(os.memfd_create("text"), "w+b") as said,
            os.fdopen(os.memfd_create("sound"), "w+b") as sound,
        ):
            said.write(text.encode(errors="replace"))
            said.flush()
            files = (said.fileno(), sound.fileno())
            command = [
                program,
                *("-voice", self._settings.voice),
                *("-f", f"/dev/fd/{files[0]}"),
                *("-o", f"/dev/fd/{files[1]}"),
            ]
            with trio.move_on_after(self._settings.speak_s) as limit:
                done = await self._finish(command, files)
            if limit.cancelled_caught:
                self._telemetry.warning("synthesis_failed", cause="timeout")
                raise SynthesisError("timeout", f"flite took more than {self._settings.speak_s:g} s")
            sound.seek(0)
            wav = sound.read()
        if done.returncode != 0 or not wav.startswith(_WAV):
            told = done.stderr.decode(errors="replace").strip()[:_MOST_TOLD]
            cause = f"flite ended with {done.returncode}: {told}"
            self._telemetry.warning("synthesis_failed", cause=cause)
            raise SynthesisError("failed", cause)
        return wav

    async def _finish(self, command: list[str], files: tuple[int, int]) -> subprocess.CompletedProcess[bytes]:
        try:
            return await trio.run_process(
                command,
                stdin=b"",
                capture_stderr=True,
                check=False,
                pass_fds=files,
                env=self._environment,
                deliver_cancel=_kill,
            )
        except OSError as error:
            self._telemetry.warning("synthesis_failed", cause=str(error))
            raise SynthesisError("failed", str(error)) from error


async def _kill(process: trio.Process) -> None:
    process.kill()
    await trio.lowlevel.checkpoint()
