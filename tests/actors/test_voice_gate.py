"""Which of the microphone's audio goes to a recogniser: pure, with a detector that is told what to say."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from actors.audio.voice import Verdict, VoiceGate, VoiceSettings
from actors.ports import SpeechProgress, VoiceHeard
from actors.speech.feed import AudioFeed
from adapters.simulated.voice import LoudDetector
from clients.coded_audio import silence, word

FRAME_MS = 100
VOICE = word(5, 0.1)
QUIET = silence(0.1)
OWN = VoiceSettings(own_after_s=0.0)


class Puppet:
    """A detector whose verdict is what the test says."""

    def __init__(self, *, is_clear: bool = True) -> None:
        self.is_clear = is_clear
        self._quiet_ms = 0

    def hear(self, pcm: bytes) -> VoiceHeard:
        self._quiet_ms = 0 if pcm == VOICE else self._quiet_ms + len(pcm) // 32
        return VoiceHeard(self._quiet_ms, self.is_clear)


def frames(*, voice: int = 0, quiet: int = 0) -> list[bytes]:
    return [VOICE] * voice + [QUIET] * quiet


def verdicts(gate: VoiceGate, audio: Sequence[bytes]) -> str:
    return "".join("+" if gate.hear(pcm)[0] is Verdict.SPEECH else "." for pcm in audio)


def pauses(gate: VoiceGate, audio: Sequence[bytes]) -> list[int]:
    return [at * FRAME_MS for at, pcm in enumerate(audio, start=1) if gate.hear(pcm)[1]]


def test_silence_is_withheld_once_the_hold_is_over_and_a_voice_ends_that() -> None:
    gate = VoiceGate(Puppet(), OWN)

    assert "+" * 3 + "+" * 10 + "." * 5 + "+" == verdicts(gate, [*frames(voice=3, quiet=15), VOICE])


def test_a_phone_that_has_said_nothing_for_five_seconds_of_audio_is_listened_to() -> None:
    gate = VoiceGate(Puppet(), VoiceSettings(own_after_s=5.0))

    assert "+" * 50 + "." * 10 == verdicts(gate, frames(quiet=60))


def test_a_phone_that_reports_decides_for_itself_until_it_falls_silent() -> None:
    gate = VoiceGate(Puppet(), VoiceSettings(own_after_s=5.0))
    verdicts(gate, frames(quiet=60))

    gate.reported()

    assert "+" * 50 + "." * 5 == verdicts(gate, frames(quiet=55))


def test_nothing_is_withheld_where_the_setting_forbids_it() -> None:
    gate = VoiceGate(Puppet(), VoiceSettings(own_after_s=0.0, withhold=False))

    assert "+" * 100 == verdicts(gate, frames(quiet=100))


def test_a_pause_is_told_once_and_only_after_a_voice() -> None:
    gate = VoiceGate(Puppet(), OWN)

    assert [] == pauses(gate, frames(quiet=20))
    assert [800] == pauses(gate, frames(voice=5, quiet=20))
    assert [] == pauses(gate, frames(voice=5, quiet=2))
    assert [500] == pauses(gate, frames(voice=2, quiet=20)), "a short pause before it was none"


def test_a_pause_is_longer_where_the_voice_hardly_stands_out() -> None:
    gate = VoiceGate(Puppet(is_clear=False), OWN)

    assert [1100] == pauses(gate, frames(voice=5, quiet=20))


def test_a_frame_as_long_as_a_sentence_is_heard_whole() -> None:
    gate = VoiceGate(LoudDetector(), OWN)

    assert [(Verdict.SPEECH, True)] == [gate.hear(word(1, 2.0) + silence(8.0))]
    assert Verdict.SILENCE is gate.hear(silence(1.0))[0]


class Taker:
    """A recogniser's stream that keeps what it is given."""

    def __init__(self) -> None:
        self.pcm = b""
        self.finalized_at: list[int] = []
        self.progress = SpeechProgress()

    def offer(self, pcm: bytes) -> None:
        self.pcm += pcm

    def finalize(self) -> None:
        self.finalized_at.append(len(self.pcm))

    async def run(self) -> None:
        raise NotImplementedError


def feed_with(taker: Taker | None, settings: VoiceSettings = OWN) -> AudioFeed:
    feed = AudioFeed(lambda: 0.0, 1_000.0, gate=VoiceGate(Puppet(), settings), pre_roll_s=settings.pre_roll_s)
    if taker is not None:
        feed.attach(taker, 0)
    return feed


