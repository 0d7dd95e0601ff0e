"""
From the source of a pattern to its sub-rules.

A pattern is an object of fields. Its keys, joined with periods, make the paths; `$or` makes
alternatives. Multiplied out, it is a list of sub-rules, each a flat map from path to conditions:
an event matches the pattern if it matches one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lambdo_router.core.patterns.conditions import AnyOf, Condition, Exists
from lambdo_router.core.patterns.operators import OPERATORS, read_condition, read_conditions
from lambdo_router.core.patterns.problems import PatternError, Where
from lambdo_router.core.patterns.wording import cut, described, label, shown

MOST_SUB_RULES: Final = 1000
"""Alternatives that the `$or`s of one pattern may multiply to."""
MOST_STEPS: Final = 100
"""Keys in one path, counting those between the periods of a key; and levels of `$or`."""

OR: Final = "$or"
_SIGNS: Final = ("=", "<", "<=", ">", ">=")
_RESERVED: Final = frozenset(
    {
        *OPERATORS,
        *_SIGNS,
        *("regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)


@dataclass(frozen=True, slots=True)
class Clause:
    """What a sub-rule asks at one path: one of the conditions has to hold there."""

    path: str
    """Keys joined with periods: `{"a": {"b": ...}}` and `{"a.b": ...}` are both `a.b`."""
    values: AnyOf
    where: Where = field(default=(), compare=False)
    """Keys and indexes that lead to the field in the pattern as it is written."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return self.values.conditions

    @property
    def allows_absence(self) -> bool:
        """Whether `exists: false` is among the conditions."""
        return Exists(wanted=False) in self.conditions

    @property
    def allows_values(self) -> bool:
        """Whether anything but `exists: false` is among the conditions."""
        return any(condition != Exists(wanted=False) for condition in self.conditions)


SubRule = tuple[Clause, ...]
"""Clauses that all have to hold, in the order of their paths."""

_Flat = dict[str, Clause]


def compile_sub_rules(pattern: Mapping[object, object], *, scalars: bool) -> tuple[SubRule, ...]:
    """The alternatives of a pattern, at least one. Raises PatternError."""
    sub_rules = _Compiler(scalars).fields(pattern, _Place(), [{}])
    return tuple(tuple(flat[path] for path in sorted(flat)) for flat in sub_rules)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the source we are, which keys lead here in an event, and whether inside an $or."""

    where: Where = ()
    keys: tuple[str, ...] = ()
    inside_or: bool = False

    def under(self, key: str) -> "_Place":
        return _Place((*self.where, key), (*self.keys, key), self.inside_or)


@dataclass(frozen=True, slots=True)
class _Compiler:
    scalars: bool

    def fields(
        self, source: Mapping[object, object], place: _Place, sub_rules: list[_Flat]
    ) -> list[_Flat]:
        """What the object asks is added to each sub-rule; each $or in it multiplies them."""
        if not source:
            raise PatternError(
                "an empty object asks nothing; name at least one field in it", place.where
            )
        for key, value in source.items():
            if not isinstance(key, str):
                raise PatternError(f"field names are strings, found {described(key)}", place.where)
            if key == OR:
                sub_rules = self._alternatives(value, place, sub_rules)
                continue
            inner = place.under(key)
            self._check_name(value, inner)
            if isinstance(value, Mapping):
                sub_rules = self.fields(value, inner, sub_rules)
            else:
                self._field(value, inner, sub_rules)
        return sub_rules

    def _alternatives(self, source: object, place: _Place, sub_rules: list[_Flat]) -> list[_Flat]:
        where = (*place.where, OR)
        if not isinstance(source, (list, tuple)):
            raise PatternError(
                f"`$or` takes a list of at least two objects, found {described(source)}", where
            )
        if len(source) < 2:  # noqa: PLR2004 (an alternative needs another)
            raise PatternError(
                f"`$or` takes at least two objects, found {len(source)}; a single one needs no "
                "`$or`",
                where,
            )
        if len(where) > 2 * MOST_STEPS:
            raise PatternError(f"`$or` nested more than {MOST_STEPS} levels deep", where)
        product: list[_Flat] = []
        for at, alternative in enumerate(source):
            if not isinstance(alternative, Mapping):
                raise PatternError(
                    f"`$or` takes objects of fields, found {described(alternative)}", (*where, at)
                )
            inner = _Place((*where, at), place.keys, inside_or=True)
            product += self.fields(alternative, inner, [dict(flat) for flat in sub_rules])
            if len(product) > MOST_SUB_RULES:
                raise PatternError(
                    f"with this `$or` the pattern has more than {MOST_SUB_RULES} alternatives "
                    "(those of `$or`s side by side multiply); list values in a field's list, or "
                    "split the pattern over several routes",
                    where,
                )
        return product

    def _field(self, value: object, place: _Place, sub_rules: list[_Flat]) -> None:
        path = ".".join(place.keys)
        clause = Clause(path, self._values(value, place), place.where)
        for flat in sub_rules:
            if path in flat:
                raise PatternError(
                    f"`{label(path)}` is asked twice at once; put all values that it may have "
                    "into one list",
                    place.where,
                    of_key=True,
                )
            flat[path] = clause

    def _values(self, value: object, place: _Place) -> AnyOf:
        if isinstance(value, (list, tuple)):
            return read_conditions(value, place.where)
        if not self.scalars:
            raise PatternError(
                f"`{label(place.keys[-1])}` is {described(value)}; a field takes a list of "
                f"allowed values, like [{shown(value)}]",
                place.where,
            )
        return AnyOf((read_condition(value, place.where),))

    def _check_name(self, value: object, place: _Place) -> None:
        key = place.keys[-1]
        if sum(name.count(".") + 1 for name in place.keys) > MOST_STEPS:
            raise PatternError(f"a path of more than {MOST_STEPS} keys", place.where, of_key=True)
        if place.inside_or and key in _RESERVED:
            hint = f"; an operator stands in a list: {_in_a_list(value, place.keys)}"
            raise PatternError(
                f"`{key}` is a word of the language; inside `$or` no field can be called so"
                f"{hint if key in OPERATORS else ''}",
                place.where,
                of_key=True,
            )
        if key in OPERATORS and self._reads_like_an_operator(key, value):
            raise PatternError(
                f"`{key}` outside a list is the name of a field; the operator stands in the list "
                f"of a field: {_in_a_list(value, place.keys)}",
                place.where,
                of_key=True,
            )

    def _reads_like_an_operator(self, key: str, value: object) -> bool:
        if not isinstance(value, (list, tuple)):
            return not isinstance(value, Mapping)
        # With lists the language takes the key for a field. People who may leave brackets out
        # mean the operator all the same, when no field would be called so or hold such values.
        return self.scalars and (
            key in ("anything-but", "equals-ignore-case")
            or (key == "numeric" and bool(value) and value[0] in _SIGNS)
        )


def _in_a_list(value: object, keys: tuple[str, ...]) -> str:
    """The operators at the end of the keys, written as their author meant them."""
    written = shown(value) if not isinstance(value, Mapping) else "..."
    names = list(keys)
    while names and names[-1] in OPERATORS:
        written = f"{{{names.pop()}: {written}}}"
    return f"{label(cut(names[-1])) if names else 'field'}: [{written}]"
