"""Durations and sizes: numbers with a unit. A bare number is neither: its unit would be a guess."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}
_NUMBER_AND_UNIT = re.compile(r"([0-9]{1,9})([a-z]+)")


def parse_duration(text: str) -> float:
    """Return the seconds in `250ms`, `5s`, `2m`, `1h`. ValueError says what is allowed."""
    found = _NUMBER_AND_UNIT.fullmatch(text)
    if found is None or found[2] not in _SECONDS:
        raise ValueError("write a whole number and a unit (ms, s, m or h), like 5s")
    # Milliseconds are divided, not multiplied: 250 * 0.001 is not the nearest float to 0.25.
    return int(found[1]) / 1000 if found[2] == "ms" else int(found[1]) * _SECONDS[found[2]]


def parse_size(text: str) -> int:
    """Return the bytes in `512kb`, `64mb`, `4gb` (1kb = 1024). ValueError says what is allowed."""
    found = _NUMBER_AND_UNIT.fullmatch(text)
    if found is None or found[2] not in _BYTES:
        raise ValueError("write a whole number and a unit (kb, mb or gb), like 512kb")
    return int(found[1]) * _BYTES[found[2]]


def size_text(count: int) -> str:
    """Return bytes as `parse_size` reads them, in the largest unit that divides them."""
    for unit, size in reversed(_BYTES.items()):
        if count >= size and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count} bytes"
