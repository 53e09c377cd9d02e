"""What of a session description gets near aiortc, and what of aiortc's gets out. Pure functions.

Of a stranger's description one audio section is kept; its candidates are taken out and judged one by one, and
every other section (a camera, a data channel) is answered as refused. From ours go the candidates that must
not be told, and in come the other side's limits for Opus.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from .candidates import Candidate, judge

MOST_LINES: Final = 600
MOST_SECTIONS: Final = 8

_SECTION: Final = re.compile(r"m=([a-z]+) (\d{1,5}) ([A-Z/]+) (.+)")
_MID: Final = re.compile(r"[\x21-\x7e]{1,32}")
_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_CODEC: Final = re.compile(r"a=rtpmap:\d+ (opus/48000/2|PCMU/8000|PCMA/8000)", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"^o=\S+ (\d+) \d+", re.MULTILINE)
_OPUS: Final = re.compile(r"a=rtpmap:(\d+) opus/48000/2", re.IGNORECASE)


class UnusableError(Exception):
    """A description that nothing can be heard by; the text says why."""


class Refused(msgspec.Struct, frozen=True):
    """A section that is answered with port 0."""

    line: str
    mid: str


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """The other side's description.

    Attributes:
      sdp: what aiortc is given: one audio section, and no candidate.
      candidates: those that are followed.
      left_out: how many are not.
      ufrag: of its ICE; another one means that ICE begins anew.
      codecs: of those that we have, in lower case: opus, pcmu, pcma.
      before, after: the sections that are refused, around the audio section.
    """

    sdp: str
    candidates: tuple[Candidate, ...]
    left_out: int
    ufrag: str
    codecs: frozenset[str]
    before: tuple[Refused, ...] = ()
    after: tuple[Refused, ...] = ()


def read_remote(sdp: str, *, is_offer: bool, speaks: bool, allow_local: bool, most_candidates: int) -> Remote:
    """Take apart a stranger's description.

    Args:
      speaks: we send audio, so it has to want some; else it has to send some.

    Raises:
      UnusableError: it is none, or has no audio for us.
    """
    # By every separator that aiortc's parser knows, or a candidate could hide behind a stranger one of them.
    lines = [line.strip() for line in sdp.splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise UnusableError("it is no session description")
    if len(lines) > MOST_LINES:
        raise UnusableError(f"it has {len(lines)} lines; expected at most {MOST_LINES}")
    head, sections = _sections(lines)
    if len(sections) > MOST_SECTIONS:
        raise UnusableError(f"it has {len(sections)} sections; expected at most {MOST_SECTIONS}")
    at = _audio_section(sections, speaks=speaks)
    audio = sections[at]
    whole = [*head, *audio]
    ufrag, password = _one(audio, head, "ice-ufrag"), _one(audio, head, "ice-pwd")
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise UnusableError("its ICE credentials are missing or malformed")
    if not _one(audio, head, "fingerprint"):
        raise UnusableError("it has no fingerprint")
    setup = _one(audio, head, "setup")
    if setup not in (("actpass", "active", "passive") if is_offer else ("active", "passive")):
        raise UnusableError(f"its setup is {setup[:20]!r}")
    mid = _mid(audio)
    texts = [line for line in audio if line.startswith("a=candidate:")]
    judged = [judge(text, allow_local=allow_local) for text in texts[:most_candidates]]
    candidates = tuple(one for one in judged if isinstance(one, Candidate))
    kept = [
        line
        for line in whole
        if not line.startswith(("a=candidate:", "a=end-of-candidates", "a=group:", "c="))
    ]
    first = next(index for index, line in enumerate(kept) if line.startswith("m="))
    kept[first:first] = [f"a=group:BUNDLE {mid}"]
    return Remote(
        sdp="\r\n".join(kept) + "\r\n",
        candidates=candidates,
        left_out=len(texts) - len(candidates),
        ufrag=ufrag,
        codecs=frozenset(
            match[1].lower().partition("/")[0] for line in audio if (match := _CODEC.match(line))
        ),
        before=tuple(map(_refused, sections[:at])),
        after=tuple(map(_refused, sections[at + 1 :])),
    )


def local_told(sdp: str, remote: Remote | None, *, allow_local: bool, bitrate: int) -> str:
    """Our description as the other side gets it.

    Args:
      sdp: aiortc's.
      remote: what it answers; None for an offer.
      bitrate: of Opus, in bit/s.
    """
    head, sections = _sections(sdp.splitlines())
    (audio,) = sections
    judged = {line: judge(line, allow_local=allow_local) for line in audio if line.startswith("a=candidate:")}
    is_complete = all(isinstance(one, Candidate) for one in judged.values())
    told = []
    for line in audio:
        if line.startswith("m="):
            line = re.sub(r"^m=audio \d+", "m=audio 9", line)
        elif line.startswith("c="):
            line = "c=IN IP4 0.0.0.0"
        elif line == "a=end-of-candidates" and not is_complete:
            continue  # those that are not told may still be found by our checks
        elif (candidate := judged.get(line)) is not None:
            if not isinstance(candidate, Candidate):
                continue
            line = f"a={candidate}"
        told.append(line)
        if opus := _OPUS.fullmatch(line):
            told.append(f"a=fmtp:{opus[1]} minptime=10;useinbandfec=1;stereo=0;maxaveragebitrate={bitrate}")
    if remote is not None:
        before = [line for one in remote.before for line in _refusal(one)]
        after = [line for one in remote.after for line in _refusal(one)]
        told = [*before, *told, *after]
    return "\r\n".join([*head, *told]) + "\r\n"


class SdpSession:
    """What the descriptions of one peer have in common (RFC 8829 section 5.2): an id, and versions that grow.

    aiortc gives each connection an id of its own, and an ICE restart is another connection of the same peer.
    """

    def __init__(self) -> None:
        self._id = ""
        self._version = 0

    def name(self, sdp: str) -> str:
        """The next description of this peer."""
        origin = _ORIGIN.search(sdp)
        if origin is None:
            return sdp
        self._id = self._id or origin[1]
        self._version += 1
        return f"{sdp[: origin.start()]}o=- {self._id} {self._version}{sdp[origin.end() :]}"


def _sections(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    head: list[str] = []
    sections: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            sections.append([line])
        else:
            (sections[-1] if sections else head).append(line)
    return head, sections


def _audio_section(sections: list[list[str]], *, speaks: bool) -> int:
    wanted = ("a=recvonly", "a=sendrecv") if speaks else ("a=sendonly", "a=sendrecv")
    others = {"a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv"} - set(wanted)
    is_any_audio = False
    for index, section in enumerate(sections):
        parts = _SECTION.fullmatch(section[0])
        if parts is None:
            raise UnusableError(f"a section begins {section[0][:40]!r}")
        if parts[1] != "audio" or int(parts[2]) == 0:
            continue
        is_any_audio = True
        if not others.intersection(section):
            return index
    raise UnusableError("its audio goes the wrong way" if is_any_audio else "it has no section for audio")


def _refused(section: list[str]) -> Refused:
    parts = _SECTION.fullmatch(section[0])
    if parts is None:
        raise UnusableError(f"a section begins {section[0][:40]!r}")
    return Refused(f"m={parts[1]} 0 {parts[3]} {parts[4].split()[0]}", _mid(section))


def _refusal(section: Refused) -> list[str]:
    return [
        section.line,
        "c=IN IP4 0.0.0.0",
        "a=inactive",
        *([f"a=mid:{section.mid}"] if section.mid else []),
    ]


def _mid(section: list[str]) -> str:
    mid = _one(section, [], "mid")
    if mid and not _MID.fullmatch(mid):
        raise UnusableError(f"a mid is {mid[:40]!r}")
    return mid


def _one(section: list[str], head: list[str], attribute: str) -> str:
    """The value of an attribute, of the section or else of the session; empty where there is none."""
    start = f"a={attribute}:"
    for lines in (section, head):
        for line in lines:
            if line.startswith(start):
                return line.removeprefix(start)
    return ""
