"""
From the source of a pattern to its sub-rules.

A pattern is an object of fields. Its keys, joined with periods, make the paths; `$or` makes
alternatives. Multiplied out, it is a list of sub-rules, each a flat map from path to conditions:
an event matches the pattern if it matches one of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lambdo_router.core.patterns.operators import (
    OPERATORS,
    AnyOf,
    Condition,
    PatternError,
    Where,
    read_condition,
    read_conditions,
)
from lambdo_router.core.patterns.operators.exact import number_text
from lambdo_router.core.patterns.operators.numeric import COMPARISONS
from lambdo_router.core.patterns.wording import cut, described, label, shown
from lambdo_router.core.strict_json import WideNumber

MOST_SUB_RULES: Final = 1000
"""Alternatives that the `$or`s of one pattern may multiply to."""
MOST_STEPS: Final = 100
"""Keys in one path, counting those between the periods of a key; and levels of `$or`."""

OR: Final = "$or"
_RESERVED: Final = frozenset(
    {
        *OPERATORS,
        *COMPARISONS,
        *("regex", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)


@dataclass(frozen=True, slots=True)
class Clause:
    """What a sub-rule asks at one path, where one of the conditions has to hold."""

    path: str
    """Keys joined with periods: `{"a": {"b": ...}}` and `{"a.b": ...}` are both `a.b`."""
    values: AnyOf
    where: Where = field(default=(), compare=False)
    """Keys and indexes that lead to the field in the pattern as it is written."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of which one has to hold."""
        return self.values.conditions

    @property
    def allows_absence(self) -> bool:
        """Whether `exists: false` is among the conditions."""
        return any(condition.met_by_absence for condition in self.conditions)

    @property
    def allows_values(self) -> bool:
        """Whether anything but `exists: false` is among the conditions."""
        return not all(condition.met_by_absence for condition in self.conditions)


SubRule = tuple[Clause, ...]
"""Clauses that all have to hold, in the order of their paths."""

_Flat = dict[str, Clause]


def compile_sub_rules(pattern: Mapping[object, object], *, scalars: bool) -> tuple[SubRule, ...]:
    """Return the alternatives of a pattern, at least one. Raises PatternError."""
    sub_rules = _Compiler(scalars).fields(pattern, _Position(), [{}])
    return tuple(tuple(flat[path] for path in sorted(flat)) for flat in sub_rules)


@dataclass(frozen=True, slots=True)
class _Position:
    """Where in the source we are, which keys lead here in an event, and whether inside an $or."""

    where: Where = ()
    keys: tuple[str, ...] = ()
    inside_or: bool = False

    def under(self, key: str) -> "_Position":
        return _Position((*self.where, key), (*self.keys, key), self.inside_or)


@dataclass(frozen=True, slots=True)
class _Compiler:
    scalars: bool

    def fields(
        self, source: Mapping[object, object], position: _Position, sub_rules: list[_Flat]
    ) -> list[_Flat]:
        """Add what the object asks to each sub-rule; each $or in it multiplies them."""
        if not source:
            raise PatternError(
                "an empty object asks nothing; name at least one field in it", position.where
            )
        for key, value in source.items():
            if not isinstance(key, str):
                raise PatternError(
                    f"field names are strings, found {described(key)}", position.where
                )
            if key == OR:
                sub_rules = self._alternatives(value, position, sub_rules)
                continue
            inner = position.under(key)
            self._check_name(value, inner)
            if isinstance(value, Mapping):
                sub_rules = self.fields(value, inner, sub_rules)
            else:
                self._field(value, inner, sub_rules)
        return sub_rules

    def _alternatives(
        self, source: object, position: _Position, sub_rules: list[_Flat]
    ) -> list[_Flat]:
        where = (*position.where, OR)
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
            inner = _Position((*where, at), position.keys, inside_or=True)
            product += self.fields(alternative, inner, [dict(flat) for flat in sub_rules])
            if len(product) > MOST_SUB_RULES:
                raise PatternError(
                    f"with this `$or` the pattern has more than {MOST_SUB_RULES} alternatives "
                    "(those of `$or`s side by side multiply); list values in a field's list, or "
                    "split the pattern over several routes",
                    where,
                )
        return product

    def _field(self, value: object, position: _Position, sub_rules: list[_Flat]) -> None:
        path = ".".join(position.keys)
        clause = Clause(path, self._values(value, position), position.where)
        for flat in sub_rules:
            if path in flat:
                raise PatternError(
                    f"`{label(path)}` is already tested; put all values that it may have into one "
                    "list",
                    position.where,
                    of_key=True,
                )
            flat[path] = clause

    def _values(self, value: object, position: _Position) -> AnyOf:
        if isinstance(value, (list, tuple)):
            return read_conditions(value, position.where)
        if not self.scalars:
            raise PatternError(
                f"`{label(position.keys[-1])}` is {described(value)}; a field takes a list of "
                f"allowed values, like [{shown(value)}]",
                position.where,
            )
        return AnyOf((read_condition(value, position.where),))

    def _check_name(self, value: object, position: _Position) -> None:
        key = position.keys[-1]
        operator = OPERATORS.get(key)
        problem = None
        if sum(name.count(".") + 1 for name in position.keys) > MOST_STEPS:
            problem = f"a path of more than {MOST_STEPS} keys"
        elif position.inside_or and key in _RESERVED:
            problem = f"`{key}` is a reserved word; inside `$or` it cannot be the name of a field"
            if operator is not None:
                problem += f"; write an operator in a list: {_in_a_list(value, position.keys)}"
        elif operator is not None and (
            # The language takes the key for a field. Where brackets may be left out, people mean
            # the operator all the same if no field would have such a name or such values.
            self.scalars and operator.is_meant_by(value)
            if isinstance(value, (list, tuple))
            else not isinstance(value, Mapping)
        ):
            problem = (
                f"`{key}` outside a list is the name of a field; write the operator in the list "
                f"of a field: {_in_a_list(value, position.keys)}"
            )
        if problem is not None:
            raise PatternError(problem, position.where, of_key=True)


def _in_a_list(value: object, keys: tuple[str, ...]) -> str:
    """Return the operators at the end of the keys, written as their author meant them."""
    written = shown(value) if not isinstance(value, Mapping) else "..."
    names = list(keys)
    while names and names[-1] in OPERATORS:
        written = f"{{{names.pop()}: {written}}}"
    return f"{label(cut(names[-1])) if names else 'field'}: [{written}]"


def canonical_source(pattern: Mapping[str, object]) -> str:
    """Return a valid pattern in JSON with sorted keys; a bare scalar becomes a list of one."""
    members = []
    for key in sorted(pattern):
        value = pattern[key]
        if isinstance(value, Mapping):
            written = canonical_source(value)
        elif key == OR and isinstance(value, (list, tuple)):
            written = f"[{', '.join(map(canonical_source, value))}]"
        else:
            written = json_text(value if isinstance(value, (list, tuple)) else [value])
        members.append(f"{json.dumps(key)}: {written}")
    return f"{{{', '.join(members)}}}"


def json_text(value: object) -> str:
    """Return a value of a pattern in JSON, its numbers digit by digit."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {json_text(value[key])}' for key in value)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(json_text, value))}]"
    if isinstance(value, (int, float, WideNumber)) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value)
