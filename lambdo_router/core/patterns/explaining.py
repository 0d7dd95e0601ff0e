"""
Why an event does not match, in one line for people.

`amount: 5 is not > 10`; `kind: "video" is not "image", nor does it start with "img-"`;
`bucket: absent`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, assert_never

from lambdo_router.core.patterns.compiling import Clause, SubRule
from lambdo_router.core.patterns.conditions import (
    AnythingBut,
    Cidr,
    Condition,
    ExactLiteral,
    ExactNumber,
    ExactText,
    Exists,
    IgnoringCase,
    Numeric,
    Prefix,
    SameAddress,
    Suffix,
    Wildcard,
)
from lambdo_router.core.patterns.problems import Where
from lambdo_router.core.patterns.source import json_text
from lambdo_router.core.patterns.walking import found_at, way_along
from lambdo_router.core.patterns.wording import cut, either, label, shown
from lambdo_router.core.strict_json import WideNumber

_MOST_READ: Final = 10_000
"""Values at one path that are read for an explanation."""
_MOST_CLAIMS: Final = 3
"""Conditions of the kind "does" that are written out."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The first reason why an event does not match, and what of the pattern it is about."""

    path: Where
    """
    Keys and list indexes that lead, in the pattern as it is written, to the field that is not
    met; to what the fields have in common where each is met, but not by the same element.
    """
    text: str
    """In one line, values cut and escaped."""


def explain(
    sub_rules: Sequence[SubRule],
    event: dict[str, object],
    veiled: Mapping[str, object] | None = None,
    *,
    gave_up: bool,
) -> Failure:
    """
    The reason of the sub-rule that fails at the fewest paths, given that all fail.

    Of a field that has other values in `veiled` those are told, as they are.
    """
    clauses = {id(clause): clause for sub_rule in sub_rules for clause in sub_rule}
    reasons = {key: _why_not(clause, event, veiled) for key, clause in clauses.items()}
    failures = [
        [
            Failure(clause.where, reason)
            for clause in sub_rule
            if (reason := reasons[id(clause)]) is not None
        ]
        for sub_rule in sub_rules
    ]
    nearest = min(range(len(sub_rules)), key=lambda at: len(failures[at]))
    if failures[nearest]:
        failure = failures[nearest][0]
    else:
        failure = _apart(sub_rules[nearest], event, gave_up=gave_up)
    alternatives = f" (the nearest of {len(sub_rules)} alternatives)" if len(sub_rules) > 1 else ""
    return Failure(failure.path, f"{failure.text}{alternatives}")


def _apart(sub_rule: SubRule, event: dict[str, object], *, gave_up: bool) -> Failure:
    there = [clause for clause in sub_rule if _found(clause, event)]
    paths = either([label(cut(clause.path)) for clause in there], "and")
    if gave_up:
        why = "their arrays can be combined in too many ways to try them all"
    else:
        why = "each is met, but not within the same element of an array"
    return Failure(_common([clause.where for clause in there]), f"{paths}: {why}")


