"""
Which of many entries a message may match, without trying each of them.

An entry has patterns for one or several documents of a message (its attributes, its body) and
matches if all of them do. Of each pattern's sub-rule the index picks the clause whose values are
shared by the fewest entries, and files the entry there under the keys of those values. A message is
walked once, along the indexed paths: the entries found there may match, all others cannot. An entry
with a sub-rule that a message can meet without any particular value is a candidate for every
message.

So the cost of a message does not grow with the entries, only with those that ask for the same. What
is found at all their other paths on that walk is noted in the reader, so that most patterns need no
walk of their own.
"""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns.compiling import Clause
from lambdo_router.core.patterns.operators.addresses import parse_address
from lambdo_router.core.patterns.operators.condition import Key
from lambdo_router.core.patterns.pattern import Pattern
from lambdo_router.core.patterns.reading import FEW, EventReader, lead, unwrapped
from lambdo_router.core.strict_json import comparable

Documents = Iterable[tuple[str, Pattern]]
"""The name of each document that an entry asks something of, and the pattern for it."""
_ANY: Final[Key] = ("any", None)
"""There is a value at all."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Entries that are all candidates as soon as one of them is."""

    document: str
    path: str
    entries: tuple[int, ...]


@dataclass(slots=True)
class _Node:
    """A place on the way to an indexed path."""

    moves: dict[str, "_Node"] = field(default_factory=dict)
    lookup: "_Lookup | None" = None
    path: str | None = None
    """The path, if an entry asks something there."""


@dataclass(frozen=True, slots=True)
class _Filing:
    """Where an entry can be filed for one of its sub-rules."""

    document: str
    path: str
    keys: tuple[Key, ...]

    def places(self) -> set[tuple[str, str, Key]]:
        return {(self.document, self.path, key) for key in self.keys}


_Sharers = Counter[tuple[str, str, Key]]
"""How many entries could be filed under a key, by document, path and key."""


class Index:
    """Entries by number, from 0 in the order in which they are given."""

    def __init__(self, entries: Iterable[Documents]) -> None:
        self._roots: dict[str, _Node] = {}
        self._lookups: dict[tuple[str, str], _Lookup] = {}
        asked = [tuple(entry) for entry in entries]
        options = [_options(entry) for entry in asked]
        sharers: _Sharers = Counter()
        for patterns in options:
            filings = {filing for rules in patterns for rule in rules for filing in rule}
            sharers.update(set().union(*(filing.places() for filing in filings)))
        always = []
        for number, patterns in enumerate(options):
            ways = [
                [min(rule, key=lambda filing: _worth([filing], sharers)) for rule in rules]
                for rules in patterns
            ]
            if ways:
                self._file(number, min(ways, key=lambda way: _worth(way, sharers)))
            else:
                always.append(number)
        self._paths = self._take_paths(asked)
        self.always = tuple(always)
        """The entries that are candidates for every message."""

    def candidates(self, reader_of: Callable[[str], EventReader]) -> Iterable[int]:
        """
        Return all entries that the message may match, in order; `reader_of` reads a document.

        Nearly all of them do match: only their key was found, not all that they ask.
        """
        found: set[int] = set()
        for document, root in self._roots.items():
            reader = reader_of(document)
            values = _look_into(reader.event, root, found)
            if values is not None:
                reader.note(self._paths[document], values)
        if not self.always:
            return sorted(found)
        return self._merged(sorted(found)) if found else self.always

    def _merged(self, found: list[int]) -> Iterator[int]:
        start = 0
        for number in found:
            end = bisect(self.always, number, start)
            yield from self.always[start:end]
            yield number
            start = end
        yield from self.always[start:]

    def crowds(self, most: int) -> Iterator[Crowd]:
        """Yield every group of more than `most` entries that are filed under the same key."""
        for (document, path), lookup in self._lookups.items():
            for filed in lookup.groups():
                if len(filed) > most:
                    yield Crowd(document, path, tuple(filed))

    def _take_paths(self, entries: Iterable[Documents]) -> dict[str, frozenset[str]]:
        """Return all paths in the documents that are walked, and let the walk pass there."""
        paths: dict[str, set[str]] = {document: set() for document in self._roots}
        for entry in entries:
            for document, pattern in entry:
                known = paths.get(document)
                for path in {c.path for rule in pattern.sub_rules for c in rule}:
                    if known is not None and path not in known:
                        known.add(path)
                        lead(self._roots[document], path).path = path
        return {document: frozenset(known) for document, known in paths.items()}

    def _file(self, number: int, way: list[_Filing]) -> None:
        for filing in dict.fromkeys(way):
            lookup = self._lookups.get((filing.document, filing.path))
            if lookup is None:
                root = self._roots.setdefault(filing.document, _Node())
                lookup = lead(root, filing.path).lookup = _Lookup()
                self._lookups[filing.document, filing.path] = lookup
            for key in filing.keys:
                lookup.add(key, number)


def _options(entry: Documents) -> list[list[list[_Filing]]]:
    """Return, for each pattern, sub-rule by sub-rule, the filings; without unindexable patterns."""
    options = []
    for document, pattern in entry:
        filings: dict[int, _Filing] = {}  # sub-rules of one $or share their clauses
        for clause in {id(c): c for rule in pattern.sub_rules for c in rule}.values():
            if not clause.allows_absence:
                filings[id(clause)] = _Filing(document, clause.path, _keys(clause))
        rules = [[filings[id(c)] for c in rule if id(c) in filings] for rule in pattern.sub_rules]
        if all(rules):
            options.append(rules)
    return options


