"""
A compiled pattern, and whether an event matches it.

Most events are decided by looking at the paths one by one. Only if a path leads into an array of
objects or arrays must it be found out which values go together (joining.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.core.patterns.compiling import SubRule, compile_sub_rules
from lambdo_router.core.patterns.conditions import AnyOf
from lambdo_router.core.patterns.explaining import Failure, explain
from lambdo_router.core.patterns.joining import Search
from lambdo_router.core.patterns.problems import PatternError
from lambdo_router.core.patterns.reading import FAILS, HOLDS, NESTED, Reading
from lambdo_router.core.patterns.source import canonical_source
from lambdo_router.core.patterns.surveying import Survey
from lambdo_router.core.patterns.walking import Step, steps_along
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
    """In the order of their paths: the path, what is asked there, how absence stands to it."""
    rules: tuple[_Rule, ...]
    _root: Step | None = None

    @property
    def root(self) -> Step:
        """The walk along all paths. Few patterns need it: the first event that does makes it."""
        if self._root is None:
            paths = ((path, 1 << at, values) for at, (path, values, _) in enumerate(self.clauses))
            self._root = steps_along(paths)
        return self._root


def _plan(sub_rules: tuple[SubRule, ...]) -> _Plan:
    # Sub-rules of one $or share their clauses, so identity finds what is worth finding.
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
    probes = ((c.path, c.values, HOLDS if c.allows_absence else FAILS) for c in clauses)
    return _Plan(tuple(probes), tuple(rules))


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A compiled pattern. Patterns are equal when their sources are.

    Matching takes time in proportion to the event (times the pattern): there is nothing in it that
    a sender could make slow. It reads values as `parse_json` makes them. Who puts one event to
    many patterns hands over one `Reading` of it, so that it is walked along each path only once.
    """

    source: str
    """The pattern in JSON with sorted keys."""
    sub_rules: tuple[SubRule, ...] = field(compare=False, repr=False)
    """The pattern without `$or`: an event matches if it satisfies one of these."""
    veiled: Mapping[str, object] | None = field(default=None, compare=False, repr=False)
    """The pattern as it may be shown to people, if that is not what it is."""
    _plan: _Plan = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plan", _plan(self.sub_rules))

    @property
    def told(self) -> str:
        """The source as it may be shown to people; it need not be a pattern."""
        return self.source if self.veiled is None else canonical_source(self.veiled)

    def matches(self, event: Mapping[str, object] | Reading) -> bool:
        """Whether the event satisfies the pattern. Raises ValueError if it is no object."""
        reading = _reading(event)
        if len(self.sub_rules) > 1:
            return _Match(self._plan, reading).found()
        nested = False
        for clause in self._plan.clauses:
            outcome = reading.outcome(*clause)
            if outcome == FAILS:
                return False
            nested = nested or outcome == NESTED
        return not nested or _Match(self._plan, reading).joins(self._plan.rules[0])

    def why_not(self, event: Mapping[str, object] | Reading) -> str | None:
        """
        None if the event matches; else, in one line, a path, what is asked there and what is there.

        Values are cut and escaped. With `$or` the alternative that fails at the fewest paths
        speaks. Raises ValueError if the event is no object.
        """
        failure = self.failure(event)
        return None if failure is None else failure.text

    def failure(self, event: Mapping[str, object] | Reading) -> Failure | None:
        """The text of `why_not`, together with the path of what it is about in the pattern."""
        reading = _reading(event)
        match = _Match(self._plan, reading)
        if match.found():
            return None
        return explain(self.sub_rules, reading.event, self.veiled, gave_up=match.gave_up)


def compile_pattern(
    pattern: object, *, scalars: bool = False, veiled: Mapping[str, object] | None = None
) -> Pattern:
    """
    Compile a pattern given as parsed JSON or YAML: dicts, lists and scalars.

    With `scalars` a field may have one bare value in place of a list. With `veiled`, which has the
    same shape, that is what people are shown of the pattern. Raises PatternError, whose
    text says what was found and what is allowed, and whose `path` leads to the place.
    """
    if not isinstance(pattern, Mapping):
        raise PatternError(
            'a pattern is an object from field names to lists of values, like {kind: ["image"]}, '
            f"found {described(pattern)}"
        )
    sub_rules = compile_sub_rules(pattern, scalars=scalars)
    return Pattern(canonical_source(pattern), sub_rules, None if veiled == pattern else veiled)


def _reading(event: Mapping[str, object] | Reading) -> Reading:
    return event if isinstance(event, Reading) else Reading(event)


class _Match:
    """One event against one pattern; what was found out at a path is kept for later sub-rules."""

    __slots__ = ("_outcomes", "_plan", "_reading", "_search")

    def __init__(self, plan: _Plan, reading: Reading) -> None:
        self._plan = plan
        self._reading = reading
        self._outcomes: dict[int, int] = {}
        self._search: Search | None = None

    @property
    def gave_up(self) -> bool:
        return self._search is not None and self._search.gave_up

    def found(self) -> bool:
        return any(map(self._satisfies, self._plan.rules))

    def _satisfies(self, rule: _Rule) -> bool:
        nested = False
        for index in rule.clauses:
            outcome = self._outcomes.get(index)
            if outcome is None:
                outcome = self._reading.outcome(*self._plan.clauses[index])
                self._outcomes[index] = outcome
            if outcome == FAILS:
                return False
            nested = nested or outcome == NESTED
        return not nested or self.joins(rule)

    def joins(self, rule: _Rule) -> bool:
        """Whether values that go together satisfy the sub-rule."""
        if self._search is None:
            self._search = Search(Survey(self._reading.event, self._plan.root))
        return self._search.satisfies(rule.want, rule.none, rule.either)
