"""
Lines and columns on stdout.

Senders may have written parts of them, so everything is escaped. Lines are never cut or folded, so
that `grep` works on them.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

import click

from lambdo_router.config.diagnostics import escape

_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def say(text: str = "", *, indent: str = "", mark: str = "") -> None:
    """Print one line, after a mark that is coloured at a terminal."""
    lead = f"{click.style(mark, fg=_COLOURS.get(mark), bold=True)} " if mark else ""
    click.echo(f"{indent}{lead}{escape(text)}", color=is_coloured(sys.stdout))


def is_coloured(stream: TextIO) -> bool:
    """Return whether to colour output on this stream."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Return the rows as lines; each column is as wide as its widest cell."""
    from rich.cells import cell_len  # slow to load, and most commands have no columns

    cells = [[escape(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [
        indent
        + "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
