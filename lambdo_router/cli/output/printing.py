"""
How commands speak: results on stdout, what is wrong on stderr.

Colours are for people at a terminal: never in a file or a pipe, and not where NO_COLOR is set.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from lambdo_router.config.diagnostics import Diagnostic, escape, parts
from lambdo_router.config.read.yaml_loader import source_lines


def print_diagnostics(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]] | None = None
) -> None:
    """
    Each diagnostic on stderr, with its source line and a caret, and so its related places.

    `sources` are the lines of each file by its name in the diagnostics; a file that is not there
    is read, and if that fails, its diagnostics have no source line.
    """
    known = dict(sources or {})
    for diagnostic in diagnostics:
        for file in (diagnostic.file, *(related.file for related in diagnostic.related)):
            if file not in known:
                known[file] = _lines(file)
        colour = "yellow" if diagnostic.severity == "warning" else "red"
        for number, part in enumerate(parts(diagnostic, known[diagnostic.file], known)):
            _to_stderr(_coloured(part, colour if number == 0 else "cyan"))


def print_error(message: str) -> None:
    """One error that has no place in a file; what SQS or Fly said may be in it."""
    _to_stderr(f"{click.style('error:', fg='red', bold=True)} {visible(message)}")


def print_warning(message: str) -> None:
    """One warning that has no place in a file; what senders wrote may be in it."""
    _to_stderr(f"{click.style('warning:', fg='yellow', bold=True)} {escape(message)}")


def print_result(text: str) -> None:
    """What a command found out, on stdout."""
    click.echo(visible(text))


def print_raw(text: str) -> None:
    """
    A text that a sender wrote, letter by letter and with nothing after it, on stdout.

    A terminal would act upon some letters; there they are written out, but for tabs and line ends.
    """
    if sys.stdout.isatty():
        click.echo(visible(text), nl=False)
    else:
        click.echo(text.encode("utf-8", "surrogatepass"), nl=False)


def visible(text: str) -> str:
    """The text with everything escaped that a terminal would act upon, but for tabs and lines."""
    return "".join(c if c in "\n\t" else escape(c) for c in text)


def _lines(file: str) -> list[str]:
    try:
        return source_lines(Path(file).read_text("utf-8"))
    except (OSError, ValueError):
        return []


def _coloured(part: Sequence[str], colour: str) -> str:
    """A text, with its place in bold, and the carets in that colour."""
    text, *excerpt = part
    place = _PLACE.match(text)
    end = 0 if place is None else place.end()
    shown = [click.style(text[:end], bold=True) + text[end:]]
    if excerpt:
        source, carets = excerpt
        gutter, bar, marks = carets.partition("| ")
        shown += [source, gutter + bar + click.style(marks, fg=colour, bold=True)]
    return "\n".join(shown)


_PLACE = re.compile(r".*?:[0-9]+:[0-9]+: ")


def _to_stderr(text: str) -> None:
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    click.echo(text, err=True, color=coloured)
