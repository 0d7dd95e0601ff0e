"""
An event seen as a tree of elements, with what they hold at the paths of a pattern.

The event itself is the element at the top. Below an element are its arrays, each with elements of
its own: the objects and arrays in it. Values that stand directly in an array belong to the element
around it, and so does what the only element in question of an array holds: where nothing is to be
chosen there is no level. What an element holds is kept as bits, one for each clause of the
pattern: whether there is a value at the clause's path, and whether one satisfies it. The survey
walks the event once and looks once at each value on the pattern's paths.
"""

from lambdo_router.core.patterns.walking import Step, unwrapped


class Element:
    """The event, or an element of an array, that holds values at the pattern's paths."""

    __slots__ = ("arrays", "inside_present", "inside_satisfied", "present", "satisfied")

    def __init__(self) -> None:
        self.present = 0
        """Clauses that have a value at their path here, not counting the arrays below."""
        self.satisfied = 0
        """Those of them that one such value satisfies."""
        self.arrays: list[Array] = []
        self.inside_present = 0
        """The same for the elements of the arrays below, at any depth."""
        self.inside_satisfied = 0

    def hold(self, array: "Array") -> None:
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

    def absorb(self, array: "Array") -> None:
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


class Array:
    """An array of which some elements hold values at the pattern's paths."""

    __slots__ = ("deep", "flat", "present", "satisfied")

    def __init__(self) -> None:
        self.flat: set[tuple[int, int]] = set()
        """`present` and `satisfied` of the elements that have no arrays themselves."""
        self.deep: list[Element] = []
        self.present = 0
        self.satisfied = 0


class Survey:
    """An event as the search sees it: the tree of its elements, and how many there are."""

    def __init__(self, event: dict[str, object], root: Step) -> None:
        self.top = Element()
        self.size = 1
        self._look_into_object(event, root, self.top)

    def _look_into_object(self, value: dict[str, object], step: Step, element: Element) -> None:
        moves = step.moves
        keys = moves if len(moves) <= len(value) else value.keys() & moves.keys()
        for key in keys:
            if key in value:
                self._look(value[key], moves[key], element)

    def _look(self, value: object, step: Step, element: Element) -> None:
        value = unwrapped(value)
        if isinstance(value, dict):
            self._look_into_object(value, step, element)
        elif isinstance(value, list):
            self._look_into_array(value, step, element)
        elif step.mask:
            _note(value, step, element)

    def _look_into_array(self, items: list[object], step: Step, element: Element) -> None:
        array = Array()
        fresh = Element()
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
                fresh = Element()
            elif fresh.present:
                array.flat.add((fresh.present, fresh.satisfied))
                count += 1
                fresh.present = fresh.satisfied = 0
        if count == 1:
            element.absorb(array)  # with one element in question there is nothing to choose
        elif count:
            self.size += len(array.flat) + len(array.deep)
            element.hold(array)


def _note(value: object, step: Step, element: Element) -> None:
    element.present |= step.mask
    if element.satisfied & step.mask != step.mask:
        element.satisfied |= step.satisfied(value, element.satisfied)
