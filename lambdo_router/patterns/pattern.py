"""
A compiled pattern, and whether an event matches it.

Most events are decided by looking at the paths one by one. Only if a path leads into an array of
objects or arrays must it be found out which values go together (joining.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.patterns.compiling import Clause, SubRule, compile_sub_rules
from lambdo_router.patterns.conditions import AnyOf
from lambdo_router.patterns.explaining import explain
from lambdo_router.patterns.joining import Search
from lambdo_router.patterns.problems import PatternError
from lambdo_router.patterns.source import canonical_source
from lambdo_router.patterns.surveying import Survey
from lambdo_router.patterns.walking import ABSENT, FAILS, HOLDS, NESTED, Step, probe, steps_along
from lambdo_router.patterns.wording import described


@dataclass(frozen=True, slots=True)
class _Rule:
    """A sub-rule, with its clauses as indexes and as bits."""

    clauses: tuple[int, ...]
    want: int
    """Clauses that only a value can meet."""
    none: int
    """Clauses that only the absence of values can meet."""
    either: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """The sub-rules, laid out so that what several of them ask is looked at once."""

    clauses: tuple[tuple[Step, AnyOf, int], ...]
    """In the order of their paths: the walk along it, what is asked, how absence stands to it."""
    root: Step
    """The walk along all paths."""
    rules: tuple[_Rule, ...]


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
    return _Plan(
        tuple(map(_probing, clauses)),
        steps_along((c.path, 1 << at, c.values) for at, c in enumerate(clauses)),
        tuple(rules),
    )


def _probing(clause: Clause) -> tuple[Step, AnyOf, int]:
    way = steps_along([(clause.path, 1, clause.values)])
    return way, clause.values, HOLDS if clause.allows_absence else FAILS


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A compiled pattern. Patterns are equal when their sources are.

    Matching takes time in proportion to the event (times the pattern): there is nothing in it that
    a sender could make slow. It reads values as `parse_json` makes them.
    """

    source: str
    """The pattern in JSON with sorted keys."""
    sub_rules: tuple[SubRule, ...] = field(compare=False, repr=False)
    """The pattern without `$or`: an event matches if it satisfies one of these."""
    _plan: _Plan = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plan", _plan(self.sub_rules))

    def matches(self, event: Mapping[str, object]) -> bool:
        """Whether the event satisfies the pattern. Raises ValueError if it is no object."""
        return _Match(self._plan, _object(event)).found()

    def why_not(self, event: Mapping[str, object]) -> str | None:
        """
        None if the event matches; else, in one line, a path, what is asked there and what is there.

        Values are cut and escaped. With `$or` the alternative that fails at the fewest paths
        speaks. Raises ValueError if the event is no object.
        """
        found = _object(event)
        match = _Match(self._plan, found)
        if match.found():
            return None
        return explain(self.sub_rules, found, gave_up=match.gave_up)


def compile_pattern(pattern: object, *, scalars: bool = False) -> Pattern:
    """
    Compile a pattern given as parsed JSON or YAML: dicts, lists and scalars.

    With `scalars` a field may have one bare value in place of a list. Raises PatternError, whose
    text says what was found and what is allowed, and whose `path` leads to the place.
    """
    if not isinstance(pattern, Mapping):
        raise PatternError(
            'a pattern is an object from field names to lists of values, like {kind: ["image"]}, '
            f"found {described(pattern)}"
        )
    sub_rules = compile_sub_rules(pattern, scalars=scalars)
    return Pattern(canonical_source(pattern), sub_rules)


def _object(event: object) -> dict[str, object]:
    if isinstance(event, dict):
        return event
    if isinstance(event, Mapping):
        return dict(event)
    raise ValueError(f"an event is an object, not a {type(event).__name__}")


class _Match:
    """One event against one pattern; what was found out at a path is kept for later sub-rules."""

    __slots__ = ("_event", "_outcomes", "_plan", "_search")

    def __init__(self, plan: _Plan, event: dict[str, object]) -> None:
        self._plan = plan
        self._event = event
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
                outcome = self._outcomes[index] = self._probe(index)
            if outcome == FAILS:
                return False
            nested = nested or outcome == NESTED
        if not nested:
            return True
        if self._search is None:
            self._search = Search(Survey(self._event, self._plan.root))
        return self._search.satisfies(rule.want, rule.none, rule.either)

    def _probe(self, index: int) -> int:
        step, values, without = self._plan.clauses[index]
        outcome = probe(self._event, step, values)
        return without if outcome == ABSENT else outcome
