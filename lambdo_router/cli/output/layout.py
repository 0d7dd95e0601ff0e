"""
Lines and columns on stdout, for commands that tell more than a result.

What is in them may come from whoever may send messages, so all of it is escaped. Lines are never
cut or folded: a terminal wraps them, and `grep` finds what it looks for.
"""

import os
import sys
from collections.abc import Iterable, Sequence

import click
from rich.cells import cell_len

from lambdo_router.config.diagnostics import escape

_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def say(text: str = "", *, indent: str = "", mark: str = "") -> None:
    """One line, with a mark before it that is coloured at a terminal."""
    lead = f"{click.style(mark, fg=_COLOURS.get(mark), bold=True)} " if mark else ""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(f"{indent}{lead}{escape(text)}", color=coloured)


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """The rows as lines; each column is as wide as its widest cell, the last one as it comes."""
    cells = [[escape(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return [
        indent
        + "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
