"""
What is wrong with a configuration, and where.

Checks collect `Diagnostic` values, so that one run reports every problem of a file; whoever needs
a good configuration raises them together as one `ConfigError`. A diagnostic points at a file, a
line and a column as an editor counts them, and prints as `file:line:col: message [code]`.
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
class Related:
    """Another place that has to do with a problem, such as the first of two routes of one name."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return escape(f"{self.file}:{self.line}:{self.column}: note: {self.message}")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """
    One problem at one place. Diagnostics sort by file, line and column.

    `line` and `column` count from 1, columns in code points. `end_column` is the column after the
    last character meant; None where that is not known. It is in line `end_line`, or in `line` where
    that is None. `code` is stable, kebab-case, and explained in codes.py. `hint` says what to do,
    and is printed after the message; `related` places are printed below it.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "error"
    end_column: int | None = None
    hint: str = ""
    end_line: int | None = None
    related: tuple[Related, ...] = ()

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
    """
    A configuration that cannot be used: all of its problems, in order.

    `inputs` are the files that were read or looked for, so that a watcher knows what to watch
    until the configuration is mended. `sources` are the lines of files by their names in the
    diagnostics, as far as they were kept: of one that came from elsewhere nobody can read them
    again.
    """

    def __init__(
        self,
        diagnostics: Iterable[Diagnostic],
        inputs: Iterable[Path] = (),
        sources: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics))
        self.inputs: tuple[Path, ...] = tuple(inputs)
        self.sources: Mapping[str, Sequence[str]] = sources
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))

    @property
    def is_unreadable(self) -> bool:
        """Whether there is a file, and nothing of it could be read: a folder, or missing rights."""
        return any(one.code in _UNREADABLE for one in self.diagnostics)


_UNREADABLE = frozenset({"file-is-a-folder", "file-not-readable"})


def render(
    diagnostic: Diagnostic,
    source_lines: Sequence[str],
    others: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """
    The diagnostic's text, then its source line with a caret under the place.

    Without the line when the file has none of that number. Carets are right for wide characters
    and tabs; what a terminal would act upon is escaped; of a long line the part around the caret
    is shown. Related places follow in the same way; the lines of other files are in `others`, by
    their names.
    """
    return "\n".join(line for part in parts(diagnostic, source_lines, others) for line in part)


def parts(
    diagnostic: Diagnostic, source_lines: Sequence[str], others: Mapping[str, Sequence[str]]
) -> Iterator[list[str]]:
    """What `render` is made of: a text, often with source line and caret, for each place."""
    end = diagnostic.end_column
    if diagnostic.end_line is not None and diagnostic.end_line > diagnostic.line:
        end = _TO_THE_END
    excerpt = _excerpt(source_lines, diagnostic.line, diagnostic.column, end)
    yield [str(diagnostic), *excerpt]
    for related in diagnostic.related:
        same = related.file == diagnostic.file
        lines = source_lines if same else others.get(related.file, ())
        yield [str(related), *_excerpt(lines, related.line, related.column, None)]


_TO_THE_END = sys.maxsize
"""A column behind every line."""


def _excerpt(lines: Sequence[str], line: int, column: int, end_column: int | None) -> list[str]:
    """The line and its carets; nothing if there is no such line."""
    if not 1 <= line <= len(lines):
        return []
    source = lines[line - 1]
    start = min(column - 1, len(source))
    first, last, before, after = _window(source, start)
    end = start + 1 if end_column is None else end_column - 1
    end = min(max(end, start + 1), last)
    lead = before + "".join(map(_cell, source[first:start]))
    marked = "".join(map(_cell, source[start:end]))
    tail = "".join(map(_cell, source[end:last])) + after
    gutter = str(line)
    carets = "^" + "~" * (_width(marked) - 1)
    return [
        f"{gutter} | {lead}{marked}{tail}",
        f"{' ' * len(gutter)} | {' ' * _width(lead)}{carets}",
    ]


def closest(word: str, known: Iterable[str]) -> str:
    """What to say after an unknown word: a likely one if there is, then everything allowed."""
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
    if likely is None or len(same) > 1:  # nobody knows which of several numbers was meant
        return allowed
    return f"did you mean `{likely}`? {allowed}"


_MOST_NAMES = 40


def _by_number(name: str) -> list[tuple[int, str]]:
    """Sorts `performance-2x` before `performance-10x`."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in _DIGITS.split(name)]


_DIGITS = re.compile(r"([0-9]{1,9})")


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def escape(text: str) -> str:
    """The text with everything written out that a terminal would not show as a character."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


_TAB = "    "
_SHOWN_FROM_START, _SHOWN_AROUND = 120, 40
"""Code points of a long line that are shown: of its beginning, or on each side of the caret."""


def _window(source: str, start: int) -> tuple[int, int, str, str]:
    """The part of a line to show around `start`: from, to, and what stands for the rest."""
    if start < _SHOWN_FROM_START - _SHOWN_AROUND:
        first, last = 0, min(len(source), _SHOWN_FROM_START)
    else:
        first, last = start - _SHOWN_AROUND, min(len(source), start + _SHOWN_AROUND)
    return first, last, "..." if first else "", "..." if last < len(source) else ""


def _cell(character: str) -> str:
    return _TAB if character == "\t" else escape(character)


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def counted(count: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
