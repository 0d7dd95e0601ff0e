"""
Frees what a large file was read into without holding up the process.

Python frees a value in one go with all that it holds, and runs nothing else meanwhile, whatever
thread it is in: 0.1 s for 10,000 routes. So the pieces of a value are held until it is gone itself,
and then dropped one after the other, in a thread that others may interrupt.
"""

import weakref
from collections.abc import Sequence
from threading import Timer
from typing import Final

_FEW: Final = 1_000
"""Pieces that are not worth a thread."""
_SOON: Final = 0.1
"""Seconds until whoever drops a value is done with it, and only the pieces are left."""


def free_in_pieces(value: object, pieces: Sequence[object]) -> None:
    """Have these parts of a value freed one by one after it is freed."""
    if len(pieces) > _FEW:
        weakref.finalize(value, _drop_soon, list(pieces)).atexit = False


def _drop_soon(pieces: list[object]) -> None:
    timer = Timer(_SOON, _drop, [pieces])
    timer.daemon = True
    timer.start()


def _drop(pieces: list[object]) -> None:
    while pieces:
        pieces.pop()
