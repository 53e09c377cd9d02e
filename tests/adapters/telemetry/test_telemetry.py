from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import Telemetry
from adapters.simulated.telemetry import RecordingTelemetry
from adapters.telemetry import Allowances, LibraryLogs, LineLimits, LogTelemetry, MemoryLogs
from adapters.telemetry.lines import VALUE_LIMIT, Form, named, renderer

ROOT = Path(__file__).parents[3]
NOW = 1795240800.123
STAMP = "2026-11-21T06:00:00.123Z"


def make(stream: TextIO | None = None, **settings: object) -> tuple[LogTelemetry, TextIO]:
    stream = stream or io.StringIO()
    return LogTelemetry(stream, wall=lambda: NOW, **settings), stream  # type: ignore[arg-type]


def written(stream: TextIO) -> list[str]:
    assert isinstance(stream, io.StringIO)
    return stream.getvalue().splitlines()


def line_of(form: Form, event: str, fields: Mapping[str, object]) -> str:
    return renderer(form)({"time": "t", "level": "info", "event": event, **named(fields)}, VALUE_LIMIT)


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise LookupError


def value_in_line(value: object) -> str:
    return line_of("text", "e", {"k": value}).removeprefix("t info    e k=")


@pytest.mark.parametrize("telemetry", [LogTelemetry(io.StringIO()), RecordingTelemetry()])
def test_every_event_is_a_counter_whatever_its_level(telemetry: Telemetry) -> None:
    telemetry.debug("a")
    telemetry.debug("a", x=1)
    telemetry.info("b")
    telemetry.warning("c")
    telemetry.error("d")
    telemetry.count("e")
    telemetry.count("e", 5)
    counters = telemetry.counters()
    telemetry.count("e")

    assert {"a": 2, "b": 1, "c": 1, "d": 1, "e": 6} == counters


def test_a_fact_is_one_line_with_time_level_event_and_fields() -> None:
    telemetry, stream = make()

    telemetry.info("phone_connected", user="ada@example.org", frames=3, is_new=True, code=None, age_s=0.25)

    assert [
        f"{STAMP} info    phone_connected user=ada@example.org frames=3 is_new=true code=- age_s=0.25"
    ] == written(stream)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["a", "b", "c", "d"]),
        ("info", ["b", "c", "d"]),
        ("warning", ["c", "d"]),
        ("error", ["d"]),
    ],
)
def test_levels_below_the_set_one_are_not_written(level: str, expected: list[str]) -> None:
    telemetry, stream = make(level=level)

    telemetry.debug("a")
    telemetry.info("b")
    telemetry.warning("c")
    telemetry.error("d")

    assert expected == [line.split()[2] for line in written(stream)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("line\nforged error e", '"line\\nforged error e"'),
        ("\r\t", '"\\r\\t"'),
        ("\x1b[2Jgone", '"\\x1b[2Jgone"'),
        ("right\u202eleft", '"right\\u202eleft"'),
        ("\u2028", '"\\u2028"'),
        ("\ud800", '"\\ud800"'),
        ("\U000e0041", '"\\U000e0041"'),
        ("grüße", "grüße"),
        (b"bytes\xff\n", '"bytes\\\\xff\\n"'),
        (ValueError("no"), '"ValueError: no"'),
        (UnprintableError(), '"(UnprintableError whose text raises LookupError)"'),
        ("x" * 201, f'"{"x" * 200}...(201 characters)"'),
        pytest.param(10**5000, '"(int whose text raises ValueError)"', id="huge"),
    ],
)
def test_a_value_cannot_leave_its_place(value: object, expected: str) -> None:
    assert expected == value_in_line(value)


@given(st.text() | st.binary(), st.text(min_size=1), st.text(min_size=1))
def test_no_value_key_or_event_makes_a_second_line_or_field(value: object, key: str, event: str) -> None:
    line = line_of("text", event, {key: value, "after": "x"})

    assert line.isprintable()
    assert line.endswith(" after=x")
    assert len(line) < 3 * 2200


KEYS = st.text().filter(lambda key: not key.endswith("_"))
VALUES = (
    st.text(max_size=200) | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | st.booleans() | st.none()
)


@given(st.dictionaries(KEYS, VALUES))
def test_a_json_line_reads_back(fields: dict[str, object]) -> None:
    line = line_of("json", "e", fields)
    document = json.loads(line)

    assert line.isascii()
    assert line.isprintable()
    assert ("t", "info", "e") == (document["time"], document["level"], document["event"])
    for key, value in fields.items():
        found = document[f"{key}_" if key in ("time", "level", "event") else key]
        is_finite = not isinstance(value, float) or value - value == 0
        assert (value if is_finite else str(value)) == found


def test_an_integer_too_long_to_write_is_named_in_json() -> None:
    line = line_of("json", "e", {"k": 10**5000, "n": 2**62})

    assert {"k": "(int whose text raises ValueError)", "n": 2**62}.items() <= json.loads(line).items()


