"""
Write a line as text or JSON to stderr, safely.

Senders write part of the log: names, details, errors that quote them. In text, control characters
and line breaks are escaped, and a value that could be taken for another field is quoted. JSON is
ASCII and quotes by itself. Long values are cut and say by how much. A log that nobody reads any
more (a closed pipe) stops nothing.
"""

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TextIO

from lambdo_router.core.structured_log import structlog

Form = Literal["text", "json"]

_Fields = MutableMapping[str, Any]

_LONGEST_IN_JSON: Final = 2_000
"""Characters of one value."""
_LONGEST_IN_TEXT: Final = 500
_MOST: Final = 50
"""Items of a list."""
_CUT: Final = (str, list, tuple, dict)
_LONGEST_TRACEBACK: Final = 20_000
_SEPARATORS: Final = frozenset(" =\"'\\[]{},")
_EVENT_WIDTH: Final = 24
_encode: Final = json.JSONEncoder(default=str).encode


class Printer:
    """The end of structlog's chain: writes finished lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Reentrant: Python may raise a warning anywhere, also in the middle of a write.
        self._lock = threading.RLock()

    def info(self, line: str) -> None:
        """Write a line of any level."""
        # ValueError: closed. OSError: a pipe without a reader, a full disk.
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = warning = error = critical = exception = info


def renderers(form: Form) -> list[structlog.typing.Processor]:
    """Return the last processors of a chain: those that make text of an event's fields."""
    if form == "json":
        cut = _Cut(_LONGEST_IN_JSON)
        traced = structlog.processors.ExceptionRenderer(_traceback)
        return [traced, cut, _json]
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return [_Cut(_LONGEST_IN_TEXT), _without_none, _console(colours=colours)]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Shortens long values and says by how much."""

    longest: int

    def __call__(self, _logger: object, _method: str, fields: _Fields) -> _Fields:
        for name, value in fields.items():
            long = len(value) > self.longest if value.__class__ is str else isinstance(value, _CUT)
            if long and name != "exception":
                fields[name] = self._shortened(value)
        return fields

    def _shortened(self, value: Any) -> Any:  # noqa: ANN401 - any value of any field
        if isinstance(value, str):
            more = len(value) - self.longest
            return value if more <= 0 else f"{value[: self.longest]}... ({more} more characters)"
        if isinstance(value, dict):
            return {name: self._shortened(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            shown = [self._shortened(item) for item in value[:_MOST]]
            more = len(value) - _MOST
            return shown if more <= 0 else [*shown, f"... ({more} more)"]
        return value


def _json(_logger: object, _method: str, fields: _Fields) -> str:
    first = {name: fields.pop(name) for name in ("timestamp", "level", "event")}
    return _encode({**first, **fields})


def _without_none(_logger: object, _method: str, fields: _Fields) -> _Fields:
    return {name: value for name, value in fields.items() if value is not None}


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    """Return the traceback, or only the tail of a very long one: the cause is at its end."""
    text = "".join(traceback.format_exception(exc_info[1])).rstrip("\n")
    left_out = len(text) - _LONGEST_TRACEBACK
    return text if left_out <= 0 else f"({left_out} characters left out) ...{text[left_out:]}"


def shown(value: object) -> str:
    """Return a value as text, quoted if it could be taken for something else."""
    if not isinstance(value, str):
        return repr(value)
    plain = bool(value) and value.isprintable() and _SEPARATORS.isdisjoint(value)
    return value if plain else repr(value)


def escaped(text: str) -> str:
    """Return the text with every invisible character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _console(*, colours: bool) -> structlog.dev.ConsoleRenderer:
    style = structlog.dev.ConsoleRenderer.get_default_column_styles(colours)
    levels = structlog.dev.ConsoleRenderer.get_default_level_styles(colours)
    column, pairs = structlog.dev.Column, structlog.dev.KeyValueColumnFormatter

    def bare(colour: str, represent: Callable[[object], str], width: int = 0) -> Any:  # noqa: ANN401 - a column formatter
        return pairs(None, colour, style.reset, represent, width=width)

    return structlog.dev.ConsoleRenderer(
        columns=[
            column("timestamp", bare(style.timestamp, str)),
            column("level", structlog.dev.LogLevelColumnFormatter(levels, style.reset)),
            column("event", bare(style.bright, lambda event: escaped(str(event)), _EVENT_WIDTH)),
            column("", pairs(style.kv_key, style.kv_value, style.reset, shown)),
        ],
        exception_formatter=_indented,
        sort_keys=False,
    )


def _indented(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """Write a traceback of which no line can be taken for a line of the log."""
    stream.writelines(f"\n    {escaped(line)}" for line in _traceback(exc_info).split("\n"))
