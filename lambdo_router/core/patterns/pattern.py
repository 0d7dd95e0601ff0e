"""
A compiled pattern, and whether an event matches it.

Most events are decided path by path. Only if a path leads into an array of objects or arrays must
the matcher find out which values go together (arrays.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.core.patterns.arrays import Search, Survey
from lambdo_router.core.patterns.compiling import SubRule, canonical_source, compile_sub_rules
from lambdo_router.core.patterns.explaining import Unmet, explain
from lambdo_router.core.patterns.operators import AnyOf, PatternError
from lambdo_router.core.patterns.reading import (
    FAILS,
    HOLDS,
    NESTED,
    EventReader,
    PathStep,
    walk_along,
)
from lambdo_router.core.patterns.wording import described


@dataclass(frozen=True, slots=True)
class _Rule:
    """A sub-rule, with its clauses as indexes and as bits."""

    clauses: tuple[int, ...]
    want: int
    """Clauses that only a value can meet."""
    none: int
    """Clauses that only the absence of values can meet."""
    either: int


@dataclass(slots=True)
class _Plan:
    """The sub-rules, laid out so that what several of them ask is looked at once."""

    clauses: tuple[tuple[str, AnyOf, int], ...]
    """In the order of their paths: the path, what is asked there, the outcome of absence."""
    rules: tuple[_Rule, ...]
    _root: PathStep | None = None

    @property
    def root(self) -> PathStep:
        """The walk along all paths, made for the first event with arrays of objects."""
        if self._root is None:
            paths = ((path, 1 << at, values) for at, (path, values, _) in enumerate(self.clauses))
            self._root = walk_along(paths)
        return self._root


def _plan(sub_rules: tuple[SubRule, ...]) -> _Plan:
    # Sub-rules of one $or share their clauses, so clauses are told apart by identity.
    different = {id(clause): clause for sub_rule in sub_rules for clause in sub_rule}
    clauses = sorted(different.values(), key=lambda clause: clause.path)
    indexes = {id(clause): at for at, clause in enumerate(clauses)}
    absence = [clause.allows_absence for clause in clauses]
    values = [clause.allows_values for clause in clauses]
    rules = []
    for sub_rule in sub_rules:
        places = [indexes[id(clause)] for clause in sub_rule]
        rules.append(
            _Rule(
                clauses=tuple(places),
                want=sum(1 << at for at in places if not absence[at]),
                none=sum(1 << at for at in places if not values[at]),
                either=sum(1 << at for at in places if values[at] and absence[at]),
            )
        )
    probes = zip(clauses, absence, strict=True)
    return _Plan(
        tuple((c.path, c.values, HOLDS if absent else FAILS) for c, absent in probes), tuple(rules)
    )


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A compiled pattern. Patterns are equal when their sources are.

    Matching takes time in proportion to the event (times the pattern), whatever a sender wrote. It
    reads values as `parse_json` makes them. To put one event to many patterns, pass the same
    `EventReader` to each, so that each path is walked only once.
    """

    source: str
    """The pattern in JSON with sorted keys."""
    sub_rules: tuple[SubRule, ...] = field(compare=False, repr=False)
    """The pattern without `$or`: an event matches if it satisfies one of these."""
    masked: Mapping[str, object] | None = field(default=None, compare=False, repr=False)
    """The pattern as it may be shown to people, if that is different."""
    _plan: _Plan = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plan", _plan(self.sub_rules))

    @property
    def public_source(self) -> str:
        """The source as it may be shown to people; it need not be a valid pattern."""
        return self.source if self.masked is None else canonical_source(self.masked)

    def matches(self, event: Mapping[str, object] | EventReader) -> bool:
        """Return whether the event satisfies the pattern. Raises ValueError if it is no object."""
        reader = _reader(event)
        if len(self.sub_rules) > 1:
            return _Attempt(self._plan, reader).succeeds()
        nested = False
        for clause in self._plan.clauses:
            outcome = reader.outcome(*clause)
            if outcome == FAILS:
                return False
            nested = nested or outcome == NESTED
        return not nested or _Attempt(self._plan, reader).joins(self._plan.rules[0])

    def why_not(self, event: Mapping[str, object] | EventReader) -> str | None:
        """
        Return None if the event matches; else what is asked at one path and what is there.

        With `$or` that is about the alternative that fails at the fewest paths. Raises ValueError
        if the event is no object.
        """
        unmet = self.first_unmet(event)
        return None if unmet is None else unmet.text

    def first_unmet(self, event: Mapping[str, object] | EventReader) -> Unmet | None:
        """Return `why_not`, with the place in the pattern that it is about."""
        reader = _reader(event)
        attempt = _Attempt(self._plan, reader)
        if attempt.succeeds():
            return None
        return explain(self.sub_rules, reader.event, self.masked, gave_up=attempt.gave_up)


def compile_pattern(
    pattern: object, *, scalars: bool = False, masked: Mapping[str, object] | None = None
) -> Pattern:
    """
    Compile a pattern given as parsed JSON or YAML: dicts, lists and scalars.

    With `scalars` a field may have one bare value in place of a list. `masked` has the same shape
    and is what people may see of the pattern. Raises PatternError, whose text says what was found
    and what is allowed, and whose `path` leads to the place.
    """
    if not isinstance(pattern, Mapping):
        raise PatternError(
            'a pattern is an object from field names to lists of values, like {kind: ["image"]}, '
            f"found {described(pattern)}"
        )
    sub_rules = compile_sub_rules(pattern, scalars=scalars)
    return Pattern(canonical_source(pattern), sub_rules, None if masked == pattern else masked)


def _reader(event: Mapping[str, object] | EventReader) -> EventReader:
    return event if isinstance(event, EventReader) else EventReader(event)


class _Attempt:
    """One event against one pattern; the outcome at a path is kept for later sub-rules."""

    __slots__ = ("_outcomes", "_plan", "_reader", "_search")

    def __init__(self, plan: _Plan, reader: EventReader) -> None:
        self._plan = plan
        self._reader = reader
        self._outcomes: dict[int, int] = {}
        self._search: Search | None = None

    @property
    def gave_up(self) -> bool:
        return self._search is not None and self._search.gave_up

    def succeeds(self) -> bool:
        return any(map(self._satisfies, self._plan.rules))

    def _satisfies(self, rule: _Rule) -> bool:
        nested = False
        for index in rule.clauses:
            outcome = self._outcomes.get(index)
            if outcome is None:
                outcome = self._reader.outcome(*self._plan.clauses[index])
                self._outcomes[index] = outcome
            if outcome == FAILS:
                return False
            nested = nested or outcome == NESTED
        return not nested or self.joins(rule)

    def joins(self, rule: _Rule) -> bool:
        """Return whether values that go together satisfy the sub-rule."""
        if self._search is None:
            self._search = Search(Survey(self._reader.event, self._plan.root))
        return self._search.satisfies(rule.want, rule.none, rule.either)