def test_json_lines_are_a_choice() -> None:
    telemetry, stream = make(form="json")

    telemetry.warning("phone_refused", cause="bad\nsignature", level="x")

    assert [
        {
            "time": STAMP,
            "level": "warning",
            "event": "phone_refused",
            "cause": "bad\nsignature",
            "level_": "x",
        }
    ] == [json.loads(line) for line in written(stream)]


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def test_a_reader_that_has_stopped_never_holds_the_writer() -> None:
    with pipe() as (reading, stream):
        telemetry, _ = make(stream)
        for number in range(2000):
            telemetry.info("fact", number=number, padding="x" * 150)
        dropped = telemetry.counters()["log_lines_dropped"]
        taken = os.read(reading, 1_000_000).decode().splitlines()
        telemetry.info("later")
        rest = os.read(reading, 1_000_000).decode().splitlines()

    assert 0 < dropped < 2000
    assert 2000 == dropped + len(taken)
    assert all(line.endswith("x" * 150) for line in taken)
    assert [f"{STAMP} warning log_lines_dropped count={dropped}", f"{STAMP} info    later"] == rest


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        telemetry, _ = make(stream)
        telemetry.info("fact")

    assert {"fact": 1, "log_lines_dropped": 1} == telemetry.counters()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("fields", "kept"),
    [(6, "\U0001f600" * 40), (50, "\u00fc" * 8), (50, "y" * 40)],
    ids=["of four bytes", "of two bytes", "of one byte"],
)
def test_a_line_that_would_be_too_long_has_shorter_values(form: Form, fields: int, kept: str) -> None:
    with pipe() as (reading, stream):
        telemetry, _ = make(stream, form=form)
        telemetry.info("fact", **{f"k{number}": kept[0] * 200 for number in range(fields)})
        data = os.read(reading, 1_000_000)

    line = data.decode()
    assert len(data) <= 4001
    assert line.endswith('"}\n' if form == "json" else '"\n')
    assert 1 == line.count("\n")
    values = json.loads(line) if form == "json" else dict(part.split("=", 1) for part in line.split(" k")[1:])
    shown = values["k2"] if form == "json" else values["2"].strip().strip('"')
    assert shown.startswith(kept)
    assert shown.endswith("...(200 characters)")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_of_too_many_fields_says_how_many(form: Form) -> None:
    telemetry, stream = make(form=form)

    telemetry.info("fact", **{f"k{number}": number for number in range(1000)})

    (line,) = written(stream)
    assert line.endswith('"fields_left_out":1000}' if form == "json" else "fact fields_left_out=1000")


def test_what_libraries_log_is_escaped_and_counted() -> None:
    telemetry, stream = make(level="debug")
    logger = logging.Logger("some.library")
    logger.addHandler(LibraryLogs(telemetry, level="debug"))

    logger.debug("details")
    logger.info("peer said %r", "\x1b")
    logger.warning("two\nlines")
    try:
        raise LookupError("gone")
    except LookupError:
        logger.exception("it failed")
    logger.error("bad arguments %d", "x")

    assert [
        "debug   library_log logger=some.library message=details",
        "info    library_log logger=some.library message=\"peer said '\\\\x1b'\"",
        'warning library_log logger=some.library message="two\\nlines"',
        'error   library_log logger=some.library message="it failed" error="LookupError: gone"',
        'error   library_log logger=some.library message="(_Message whose text raises TypeError)"',
    ] == [line.removeprefix(f"{STAMP} ") for line in written(stream)]
    assert 5 == telemetry.counters()["library_log"]


class Moment:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def limited(moment: Moment, **limits: float) -> tuple[LogTelemetry, TextIO]:
    allowances = Allowances(LineLimits(**limits), now=moment)  # type: ignore[arg-type]
    return make(limits=allowances, level="debug")


def facts(stream: TextIO) -> list[str]:
    return [" ".join(line.split()[2:]) for line in written(stream)]


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_a_flood_of_one_event_is_a_burst_and_then_a_line_a_second(level: str) -> None:
    moment = Moment()
    telemetry, stream = limited(moment, burst_lines=3, interval_s=1.0)

    for tick in range(4 * 512):
        moment.s = 100.0 + tick / 512
        getattr(telemetry, level)("phone_refused", tick=tick)

    assert [
        *(f"phone_refused tick={tick}" for tick in range(3)),
        *("log_lines_left_out of=phone_refused count=509", "phone_refused tick=512"),
        *("log_lines_left_out of=phone_refused count=511", "phone_refused tick=1024"),
        *("log_lines_left_out of=phone_refused count=511", "phone_refused tick=1536"),
    ] == facts(stream)
    assert {"phone_refused": 2048, "log_lines_left_out": 2048 - 6} == telemetry.counters()


