"""
Finding the values at a path of an event.

Keys joined with periods make a path, in events as in patterns: the value at `a.b` may be spelled
`{"a": {"b": 1}}` or `{"a.b": 1}`. Arrays add no step. A `Step` knows, for a place on the way, by
which keys an event may go on from there; an event is walked along its steps only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self, TypeVar

from lambdo_router.core.patterns.conditions import AnyOf
from lambdo_router.core.strict_json import comparable


class Place(Protocol):
    """What a walk can lead over: from here on by these keys."""

    @property
    def moves(self) -> dict[str, Self]: ...


Way = TypeVar("Way", bound=Place)


@dataclass(slots=True)
class Step:
    """A place on the way along one or several paths. Built once, then never changed."""

    moves: dict[str, "Step"] = field(default_factory=dict)
    """Where each key leads; `a.b` leads where `a` and then `b` lead."""
    mask: int = 0
    """The bits of the clauses whose path ends here."""
    _texts: dict[str, int] = field(default_factory=dict)
    """The clauses that each string satisfies by being listed, and so for numbers."""
    _doubles: dict[float, int] = field(default_factory=dict)
    _others: list[tuple[int, AnyOf]] = field(default_factory=list)
    """The clauses that more than such a list has to be asked for."""

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
        """The clauses that the value satisfies, without looking at those that are known to be."""
        if isinstance(value, str):
            found = self._texts.get(value, 0)
        else:
            number = comparable(value) if self._doubles else None
            found = 0 if number is None else self._doubles.get(number, 0)
        for bit, values in self._others:
            if not (known | found) & bit and values.holds(value):
                found |= bit
        return found


def steps_along(paths: Iterable[tuple[str, int, AnyOf]]) -> Step:
    """The first step of the walk along all the paths, each with the bit and values of a clause."""
    root = Step()
    for path, bit, values in paths:
        lead(root, path).ask(bit, values)
    return root


@lru_cache(maxsize=10_000)
def way_along(path: str) -> Step:
    """The first step of the walk along one path. Patterns have most paths in common."""
    root = Step()
    lead(root, path).mask = 1
    return root


def lead(root: Way, path: str) -> Way:
    """The last step of the walk along the path, with all steps that lead there from the first."""
    names = path.split(".")
    way = [root]
    for end in range(1, len(names) + 1):
        place = way[-1].moves.setdefault(names[end - 1], type(root)())
        for start in range(end - 1):
            way[start].moves[".".join(names[start:end])] = place
        way.append(place)
    return way[-1]


def unwrapped(value: object) -> object:
    """The value without arrays of one around it: where they stand makes no difference."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


Pending = list[tuple[object, Step]]
"""Elements of arrays, objects or arrays themselves, with the step at which each stands."""


def gather(value: dict[str, object], step: Step, values: list[object], inside: Pending) -> None:
    """
    Add the values at the end of the path that `step` leads along to `values`.

    An array on the way that holds objects or arrays is not looked into: which values go together
    must be found out there. Its elements are added to `inside`.
    """
    for key, place in step.moves.items():
        if key not in value:
            continue
        found = value[key]
        if isinstance(found, list):
            found = unwrapped(found)
        if isinstance(found, dict):
            gather(found, place, values, inside)
        elif isinstance(found, list):
            _gather_items(found, place, values, inside)
        elif place.mask:
            values.append(found)


def _gather_items(items: list[object], step: Step, values: list[object], inside: Pending) -> None:
    for item in items:
        if isinstance(item, list) or (isinstance(item, dict) and step.moves):
            inside.append((item, step))
        elif step.mask and not isinstance(item, dict):
            values.append(item)


def found_at(value: object, step: Step) -> Iterator[object]:
    """
    Everything at the end of the path that `step` leads along, for people to see.

    Values, and objects and empty arrays too; of other arrays the members.
    """
    if isinstance(value, list):
        if step.mask and not value:
            yield value
        for item in value:
            yield from found_at(item, step)
        return
    if step.mask:
        yield value
    if isinstance(value, dict):
        for key, place in step.moves.items():
            if key in value:
                yield from found_at(value[key], place)
