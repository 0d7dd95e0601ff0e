"""
How commands speak: results on stdout, what is wrong on stderr.

Colours are for people at a terminal: never in a file or a pipe, and not where NO_COLOR is set.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from lambdo_router.config.diagnostics import Diagnostic, escape, render
from lambdo_router.config.document import source_lines


def print_diagnostics(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]] | None = None
) -> None:
    """
    Each diagnostic on stderr, with its source line and a caret.

    `sources` are the lines of each file by its name in the diagnostics; a file that is not there
    is read, and if that fails, its diagnostics have no source line.
    """
    known = dict(sources or {})
    for diagnostic in diagnostics:
        if diagnostic.file not in known:
            known[diagnostic.file] = _lines(diagnostic.file)
        _to_stderr(_coloured(diagnostic, render(diagnostic, known[diagnostic.file])))


def print_error(message: str) -> None:
    """One error that has no place in a file."""
    _to_stderr(f"{click.style('error:', fg='red', bold=True)} {message}")


def print_warning(message: str) -> None:
    """One warning that has no place in a file; what senders wrote may be in it."""
    _to_stderr(f"{click.style('warning:', fg='yellow', bold=True)} {escape(message)}")


def print_result(text: str) -> None:
    """What a command found out, on stdout."""
    click.echo(text)


def counted(count: int, noun: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _lines(file: str) -> list[str]:
    try:
        return source_lines(Path(file).read_text("utf-8"))
    except (OSError, ValueError):
        return []


def _coloured(diagnostic: Diagnostic, text: str) -> str:
    head, *rest = text.split("\n")
    colour = "yellow" if diagnostic.severity == "warning" else "red"
    place, middle, message = head.partition(f":{diagnostic.line}:{diagnostic.column}: ")
    shown = [click.style(f"{place}{middle}", bold=True) + message]
    if rest:
        source, carets = rest
        gutter, bar, marks = carets.partition("| ")
        shown += [source, gutter + bar + click.style(marks, fg=colour, bold=True)]
    return "\n".join(shown)


def _to_stderr(text: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    click.echo(text, err=True, color=coloured)