def _common(places: Sequence[Where]) -> Where:
    """The steps that all the places begin with."""
    common = []
    for steps in zip(*places, strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return tuple(common)


def _found(clause: Clause, event: dict[str, object]) -> list[object]:
    return list(islice(found_at(event, way_along(clause.path)), _MOST_READ))


def _why_not(
    clause: Clause, event: dict[str, object], veiled: Mapping[str, object] | None
) -> str | None:
    found = _found(clause, event)
    values = [value for value in found if not isinstance(value, (dict, list))]
    if any(map(clause.values.holds, values)) or (clause.allows_absence and not values):
        return None
    path = label(cut(clause.path))
    if not values:
        return f"{path}: absent" + (f" ({shown(found[0])} is no value)" if found else "")
    if not clause.allows_values:
        return f"{path}: {_seen(values)} is there and must be absent"
    asked = _asked(clause.where, veiled)
    denial = _denial(clause.conditions) if asked is None else f"does not meet {asked}"
    return f"{path}: {_seen(values)} {denial}{_note(clause, values[0])}"


def _asked(where: Where, veiled: object) -> str | None:
    """What is asked at this place, letter by letter, if there is a variable in it; else None."""
    for step in where if veiled is not None else ():
        veiled = veiled[step]  # type: ignore[index]
    items = [json_text(item) for item in (veiled if isinstance(veiled, list) else [veiled])]
    # Of a literal `${` it makes no difference in which words it is told.
    return either(list(map(cut, items))) if any("${" in item for item in items) else None


def _seen(values: Sequence[object]) -> str:
    different = list(dict.fromkeys(map(shown, islice(values, 100))))
    return different[0] if len(different) == 1 else f"each of {either(different, 'and')}"


def _denial(conditions: Sequence[Condition]) -> str:
    if all(isinstance(condition, AnythingBut) for condition in conditions):
        return f"is excluded by {either([_claim(condition)[1] for condition in conditions], 'and')}"
    claims = [_claim(condition) for condition in conditions]
    is_not = [claim for verb, claim in claims if verb == "is"]
    does_not = [claim for verb, claim in claims if verb == "does"]
    denials = [f"is not {either(is_not)}"] if is_not else [f"does not {does_not.pop(0)}"]
    denials += [f"nor does it {claim}" for claim in does_not[:_MOST_CLAIMS]]
    if len(does_not) > _MOST_CLAIMS:
        denials.append(f"nor does it meet {len(does_not) - _MOST_CLAIMS} more conditions")
    return ", ".join(denials)


def _note(clause: Clause, value: object) -> str:
    """The confusion that every user of typed attributes meets once."""
    conditions = clause.conditions
    if isinstance(value, str) and all(isinstance(c, (Numeric, ExactNumber)) for c in conditions):
        return " (a string is no number)"
    if type(value) in (int, float, WideNumber) and all(
        isinstance(c, (ExactText, Prefix, Suffix, IgnoringCase, Wildcard)) for c in conditions
    ):
        return " (a number is no string)"
    return ""


def _claim(condition: Condition) -> tuple[Literal["is", "does"], str]:
    """What the condition says of a value: that it *is* or that it *does* something."""
    match condition:
        case Prefix(text):
            claim = f"start with {shown(text)}"
        case Suffix(text):
            claim = f"end with {shown(text)}"
        case Wildcard(text):
            claim = f"match the wildcard {shown(text)}"
        case IgnoringCase(text, where):
            how = {"whole": "equal", "start": "start with", "end": "end with"}[where]
            claim = f"{how} {shown(text)} in any case"
        case _:
            return "is", _being(condition)
    return "does", claim


def _being(
    condition: ExactText
    | SameAddress
    | ExactNumber
    | ExactLiteral
    | Numeric
    | Cidr
    | Exists
    | AnythingBut,
) -> str:
    match condition:
        case ExactText(wanted) | SameAddress(wanted) | ExactNumber(wanted) | ExactLiteral(wanted):
            claim = shown(wanted)
        case Numeric():
            claim = _limits(condition)
        case Cidr(text):
            claim = f"an IP address in {text}"
        case Exists(wanted):
            claim = "a readable value" if wanted else "absent"
        case AnythingBut(excluded):
            claim = f"anything-but {either([_exclusion(c) for c in excluded.conditions])}"
        case unreachable:
            assert_never(unreachable)
    return claim


def _exclusion(condition: Condition) -> str:
    match condition:
        case Prefix(text):
            return f"prefix {shown(text)}"
        case Suffix(text):
            return f"suffix {shown(text)}"
        case IgnoringCase(text):
            return f"equals-ignore-case {shown(text)}"
        case Wildcard(text):
            return f"wildcard {shown(text)}"
        case _:
            return _claim(condition)[1]


def _limits(numeric: Numeric) -> str:
    low, high = numeric.low, numeric.high
    if low is not None and low == high:
        return f"= {_number(low)}"
    limits = []
    if low is not None:
        limits.append(f">{'=' * numeric.low_included} {_number(low)}")
    if high is not None:
        limits.append(f"<{'=' * numeric.high_included} {_number(high)}")
    return " and ".join(limits)


def _number(double: float) -> str:
    return repr(double).removesuffix(".0")
