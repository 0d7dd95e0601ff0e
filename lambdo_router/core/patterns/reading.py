"""
Finding the values at a path of an event.

Keys joined with periods make a path, in events as in patterns: the value at `a.b` may be spelled
`{"a": {"b": 1}}` or `{"a.b": 1}`. Arrays add no step. A `PathStep` knows by which keys the walk
goes on from its place; an event is walked along its steps only. A message may be put to thousands
of patterns that ask for the same few paths, so an `EventReader` walks each path only once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol, Self, TypeVar

from lambdo_router.core.patterns.operators import AnyOf
from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.strict_json import comparable


class Walkable(Protocol):
    """A place from which a walk can go on by some keys."""

    @property
    def moves(self) -> dict[str, Self]:
        """Where each key leads; `a.b` leads where `a` and then `b` lead."""


_Walk = TypeVar("_Walk", bound=Walkable)


@dataclass(slots=True)
class PathStep:
    """A place on the way along one or several paths. Built once, then never changed."""

    moves: dict[str, "PathStep"] = field(default_factory=dict)
    mask: int = 0
    """The bits of the clauses whose path ends here."""
    _texts: dict[str, int] = field(default_factory=dict)
    """The clauses that list a string, by that string; `_doubles` is the same for numbers."""
    _doubles: dict[float, int] = field(default_factory=dict)
    _others: list[tuple[int, AnyOf]] = field(default_factory=list)
    """The clauses with other conditions."""

    def ask(self, bit: int, values: AnyOf) -> None:
        """Let a clause's path end here."""
        self.mask |= bit
        for text in values.texts:
            self._texts[text] = self._texts.get(text, 0) | bit
        for double in values.doubles:
            self._doubles[double] = self._doubles.get(double, 0) | bit
        if values.others:
            self._others.append((bit, values))

    def satisfied(self, value: object, known: int) -> int:
        """Return the clauses that the value satisfies; those in `known` are not tested again."""
        if isinstance(value, str):
            found = self._texts.get(value, 0)
        else:
            number = comparable(value) if self._doubles else None
            found = 0 if number is None else self._doubles.get(number, 0)
        for bit, values in self._others:
            if not (known | found) & bit and values.holds(value):
                found |= bit
        return found


def walk_along(paths: Iterable[tuple[str, int, AnyOf]]) -> PathStep:
    """Return the first step of the walk along all the paths, each of a clause with its bit."""
    root = PathStep()
    for path, bit, values in paths:
        lead(root, path).ask(bit, values)
    return root


@lru_cache(maxsize=10_000)
def path_walk(path: str) -> PathStep:
    """Return the first step of the walk along one path. Patterns have most paths in common."""
    root = PathStep()
    lead(root, path).mask = 1
    return root


def lead(root: _Walk, path: str) -> _Walk:
    """Return the last step of the walk along the path, and add all steps that lead there."""
    names = path.split(".")
    way = [root]
    for end in range(1, len(names) + 1):
        step = way[-1].moves.setdefault(names[end - 1], type(root)())
        for start in range(end - 1):
            way[start].moves[".".join(names[start:end])] = step
        way.append(step)
    return way[-1]


