"""The settings of the recognisers, each with its unit, its default and why that default."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class PocketSphinxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How speech is cut into utterances and how the worker processes are kept.

    Attributes:
      worker_count: worker processes at most; 0 means one for each core this process may use. It is how many
        people can be recognised while they speak at the same moment. A worker takes 107 MB, and 0.2 of a
        core while its person speaks, so a machine with memory to spare may have four a core.
      prestart: workers started with the server instead of with the first stream. One takes half a second to
        load its model; without it the first words of the first wearer come that much later.
      window_s, ratio, vad_mode: pocketsphinx's Endpointer. Speech begins when more than `ratio` of the window
        is voiced and ends when less than `1 - ratio` of it is; a mode from 0 (much is speech) to 3 (little
        is). What was tried is in docs/decisions/0005-end-of-speech.md.
      quiet_db, quiet_s: speech ends also after this long below the utterance's loudest by this much.
      pre_roll_s: how much audio before the detected beginning belongs to the utterance, so that a soft first
        consonant is not cut.
      utterance_soft_s: an utterance that has grown this long ends at its next short pause.
      utterance_hard_s: and at this length wherever it is: it bounds memory (32 kB/s) and what a replay costs.
      keep_s: how much audio waits for recognition at most; older audio is dropped and reported.
      delayed_after_s: an utterance that has waited this long for a worker is reported as `Delayed`.
      start_timeout_s: a worker that has not loaded its model by then is killed.
      answer_timeout_s: a worker that has not answered half a second of audio by then hangs: it is killed, and
        its utterance is replayed. It needs 0.1 s of a free core for that, so this allows a loaded machine.
      attempts: an utterance that ended this many workers is given up and reported as dropped audio.
      restart_first_s, restart_most_s: the wait before a worker is replaced, doubled by every failure in a
        row.
    """

    worker_count: int = 0
    prestart: int = 0
    window_s: float = 0.25
    ratio: float = 0.75
    vad_mode: int = 2
    quiet_db: float = 26.0
    quiet_s: float = 0.24
    pre_roll_s: float = 0.3
    utterance_soft_s: float = 25.0
    utterance_hard_s: float = 30.0
    keep_s: float = 3.0
    delayed_after_s: float = 0.5
    start_timeout_s: float = 20.0
    answer_timeout_s: float = 4.0
    attempts: int = 3
    restart_first_s: float = 0.1
    restart_most_s: float = 10.0


class DeepgramSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How Deepgram's live transcription is used. Its keys are `deepgram_api_key` and `deepgram_api_keys`.

    Attributes:
      url: where it is, ws(s)://host[:port]; another one for Deepgram on one's own machines.
      model: which of its models is asked for.
      endpointing_ms: after so much silence Deepgram says the words before it for good. That ends no
        utterance, a pause of `voice.pause_s` does (decision 9). Its own default is 10.
      auto_endpointing_ms: the same where the language is `auto`, for which its advice is 100.
      utterance_end_ms: so long a gap between words ends an utterance where noise hides the silence; less than
        1000 brings nothing, because its interim results come once a second.
      smart_format: punctuation, capitals, and numbers as digits.
      connect_s: a connection that is not open by then has failed. It takes 0.13 to 0.3 s.
      keep_alive_s: a message goes so long after the last audio. Deepgram ends a connection after 10 s without
        either, and asks for one every 3 to 5 s.
      close_s: how long a connection may take to end in order.
      keep_s: how much audio waits for the connection at most; past it the stream fails.
      longest_utterance_s: people who speak on without a pause get a final at the next chance after so long.
    """

    url: Annotated[str, Meta(pattern=r"^wss?://[^\s/?#]+$")] = "wss://api.deepgram.com"
    model: Annotated[str, Meta(min_length=1)] = "nova-3"
    endpointing_ms: Annotated[int, Meta(ge=10)] = 60
    auto_endpointing_ms: Annotated[int, Meta(ge=10)] = 100
    utterance_end_ms: Annotated[int, Meta(ge=1000)] = 1000
    smart_format: bool = True
    connect_s: Annotated[float, Meta(gt=0)] = 3.0
    keep_alive_s: Annotated[float, Meta(gt=0, le=8)] = 4.0
    close_s: Annotated[float, Meta(gt=0)] = 0.5
    keep_s: Annotated[float, Meta(gt=0)] = 30.0
    longest_utterance_s: Annotated[float, Meta(gt=0)] = 15.0
