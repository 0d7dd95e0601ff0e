"""
What is wrong with a configuration, and where.

Checks collect `Diagnostic` values, so that one run reports every problem of a file. Who needs a
valid configuration raises them together as one `ConfigError`. A diagnostic points at a file, line
and column as editors count them, and prints as `file:line:col: message [code]`.
"""

import difflib
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from lambdo_router.core.errors import LambdoError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line and column from 1, columns in code points."""

    file: str
    line: int
    column: int
    end_column: int | None = None
    """The column after the last character on the same line; None if unknown."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def diagnose(
        self, code: str, message: str, severity: Severity = "error", hint: str = ""
    ) -> "Diagnostic":
        """Return a diagnostic at this place."""
        at = (self.file, self.line, self.column)
        return Diagnostic(*at, code, message, severity, self.end_column, hint)

    def related(self, message: str) -> "Related":
        """Return this place as one related to a problem elsewhere."""
        return Related(self.file, self.line, self.column, message)


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that a problem is about, such as the first of two routes of one name."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return escape(f"{self.file}:{self.line}:{self.column}: note: {self.message}")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem at one place, from 1, columns in code points. Sorts by file, line and column."""

    file: str
    line: int
    column: int
    code: str
    """Stable, kebab-case, and explained in codes.py."""
    message: str
    severity: Severity = "error"
    end_column: int | None = None
    """The column after the last character, in `end_line`; None if unknown."""
    hint: str = ""
    """What to do. Printed after the message."""
    end_line: int | None = None
    """None stands for `line`."""
    related: tuple[Related, ...] = ()
    """Printed below the message."""

    def __str__(self) -> str:
        kind = "warning: " if self.severity == "warning" else ""
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return escape(f"{self.file}:{self.line}:{self.column}: {kind}{text} [{self.code}]")

    def __lt__(self, other: "Diagnostic") -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[str, int, int, str, str, str, str]:
        return (
            *(self.file, self.line, self.column),
            *(self.code, self.message, self.hint, self.severity),
        )


class ConfigError(LambdoError):
    """A configuration that cannot be used, with all of its problems."""

    def __init__(
        self,
        diagnostics: Iterable[Diagnostic],
        inputs: Iterable[Path] = (),
        sources: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """
        Sort the problems.

        `inputs` are the files that were read or looked for, to be watched until they are fixed.
        `sources` are lines of files by their names in the diagnostics, as far as they were kept:
        a file that was fetched from elsewhere cannot be read again.
        """
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics))
        self.inputs: tuple[Path, ...] = tuple(inputs)
        self.sources: Mapping[str, Sequence[str]] = sources
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))

    @property
    def is_unreadable(self) -> bool:
        """Whether the file exists and cannot be read: a folder, or missing permissions."""
        return any(one.code in _UNREADABLE for one in self.diagnostics)


_UNREADABLE = frozenset({"file-is-a-folder", "file-not-readable"})


def render(
    diagnostic: Diagnostic,
    source_lines: Sequence[str],
    others: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """
    Return the diagnostic's text, then its source line with a caret under the place.

    Carets are right for wide characters and tabs; what a terminal would act upon is escaped; of a
    long line the part around the caret is shown. Related places follow in the same way; the lines
    of other files are in `others`, by name.
    """
    return "\n".join(line for part in parts(diagnostic, source_lines, others) for line in part)


def parts(
    diagnostic: Diagnostic, source_lines: Sequence[str], others: Mapping[str, Sequence[str]]
) -> Iterator[list[str]]:
    """Yield the lines that `render` joins, for each place: its text, source line and caret."""
    end = diagnostic.end_column
    if diagnostic.end_line is not None and diagnostic.end_line > diagnostic.line:
        end = sys.maxsize
    excerpt = _excerpt(source_lines, diagnostic.line, diagnostic.column, end)
    yield [str(diagnostic), *excerpt]
    for related in diagnostic.related:
        same = related.file == diagnostic.file
        lines = source_lines if same else others.get(related.file, ())
        yield [str(related), *_excerpt(lines, related.line, related.column, None)]


def _excerpt(lines: Sequence[str], line: int, column: int, end_column: int | None) -> list[str]:
    """Return the line and its carets; nothing if there is no such line."""
    if not 1 <= line <= len(lines):
        return []
    source = lines[line - 1]
    start = min(column - 1, len(source))
    first, last = _window(source, start)
    end = start + 1 if end_column is None else end_column - 1
    end = min(max(end, start + 1), last)
    lead = ("..." if first else "") + "".join(map(_cell, source[first:start]))
    marked = "".join(map(_cell, source[start:end]))
    tail = "".join(map(_cell, source[end:last])) + ("..." if last < len(source) else "")
    gutter = str(line)
    carets = "^" + "~" * (_width(marked) - 1)
    return [
        f"{gutter} | {lead}{marked}{tail}",
        f"{' ' * len(gutter)} | {' ' * _width(lead)}{carets}",
    ]


def closest(word: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown word: a likely one if there is one, then what is allowed."""
    names = sorted(known, key=_by_number)
    if not names:
        return "none is defined"
    allowed = "allowed are: " + ", ".join(names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        allowed += f" and {len(names) - _MOST_NAMES} more"
    near = difflib.get_close_matches(word, names, n=len(names))
    # Of several that are equally near, the first of those listed.
    likely = max((n for n in names if n in near), key=lambda n: _likeness(n, word), default=None)
    same = [n for n in near if _DIGITS.sub("", n) == _DIGITS.sub("", word)]
    if likely is None or len(same) > 1:  # which of several numbers was meant is unknown
        return allowed
    return f"did you mean `{likely}`? {allowed}"


_MOST_NAMES = 40
_DIGITS = re.compile(r"([0-9]{1,9})")


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sort `performance-2x` before `performance-10x`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def escape(text: str) -> str:
    """Write out everything that a terminal would not show as a character."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


_SHOWN_FROM_START, _SHOWN_AROUND = 120, 40
"""Code points of a long line that are shown: of its beginning, or on each side of the caret."""


def _window(source: str, start: int) -> tuple[int, int]:
    """Return the part of a line to show around `start`."""
    if start < _SHOWN_FROM_START - _SHOWN_AROUND:
        return 0, min(len(source), _SHOWN_FROM_START)
    return start - _SHOWN_AROUND, min(len(source), start + _SHOWN_AROUND)


def _cell(character: str) -> str:
    return "    " if character == "\t" else escape(character)


def _width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def counted(count: int, noun: str) -> str:
    """Return `1 route`, `2 routes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
