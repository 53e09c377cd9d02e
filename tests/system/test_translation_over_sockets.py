"""Translation by real processes and sockets: Deepgram's protocol in, Anthropic's beside it, an app behind."""

from __future__ import annotations

from pathlib import Path

from clients.app_sdk import AppSession
from clients.coded_audio import sentence, silence
from clients.deepgram_loopback import Loopback, open_loopback
from clients.messages_loopback import Asked, Fault, MessagesLoopback, open_messages_loopback
from protocols.transcription import TranscriptionData, TranslationData
from tests.system.peers import RecordingApp, app, wearer
from tests.system.server import PATIENCE_S, Server, eventually

PACKAGE = "org.example.translator"
ADA = "ada@example.org"
WORDS = ("one", "two", "three")
NUMBERS = {"one": "un", "two": "deux", "three": "trois"}


def french(asked: Asked) -> str:
    speech = asked.user.removeprefix("<speech>").removesuffix("</speech>")
    return " ".join(NUMBERS.get(word, "?") for word in speech.split())


class TranslatingApp(RecordingApp):
    """Keeps what was said and what was made of it."""

    def __init__(self, package_name: str) -> None:
        super().__init__(package_name)
        self.said: list[TranscriptionData] = []
        self.translated: list[TranslationData] = []
        self.errors: list[str] = []

    async def on_session(self, session: AppSession, session_id: str, user_id: str) -> None:
        await super().on_session(session, session_id, user_id)
        session.events.on_transcription(self.said.append, "en-US")
        session.events.on_translation(self.translated.append, "en-US", "fr-FR")
        session.events.on_error(lambda error: self.errors.append(str(error)))

    def untranslated(self) -> list[str]:
        return [error for error in self.errors if error.startswith("TRANSLATION_FAILED")]

    def finals(self) -> list[str]:
        return [data.text for data in self.translated if data.is_final]


async def test_what_a_wearer_says_reaches_an_app_translated(tmp_path: Path) -> None:
    deepgram = Loopback(WORDS, interim_s=0.3, answer_s=0.05)
    messages = MessagesLoopback(french, keys=frozenset({"its key"}), delay_s=0.05)
    async with open_loopback(deepgram), open_messages_loopback(messages):
        with Server.start(
            tmp_path,
            "display.boot_screen_s=0.1",
            "deepgram_api_key=a key",
            f"deepgram.url={deepgram.url}",
            "anthropic_api_key=its key",
            f"anthropic_base_url={messages.url}",
            "translation.partial_s=0.3",
            "overload.late_s=60",  # what a busy machine sheds is not what is tried here
            "translation.deadline_s=30",  # the first waits for the SDK to be imported, on a busy machine
        ) as server:
            running = TranslatingApp(PACKAGE)
            async with app(server, running), wearer(server, ADA) as phone:
                await phone.start_app(PACKAGE)
                await eventually(lambda: bool(running.started), PATIENCE_S)
                await phone.wait_for(lambda glasses: glasses.is_microphone_on, timeout_s=PATIENCE_S)
                await eventually(lambda: bool(deepgram.opened), PATIENCE_S)

                await phone.play(sentence(range(3)) + silence(1.0))
                await eventually(lambda: ["un deux trois"] == running.finals(), PATIENCE_S)

                final = running.translated[-1]
                assert ("one two three", True) == (final.original_text, final.did_translate)
                assert ("en-US", "fr-FR", "anthropic") == (
                    final.transcribe_language,
                    final.translate_language,
                    final.provider,
                )
                assert 1 == len(deepgram.opened), "one recogniser for the words and their translation"
                assert {"one two three"} == {data.text for data in running.said if data.is_final}
                assert [] == running.untranslated()

                longer = " ".join(["un deux trois"] * 4)
                await phone.play(sentence((0, 1, 2) * 4) + silence(1.0))
                await eventually(lambda: longer in running.finals(), PATIENCE_S)
                partials = [data.text for data in running.translated if not data.is_final]
                assert partials, "while it was being said, too"
                assert all(longer.startswith(text) for text in partials)

                messages.plan(*[Fault(status=401)] * 3)
                await phone.play(sentence((2, 1)) + silence(1.0))
                await eventually(lambda: len(running.finals()) == 3, PATIENCE_S)
                assert "three two" == running.finals()[2], "as it was spoken"
                await eventually(lambda: bool(running.untranslated()), PATIENCE_S)
                assert "refuses this server" in running.untranslated()[0]
            await server.log_line("translation_failed", f"user={ADA}", "kind=auth")


async def test_without_a_key_an_app_is_told_that_nobody_translates(tmp_path: Path) -> None:
    with Server.start(tmp_path, "display.boot_screen_s=0.1") as server:
        running = TranslatingApp(PACKAGE)
        async with app(server, running), wearer(server, ADA) as phone:
            await phone.start_app(PACKAGE)
            await eventually(lambda: bool(running.errors), PATIENCE_S)

            assert (
                "this server has no translator, which translation:en-US-to-fr-FR needs" in running.errors[0]
            )
