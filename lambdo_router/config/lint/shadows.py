"""
Routes that no message reaches, because earlier routes of the queue take all that they match.

For each route, an example is made that it matches. Only earlier routes that match the example too
can take all messages of the route, and an index finds those without trying all the others.
Containment then proves whether one does. If no single route takes all, several may do so together:
then each alternative of the route has its taker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from lambdo_router.core.patterns import (
    Clause,
    EventReader,
    Index,
    Pattern,
    SubRule,
    covers_all,
    example_of,
)
from lambdo_router.core.patterns.operators import AnyOf
from lambdo_router.core.routing import Match

_MOST_ALTERNATIVES: Final = 50
"""Alternatives of a route for which takers are searched one by one."""
_MOST_ALIKE: Final = 50
"""Routes that an index may always find together; more than that are compared directly."""
_MOST_COMPARED: Final = 100_000
"""Direct comparisons for one queue, which bounds the time."""

_Needs = frozenset[tuple[str, str]]
"""Parts of messages, and paths in them."""
_Asked = Mapping[str, Sequence[SubRule]]
"""What is asked of each part of a message; parts without a pattern are missing."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A route that gets no message of a queue, by its index among the routes of the queue."""

    place: int
    takers: tuple[int, ...]
    """The earlier routes that take them, alone or together."""


def find_shadows(matches: Sequence[Match | None], index: Index) -> Iterator[Shadow]:
    """
    Yield the routes of one queue that get none of its messages, in order.

    `matches` has None for a route whose match is not known. `index` has an entry for each of them,
    empty if the match is not known.
    """
    search = _Search(matches, index)
    catch_all: int | None = None
    for place, match in enumerate(matches):
        if match is None:
            continue
        if catch_all is not None:
            yield Shadow(place, (catch_all,))
        elif not match.parts():
            catch_all = place
        elif takers := search.takers(place):
            yield Shadow(place, takers)


class _Search:
    """A search for the earlier routes that take the messages of a route."""

    def __init__(self, matches: Sequence[Match | None], index: Index) -> None:
        self._parts: list[Mapping[str, Pattern]] = [
            {} if match is None else dict(match.parts().items()) for match in matches
        ]
        alike = {place for crowd in index.crowds(_MOST_ALIKE) for place in crowd.entries}
        always = [place for place in index.always if self._parts[place]]
        if len(always) > _MOST_ALIKE:
            alike.update(always)
        self._index = index
        self._indexed: Sequence[int] = range(len(matches))
        """The routes in the index."""
        if alike:
            self._indexed = [place for place in self._indexed if place not in alike]
            self._index = Index(self._parts[place].items() for place in self._indexed)
        self._others: dict[_Needs, list[int]] = {}
        """The routes compared directly, by what all their alternatives ask for."""
        for place in sorted(alike):
            self._others.setdefault(_needs(_asked(self._parts[place])), []).append(place)
        self._left = _MOST_COMPARED

    def takers(self, place: int) -> tuple[int, ...]:
        """Return earlier routes that certainly take all that this one matches; empty if unknown."""
        asked = _asked(self._parts[place])
        taker = self._taker(asked, place)
        if taker is not None:
            return (taker,)
        takers = set()
        for alternative in _alternatives(asked):
            taker = self._taker(alternative, place)
            if taker is None:
                return ()
            takers.add(taker)
        return tuple(sorted(takers))

    def _taker(self, asked: _Asked, place: int) -> int | None:
        examples = {
            part: EventReader(example_of(sub_rules[0])) for part, sub_rules in asked.items()
        }
        for candidate in self._candidates(asked, examples, place):
            parts = self._parts[candidate]
            if (
                parts
                and parts.keys() <= asked.keys()
                and all(pattern.matches(examples[part]) for part, pattern in parts.items())
                and all(covers_all(p.sub_rules, asked[part]) for part, p in parts.items())
            ):
                return candidate
        return None

    def _candidates(
        self, asked: _Asked, examples: Mapping[str, EventReader], place: int
    ) -> Iterator[int]:
        nothing = EventReader({})
        for number in self._index.candidates(lambda part: examples.get(part, nothing)):
            if self._indexed[number] >= place:
                break
            yield self._indexed[number]
        needs = _needs(asked)
        for others_need, places in self._others.items():
            if others_need <= needs:
                for other in places[: self._left]:
                    if other >= place:
                        break
                    self._left -= 1
                    yield other


def _asked(parts: Mapping[str, Pattern]) -> _Asked:
    return {part: pattern.sub_rules for part, pattern in parts.items()}


def _needs(asked: _Asked) -> _Needs:
    """Return what every alternative asks for; a taker of them all asks nothing elsewhere."""
    return frozenset(
        (part, path)
        for part, sub_rules in asked.items()
        for path in set.intersection(*({clause.path for clause in rule} for rule in sub_rules))
    )


def _alternatives(asked: _Asked) -> list[_Asked]:
    """Return the alternatives, one of which a message must meet; empty if there are too many."""
    combinations = 1
    for sub_rules in asked.values():
        combinations *= len(sub_rules)
    if combinations > _MOST_ALTERNATIVES:
        return []
    alternatives: list[_Asked] = []
    for chosen in product(*asked.values()):
        split = [_split(sub_rule, _MOST_ALTERNATIVES // combinations) for sub_rule in chosen]
        alternatives += [
            dict(zip(asked, ([rule] for rule in rules), strict=True)) for rules in product(*split)
        ]
    return alternatives if 1 < len(alternatives) <= _MOST_ALTERNATIVES else []


def _split(sub_rule: SubRule, most: int) -> list[SubRule]:
    """Return the sub-rule once for each value of its clauses, split into at most `most`."""
    rules: list[SubRule] = [()]
    for clause in sub_rule:
        choices = [clause]
        if len(rules) * len(clause.conditions) <= most:
            choices = [Clause(clause.path, AnyOf((c,)), clause.where) for c in clause.conditions]
        rules = [(*rule, choice) for rule in rules for choice in choices]
    return rules
