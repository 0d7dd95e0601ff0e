"""
What is wrong with a configuration, and where.

Checks collect `Diagnostic` values, so that one run reports every problem of a file; whoever needs
a good configuration raises them together as one `ConfigError`. A diagnostic points at a file, a
line and a column as an editor counts them, and prints as `file:line:col: message [code]`.
"""

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lambdo_router.errors import LambdoError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """
    One problem at one place. Diagnostics sort by file, line and column.

    `line` and `column` count from 1, columns in code points. `end_column` is the column after the
    last character meant, on the same line; None where that is not known. `code` is stable and
    kebab-case. `hint` says what to do, and is printed after the message.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "error"
    end_column: int | None = None
    hint: str = ""

    def __str__(self) -> str:
        kind = "warning: " if self.severity == "warning" else ""
        text = f"{self.message}; {self.hint}" if self.hint else self.message
        return escape(f"{self.file}:{self.line}:{self.column}: {kind}{text} [{self.code}]")

    def __lt__(self, other: "Diagnostic") -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[str, int, int, str, str]:
        return (self.file, self.line, self.column, self.code, self.message)


class ConfigError(LambdoError):
    """
    A configuration that cannot be used: all of its problems, in order.

    `inputs` are the files that were read or looked for, so that a watcher knows what to watch
    until the configuration is mended.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], inputs: Iterable[Path] = ()) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics))
        self.inputs: tuple[Path, ...] = tuple(inputs)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


def render(diagnostic: Diagnostic, source_lines: Sequence[str]) -> str:
    """
    The diagnostic's text, then its source line with a caret under the place.

    Without the line when the file has none of that number. Carets are right for wide characters
    and tabs; what a terminal would act upon is escaped; of a long line the part around the caret
    is shown.
    """
    if not 1 <= diagnostic.line <= len(source_lines):
        return str(diagnostic)
    source = source_lines[diagnostic.line - 1]
    start = min(diagnostic.column - 1, len(source))
    first, last, before, after = _window(source, start)
    end = start + 1 if diagnostic.end_column is None else diagnostic.end_column - 1
    end = min(max(end, start + 1), last)
    lead = before + "".join(map(_cell, source[first:start]))
    marked = "".join(map(_cell, source[start:end]))
    tail = "".join(map(_cell, source[end:last])) + after
    gutter = str(diagnostic.line)
    carets = "^" + "~" * (_width(marked) - 1)
    return "\n".join(
        [
            str(diagnostic),
            f"{gutter} | {lead}{marked}{tail}",
            f"{' ' * len(gutter)} | {' ' * _width(lead)}{carets}",
        ]
    )


def closest(word: str, known: Iterable[str]) -> str:
    """What to say after an unknown word: a likely one if there is, then everything allowed."""
    names = sorted(known)
    if not names:
        return "none is defined"
    allowed = "allowed are: " + ", ".join(names)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean `{near[0]}`? {allowed}" if near else allowed


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
