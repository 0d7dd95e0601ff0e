"""
How often a schema may look at the same value of an event.

Two references to one schema look at a value twice, and thirty such steps in a row a billion times,
although the schema has only a few lines. So paths are counted before any event is checked: through
references, through several subschemas of one value, and through `unevaluated...`, which makes the
validator look once more.

The count is an upper bound: all alternatives are tried, and always for the same value. If a schema
leads back to itself, the validator remembers what it found, so the depth of an event multiplies
nothing; two rounds are counted.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

MOST_VISITS: Final = 500
"""Of one value of an event. An event of 1 MiB then takes some seconds at worst."""


class TooManyVisits(NamedTuple):
    """The innermost schema that looks at one value too often."""

    schema: dict[str, object]
    visits: int


def count_visits(
    root: object, leads_to: Mapping[int, Sequence[Sequence[object]]]
) -> int | TooManyVisits:
    """
    Return how often `root` may look at one value.

    `leads_to` has, by the `id()` of a schema, the schemas that each reference in it may mean.
    """
    if not isinstance(root, dict):
        return 1
    order, back = _in_order(root, leads_to)
    once = _counted(order, leads_to, {schema: _Visits(1, 1) for schema in back})
    # Entered again, a schema that leads back to itself counts as what it was found to be.
    found = _counted(order, leads_to, {schema: once[schema] for schema in back}) if back else once
    for schema in order:
        if (visits := found[id(schema)].most) > MOST_VISITS:
            return TooManyVisits(schema, visits)
    return max(found[id(root)].most, 1)


class _Visits(NamedTuple):
    """Visits of the value a schema applies to, and at most of any one value within it."""

    here: int = 0
    below: int = 0
    again: bool = False
    """Whether `unevaluated...` beside it evaluates it again."""

    @property
    def most(self) -> int:
        return max(self.here, self.below)


_UNDECIDED = ("anyOf", "contains", "if", "oneOf")
"""Which values these evaluate depends on what is valid."""
_UNEVALUATED = ("unevaluatedItems", "unevaluatedProperties")


class _Parts(NamedTuple):
    """The subschemas of a schema, by the value that they apply to."""

    same: list[Sequence[object]]
    """Groups for the schema's own value; one schema of each applies."""
    within: list[list[Sequence[object]]]
    """For each kind of value within, the groups that apply to it."""

    def schemas(self) -> Iterator[dict[str, object]]:
        for groups in (self.same, *self.within):
            for group in groups:
                yield from (schema for schema in group if isinstance(schema, dict))


def _in_order(
    root: dict[str, object], leads_to: Mapping[int, Sequence[Sequence[object]]]
) -> tuple[list[dict[str, object]], set[int]]:
    """Return all schemas, each after those it applies, and those that lead to themselves."""
    order: list[dict[str, object]] = []
    back: set[int] = set()
    entered, left = {id(root)}, set[int]()
    ways = [(root, _parts(root, leads_to).schemas())]
    while ways:
        schema, rest = ways[-1]
        for inner in rest:
            if id(inner) not in entered:
                entered.add(id(inner))
                ways.append((inner, _parts(inner, leads_to).schemas()))
                break
            if id(inner) not in left:
                back.add(id(inner))
        else:
            left.add(id(schema))
            order.append(schema)
            ways.pop()
    return order, back


def _counted(
    order: Sequence[dict[str, object]],
    leads_to: Mapping[int, Sequence[Sequence[object]]],
    back: Mapping[int, _Visits],
) -> dict[int, _Visits]:
    """Return the visits of each schema; `back` has those of schemas that are not known yet."""
    found: dict[int, _Visits] = {}

    def of(group: Sequence[object]) -> _Visits:
        schemas = [id(schema) for schema in group if isinstance(schema, dict)]
        each = [found.get(schema) or back[schema] for schema in schemas]
        return _Visits(
            max((visits.here for visits in each), default=0),
            max((visits.below for visits in each), default=0),
            any(visits.again for visits in each),
        )

    for schema in order:
        parts = _parts(schema, leads_to)
        same = [of(group) for group in parts.same]
        again = any(keyword in schema for keyword in _UNDECIDED) or any(v.again for v in same)
        times = 2 if again and any(keyword in schema for keyword in _UNEVALUATED) else 1
        within = max(
            (sum(of(group).most for group in groups) for groups in parts.within), default=0
        )
        # A schema that only refers to another costs nothing of its own.
        own = 0 if "$ref" in schema and schema.keys() <= {"$ref", "$defs"} else 1
        here = own + times * sum(v.here for v in same)
        below = times * (within + sum(v.below for v in same))
        found[id(schema)] = _Visits(_bounded(here), _bounded(below), again)
    return found


def _bounded(visits: int) -> int:
    return min(visits, sys.maxsize)


def _parts(schema: dict[str, object], leads_to: Mapping[int, Sequence[Sequence[object]]]) -> _Parts:
    def one(*keywords: str) -> list[Sequence[object]]:
        return [[schema[keyword]] for keyword in keywords if keyword in schema]

    def each(keyword: str) -> list[object]:
        value = schema.get(keyword)
        if isinstance(value, dict):
            return list(value.values())
        return value if isinstance(value, list) else []

    same = [*leads_to.get(id(schema), ()), *one("if", "then", "else", "not")]
    for keyword in ("allOf", "anyOf", "oneOf", "dependentSchemas"):
        same.extend([inner] for inner in each(keyword))
    rest = [*one("additionalProperties"), *one("unevaluatedProperties")]
    by_pattern: list[Sequence[object]] = [[inner] for inner in each("patternProperties")]
    after: list[Sequence[object]] = [*one("items"), *one("unevaluatedItems")]
    members = [
        [each("properties"), *by_pattern],
        [*by_pattern, *rest],
        one("propertyNames"),
        [each("prefixItems"), *one("contains")],
        [*after, *one("contains")],
    ]
    return _Parts(same, members)
