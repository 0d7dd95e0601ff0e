"""
Why an event does not match, in one line for people.

`amount: 5 is not > 10`; `kind: "video" is not "image", nor does it start with "img-"`;
`bucket: absent`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lambdo_router.core.patterns.compiling import Clause, SubRule, json_text
from lambdo_router.core.patterns.operators import Condition, Where
from lambdo_router.core.patterns.operators.anything_but import AnythingBut
from lambdo_router.core.patterns.reading import all_at, path_walk
from lambdo_router.core.patterns.wording import cut, either, label, shown
from lambdo_router.core.strict_json import WideNumber

_MOST_READ: Final = 10_000
"""Values at one path that are read for an explanation."""
_MOST_CLAIMS: Final = 3
"""Conditions of the kind "does" that are written out."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """The first reason why an event does not match, and the field of the pattern it is about."""

    path: Where
    """
    Keys and list indexes that lead, in the pattern as it is written, to the field that is not
    met; to what the fields have in common if each is met, but not by the same element.
    """
    text: str
    """One line, with values cut and escaped."""


def explain(
    sub_rules: Sequence[SubRule],
    event: dict[str, object],
    public: Mapping[str, object] | None = None,
    *,
    gave_up: bool,
) -> Unmet:
    """
    Return the reason of the sub-rule that fails at the fewest paths, given that all fail.

    A field that is different in `public` is quoted from there.
    """
    clauses = {id(clause): clause for sub_rule in sub_rules for clause in sub_rule}
    reasons = {key: _why_not(clause, event, public) for key, clause in clauses.items()}
    failures = [
        [
            Unmet(clause.where, reason)
            for clause in sub_rule
            if (reason := reasons[id(clause)]) is not None
        ]
        for sub_rule in sub_rules
    ]
    nearest = min(range(len(sub_rules)), key=lambda at: len(failures[at]))
    if failures[nearest]:
        unmet = failures[nearest][0]
    else:
        unmet = _apart(sub_rules[nearest], event, gave_up=gave_up)
    alternatives = f" (the nearest of {len(sub_rules)} alternatives)" if len(sub_rules) > 1 else ""
    return Unmet(unmet.path, f"{unmet.text}{alternatives}")


def _apart(sub_rule: SubRule, event: dict[str, object], *, gave_up: bool) -> Unmet:
    there = [clause for clause in sub_rule if _found(clause, event)]
    paths = either([label(cut(clause.path)) for clause in there], "and")
    if gave_up:
        why = "their arrays can be combined in too many ways to try them all"
    else:
        why = "each is met, but not within the same element of an array"
    common = []
    for steps in zip(*(clause.where for clause in there), strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return Unmet(tuple(common), f"{paths}: {why}")


def _found(clause: Clause, event: dict[str, object]) -> list[object]:
    return list(islice(all_at(event, path_walk(clause.path)), _MOST_READ))


def _why_not(
    clause: Clause, event: dict[str, object], public: Mapping[str, object] | None
) -> str | None:
    found = _found(clause, event)
    values = [value for value in found if not isinstance(value, (dict, list))]
    if any(map(clause.values.holds, values)) or (clause.allows_absence and not values):
        return None
    path = label(cut(clause.path))
    if not values:
        return f"{path}: absent" + (f" ({shown(found[0])} is not a value)" if found else "")
    if not clause.allows_values:
        return f"{path}: {_seen(values)} is there and must be absent"
    asked = _with_variables(clause.where, public)
    denial = _denial(clause.conditions) if asked is None else f"does not meet {asked}"
    return f"{path}: {_seen(values)} {denial}{_note(clause.conditions, values[0])}"


def _with_variables(where: Where, public: object) -> str | None:
    """Return what is asked at this place as it is written, if a variable is in it; else None."""
    for step in where if public is not None else ():
        public = public[step]  # type: ignore[index]
    items = [json_text(item) for item in (public if isinstance(public, list) else [public])]
    # A literal `${` may be quoted either way.
    return either(list(map(cut, items))) if any("${" in item for item in items) else None


def _seen(values: Sequence[object]) -> str:
    different = list(dict.fromkeys(map(shown, islice(values, 100))))
    return different[0] if len(different) == 1 else f"each of {either(different, 'and')}"


def _denial(conditions: Sequence[Condition]) -> str:
    if all(isinstance(condition, AnythingBut) for condition in conditions):
        return f"is excluded by {either([condition.claim for condition in conditions], 'and')}"
    is_not = [condition.claim for condition in conditions if condition.verb == "is"]
    does_not = [condition.claim for condition in conditions if condition.verb == "does"]
    denials = [f"is not {either(is_not)}"] if is_not else [f"does not {does_not.pop(0)}"]
    denials += [f"nor does it {claim}" for claim in does_not[:_MOST_CLAIMS]]
    if len(does_not) > _MOST_CLAIMS:
        denials.append(f"nor does it meet {len(does_not) - _MOST_CLAIMS} more conditions")
    return ", ".join(denials)


def _note(conditions: Sequence[Condition], value: object) -> str:
    """Return a remark on the confusion that every user of typed attributes meets once."""
    operands = {condition.operand for condition in conditions}
    if isinstance(value, str) and operands == {"number"}:
        return " (a string is not a number)"
    if type(value) in (int, float, WideNumber) and operands == {"text"}:
        return " (a number is not a string)"
    return ""
