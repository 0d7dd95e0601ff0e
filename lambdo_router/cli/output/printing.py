"""
Results on stdout, and problems on stderr.

Output is coloured only at a terminal, and not if NO_COLOR is set.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from lambdo_router.cli.output.layout import is_coloured
from lambdo_router.config.diagnostics import Diagnostic, escape, parts
from lambdo_router.config.read.text import source_lines


def print_diagnostics(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Sequence[str]] | None = None
) -> None:
    """
    Print each diagnostic and its related places on stderr, with source lines and carets.

    `sources` has the lines of files by their names in the diagnostics; another file is read, and
    without a source line if that fails.
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
    """Print an error without a place in a file; answers of SQS or Fly may be in it."""
    _to_stderr(f"{click.style('error:', fg='red', bold=True)} {visible(message)}")


def print_warning(message: str) -> None:
    """Print a warning without a place in a file; text of senders may be in it."""
    _to_stderr(f"{click.style('warning:', fg='yellow', bold=True)} {escape(message)}")


def print_result(text: str) -> None:
    """Print a result on stdout."""
    click.echo(visible(text))


def print_raw(text: str) -> None:
    """
    Print a sender's text on stdout, byte for byte and with nothing after it.

    At a terminal, control characters are escaped, except tabs and newlines.
    """
    if sys.stdout.isatty():
        click.echo(visible(text), nl=False)
    else:
        click.echo(text.encode("utf-8", "surrogatepass"), nl=False)


def visible(text: str) -> str:
    """Escape control characters, except tabs and newlines."""
    return "".join(c if c in "\n\t" else escape(c) for c in text)


def _lines(file: str) -> list[str]:
    try:
        return source_lines(Path(file).read_text("utf-8"))
    except (OSError, ValueError):
        return []


def _coloured(part: Sequence[str], colour: str) -> str:
    """Return a text with its place in bold and its carets in that colour."""
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
    click.echo(text, err=True, color=is_coloured(sys.stderr))