def unwrapped(value: object) -> object:
    """Return the value without the arrays of one element around it, which make no difference."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def all_at(value: object, step: PathStep) -> Iterator[object]:
    """Yield everything at the end of the path, for people: also objects and empty arrays."""
    if isinstance(value, list):
        if step.mask and not value:
            yield value
        for item in value:
            yield from all_at(item, step)
        return
    if step.mask:
        yield value
    if isinstance(value, dict):
        for key, next_step in step.moves.items():
            if key in value:
                yield from all_at(value[key], next_step)


_Pending = list[tuple[object, PathStep]]
"""Elements of arrays, objects or arrays themselves, with the step at which each stands."""


def _gather(
    value: dict[str, object], step: PathStep, values: list[object], inside: _Pending
) -> None:
    """
    Add the values at the end of the path to `values`.

    An array on the way that holds objects or arrays is not entered, because which of its values go
    together is another question. Its elements are added to `inside`.
    """
    for key, next_step in step.moves.items():
        if key not in value:
            continue
        found = value[key]
        if isinstance(found, list):
            found = unwrapped(found)
        if isinstance(found, dict):
            _gather(found, next_step, values, inside)
        elif isinstance(found, list):
            for item in found:
                if isinstance(item, list) or (isinstance(item, dict) and next_step.moves):
                    inside.append((item, next_step))
                elif next_step.mask and not isinstance(item, dict):
                    values.append(item)
        elif next_step.mask:
            values.append(found)


def _values_inside(pending: _Pending) -> Iterator[object]:
    waiting = list(pending)
    while waiting:
        element, step = waiting.pop()
        if isinstance(element, dict):
            waiting += [(element[key], step.moves[key]) for key in step.moves if key in element]
        elif isinstance(element, list):
            waiting += [(item, step) for item in element]
        elif step.mask:
            yield element


FAILS: Final = 1
"""There are values, none of which will do; or there are none, and there must be one."""
NESTED: Final = 2
"""An array on the way holds objects or arrays: which values go together must be found out."""
HOLDS: Final = 3
"""There is a value that will do, outside such arrays; or there is none, and that will do."""
FEW: Final = 16
"""Values at one path that are not worth preparing for further questions."""


class _ValuesAt:
    """All values that an event has at one path."""

    __slots__ = ("_asked", "_inside", "_many", "_pending", "nested", "values")

    def __init__(self, event: dict[str, object], step: PathStep) -> None:
        self.values: list[object] = []
        """Values that go together with every other value of the event."""
        self._pending: _Pending = []
        _gather(event, step, self.values, self._pending)
        self._many: ManyValues | None = None
        self._inside: ManyValues | None = None
        self._asked = False
        self.nested = bool(self._pending)
        """Whether there may be more in arrays of objects or arrays, where not all go together."""

    def holds(self, asked: AnyOf) -> bool:
        """Return whether one of `values` is one of those asked for."""
        if len(self.values) > FEW and self._is_asked_again():
            if self._many is None:
                self._many = ManyValues(self.values)
            return asked.holds_among(self._many)
        for value in self.values:  # noqa: SIM110 (a generator here doubles the time)
            if asked.holds(value):
                return True
        return False

    def may_hold_inside(self, asked: AnyOf) -> bool:
        """
        Return whether a value in arrays of objects or arrays may be one of those asked for.

        The first to ask gets True: collecting the values pays off only for several.
        """
        if self._inside is None:
            if not self._is_asked_again():
                return True
            self._inside = ManyValues(_values_inside(self._pending))
        return asked.holds_among(self._inside)

    def _is_asked_again(self) -> bool:
        asked, self._asked = self._asked, True
        return asked


class EventReader:
    """One event that is put to one pattern after the other. It must not change meanwhile."""

    __slots__ = ("_found", "_seen", "_seen_paths", "event")

    def __init__(self, event: Mapping[str, object]) -> None:
        """Wrap an event. Raises ValueError if it is not an object."""
        if not isinstance(event, dict):
            if not isinstance(event, Mapping):
                raise ValueError(f"an event is an object, not a {type(event).__name__}")  # noqa: TRY004 (as for malformed JSON)
            event = dict(event)
        self.event: dict[str, object] = event
        self._found: dict[str, _ValuesAt] = {}
        self._seen: Mapping[str, Sequence[object]] = {}
        self._seen_paths: frozenset[str] = frozenset()

    def note(self, paths: frozenset[str], values: Mapping[str, Sequence[object]]) -> None:
        """Take over all values that a walk found at these paths; all of them go together."""
        self._seen_paths, self._seen = paths, values

    def outcome(self, path: str, values: AnyOf, without: int) -> int:
        """
        Return FAILS, NESTED or HOLDS for what is asked at the path.

        `without` (FAILS or HOLDS) is the outcome if there is no value.
        """
        if path in self._seen_paths:
            seen = self._seen.get(path)
            if seen is None:
                return without
            for value in seen:
                if values.holds(value):
                    return HOLDS
            return FAILS
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = _ValuesAt(self.event, path_walk(path))
        if found.holds(values):
            return HOLDS
        if found.nested:
            return NESTED if without == HOLDS or found.may_hold_inside(values) else FAILS
        return FAILS if found.values else without
