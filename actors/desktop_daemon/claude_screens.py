"""What Claude Code's screen says, by rules tried on recorded screens of it (2.1.329).

Only what stands at the very bottom counts: either the input box between two rules, or a dialog with the
cursor on one of its options. Whatever stands above is text that a model or a tool has written and that may
imitate anything. What is neither is unknown, and somebody has to look: it is never taken for ready.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from .screens import Screen

LookState = Literal["initializing", "ready", "working", "needs_approval", "error"]
DialogKind = Literal["", "permission", "question", "trust", "unknown"]

_CURSOR: Final = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
_STAR: Final = "[·✢✳✶✻✽*\N{ASTERISK OPERATOR}]"
_RULE: Final = re.compile(r"[─▔]{20,}\s*$")
_SPINNER: Final = re.compile(_STAR + r" \S.*(?:…|retrying in \d+)")
_SPARK: Final = re.compile(_STAR + r" \S")
_FOOT: Final = re.compile(r"\b(?:Esc|Enter) to (?:cancel|confirm|select|save|go back|close|exit)\b")
_NUMBERED: Final = re.compile(rf"\s*(?P<cursor>{_CURSOR})?\s*(?P<number>\d\d?)\. (?:\[.\] )?(?P<label>\S.*)$")
_MORE: Final = re.compile(r"\s*[↑↓] \d+ more lines?")
_ERROR: Final = re.compile(
    r"(?:● |\s+⎿\s+)(?P<error>API Error\b.*|Not logged in\b.*|Invalid API key\b.*|Please run /login\b.*)"
)
_INTERRUPTED: Final = "Interrupted · What should Claude do instead?"
_TRUSTS: Final = "Yes, I trust this folder"
_YES: Final = "Yes"
_BELOW_BOX: Final = 10
"""Lines under the input box: its foot, or the help on its keys."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be seen.

    Attributes:
      state: `initializing` shows nothing; `error` is ready, and what it was asked last has failed.
      kind: of a dialog; `unknown` may be none.
      title: what a dialog asks; of `error` what went wrong.
      options: the labels of a dialog, in order.
      cursor: the number of the option that Enter would take, from 0; None where there is no dialog.
      detail: what the dialog is about.
      typed: what stands in the input box; a hint of the program's own looks the same.
      is_interrupted: it was stopped, and waits to be told what else to do.
    """

    state: LookState
    kind: DialogKind = ""
    title: str = ""
    options: tuple[str, ...] = ()
    cursor: int | None = None
    detail: str = ""
    typed: str = ""
    is_interrupted: bool = False

    @property
    def yes(self) -> int | None:
        """The option that allows this once and nothing else."""
        return self.options.index(_YES) if _YES in self.options else None

    @property
    def no(self) -> int | None:
        """The option that refuses."""
        found = [n for n, label in enumerate(self.options) if label == "No" or label.startswith("No,")]
        return found[0] if len(found) == 1 else None

    @property
    def trusts(self) -> int | None:
        """The option that trusts the folder."""
        return self.options.index(_TRUSTS) if _TRUSTS in self.options else None


def look(screen: Screen) -> Look:
    """What this screen says."""
    lines = list(screen.lines)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        return Look(state="initializing")
    box = _find_box(lines)
    if box is not None:
        return _at_box(lines, *box)
    return _find_numbered(lines) or _find_unnumbered(lines) or _unknown(screen)


def _unknown(screen: Screen) -> Look:
    return Look(state="needs_approval", kind="unknown", detail=screen.text)


# ---------------------------------------------------------------------------------------------------------
# The input box


def _find_box(lines: list[str]) -> tuple[int, int] | None:
    """The rules over and under it."""
    rules = [number for number, line in enumerate(lines) if _RULE.match(line)]
    if len(rules) < 2 or len(lines) - rules[-1] > _BELOW_BOX + 1:
        return None
    over, under = rules[-2:]
    if under == over + 1 or lines[over + 1][:1] not in (_CURSOR, "!"):
        return None
    if _FOOT.search(lines[-1]):
        return None  # a dialog that holds two rules of its own
    return over, under


def _at_box(lines: list[str], over: int, under: int) -> Look:
    typed = " ".join(line[2:].strip() for line in lines[over + 1 : under]).strip()
    foot = " ".join(lines[under + 1 :])
    above = [line for line in lines[:over] if line.strip()]
    if "esc to interrupt" in foot or any(_SPINNER.match(line) for line in above[-4:]):
        return Look(state="working", typed=typed)
    since = _since_prompt(above)
    errors = [match["error"] for line in since if (match := _ERROR.match(line))]
    if errors:
        return Look(state="error", title=errors[-1], typed=typed)
    is_interrupted = any(_INTERRUPTED in line for line in since)
    return Look(state="ready", typed=typed, is_interrupted=is_interrupted)


def _since_prompt(above: list[str]) -> list[str]:
    """The lines since the last thing that was asked."""
    for number in range(len(above) - 1, -1, -1):
        if above[number].startswith(f"{_CURSOR} "):
            return above[number + 1 :]
    return []


def said_since_prompt(screen: Screen) -> str:
    """What it has said since it was asked, as far as the screen still shows it."""
    lines = screen.text.split("\n")
    box = _find_box(lines)
    above = [line for line in (lines if box is None else lines[: box[0]]) if line.strip()]
    since = _since_prompt(above)
    first = next((number for number, line in enumerate(since) if line.startswith("● ")), len(since))
    return "\n".join(line.removeprefix("● ") for line in since[first:] if not _SPARK.match(line))


# ---------------------------------------------------------------------------------------------------------
# Dialogs


def _find_numbered(lines: list[str]) -> Look | None:
    """Options `1.` to `n.`, the last of them at the bottom but for its description and the foot."""
    labels: list[str] = []
    cursor = None
    expected = 0
    for number in range(len(lines) - 1, -1, -1):
        match = _NUMBERED.match(lines[number])
        if match is None:
            if not labels and not _may_follow(lines[number]):
                return None
            continue
        if labels and int(match["number"]) != expected:
            return None
        expected = int(match["number"]) - 1
        labels.insert(0, match["label"].strip())
        if match["cursor"]:
            cursor = expected
        if expected == 0:
            return _dialog(lines, number, tuple(labels), cursor)
    return None


def _may_follow(line: str) -> bool:
    """Whether a line may stand under the last option of a dialog."""
    return not line.strip() or bool(_FOOT.search(line)) or bool(_MORE.match(line)) or line.startswith("   ")


def _find_unnumbered(lines: list[str]) -> Look | None:
    """Lines over the foot with the cursor before one of them, as the questions at the first start have."""
    if not _FOOT.search(lines[-1]):
        return None
    end = len(lines) - 1
    while end and not lines[end - 1].strip():
        end -= 1
    begin = end
    while begin and lines[begin - 1].strip():
        begin -= 1
    options = [line.strip() for line in lines[begin:end]]
    cursors = [number for number, option in enumerate(options) if option.startswith(_CURSOR)]
    if len(cursors) != 1 or len(options) < 2:
        return None
    labels = tuple(option.removeprefix(_CURSOR).strip() for option in options)
    return _dialog(lines, begin, labels, cursors[0])


def _dialog(lines: list[str], begin: int, options: tuple[str, ...], cursor: int | None) -> Look | None:
    if cursor is None:
        return None
    over = [number for number in range(begin) if _RULE.match(lines[number])]
    body = lines[over[-1] + 1 if over else 0 : begin]
    while body and not body[-1].strip():
        body.pop()
    questions = [line.strip() for line in body if line.strip()]
    found = Look(
        state="needs_approval",
        title=questions[-1] if questions else "",
        options=options,
        cursor=cursor,
        detail="\n".join(body).strip("\n"),
    )
    return msgspec.structs.replace(found, kind=_kind(found, lines[-1]))


def _kind(found: Look, foot: str) -> DialogKind:
    if found.trusts is not None:
        return "trust"
    if (
        "Enter to select" in foot
        and "Submit" not in found.detail
        and not any(label.startswith("[") for label in found.options)
    ):
        return "question"
    if found.yes is not None and found.no is not None:
        return "permission"
    return "unknown"
