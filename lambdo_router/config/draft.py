"""
A routes file under examination: what of it is sound, and what was found wrong.

Checks of shape and checks of meaning run over the same file one after the other, and a mistake of
shape must not hide a mistake of meaning elsewhere. So what has the wrong shape is cut out, and
remembered as broken, before anyone asks what the rest means: whoever reads a value from here finds
it with the right type, or not at all, or as written but not known.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from lambdo_router.config.diagnostics import Diagnostic, Severity
from lambdo_router.config.document import Document, Path
from lambdo_router.config.shape import ROUTES_SCHEMA, Misfit, found, misfits, value_at

T = TypeVar("T")


class Unfit(ValueError):
    """A text that cannot be taken as it is; says what is allowed, and the code of the problem."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """
    A value that the author wrote, and where.

    `value` is None if it is not known: it is wrong, which has been reported, or it depends on a
    variable that is not set.
    """

    value: T | None
    path: Path


def known(written: Written[T] | None, default: T) -> T:
    """The value if it is written and known, else the default."""
    return default if written is None or written.value is None else written.value


class Draft:
    """
    One routes file with the problems found in it so far.

    `written` is the document before variables were filled in; messages quote from it, so that no
    value of a variable is ever printed.
    """

    def __init__(self, document: Document, written: Document) -> None:
        self._document = document
        self._written = written
        self._problems: dict[Diagnostic, None] = {}
        self._broken: set[Path] = set()
        self._root = self._sound_part()

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Errors and warnings, by position; the same one is never there twice."""
        return tuple(sorted(self._problems))

    @property
    def unresolved(self) -> frozenset[Path]:
        """Where texts stand in which a variable is not set."""
        return self._document.unresolved

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        on: Literal["value", "key"] = "value",
        severity: Severity = "error",
        hint: str = "",
    ) -> None:
        """Note something wrong with the value, or the key, at `path`."""
        diagnostic = self._document.diagnostic(
            path, code, message, on=on, severity=severity, hint=hint
        )
        self._problems[diagnostic] = None

    def warning(self, path: Path, code: str, message: str, *, hint: str = "") -> None:
        """Note something at `path` that is allowed and most likely not meant."""
        self.problem(path, code, message, severity="warning", hint=hint)

    def misfit(self, misfit: Misfit) -> None:
        """Note a mistake of shape, and keep from further looks what it spoils."""
        self.problem(misfit.path, misfit.code, misfit.message, on=misfit.on, hint=misfit.hint)
        if misfit.broken is not None:
            self._broken.add(misfit.broken)

    def is_known(self, path: Path) -> bool:
        """False for what is broken, and for what depends on a variable that is not set."""
        return path not in self._broken and self.is_resolved(path)

    def is_written(self, path: Path) -> bool:
        """Whether the author wrote anything there, be it broken."""
        try:
            value_at(self._document.value, path)
        except (LookupError, TypeError):
            return False
        return True

    def shown(self, path: Path) -> str:
        """What stands at `path`, in words, as the author wrote it."""
        value = self.written(path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"the number {self.source(path) or value}"
        return found(value)

    def source(self, path: Path) -> str:
        """The scalar at `path`, letter by letter; empty if it is none on one line."""
        return self._written.source(path)

    def holds_variable(self, path: Path) -> bool:
        """Whether the text at `path` has a variable in it."""
        value = self.written(path)
        return isinstance(value, str) and "${" in value

    def is_resolved(self, path: Path) -> bool:
        """False where a variable is not set: what the text will be is not known."""
        return path not in self._document.unresolved

    def quoted(self, path: Path) -> str:
        """The name that stands at `path`, as the author wrote it."""
        return f"`{self.written(path)}`"

    def written(self, path: Path) -> object:
        """The value at `path` before variables were filled in."""
        return value_at(self._written.value, path)

    def describe(self, path: Path) -> str:
        """What people call the thing at `path`: "queue `orders`", "`visibility`"."""
        match path:
            case ():
                return "the routes file"
            case ("queues", name):
                return f"queue `{name}`"
            case ("profiles", name):
                return f"profile `{name}`"
            case ("routes", int(index)):
                route = self._route_name(index)
                return f"route {index + 1}" if route is None else f"route `{route}`"
            case (*above, int(index)):
                return f"item {index + 1} of {self.describe(tuple(above))}"
            case _:
                return f"`{path[-1]}`"

    def line(self, path: Path) -> int:
        """The line, from 1, at which the thing at `path` begins."""
        return self._document.diagnostic(path, "", "", on="key").line

    def names(self, part: Literal["queues", "profiles"]) -> tuple[str, ...]:
        """The names that this part of the file defines, also those of broken entries."""
        root = self._document.value
        entries = root.get(part) if isinstance(root, dict) else None
        return tuple(entries) if isinstance(entries, dict) else ()

    def good_names(self, part: Literal["queues", "profiles"]) -> list[str]:
        """The names of the entries whose shape is right: those to offer."""
        return [name for name in self.names(part) if self.is_known((part, name))]

    def section(self, *path: str | int) -> "Section":
        """The mapping at `path`; an empty one if nothing sound is there."""
        try:
            value = value_at(self._root, path)
        except (LookupError, TypeError):
            value = None
        return Section(self, path, value if isinstance(value, dict) else {})

    def routes(self) -> Iterator["Section"]:
        """The entries of `routes`, in order; empty ones for those that are no mappings."""
        routes = self._root.get("routes")
        for index in range(len(routes) if isinstance(routes, list) else 0):
            yield self.section("routes", index)

    def _route_name(self, index: int) -> str | None:
        path: Path = ("routes", index, "name")
        name = self.written(path) if self.is_written(path) else None
        return name if isinstance(name, str) else None

    def _sound_part(self) -> dict[str, object]:
        value = self._document.value
        for misfit in misfits(value, ROUTES_SCHEMA, self):
            self.misfit(misfit)
        if not isinstance(value, dict) or () in self._broken:
            return {}
        return without(value, self._broken) if self._broken else value


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the draft, read by key. Wrong values are reported once, when they are read."""

    draft: Draft
    path: Path
    value: Mapping[str, object]

    def __contains__(self, key: str) -> bool:
        """Whether the key is written, be it with a broken value."""
        return key in self.value or self.draft.is_written(self.at(key))

    def at(self, *steps: str | int) -> Path:
        """The path of what stands below."""
        return (*self.path, *steps)

    def text(self, key: str) -> Written[str] | None:
        """The text at `key`; None if it is not written."""
        value = self.value.get(key)
        return self._written(key, value if isinstance(value, str) else None)

    def raw(self, key: str) -> str | None:
        """The text at `key` as it stands, also where a variable in it is not set."""
        value = self.value.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> Written[int] | None:
        """The whole number at `key`; None if it is not written."""
        value = self.value.get(key)
        # The schema takes 10.0 for a whole number, as JSON does.
        return self._written(key, int(value) if isinstance(value, int | float) else None)

    def parsed(self, key: str, parse: Callable[[str], T]) -> Written[T] | None:
        """The text at `key`, parsed. A ValueError of `parse` says what is allowed instead."""
        text = self.text(key)
        if text is None or text.value is None:
            return None if text is None else Written(None, text.path)
        try:
            return Written(parse(text.value), text.path)
        except ValueError as problem:
            code = problem.code if isinstance(problem, Unfit) else "bad-format"
            what = f"{self.draft.describe(text.path)} is {self.draft.shown(text.path)}"
            self.draft.problem(text.path, code, what, hint=str(problem))
            return Written(None, text.path)

    def _written(self, key: str, value: T | None) -> Written[T] | None:
        if key not in self:
            return None
        at = self.at(key)
        return Written(value if self.draft.is_known(at) else None, at)


def without(value: dict[str, object], broken: set[Path]) -> dict[str, object]:
    """A copy without what stands at those paths; an item of a list becomes None, in its place."""
    sound = copy.deepcopy(value)
    for path in broken:
        try:
            container = value_at(sound, path[:-1])
        except (LookupError, TypeError):
            continue  # what is around it is gone already
        if isinstance(container, dict):
            container.pop(str(path[-1]), None)
        elif isinstance(container, list) and isinstance(path[-1], int):
            container[path[-1]] = None
    return sound
