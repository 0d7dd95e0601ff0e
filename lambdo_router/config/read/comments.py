"""
The comments of a YAML file, which YAML's parsers drop.

A `#` in a text begins none. So scalars are crossed out first, at the positions that the parser
reports; a `#` that is left, at the beginning of a line or after a space, begins a comment.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lambdo_router.config.read.yaml_loader import Span, scalar_spans

_HEADER = re.compile("[|>][-+0-9]*")
_COMMENT = re.compile(r"(?:^|(?<=[ \t]))#")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, from its `#` to the end of its line. Line and column count from 1."""

    line: int
    column: int
    text: str
    alone: bool
    """Whether there is only space before it."""


def comments(lines: Sequence[str], wanted: Callable[[str], bool]) -> Iterator[Comment]:
    """
    Yield the comments in those lines of a YAML file that are wanted.

    `wanted` decides about each line as a whole, before anything is parsed; if it wants none,
    nothing is. A file that is not YAML has no comments.
    """
    left = {number: line for number, line in enumerate(lines) if wanted(line)}
    spans = scalar_spans("\n".join(lines)) if left else None
    if spans is None:
        return
    for span in spans:
        for number in range(span[0], span[2] + 1):
            if number in left:
                left[number] = _without(lines, left[number], number, span)
    for number, line in left.items():
        found = _COMMENT.search(line)
        if found is not None:
            column = found.start()
            alone = not line[:column].strip()
            yield Comment(number + 1, column + 1, lines[number][column:], alone)


def _without(lines: Sequence[str], line: str, number: int, span: Span) -> str:
    """Return the line with the part of the scalar in it crossed out."""
    first, start, last, end = span
    begin = start if number == first else 0
    stop = end if number == last else len(line)
    if number == first and (header := _HEADER.match(lines[first], start)):
        stop = min(stop, header.end())  # a comment may follow the `|` of a block scalar
    return line[:begin] + "x" * (stop - begin) + line[stop:]
