"""Telemetry for people and machines: facts as lines on a stream, and a counter for each kind of fact.

Two decisions. Lines are structlog's: a fact goes through its processors, which add who it is of, when it was
and what form it has (decision 14 has what that costs). What libraries log through `logging` is brought here
by `LibraryLogs`, so that nothing reaches the stream unescaped.

And the stream never holds the loop: where it is a pipe or a terminal whose reader has stopped, a line is
dropped and counted, and the next line that goes out says how many are missing. Events that come in floods are
limited (`limits`).
"""

from __future__ import annotations

import io
import logging
import os
import re
import select
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from adapters.telemetry.limits import Allowances
from adapters.telemetry.lines import VALUE_LIMIT, Form, named, renderer
from adapters.telemetry.session_logs import MemoryLogs
from protocols import timestamps

if TYPE_CHECKING:
    from structlog.typing import EventDict

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
LINE_LIMIT_BYTES: Final = 4000  # under 4096: what a pipe takes whole when it says that it takes anything

# Escaped, a character may take twelve bytes. A line cut by bytes could not be read back.
_VALUE_LIMITS: Final = (VALUE_LIMIT, 40, 8)

_NOTES: Final = frozenset({"log_lines_dropped", "log_lines_left_out"})
_COLOURS: Final = re.compile(rb"\x1b\[\d*m")  # ours alone: those of a value are escaped


