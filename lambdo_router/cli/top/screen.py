"""The screen of `top`: tables that fit the terminal, drawn by rich."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from lambdo_router.cli.status.tables import (
    Document,
    Table,
    clock,
    concerns,
    headline,
    tables,
)

_STYLES: Final = {"good": "green", "poor": "yellow", "bad": "red", "quiet": "dim", "plain": ""}
_NARROW: Final = 100
"""Columns; below them only the first few columns of a table are shown."""
_FEW: Final = 5
_PRINTED: Final = 15
_WIDE: Final = 160
"""Columns where there is no terminal to say how many fit."""


class Screen:
    """Draws statuses, one over the other."""

    def __init__(self, url: str, console: Console | None = None) -> None:
        """`url` is shown, so that one of several screens is told from the others."""
        made = console or Console(markup=False, emoji=False, highlight=False)
        if console is None and not made.is_terminal:
            made = Console(markup=False, emoji=False, highlight=False, width=_WIDE)
        self._console = made
        self._url = url
        self._live = Live(console=made, screen=True, auto_refresh=False)

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal that can be drawn on again and again."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def live(self) -> AbstractContextManager[Live]:
        """Draw on the whole terminal for as long as the block lasts."""
        return self._live

    def show(self, status: Document, problem: str) -> None:
        """Draw a status; `problem` is why there is no newer one."""
        self._live.update(Group(*self.parts(status, problem)), refresh=True)

    def print_once(self, status: Document) -> None:
        """Print it all below each other."""
        for part in self._head(status, ""):
            self._console.print(part, soft_wrap=True)
        for table in tables(status, _PRINTED):
            self._console.print()
            self._console.print(self._drawn(table))

    def parts(self, status: Document, problem: str) -> Iterator[ConsoleRenderable]:
        """What fits: the head, then table by table while there is room."""
        room = self._console.height
        for part in self._head(status, problem):
            if room <= 1:
                return
            part.truncate(self._console.width, overflow="ellipsis")
            yield part
            room -= 1
        for table in tables(status, _PRINTED):
            fitting = _fitting(table, room - 2)
            if not fitting.rows:
                return
            yield Text()
            yield self._drawn(fitting)
            room -= 2 + len(fitting.rows)

    def _head(self, status: Document, problem: str) -> Iterator[Text]:
        word, sentence = headline(status)
        first = Text.assemble((word.text, f"bold {_STYLES[word.tone]}"), "  ", sentence)
        wide = self._console.width >= _NARROW
        first.append(f"  {self._url} {clock(status['at'])}" if wide else "", "dim")
        yield first
        if problem:
            yield Text(problem, "red")
        for name, why in concerns(status):
            yield Text.assemble("  ", (name.text, _STYLES[name.tone]), " ", why)

    def _drawn(self, table: Table) -> RichTable:
        narrow = self._console.width < _NARROW
        count = min(len(table.columns), _FEW) if narrow else len(table.columns)
        drawn = RichTable(box=None, pad_edge=False, show_edge=False, header_style="dim")
        for at, name in enumerate(table.columns[:count]):
            right = table.rows[0].cells[at].right
            drawn.add_column(
                name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
            )
        explained = any(row.notes for row in table.rows)
        if explained:
            drawn.add_column("why", overflow="ellipsis")  # the one that gives way
        for row in table.rows:
            cells = [Text(cell.text, _STYLES[cell.tone]) for cell in row.cells[:count]]
            why = Text("; ".join(map(str.strip, row.notes)), no_wrap=True, overflow="ellipsis")
            drawn.add_row(*cells, *([why] if explained else []))
        return drawn


def _fitting(table: Table, lines: int) -> Table:
    return Table(table.title, table.columns, table.rows[: max(0, lines)], table.more)
