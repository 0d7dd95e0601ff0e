"""
A JSON array that is read as it comes.

Fly lists an app's Machines in one array, those destroyed in the last 48 hours included: at one
launch a second, 170,000 of them, and 100 MB of JSON. Held as a whole, with what Python makes of it,
that is more than the memory of the Machine that a router runs in. So each element is handed out
once it is complete, and forgotten.
"""

import json
from collections.abc import Iterator
from typing import Final

_LONGEST: Final = 4 * 1024 * 1024
"""Characters of one element: a Machine with all its files has a quarter of that."""
_SPACE: Final = " \t\r\n"
_DECODER: Final = json.JSONDecoder()


class ElementsOfArray:
    """Takes a JSON array in pieces of text. Raises ValueError for what is none."""

    def __init__(self) -> None:
        self._rest = ""
        self._expects = "["
        """What is to come: `[`, `first` (an element or the end), `element`, `comma` or `end`."""

    def feed(self, text: str) -> Iterator[object]:
        """The elements that are complete with this text; to be taken before the next."""
        self._rest += text
        at = 0
        while (at := _after_space(self._rest, at)) < len(self._rest):
            letter = self._rest[at]
            if self._expects in ("[", "comma"):
                at += 1
                self._expects = self._after_mark(letter)
            elif self._expects == "first" and letter == "]":
                at += 1
                self._expects = "end"
            elif self._expects == "end":
                raise ValueError("something follows the array")
            else:
                complete = self._element(at)
                if complete is None:
                    break
                element, at = complete
                self._expects = "comma"
                yield element
        self._rest = self._rest[at:]
        if len(self._rest) > _LONGEST:
            raise ValueError("an element of the array is broken, or longer than any Machine")

    def close(self) -> None:
        """The text has come to its end; ValueError if the array has not."""
        if self._expects != "end":
            raise ValueError("the array is cut off")

    def _after_mark(self, letter: str) -> str:
        if self._expects == "comma":
            return "element" if letter == "," else "end"
        if letter != "[":
            raise ValueError(f"no array: it begins with {letter!r}")
        return "first"

    def _element(self, at: int) -> tuple[object, int] | None:
        """The element that begins here, and where it ends; None while it is not complete."""
        try:
            element, end = _DECODER.raw_decode(self._rest, at)
        except ValueError:
            return None
        # 12 may be the beginning of 123, and 1e the one of 1e9: what follows tells.
        after = _after_space(self._rest, end)
        return (element, end) if self._rest[after : after + 1] in (",", "]") else None


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