def offer(feed: AudioFeed, audio: Sequence[bytes]) -> None:
    for pcm in audio:
        feed.offer(pcm)


def test_a_recogniser_hears_the_silence_next_to_a_voice_and_no_other() -> None:
    taker = Taker()
    feed = feed_with(taker)

    offer(feed, frames(voice=3, quiet=40) + frames(voice=2))

    assert VOICE * 3 + QUIET * 10 + QUIET * 6 + VOICE * 2 == taker.pcm
    assert 24 * len(QUIET) == feed.withheld_bytes
    assert [6 * len(VOICE)] == taker.finalized_at, "asked for the final 300 ms behind the voice"


def test_the_recognisers_time_is_told_from_the_microphones() -> None:
    taker = Taker()
    feed = feed_with(taker)
    offer(feed, frames(voice=3, quiet=40) + frames(voice=2))
    second = len(VOICE) * 10

    assert second // 2 == feed.position_of(500)
    assert 13 * len(VOICE) == feed.position_of(1300, is_end=True), "the end of what it heard first"
    assert 37 * len(VOICE) == feed.position_of(1300), "where it heard on, after 2.4 s that it did not hear"
    assert 45 * len(VOICE) == feed.position_of(2100)


def test_who_takes_over_is_not_given_the_silence_either() -> None:
    feed = feed_with(None)
    offer(feed, frames(voice=3, quiet=40) + frames(voice=2))
    taker = Taker()

    feed.attach(taker, 0)
    feed.replay(100 * len(VOICE))

    assert VOICE * 3 + QUIET * 16 + VOICE * 2 == taker.pcm
    assert [6 * len(VOICE)] == taker.finalized_at, "the pause is where it was, not at the replay's end"
    assert feed.is_live


def test_what_is_withheld_does_not_wait_for_a_recogniser() -> None:
    now = [0.0]
    feed = AudioFeed(lambda: now[0], 30.0, gate=VoiceGate(Puppet(), OWN), pre_roll_s=0.6)
    taker = Taker()
    feed.attach(taker, 0)
    offer(feed, frames(voice=3, quiet=40))
    now[0] = 10.0

    assert feed.is_live
    assert 10.0 == feed.waiting_s(0), "the words do"
    assert 0.0 == feed.waiting_s(3 * len(VOICE))
    assert feed.given == feed.decided < feed.head


def test_the_next_process_gets_no_silence() -> None:
    feed = feed_with(Taker())
    offer(feed, frames(voice=3, quiet=40))

    assert VOICE * 3 + QUIET * 16 == feed.unsettled()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("voice"), st.integers(1, 20)),
            st.tuples(st.just("quiet"), st.integers(1, 40)),
            st.tuples(st.just("switch"), st.just(0)),
            st.tuples(st.just("detach"), st.just(0)),
            st.tuples(st.just("replay"), st.integers(1, 60)),
        ),
        max_size=30,
    )
)
def test_no_voice_and_no_beginning_of_one_is_withheld(steps: Sequence[tuple[str, int]]) -> None:
    """Whoever listens hears every voiced frame from his beginning on, once, in order, with its pre-roll."""
    feed = feed_with(None)
    said: list[bytes] = []
    taker: Taker | None = None
    for action, amount in steps:
        match action:
            case "voice" | "quiet":
                for _ in range(amount):
                    pcm = VOICE if action == "voice" else QUIET
                    said.append(pcm)
                    feed.offer(pcm)
            case "replay":
                feed.replay(amount * len(VOICE))
            case "switch":
                taker = Taker()
                feed.attach(taker, 0)
            case "detach":
                feed.detach()
                taker = None
    if taker is None:
        return
    feed.replay(len(b"".join(said)) + 1)
    first = feed.base // len(VOICE)
    wanted = b""
    for at, pcm in enumerate(said[first:], start=first):
        follows = VOICE in said[max(0, at - 10) : at + 1] or at < 10
        is_decided = (at + 1) * len(VOICE) <= feed.decided
        precedes = VOICE in said[at : at + 7]
        if is_decided and (follows or precedes):
            wanted += pcm
    assert wanted == taker.pcm
    assert taker.pcm.count(VOICE) == said[first:].count(VOICE)
