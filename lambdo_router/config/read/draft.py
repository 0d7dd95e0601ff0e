"""
Routes under examination: what of their files is sound, and what was found wrong.

Checks of shape and checks of meaning run over the same files one after the other, and a mistake of
shape must not hide a mistake of meaning elsewhere. So what has the wrong shape is cut out, and
remembered as broken, before anyone asks what the rest means: whoever reads a value from here finds
it with the right type, or not at all, or as written but not known.

Several files are one draft. Names are global, and the routes of all files are one list: those of
the including file first, then those of each included one. A path such as `("routes", 7, "match")`
counts in that list; the draft knows in which file, and where in it, the thing stands.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Generic, Literal, TypeVar, cast

from lambdo_router.config.diagnostics import Diagnostic, Related, Severity
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.parts import Part
from lambdo_router.config.read.shape import (
    ROUTES_SCHEMA,
    SchemaViolation,
    doubles,
    misfits,
    misspelt,
    value_at,
)
from lambdo_router.config.read.variables import veiled

T = TypeVar("T")
Named = Literal["queues", "profiles"]
_NAMED: tuple[Named, ...] = ("queues", "profiles")


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
    Routes files with the problems found in them so far.

    The first part is the file that includes the others. `complete` is False if a file that should
    be there could not be read: what is not found may be in it.
    """

    def __init__(self, parts: Sequence[Part], *, complete: bool = True) -> None:
        self.parts = tuple(parts)
        self.complete = complete
        self.is_cut = False
        """Whether anything of the wrong shape was cut out."""
        self._problems: dict[Diagnostic, None] = {}
        self._broken: set[Path] = set()
        self._owners: dict[Named, dict[str, Part]] = {"queues": {}, "profiles": {}}
        self._places: list[tuple[Part, int]] = []
        """Of each route: its file, and its index there."""
        self._root = self._sound_part()

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Errors and warnings, by position; the same one is never there twice."""
        return tuple(sorted(self._problems))

    @property
    def unresolved(self) -> frozenset[Path]:
        """Where texts stand in which a variable is not set, by the paths of their files."""
        return frozenset().union(*(part.document.unresolved for part in self.parts))

    def diagnostic(
        self,
        path: Path,
        code: str,
        message: str,
        on: Literal["value", "key"] = "value",
        severity: Severity = "error",
        hint: str = "",
    ) -> Diagnostic:
        """A diagnostic at `path` that is not noted; at the nearest thing that is written there."""
        part, inside = self._locate(path)
        return part.document.diagnostic(inside, code, message, on=on, severity=severity, hint=hint)

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        on: Literal["value", "key"] = "value",
        severity: Severity = "error",
        hint: str = "",
        related: Sequence[Related] = (),
    ) -> None:
        """Note something wrong with the value, or the key, at `path`."""
        self.note(self.diagnostic(path, code, message, on, severity, hint), related)

    def warning(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        hint: str = "",
        related: Sequence[Related] = (),
    ) -> None:
        """Note something at `path` that is allowed and most likely not meant."""
        self.problem(path, code, message, severity="warning", hint=hint, related=related)

    def note(self, diagnostic: Diagnostic, related: Sequence[Related] = ()) -> None:
        """Note a diagnostic, with the places that have to do with it."""
        if related:
            diagnostic = replace(diagnostic, related=(*diagnostic.related, *related))
        self._problems[diagnostic] = None

    def related(self, path: Path, message: str, on: Literal["value", "key"] = "value") -> Related:
        """What stands at `path`, as a place that has to do with a problem elsewhere."""
        at = self.diagnostic(path, "", "", on)
        return Related(at.file, at.line, at.column, message)

    def misfit(self, misfit: SchemaViolation) -> None:
        """Note a mistake of shape, and keep from further looks what it spoils."""
        self.problem(misfit.path, misfit.code, misfit.message, on=misfit.on, hint=misfit.hint)
        if misfit.broken is not None:
            self._broken.add(misfit.broken)

    def is_known(self, path: Path) -> bool:
        """False for what is broken or incomplete, or depends on a variable that is not set."""
        if path in self._broken or (not self.complete and path in {("queues",), ("profiles",)}):
            return False
        part, inside = self._locate(path)
        return part.is_resolved(inside) and inside not in part.document.cut

    def is_written(self, path: Path) -> bool:
        """Whether the author wrote anything there, be it broken."""
        part, inside = self._locate(path)
        return part.is_written(inside)

    def shown(self, path: Path) -> str:
        """What stands at `path`, in words, as the author wrote it."""
        part, inside = self._locate(path)
        return part.shown(inside)

    def source(self, path: Path) -> str:
        """The scalar at `path`, letter by letter; empty if it is none on one line."""
        part, inside = self._locate(path)
        return part.source(inside)

    def holds_variable(self, path: Path) -> bool:
        """Whether the text at `path` has a variable in it."""
        part, inside = self._locate(path)
        return part.holds_variable(inside)

    def is_resolved(self, path: Path) -> bool:
        """False where a variable is not set: what the text will be is not known."""
        part, inside = self._locate(path)
        return part.is_resolved(inside)

    def quoted(self, path: Path) -> str:
        """The name that stands at `path`, as the author wrote it."""
        return f"`{self.written(path)}`"

    def written(self, path: Path) -> object:
        """The value at `path` before variables were filled in."""
        part, inside = self._locate(path)
        return part.as_written(inside)

    def veiled(self, path: Path, value: T) -> T:
        """That value, which was read at `path`, with its variables as they are written there."""
        part, inside = self._locate(path)
        if inside not in part.document.filled:
            return value
        return cast(T, veiled(value, part.as_written(inside)))

    def describe(self, path: Path) -> str:
        """What people call the thing at `path`: "queue `orders`", "`visibility`"."""
        part, inside = self._locate(path)
        return part.describe(inside)

    def folder(self, path: Path) -> FilePath:
        """The folder that file names at `path` are relative to."""
        part, _ = self._locate(path)
        return part.path.parent

    def parsed(self, path: Path, text: str, parse: Callable[[str], T]) -> T | None:
        """The text that stands at `path`, parsed; None, and a problem noted, if it cannot be."""
        try:
            return parse(text)
        except ValueError as problem:
            code = problem.code if isinstance(problem, Unfit) else "bad-format"
            what = f"{self.describe(path)} is {self.shown(path)}"
            self.problem(path, code, what, hint=str(problem))
            return None

    def line(self, path: Path, *, seen_from: Path) -> str:
        """
        Where the thing at `path` begins, to be told at `seen_from`: `line 7`.

        With the file's name before it, if that is another file.
        """
        at = self.diagnostic(path, "", "", "key")
        part, _ = self._locate(seen_from)
        elsewhere = at.file != part.document.file
        return f"line {at.line} of {at.file}" if elsewhere else f"line {at.line}"

    def names(self, section: Named) -> tuple[str, ...]:
        """The names that this part of the files defines, also those of broken entries."""
        return tuple(self._owners[section])

    def good_names(self, section: Named) -> list[str]:
        """The names of the entries whose shape is right: those to offer."""
        return [name for name in self.names(section) if self.is_known((section, name))]

    def section(self, *path: str | int) -> "Section":
        """The mapping at `path`; an empty one if nothing sound is there."""
        try:
            value = value_at(self._root, path)
        except (LookupError, TypeError):
            value = None
        return Section(self, path, value if isinstance(value, dict) else {})

    def routes(self) -> Iterator["Section"]:
        """The entries of `routes`, in order; empty ones for those that are no mappings."""
        for index in range(len(self._places)):
            yield self.section("routes", index)

    def _locate(self, path: Path) -> tuple[Part, Path]:
        """The file in which the thing at `path` stands, and its path there."""
        if len(self.parts) == 1:
            return self.parts[0], path
        match path:
            case ("queues" | "profiles" as section, str(name), *_):
                return self._owners[section].get(name, self.parts[0]), path
            case ("routes", int(index), *inside) if index < len(self._places):
                part, index = self._places[index]
                return part, ("routes", index, *inside)
            case _:
                return self.parts[0], path

    def _sound_part(self) -> dict[str, object]:
        """What all files say together, as far as its shape is right; what is not is noted."""
        root: dict[str, object] = {"defaults": {}, "queues": {}, "profiles": {}, "routes": []}
        for part in self.parts:
            sound = self._shaped(part)
            self._take_names(part, sound, root)
            self._take_routes(part, sound, root)
            if part is self.parts[0]:
                root["defaults"] = sound.get("defaults")
            else:
                self._refuse_root_keys(part)
        for key in ("queues", "routes") if self.complete and not self._broken else ():
            if not any(part.is_written((key,)) for part in self.parts):
                what = f"{self.describe(())} has no `{key}`"
                self.problem((), "missing-key", what, on="key", hint="it must be written")
        return root

    def _shaped(self, part: Part) -> dict[str, object]:
        """What this file says, without what has the wrong shape."""
        broken: set[Path] = set()
        found = list(misfits(part.document.value, ROUTES_SCHEMA, part))
        meant = misspelt(found)
        for path in meant:
            self._broken |= self._seen_from_all(path)
        for misfit in found:
            needless = misfit.code == "missing-key" and misfit.broken in meant
            if not needless and misfit.path not in part.document.cut:
                self.note(part.diagnostic(misfit))
            if misfit.broken is not None:
                broken.add(misfit.broken)
                self._broken |= self._seen_from_all(misfit.broken)
        value = part.document.value
        if not isinstance(value, dict) or () in broken:
            return {}
        self.is_cut |= bool(broken)
        return without(value, broken) if broken else value

    def _seen_from_all(self, path: Path) -> set[Path]:
        """The path of the file that is being taken in, as one of the whole."""
        match path:
            case ("routes", int(index), *inside):
                return {("routes", len(self._places) + index, *inside)}
            case ():
                return {("queues",), ("profiles",)}
            case _:
                return {path}

    def _take_names(
        self, part: Part, sound: Mapping[str, object], root: Mapping[str, object]
    ) -> None:
        for section in _NAMED:
            good, into = sound.get(section), root[section]
            for name in part.keys((section,)):
                owner = self._owners[section].setdefault(name, part)
                if owner is not part:
                    self._refuse_twin(part, owner, (section, name))
                elif isinstance(good, dict) and name in good and isinstance(into, dict):
                    into[name] = good[name]

    def _take_routes(
        self, part: Part, sound: Mapping[str, object], root: Mapping[str, object]
    ) -> None:
        good, into = sound.get("routes"), root["routes"]
        if isinstance(good, list) and isinstance(into, list):
            into += good
            self._places += [(part, index) for index in range(len(good))]

    def _refuse_twin(self, part: Part, owner: Part, path: Path) -> None:
        first = owner.document.diagnostic(path, "", "", on="key")
        what = f"{part.describe(path)} is defined already, in line {first.line} of {first.file}"
        hint = "names are global; choose another, or remove one of the two"
        self.note(
            part.document.diagnostic(path, "defined-twice", what, on="key", hint=hint),
            (Related(first.file, first.line, first.column, "it is defined here first"),),
        )

    def _refuse_root_keys(self, part: Part) -> None:
        """Who reads the including file knows what holds for all: its defaults, and its parts."""
        for key in ("include", "defaults"):
            if part.is_written((key,)):
                what = f"`{key}` is written in a file that is included"
                hint = f"write it in {self.parts[0].document.file}, the file that includes this one"
                at = part.document.diagnostic((key,), "only-in-root", what, on="key", hint=hint)
                self.note(at)
                self._broken.add((key,))


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the draft, read by key. Wrong values are reported once, when they are read."""

    draft: Draft
    path: Path
    value: Mapping[str, object]

    def __contains__(self, key: str) -> bool:
        """Whether the key is written, be it with a broken value."""
        return key in self.value or (self.draft.is_cut and self.draft.is_written(self.at(key)))

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
        value = doubles(self.value.get(key))
        # The schema takes 10.0 for a whole number, as JSON does.
        return self._written(key, int(value) if isinstance(value, int | float) else None)

    def parsed(self, key: str, parse: Callable[[str], T]) -> Written[T] | None:
        """The text at `key`, parsed. A ValueError of `parse` says what is allowed instead."""
        text = self.text(key)
        if text is None or text.value is None:
            return None if text is None else Written(None, text.path)
        return Written(self.draft.parsed(text.path, text.value, parse), text.path)

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
