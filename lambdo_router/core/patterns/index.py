"""
Which of many entries a message may match, without putting it to each of them.

An entry has patterns for one or several documents of a message (its attributes, its body) and
matches if all of them do. Of each pattern's sub-rule the clause is chosen whose values are shared
by the fewest entries, and the entry waits there, by the keys of those values (lookups.py). A
message is walked once, along the paths where somebody waits: whoever is found may match, all
others cannot. An entry with a sub-rule that can be met by a message without any particular value
must be asked for every message.

So the cost of a message does not grow with the entries, but with those that ask for the same.
"""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lambdo_router.core.patterns.compiling import Clause
from lambdo_router.core.patterns.lookups import ANY, Key, Lookup, key_of, weakness
from lambdo_router.core.patterns.pattern import Pattern
from lambdo_router.core.patterns.reading import Reading
from lambdo_router.core.patterns.walking import lead

Entry = Iterable[tuple[str, Pattern]]
"""For each document that the entry asks something of, the document's name and a pattern."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Entries that are all asked for a message as soon as one of them is."""

    document: str
    path: str
    entries: tuple[int, ...]


@dataclass(slots=True)
class _Place:
    """A place on the way to where somebody waits."""

    moves: dict[str, "_Place"] = field(default_factory=dict)
    lookup: Lookup | None = None


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where an entry can wait for one of its sub-rules to be met."""

    document: str
    path: str
    keys: tuple[Key, ...]


_Way = tuple[_Spot, ...]
"""A spot for each sub-rule of a pattern: a message that matches is found at one of them."""
_Crowds = Counter[tuple[str, str, Key]]
"""How many entries could wait for a key, by document, path and key."""


class Index:
    """Entries by number, from 0 in the order in which they are given."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._roots: dict[str, _Place] = {}
        self._lookups: dict[tuple[str, str], Lookup] = {}
        options = [_options(entry) for entry in entries]
        crowds = _crowds(options)
        always = []
        for number, patterns in enumerate(options):
            ways = [_best_way(spots, crowds) for spots in patterns]
            if ways:
                self._let_wait(number, min(ways, key=lambda way: _worth(way, crowds)))
            else:
                always.append(number)
        self.always = tuple(always)
        """The entries that are asked for every message."""

    def candidates(self, reading_of: Callable[[str], Reading]) -> Iterator[int]:
        """
        All entries that the message may match, in their order; `reading_of` reads a document.

        Nearly all of them do: only what they wait for has been found, not all that they ask.
        """
        found: set[int] = set()
        for document, root in self._roots.items():
            _look_into(reading_of(document).event, root, found)
        start = 0
        for number in sorted(found):
            end = bisect(self.always, number, start)
            yield from self.always[start:end]
            yield number
            start = end
        yield from self.always[start:]

    def crowds(self, most: int) -> Iterator[Crowd]:
        """More than `most` entries that wait for the same."""
        for (document, path), lookup in self._lookups.items():
            for waiting in lookup.all_waiting():
                if len(waiting) > most:
                    yield Crowd(document, path, tuple(waiting))

    def _let_wait(self, number: int, way: _Way) -> None:
        for spot in dict.fromkeys(way):
            lookup = self._lookups.get((spot.document, spot.path))
            if lookup is None:
                root = self._roots.setdefault(spot.document, _Place())
                lookup = lead(root, spot.path).lookup = Lookup()
                self._lookups[spot.document, spot.path] = lookup
            for key in spot.keys:
                lookup.add(key, number)


def _options(entry: Entry) -> list[list[tuple[_Spot, ...]]]:
    """For each pattern of which every sub-rule has one: the spots where each could wait."""
    options = []
    for document, pattern in entry:
        spots: dict[int, _Spot] = {}  # sub-rules of one $or share their clauses
        of_sub_rules = []
        for sub_rule in pattern.sub_rules:
            of_this = []
            for clause in sub_rule:
                if clause.allows_absence:
                    continue
                if id(clause) not in spots:
                    spots[id(clause)] = _Spot(document, clause.path, _keys(clause))
                of_this.append(spots[id(clause)])
            of_sub_rules.append(tuple(of_this))
        if all(of_sub_rules):
            options.append(of_sub_rules)
    return options


def _keys(clause: Clause) -> tuple[Key, ...]:
    keys = []
    for condition in clause.conditions:
        key = key_of(condition)
        if key is None:
            return (ANY,)
        keys.append(key)
    return tuple(dict.fromkeys(keys))


def _crowds(options: Iterable[list[list[tuple[_Spot, ...]]]]) -> _Crowds:
    crowds: _Crowds = Counter()
    for patterns in options:
        spots = {spot for sub_rules in patterns for way in sub_rules for spot in way}
        crowds.update({(spot.document, spot.path, key) for spot in spots for key in spot.keys})
    return crowds


def _best_way(sub_rules: list[tuple[_Spot, ...]], crowds: _Crowds) -> _Way:
    return tuple(min(spots, key=lambda spot: _worth((spot,), crowds)) for spots in sub_rules)


def _worth(way: _Way, crowds: _Crowds) -> tuple[bool, int, float]:
    """The less the better: whether only presence tells, how many wait there, for how weak a key."""
    return max(
        (key == ANY, crowds[spot.document, spot.path, key], weakness(key))
        for spot in way
        for key in spot.keys
    )


def _look_into(value: dict[str, object], place: _Place, found: set[int]) -> None:
    moves = place.moves
    for key in moves if len(moves) <= len(value) else value:
        if key in value and key in moves:
            _look_at(value[key], moves[key], found)


def _look_at(value: object, place: _Place, found: set[int]) -> None:
    if isinstance(value, dict):
        _look_into(value, place, found)
    elif isinstance(value, list):
        for item in value:
            _look_at(item, place, found)
    elif place.lookup is not None:
        place.lookup.find(value, found)
