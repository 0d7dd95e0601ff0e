"""
A JSON array that is parsed as it arrives.

Fly lists an app's Machines in one array, including those destroyed in the last 48 hours: at one
launch a second, 170,000 Machines in 100 MB of JSON. Parsed as a whole that is more than the memory
of the Machine that a router runs in. So each element is returned once it is complete, and dropped.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

_LONGEST: Final = 4 * 1024 * 1024
"""Characters of one element: a Machine with all its files has a quarter of that."""
_SHORT: Final = 4 * 1024
"""Characters, of which another look costs nothing."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


class ElementsOfArray:
    """Takes a JSON array in pieces of text. Raises ValueError for what is none."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._worth_a_look = 0
        """The size from which on. A look is at a whole element: a long one has to double first, or
        the looks would cost the square of its length."""
        self._expects = "["
        """What is to come: `[`, `first` (an element or the end), `element`, `comma` or `end`."""

    def feed(self, text: str) -> Iterator[object]:
        """Return the elements that this text completes; long ones may be returned later."""
        self._parts.append(text)
        self._size += len(text)
        if self._size >= self._worth_a_look:
            yield from self._look()

    def close(self) -> Iterator[object]:
        """Return the remaining elements at the end. Raises ValueError for a cut array."""
        yield from self._look()
        if self._expects != "end":
            raise ValueError("the array is cut off")

    def _look(self) -> Iterator[object]:
        rest, at = "".join(self._parts), 0
        while (at := _after_space(rest, at)) < len(rest):
            letter = rest[at]
            if self._expects in ("[", "comma"):
                at += 1
                self._expects = self._after_mark(letter)
            elif self._expects == "first" and letter == "]":
                at += 1
                self._expects = "end"
            elif self._expects == "end":
                raise ValueError("something follows the array")
            else:
                complete = _element(rest, at)
                if complete is None:
                    break
                element, at = complete
                self._expects = "comma"
                yield element
        self._parts, self._size = [rest[at:]], len(rest) - at
        if self._size > _LONGEST:
            raise ValueError("an element of the array is broken, or longer than any Machine")
        self._worth_a_look = min(2 * self._size, _LONGEST) if self._size > _SHORT else 0

    def _after_mark(self, letter: str) -> str:
        if self._expects == "comma":
            return "element" if letter == "," else "end"
        if letter != "[":
            raise ValueError(f"no array: it begins with {letter!r}")
        return "first"


def _element(text: str, at: int) -> tuple[object, int] | None:
    """Return the element that begins here, and its end; None while it is incomplete."""
    try:
        element, end = _DECODER.raw_decode(text, at)
    except ValueError:
        return None
    # 12 may be the beginning of 123, and 1e the one of 1e9: what follows decides.
    after = _after_space(text, end)
    return (element, end) if text[after : after + 1] in (",", "]") else None


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
