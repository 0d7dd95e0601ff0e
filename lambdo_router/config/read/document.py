"""
One YAML file as plain data that knows where everything was written.

Values and positions are two trees of one shape, so that a problem with a value can point at it.
Messages quote what the author typed and never the value of a variable, which may be a secret.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, cast

from lambdo_router.config.diagnostics import Diagnostic, Place, Severity
from lambdo_router.core.strict_json import WideNumber

Path = tuple[str | int, ...]
"""Keys of mappings and indexes of lists that lead to a value from the root, which is `()`."""

Position = tuple[
    int, int, int | None, "list[Position] | dict[str, tuple[Position, Position]] | None"
]  # a plain tuple is cheap: a large file has hundreds of thousands
"""
Line, column and end column of a value, from 0, and the positions of what it contains.

A list has a position for each item, a mapping one for each key and one for its value, a scalar
None. The end column is None for a value of several lines.
"""

On = Literal["value", "key"]
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file; its values are dict, list, str, int, float, WideNumber, bool and None."""

    file: str
    """The file's name in diagnostics."""
    value: object = field(repr=False)
    written: object = field(repr=False)
    """The value before variables were filled in."""
    lines: Sequence[str] = field(repr=False)
    path: FilePath = FilePath()
    """Where it was read. Files that it names are relative to its folder."""
    noun: str = "the routes file"
    """What messages call the file."""
    cut: frozenset[Path] = frozenset()
    """Mappings that lost a key to a YAML error: what seems to be missing may have been there."""
    unresolved: frozenset[Path] = frozenset()
    """Texts with a variable that could not be filled in. Checks skip them."""
    used: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The variables that were filled in, and their values."""
    filled: frozenset[Path] = frozenset()
    """Texts in which a variable was filled in, and everything around these."""
    _root: Position = field(default=(0, 0, None, None), repr=False, compare=False)

    def place(self, path: Path, on: On = "value") -> Place:
        """
        Return the place of a value or of its key.

        For a path that does not exist that is the place of its nearest existing parent. Items of a
        list and the root have no key; their values are pointed at instead.
        """
        key, position, _ = self._find(path)
        return place_of(self.file, key if on == "key" else position)

    def diagnostic(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        on: On = "value",
        severity: Severity = "error",
        hint: str = "",
    ) -> Diagnostic:
        """Return a diagnostic at the place of `path`."""
        return self.place(path, on).diagnose(code, message, severity, hint)

    def is_written(self, path: Path) -> bool:
        """Return whether the author wrote anything there, valid or not."""
        try:
            value_at(self.value, path)
        except (LookupError, TypeError):
            return False
        return True

    def keys(self, path: Path) -> tuple[str, ...]:
        """Return the keys of the mapping at `path`, also of invalid values; () if it is none."""
        value = value_at(self.value, path) if self.is_written(path) else None
        return tuple(value) if isinstance(value, dict) else ()

    def as_written(self, path: Path) -> object:
        """Return the value at `path` before variables were filled in."""
        return value_at(self.written, path)

    def source(self, path: Path) -> str:
        """Return the scalar at `path` as typed; empty if it is none or has several lines."""
        _, (line, column, end, _), exists = self._find(path)
        return self.lines[line][column:end] if exists and end is not None else ""

    def shown(self, path: Path) -> str:
        """Describe the value at `path` as the author wrote it: `the text "x"`, `a list`."""
        value = self.as_written(path)
        if isinstance(value, int | float | WideNumber) and not isinstance(value, bool):
            return f"the number {self.source(path)}"
        return in_words(value)

    def holds_variable(self, path: Path) -> bool:
        """Return whether the text at `path` contains a variable."""
        value = self.as_written(path)
        return isinstance(value, str) and "${" in value

    def describe(self, path: Path) -> str:
        """Return what people call the thing at `path`: queue `orders`, `visibility`."""
        match path:
            case ():
                return self.noun
            case ("queues", entry):
                return f"queue `{entry}`"
            case ("profiles", entry):
                return f"profile `{entry}`"
            case ("routes" | "tests" as section, int(index)):
                noun, named = section.removesuffix("s"), (section, index, "name")
                name = self.as_written(named) if self.is_written(named) else None
                return (
                    f"{noun} `{name}`" if isinstance(name, str) and name else f"{noun} {index + 1}"
                )
            case (*above, int(index)):
                return f"item {index + 1} of {self.describe(tuple(above))}"
            case _:
                return f"`{path[-1]}`"

    def entries(self) -> Iterator[object]:
        """Yield the entries of each section, and their positions."""
        inner = self._root[3]
        places = {key: at[3] for key, (_, at) in inner.items()} if isinstance(inner, dict) else {}
        for tree in (self.value, self.written, places):
            yield from entries_of(tree)

    def _find(self, path: Path) -> tuple[Position, Position, bool]:
        """Return key and value at the longest existing part of `path`, and whether it is all."""
        key = position = self._root
        for step in path:
            inner = position[3]
            if isinstance(step, str) and isinstance(inner, dict) and step in inner:
                key, position = inner[step]
            elif isinstance(step, int) and isinstance(inner, list) and 0 <= step < len(inner):
                key = position = inner[step]
            else:
                return key, position, False
        return key, position, True


def place_of(file: str, position: Position) -> Place:
    """Return the position as people and editors count, from 1."""
    line, column, end, _ = position
    return Place(file, line + 1, column + 1, None if end is None else end + 1)


def value_at(value: object, path: Path) -> object:
    """Return what is at `path` below `value`. LookupError or TypeError if nothing is."""
    inside = cast("Any", value)
    for step in path:
        inside = inside[step]
    return cast("object", inside)


def entries_of(tree: object) -> Iterator[object]:
    """Yield what the lists and mappings in a mapping contain."""
    for section in tree.values() if isinstance(tree, dict) else ():
        if isinstance(section, dict | list):
            yield from section.values() if isinstance(section, dict) else section


def in_words(value: object) -> str:
    """Describe a value: `the number 5`, `the text "x"`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return plain_text(value)
        case int() | float() | WideNumber():
            return f"the number {plain_text(value)}"
        case str():
            return f"the text {json.dumps(shortened(value), ensure_ascii=False)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def plain_text(value: object) -> str:
    """Return a scalar as YAML would spell it without quotes."""
    if isinstance(value, WideNumber):
        return value.text
    return value if isinstance(value, str) else json.dumps(value)


def shortened(text: str | None) -> str:
    """Return the beginning of a long text, for a message."""
    text = text or ""
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def doubles(value: object) -> object:
    """Return the value with its numbers as other JSON parsers have them: rounded to a double."""
    match value:
        case WideNumber(text):
            return float(text)
        case dict():
            return {key: doubles(inner) for key, inner in value.items()}
        case list():
            return [doubles(item) for item in value]
        case _:
            return value