class LogTelemetry:
    """`actors.ports.Telemetry` that writes lines.

    Args:
      stream: where the lines go.
      level: the lowest level that is written; every event is counted, whatever its level.
      form: key=value for people, with colours for a terminal, or one JSON object a line for machines.
      limits: how many lines of one event are written, those of debug excepted; None writes them all.
      wall: epoch seconds.
      kept: what keeps the end of each session's log; None keeps none.
      whose: fields of who logs at this moment; what a fact says itself counts.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        level: Level = "info",
        form: Form = "text",
        limits: Allowances | None = None,
        wall: Callable[[], float] = time.time,
        kept: MemoryLogs | None = None,
        whose: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        import structlog  # not with the module: every command reads this room's settings, few make a log

        self._kept = kept
        self._lines = _Lines(stream)
        self._threshold = LEVELS[level]
        self._limits = limits
        self._render = renderer(form)
        self._wall = wall
        self._whose = whose
        self._counters: dict[str, int] = {}
        logger = structlog.wrap_logger(
            self._lines,
            processors=[self._complete, self._rendered],
            wrapper_class=structlog.make_filtering_bound_logger(self._threshold),
            context_class=dict,
        ).bind()
        self._writers: Mapping[Level, Callable[..., Any]] = {name: getattr(logger, name) for name in LEVELS}

    def debug(self, event: str, **fields: object) -> None:
        """Count `event`, and write it where level is debug."""
        self._counters[event] = self._counters.get(event, 0) + 1
        if self._threshold <= 10:
            self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Count `event`, and write it where level is info or lower."""
        self._counters[event] = self._counters.get(event, 0) + 1
        if self._threshold <= 20:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Count `event`, and write it where level is warning or lower."""
        self._counters[event] = self._counters.get(event, 0) + 1
        if self._threshold <= 30:
            self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Count `event` and write it, within the limits."""
        self._counters[event] = self._counters.get(event, 0) + 1
        self._write("error", event, fields)

    def count(self, event: str, amount: int = 1) -> None:
        """Count without a line."""
        self._counters[event] = self._counters.get(event, 0) + amount

    def counters(self) -> Mapping[str, int]:
        """A copy of all counters.

        `log_lines_dropped` counts lines that the stream did not take, `log_lines_left_out` those over the
        limits.
        """
        return dict(self._counters)

    def _write(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        if self._kept is not None and level in ("error", "warning"):
            self._kept.failed(level, event, {**self._whose(), **fields})
        if self._limits is not None and level != "debug":
            # Libraries share one event; one that floods must not silence the others.
            source = f"{event} {fields['logger']}" if event == "library_log" else event
            if not self._limits.take(source):
                self.count("log_lines_left_out")
                return
            for name, count in self._limits.left_out(source):
                self._put("warning", "log_lines_left_out", {"of": name, "count": count})
        self._put(level, event, fields)

    def _put(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        lines, write = self._lines, self._writers[level]
        if lines.missing:
            self._writers["warning"]("log_lines_dropped", count=lines.missing)
            if lines.has_taken:
                lines.missing = 0
        write(event, **named(fields))
        if not lines.has_taken:
            lines.missing += 1
            self.count("log_lines_dropped")

    def _complete(self, _logger: object, level: str, fields: EventDict) -> EventDict:
        """When and what comes first, who last."""
        event = fields.pop("event")
        head = {"time": timestamps.iso(self._wall()), "level": level, "event": event}
        if event in _NOTES:  # of nobody's facts in particular, whoever logs next
            return {**head, **fields}
        whose = {key: value for key, value in self._whose().items() if key not in fields}
        return {**head, **fields, **whose}

    def _rendered(self, _logger: object, _level: str, fields: EventDict) -> bytes:
        line = self._fitting(fields)
        if self._kept is not None:
            self._kept.wrote(fields, _COLOURS.sub(b"", line))
        return line

    def _fitting(self, fields: EventDict) -> bytes:
        """At most `LINE_LIMIT_BYTES`; where it would be longer its values are shorter."""
        for limit in _VALUE_LIMITS:
            line = self._render(fields, limit).encode()
            if len(line) <= LINE_LIMIT_BYTES:
                return line
        head = {key: fields[key] for key in ("time", "level", "event")}
        return self._render({**head, "fields_left_out": len(fields) - len(head)}, VALUE_LIMIT).encode()


class LibraryLogs(logging.Handler):
    """Brings what libraries log to telemetry, as the event `library_log`. Add it to the root logger."""

    def __init__(self, telemetry: LogTelemetry, *, level: Level = "warning") -> None:
        super().__init__(LEVELS[level])
        self._telemetry = telemetry

    def emit(self, record: logging.LogRecord) -> None:
        """Write and count one record."""
        fields: dict[str, object] = {"logger": record.name, "message": _Message(record)}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = record.exc_info[1]
        if record.levelno >= logging.ERROR:
            self._telemetry.error("library_log", **fields)
        elif record.levelno >= logging.WARNING:
            self._telemetry.warning("library_log", **fields)
        elif record.levelno >= logging.INFO:
            self._telemetry.info("library_log", **fields)
        else:
            self._telemetry.debug("library_log", **fields)


class _Message:
    """A record's text, made where a mistake in its arguments does no harm."""

    def __init__(self, record: logging.LogRecord) -> None:
        self._record = record

    def __str__(self) -> str:
        return self._record.getMessage()


class _Lines:
    """The logger that structlog's processors end in: writes whole lines, or does not. Never waits or raises.

    Attributes:
      has_taken: the last line was written.
      missing: those before it that were not, and that nobody was told of.
    """

    def __init__(self, stream: TextIO) -> None:
        self.missing = 0
        self.has_taken = True
        self._stream = stream
        try:
            self._descriptor: int | None = stream.fileno()
        except io.UnsupportedOperation:
            self._descriptor = None
            return
        self._writable = select.poll()
        self._writable.register(self._descriptor, select.POLLOUT)

    def write(self, line: bytes) -> None:
        self.has_taken = self._take(line)

    debug = info = warning = error = write

    def _take(self, line: bytes) -> bool:
        if self._descriptor is None:
            self._stream.write(f"{line.decode()}\n")
            return True
        try:
            if not self._writable.poll(0):
                return False
            os.write(self._descriptor, line + b"\n")
        except OSError:
            return False
        return True