def _keys(clause: Clause) -> tuple[Key, ...]:
    keys = [condition.key for condition in clause.conditions]
    return (_ANY,) if None in keys else tuple(dict.fromkeys(key for key in keys if key))


def _worth(way: list[_Filing], sharers: _Sharers) -> tuple[bool, int, float]:
    """Return what is better the less it is: only presence tells, sharers, weakness of the key."""
    return max(
        (key == _ANY, sharers[filing.document, filing.path, key], _weakness(key))
        for filing in way
        for key in filing.keys
    )


def _weakness(key: Key) -> float:
    """Return how little a key says, from 0 for a single value up to 1."""
    match key:
        case ("start" | "end" | "folded start" | "folded end", str(text)):
            return 1 / (len(text) + 1)
        case ("network", (int(), int(free), int())):
            return free / 128
        case _:
            return 0


def _look_into(
    event: dict[str, object], root: _Node, found: set[int]
) -> dict[str, list[object]] | None:
    """
    Add the entries that are filed under a value of the event.

    Return the values by their paths; None if an array on the way is long, or holds objects or
    arrays: which of its values go together is another question.
    """
    values: dict[str, list[object]] = {}
    is_flat = True
    pending = [(event, root)]
    for value, node in pending:
        moves = node.moves
        for key in moves if len(moves) <= len(value) else value:
            if key not in value or key not in moves:
                continue
            inner, at = value[key], moves[key]
            if not isinstance(inner, str):
                inner = unwrapped(inner)
            if isinstance(inner, dict):
                pending.append((inner, at))
                continue
            items = [inner]
            if isinstance(inner, list):
                items, objects = _spread(inner)
                pending += [(item, at) for item in objects]
                is_flat = is_flat and not objects and len(inner) == len(items) <= FEW
            if at.path is not None and items and is_flat:
                values[at.path] = [*values[at.path], *items] if at.path in values else items
            if at.lookup is not None:
                for item in items:
                    at.lookup.find(item, found)
    return values if is_flat else None


def _spread(items: list[object]) -> tuple[list[object], list[dict[str, object]]]:
    """Return the values and the objects in an array and the arrays in it."""
    scalars: list[object] = []
    objects: list[dict[str, object]] = []
    waiting = [items]
    for array in waiting:
        for item in array:
            if isinstance(item, dict):
                objects.append(item)
            elif isinstance(item, list):
                waiting.append(item)
            else:
                scalars.append(item)
    return scalars, objects


class _Lookup:
    """For one path, the entries that are filed under each key."""

    __slots__ = ("_anyone", "_filed", "_lengths", "_longest", "_networks", "_texts")

    def __init__(self) -> None:
        self._anyone: list[int] = []
        self._texts: dict[object, list[int]] = {}
        self._filed: dict[str, dict[object, list[int]]] = {
            "any": {None: self._anyone},
            "text": self._texts,
        }
        self._lengths: dict[str, set[int]] = {}
        """Of the texts that a value may start or end with."""
        self._networks: set[tuple[int, int]] = set()
        self._longest = 0
        """Characters of the longest folded text: no text that is longer folds to as few."""

    def add(self, key: Key, number: int) -> None:
        """File an entry under the key."""
        kind, value = key
        filed = self._filed.setdefault(kind, {}).setdefault(value, [])
        if not filed or filed[-1] != number:
            filed.append(number)
        match key:
            case ("network", (int(version), int(free), _)):
                self._networks.add((version, free))
            case (_, str(text)) if kind != "text":
                self._lengths.setdefault(kind, set()).add(len(text))
                if kind not in ("start", "end"):
                    self._longest = max(self._longest, len(text))

    def groups(self) -> Iterator[list[int]]:
        """Yield the entries under each key."""
        for filed in self._filed.values():
            yield from filed.values()

    def find(self, value: object, found: set[int]) -> None:
        """Add all entries to `found` that are filed under a key of the value."""
        if isinstance(value, str):
            if (filed := self._texts.get(value)) is not None:
                found.update(filed)
            if self._lengths:
                self._find_edges("start", "end", value, value, found)
            if self._longest:
                self._find_folded(value, found)
            if self._networks or "address" in self._filed:
                self._find_address(value, found)
        elif value is None or value is True or value is False:
            self._find("literal", value, found)
        elif type(value) is Undecodable:
            return  # no condition holds for it
        elif "number" in self._filed:
            double = comparable(value)
            self._find("number", value if double is None else double, found)
        if self._anyone:
            found.update(self._anyone)

    def _find(self, kind: str, value: object, found: set[int]) -> None:
        if kind in self._filed and (filed := self._filed[kind].get(value)):
            found.update(filed)

    def _find_edges(
        self, start: str, end: str, beginning: str, ending: str, found: set[int]
    ) -> None:
        for length in self._lengths.get(start, ()):
            self._find(start, beginning[:length], found)
        for length in self._lengths.get(end, ()):
            self._find(end, ending[-length:], found)

    def _find_folded(self, value: str, found: set[int]) -> None:
        longest = self._longest
        beginning = value[:longest].casefold()
        if len(value) <= longest:
            self._find("folded", beginning, found)
        ending = value[-longest:].casefold()
        self._find_edges("folded start", "folded end", beginning, ending, found)

    def _find_address(self, value: str, found: set[int]) -> None:
        address = parse_address(value)
        if address is None:
            return
        self._find("address", address, found)
        for version, free in self._networks:
            if version == address.version:
                self._find("network", (version, free, int(address) >> free), found)