def test_a_flood_silences_no_other_event() -> None:
    telemetry, stream = limited(Moment(), burst_lines=1)

    for _ in range(3):
        telemetry.info("listener.bad_head")
    telemetry.info("phone_connected")
    telemetry.debug("detail")
    telemetry.debug("detail")

    assert ["listener.bad_head", "phone_connected", "detail", "detail"] == facts(stream)


def test_the_end_of_a_flood_is_told_with_the_next_line_of_any_event() -> None:
    moment = Moment()
    telemetry, stream = limited(moment, burst_lines=1)

    for _ in range(3):
        telemetry.info("flood")
    moment.s += 2
    telemetry.info("other")
    telemetry.info("flood")

    assert ["flood", "log_lines_left_out of=flood count=2", "other", "flood"] == facts(stream)


def test_an_event_that_was_quiet_has_its_burst_again_and_no_more() -> None:
    moment = Moment()
    telemetry, stream = limited(moment, burst_lines=2)

    for _ in range(3):
        moment.s += 1000
        for _ in range(3):
            telemetry.info("fact")

    assert 6 == facts(stream).count("fact")


def test_a_library_that_floods_silences_no_other_library() -> None:
    telemetry, stream = limited(Moment(), burst_lines=1)
    handler = LibraryLogs(telemetry)
    for name in ("loud", "loud", "quiet"):
        handler.emit(logging.LogRecord(name, logging.WARNING, "", 0, "said", None, None))

    assert ["library_log logger=loud message=said", "library_log logger=quiet message=said"] == facts(stream)


def test_without_an_interval_every_line_is_written() -> None:
    telemetry, stream = limited(Moment(), burst_lines=1, interval_s=0.0)

    for _ in range(100):
        telemetry.info("fact")

    assert 100 == len(written(stream))


def test_colours_change_nothing_but_colours() -> None:
    fields = {"user": "ada@example.org", "cause": "gone\x1b[2J away", "exc_info": True, "stack": "a b"}

    coloured, plain = (line_of(form, "phone_lost", fields) for form in ("coloured", "text"))

    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert "\x1b[36muser\x1b[0m=\x1b[35mada@example.org\x1b[0m" in coloured
    assert (
        't info    phone_lost user=ada@example.org cause="gone\\x1b[2J away" exc_info_=true stack_="a b"'
        == plain
    )


def test_a_line_says_whose_it_is_unless_the_fact_does() -> None:
    telemetry, stream = make(whose=lambda: {"user": "ada@example.org", "actor": "/users/ada/session"})

    telemetry.info("a")
    telemetry.info("b", user="bob@example.org")

    assert [
        "a user=ada@example.org actor=/users/ada/session",
        "b user=bob@example.org actor=/users/ada/session",
    ] == (facts(stream))


def test_what_is_kept_of_a_session_has_no_colours_and_is_found_by_its_actor() -> None:
    kept, whose = MemoryLogs(), {"user": "ada@example.org", "package": "org.example.a", "actor": "/a/users/b"}
    limits = Allowances(LineLimits(burst_lines=1), now=lambda: 0.0)
    telemetry, stream = make(form="coloured", kept=kept, limits=limits, whose=lambda: whose)

    telemetry.info("flood")
    telemetry.info("flood")
    telemetry.warning("app_missed", cause="a \x1b[2J b")

    expected = 'app_missed cause="a \\x1b[2J b" user=ada@example.org package=org.example.a actor=/a/users/b'
    assert f"{STAMP} warning {expected}" == kept.log_of("ada@example.org").lines[-1]
    assert "\x1b[" in written(stream)[-1]
    assert 1 == sum(kept.rates("org.example.a").warnings)


def test_a_note_of_what_is_missing_is_nobodys() -> None:
    kept, moment = MemoryLogs(), Moment()
    limits = Allowances(LineLimits(burst_lines=1), now=moment)
    telemetry, stream = make(kept=kept, limits=limits, whose=lambda: {"user": "ada@example.org"})

    telemetry.info("flood")
    telemetry.info("flood")
    moment.s += 5
    telemetry.info("other")

    assert [
        "flood user=ada@example.org",
        "log_lines_left_out of=flood count=1",
        "other user=ada@example.org",
    ] == (facts(stream))
    assert 2 == kept.log_of("ada@example.org").count


def test_a_command_that_makes_no_log_does_not_import_its_library() -> None:
    script = (
        "import sys, config.settings; sys.exit('structlog' in sys.modules or 'opentelemetry' in sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60).returncode


def test_the_twin_keeps_facts_in_order() -> None:
    telemetry = RecordingTelemetry()

    telemetry.info("a", x=1)
    telemetry.warning("b")
    telemetry.info("a", x=2)

    assert [("info", "a"), ("warning", "b"), ("info", "a")] == [
        (fact.level, fact.event) for fact in telemetry.facts
    ]
    assert [{"x": 1}, {"x": 2}] == telemetry.of("a")
