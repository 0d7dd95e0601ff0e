"""
Which values of an event may be taken together when it holds arrays of objects.

Values in different elements of one array do not combine: `items: [{a: 1}, {b: 2}]` does not match
a pattern that asks for a 1 and b 2, while sibling arrays, and an array inside an element of
another, do. To take values together is to choose at most one element of each array.

First, a `Survey` walks the event once and makes a tree of elements. The event itself is at the top.
Below an element are its arrays, with the objects and arrays in them as elements of their own. A
value directly in an array belongs to the element around it, and so does all of an array in which
only one element matters: there is nothing to choose. An element keeps, as bits, the clauses that
have a value at their path there, and those that one such value satisfies.

Then a `Search` goes from the top down: each clause goes to the one place in the element where it
can be met, and an array must have one element that meets all the clauses sent to it. Equal elements
are looked at once. `exists: false` depends on the choices of the clauses before it, in the order of
their paths: it holds if no value at its path is still consistent with those, so every array with
such values must have an element chosen that has none.

For each sub-rule the search looks at most once at each (different) element. Only when an event
spells a path in several ways (`{"a": {"b": [...]}, "a.b": [...]}`) or nests arrays in arrays can a
clause go to several places, which must be tried. A sender could make that take forever, so the
tries for one event are limited to `MOST_TRIES`. An event that needs more does not match.
"""

from collections.abc import Sequence
from typing import Final

from lambdo_router.core.patterns.reading import PathStep, unwrapped

MOST_TRIES: Final = 50_000
"""Looks at elements beyond one at each, for one event."""


class _Element:
    """The event, or an element of an array, that holds values at the pattern's paths."""

    __slots__ = ("arrays", "inside_present", "inside_satisfied", "present", "satisfied")

    def __init__(self) -> None:
        self.present = 0
        """Clauses that have a value at their path here, not counting the arrays below."""
        self.satisfied = 0
        """Those of them that one such value satisfies."""
        self.arrays: list[_Array] = []
        self.inside_present = 0
        """The same for the elements of the arrays below, at any depth."""
        self.inside_satisfied = 0

    def hold(self, array: "_Array") -> None:
        """Add an array below this element, once it is complete."""
        for present, satisfied in array.flat:
            array.present |= present
            array.satisfied |= satisfied
        for element in array.deep:
            array.present |= element.present | element.inside_present
            array.satisfied |= element.satisfied | element.inside_satisfied
        self.arrays.append(array)
        self.inside_present |= array.present
        self.inside_satisfied |= array.satisfied

    def absorb(self, array: "_Array") -> None:
        """Take over what the elements of an array hold."""
        for present, satisfied in array.flat:
            self.present |= present
            self.satisfied |= satisfied
        for element in array.deep:
            self.present |= element.present
            self.satisfied |= element.satisfied
            self.arrays += element.arrays
            self.inside_present |= element.inside_present
            self.inside_satisfied |= element.inside_satisfied


class _Array:
    """An array of which some elements hold values at the pattern's paths."""

    __slots__ = ("deep", "flat", "present", "satisfied")

    def __init__(self) -> None:
        self.flat: set[tuple[int, int]] = set()
        """`present` and `satisfied` of the elements that have no arrays themselves."""
        self.deep: list[_Element] = []
        self.present = 0
        self.satisfied = 0


class Survey:
    """An event as the search sees it: the tree of its elements, and how many there are."""

    def __init__(self, event: dict[str, object], root: PathStep) -> None:
        self.top = _Element()
        self.size = 1
        self._look_into_object(event, root, self.top)

    def _look_into_object(
        self, value: dict[str, object], step: PathStep, element: _Element
    ) -> None:
        moves = step.moves
        keys = moves if len(moves) <= len(value) else value.keys() & moves.keys()
        for key in keys:
            if key in value:
                self._look(value[key], moves[key], element)

    def _look(self, value: object, step: PathStep, element: _Element) -> None:
        value = unwrapped(value)
        if isinstance(value, dict):
            self._look_into_object(value, step, element)
        elif isinstance(value, list):
            self._look_into_array(value, step, element)
        elif step.mask:
            _note(value, step, element)

    def _look_into_array(self, items: list[object], step: PathStep, element: _Element) -> None:
        array = _Array()
        fresh = _Element()
        count = 0
        for item in items:
            if isinstance(item, dict):
                self._look_into_object(item, step, fresh)
            elif isinstance(item, list):
                self._look(item, step, fresh)
            elif step.mask:
                _note(item, step, element)
                continue
            if fresh.arrays:
                array.deep.append(fresh)
                count += 1
                fresh = _Element()
            elif fresh.present:
                array.flat.add((fresh.present, fresh.satisfied))
                count += 1
                fresh.present = fresh.satisfied = 0
        if count == 1:
            element.absorb(array)  # with one element in question there is nothing to choose
        elif count:
            self.size += len(array.flat) + len(array.deep)
            element.hold(array)


def _note(value: object, step: PathStep, element: _Element) -> None:
    element.present |= step.mask
    if element.satisfied & step.mask != step.mask:
        element.satisfied |= step.satisfied(value, element.satisfied)


