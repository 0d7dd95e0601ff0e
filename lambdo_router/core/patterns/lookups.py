"""
Which conditions a value may satisfy, looked up instead of asked one by one.

Many conditions hold for few values only, and those can be told by a key: the text itself, its
beginning of some length, its end, its form without case, the address or network it stands for. A
`Lookup` has, for one path, all such keys and under each the numbers of those who wait for it. What
a value finds is a superset of whom it satisfies; they have to be asked, but they are few.
"""

from collections.abc import Iterator
from typing import Final, Literal

from lambdo_router.core.message import Unreadable
from lambdo_router.core.patterns.addresses import parse_address
from lambdo_router.core.patterns.conditions import (
    Cidr,
    Condition,
    ExactLiteral,
    ExactNumber,
    ExactText,
    IgnoringCase,
    Numeric,
    Prefix,
    SameAddress,
    Suffix,
    Wildcard,
    folded_text,
)
from lambdo_router.core.strict_json import comparable

Kind = Literal[
    "text",
    "start",
    "end",
    "folded",
    "folded start",
    "folded end",
    "address",
    "network",
    "number",
    "literal",
    "any",
]
Key = tuple[Kind, object]
"""
What a value has to have for a condition to hold.

A network is its family, the number of bits that its addresses differ in, and the bits before them.
"""

ANY: Final[Key] = ("any", None)
"""There is a value at all."""


def key_of(condition: Condition) -> Key | None:
    """The key that every value has for which the condition holds; None if there is no such."""
    match condition:
        case ExactNumber(number=number, double=double):
            return ("number", number if double is None else double)
        case Numeric(low=float(low), high=high) if low == high:
            return ("number", low)
        case ExactLiteral(literal):
            return ("literal", literal)
        case SameAddress(address=address):
            return ("address", address)
        case Cidr(first=first, last=last):
            free = (last.number - first.number).bit_length()
            return ("network", (first.version, free, first.number >> free))
        case _:
            return _text_key(condition)


def _text_key(condition: Condition) -> Key | None:
    key: Key | None = None
    match condition:
        case ExactText(text):
            key = ("text", text)
        case Prefix(text) if text:
            key = ("start", text)
        case Suffix(text) if text:
            key = ("end", text)
        case IgnoringCase(text, where) if text:
            key = _folded_key(text, where)
        case IgnoringCase(text, "whole"):
            key = ("text", text)
        case Wildcard(parts=parts):
            key = _wildcard_key(parts)
    return key


def _wildcard_key(parts: tuple[str, ...]) -> Key | None:
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return ("text", first)
    if not first and not last:
        return None
    return ("start", first) if len(first) >= len(last) else ("end", last)


def _folded_key(text: str, where: Literal["whole", "start", "end"]) -> Key | None:
    fold = folded_text(text)
    if fold is None:
        return None
    match where:
        case "whole":
            return ("folded", fold)
        case "start":
            return ("folded start", fold)
        case "end":
            return ("folded end", fold)


def weakness(key: Key) -> float:
    """How little a key says, from 0 for one value up to 1: where as many wait for several keys."""
    match key:
        case ("start" | "end" | "folded start" | "folded end", str(text)):
            return 1 / (len(text) + 1)
        case ("network", (int(), int(free), int())):
            return free / 128
        case _:
            return 0


Waiting = list[int]
"""Numbers of those who wait for a key, in the order in which they were added."""


class Lookup:
    """The keys for the values at one path, and who waits for each."""

    __slots__ = ("_anyone", "_edges", "_longest", "_networks", "_values")

    def __init__(self) -> None:
        self._values: dict[Kind, dict[object, Waiting]] = {}
        """For keys that are the value itself, in some form."""
        self._edges: dict[Kind, dict[int, dict[str, Waiting]]] = {}
        """For the beginnings and ends of texts, by their length."""
        self._networks: dict[tuple[int, int], dict[int, Waiting]] = {}
        self._anyone: Waiting = []
        self._longest = 0
        """Characters of the longest folded text: no text that is longer folds to as few."""

    def add(self, key: Key, who: int) -> None:
        """Let somebody wait for the key."""
        waiting = self._waiting(key)
        if not waiting or waiting[-1] != who:
            waiting.append(who)

    def all_waiting(self) -> Iterator[Waiting]:
        """Those who wait for the same key, key by key."""
        for values in self._values.values():
            yield from values.values()
        for edges in self._edges.values():
            for texts in edges.values():
                yield from texts.values()
        for networks in self._networks.values():
            yield from networks.values()
        yield self._anyone

    def _waiting(self, key: Key) -> Waiting:
        match key:
            case ("start" | "end" | "folded start" | "folded end" as kind, str(text)):
                if kind not in ("start", "end"):
                    self._longest = max(self._longest, len(text))
                edges = self._edges.setdefault(kind, {})
                return edges.setdefault(len(text), {}).setdefault(text, [])
            case ("network", (int(version), int(free), int(common))):
                return self._networks.setdefault((version, free), {}).setdefault(common, [])
            case ("any", _):
                return self._anyone
            case (kind, value):
                if kind == "folded":
                    self._longest = max(self._longest, len(str(value)))
                return self._values.setdefault(kind, {}).setdefault(value, [])

    def find(self, value: object, found: set[int]) -> None:
        """Add all those to `found` whose key the value has."""
        if isinstance(value, str):
            self._find("text", value, found)
            if self._edges:
                self._find_edges("start", "end", value, value, found)
            if self._longest:
                self._find_folded(value, found)
            if self._networks or "address" in self._values:
                self._find_address(value, found)
        elif value is None or value is True or value is False:
            self._find("literal", value, found)
        elif type(value) is Unreadable:
            return  # no condition holds for it
        elif "number" in self._values:
            double = comparable(value)
            self._find("number", value if double is None else double, found)
        if self._anyone:
            found.update(self._anyone)

    def _find(self, kind: Kind, value: object, found: set[int]) -> None:
        if kind in self._values and (waiting := self._values[kind].get(value)):
            found.update(waiting)

    def _find_edges(
        self, start: Kind, end: Kind, beginning: str, ending: str, found: set[int]
    ) -> None:
        for length, waiting in self._edges.get(start, {}).items():
            found.update(waiting.get(beginning[:length], ()))
        for length, waiting in self._edges.get(end, {}).items():
            found.update(waiting.get(ending[-length:], ()))

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
        for (version, free), waiting in self._networks.items():
            if version == address.version:
                found.update(waiting.get(address.number >> free, ()))