def _first_of(clauses: int) -> int:
    return clauses & -clauses


def _begins_before(clauses: int, others: int) -> bool:
    """Whether the first of some clauses, if any, comes before the first of the others."""
    return clauses != 0 and _first_of(clauses) < _first_of(others)


class Search:
    """
    Whether sub-rules can be satisfied by the values of one event.

    Clauses are bits, lower ones come first. Throughout, `want` are the clauses that must be met
    by a value, `none` those that must be met by there being none, `either` those that may be met
    in both ways.
    """

    def __init__(self, survey: Survey) -> None:
        self._top = survey.top
        self._size = survey.size
        self._spare = MOST_TRIES
        self._left = 0
        self._known: dict[tuple[int, int, int, int], bool] = {}
        self.looks = 0
        """Looks at elements so far."""

    @property
    def gave_up(self) -> bool:
        """Whether the tries were used up, so that a "no" may be wrong."""
        return self._spare == 0

    def satisfies(self, want: int, none: int, either: int) -> bool:
        """Whether the event satisfies the sub-rule made of these clauses."""
        self._left = self._size + self._spare
        try:
            found = self._element(self._top, want, none, either, top=True)
        except RecursionError:  # hundreds of clauses that each have several places
            found, self._left = False, 0
        self._spare = max(0, min(self._spare, self._left))
        return found

    def _spend(self) -> bool:
        self.looks += 1
        self._left -= 1
        return self._left >= 0

    def _element(
        self, element: _Element, want: int, none: int, either: int, *, top: bool = False
    ) -> bool:
        if not self._spend():
            return False
        satisfiable = element.satisfied | element.inside_satisfied
        # A value outside the arrays is consistent with every choice, so it decides.
        want |= either & element.present
        none |= either & ~element.present & ~satisfiable
        either &= satisfiable & ~element.present
        if want & ~satisfiable or none & element.present:
            return False
        # Clauses met by there being no value have values elsewhere in this element's array. Those
        # are ruled out once a clause before has chosen this element. The event itself always is.
        if not top and none | either and not _begins_before(want, none | either):
            if not either:
                return False
            first = _first_of(either)
            return self._element(element, want | first, none, either ^ first) or self._element(
                element, want, none | first, either ^ first
            )
        return self._spread(element, want, none, either)

    def _spread(self, element: _Element, want: int, none: int, either: int) -> bool:
        """Send each clause to the array where it can be met; try if there are several."""
        arrays = element.arrays
        if not arrays:
            return True
        groups: list[int] = []
        once = several = once_either = several_either = 0
        for array in arrays:
            usable = array.satisfied & want
            if not array.present & (none | either):
                # Nothing is gained by choosing an element for a clause that is met without.
                usable &= ~element.satisfied
            several |= once & usable
            once |= usable
            several_either |= once_either & array.present & either
            once_either |= array.present & either
            groups.append(usable)
        several |= once & element.satisfied
        if several_either:
            first = _first_of(several_either)
            return self._spend() and (
                self._spread(element, want | first, none, either ^ first)
                or self._spread(element, want, none | first, either ^ first)
            )
        if not several:
            return self._arrays(arrays, groups, none, either)
        fixed = [group & ~several for group in groups]
        choices = []
        while several:
            first = _first_of(several)
            several ^= first
            places = [at for at, group in enumerate(groups) if group & first]
            choices.append((first, [-1, *places] if element.satisfied & first else places))
        return self._try(arrays, fixed, choices, none, either)

    def _try(
        self,
        arrays: Sequence[_Array],
        groups: list[int],
        choices: Sequence[tuple[int, list[int]]],
        none: int,
        either: int,
    ) -> bool:
        """Try every place (-1: outside the arrays) for each clause that has several."""
        if not self._spend():
            return False
        if not choices:
            return self._arrays(arrays, groups, none, either)
        (clause, places), *rest = choices
        for place in places:
            if place >= 0:
                groups[place] |= clause
            if self._try(arrays, groups, rest, none, either):
                return True
            if place >= 0:
                groups[place] &= ~clause
        return False

    def _arrays(
        self, arrays: Sequence[_Array], groups: Sequence[int], none: int, either: int
    ) -> bool:
        for array, want in zip(arrays, groups, strict=True):
            if not self._array(array, want, none & array.present, either & array.present):
                return False
        return True

    def _array(self, array: _Array, want: int, none: int, either: int) -> bool:
        """Whether one element of the array meets all of these clauses."""
        if not want | none | either:
            return True
        key = (id(array), want, none, either)
        known = self._known.get(key)
        if known is None:
            known = self._flat(array, want, none, either)
            for element in () if known else array.deep:
                if self._element(element, want, none, either):
                    known = True
                    break
            if self._left >= 0:
                self._known[key] = known
        return known

    def _flat(self, array: _Array, want: int, none: int, either: int) -> bool:
        """Return `_element` for the elements without arrays."""
        for present, satisfied in array.flat:
            if not self._spend():
                return False
            here = want | either & present
            nowhere = none | either & ~present
            if here & ~satisfied or nowhere & present:
                continue
            if not nowhere or _begins_before(here, nowhere):
                return True
        return False
