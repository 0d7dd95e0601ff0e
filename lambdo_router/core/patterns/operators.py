"""
From the values of a pattern, as they stand in its lists, to conditions.

Everything that the language does not know is an error that says what was found, what is allowed
and, where it can be guessed, what was meant. Nothing is ever read as "matches everything".
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lambdo_router.core.patterns.addresses import parse_address
from lambdo_router.core.patterns.conditions import (
    AnyOf,
    Condition,
    ExactLiteral,
    ExactNumber,
    ExactText,
    Exists,
    SameAddress,
)
from lambdo_router.core.patterns.exclusion import anything_but
from lambdo_router.core.patterns.numbers import checked_number, numeric
from lambdo_router.core.patterns.problems import EXAMPLES, PatternError, Where, refused
from lambdo_router.core.patterns.texts import cidr, exactly, ignoring_case, prefix, suffix, wildcard
from lambdo_router.core.patterns.wording import described, either, shown
from lambdo_router.core.strict_json import WideNumber


def read_conditions(values: Sequence[object], where: Where) -> AnyOf:
    """The conditions of a field's list, of which one has to hold. Raises PatternError."""
    if not values:
        raise PatternError(
            "an empty list allows no value; list at least one, or ask [{exists: true}] for any",
            where,
        )
    return AnyOf(tuple(read_condition(value, (*where, at)) for at, value in enumerate(values)))


def read_condition(value: object, where: Where) -> Condition:
    """One member of a field's list. Raises PatternError."""
    match value:
        case str():
            address = parse_address(value)
            return ExactText(value) if address is None else SameAddress(value, address)
        case bool() | None:
            return ExactLiteral(value)
        case int() | float() | WideNumber():
            return ExactNumber(checked_number(value, where))
        case Mapping():
            return _operation(value, where)
        case _:
            raise PatternError(
                f"{described(value)} in the list of a field; allowed are strings, numbers, true, "
                'false, null and operators like {prefix: "a"}',
                where,
            )


def _operation(operation: Mapping[object, object], where: Where) -> Condition:
    if len(operation) != 1:
        found = either([shown(key) for key in operation], "and") if operation else "none"
        raise PatternError(
            f"an operator object has exactly one key, found {found}; "
            'write {prefix: "a"}, and each alternative in braces of its own',
            where,
        )
    [(name, argument)] = operation.items()
    read = OPERATORS.get(name) if isinstance(name, str) else None
    if read is None:
        raise PatternError(
            f"there is no operator {shown(name)}; {_meant(name)}",
            (*where, str(name)),
            of_key=True,
        )
    return read(argument, (*where, str(name)))


def _exists(argument: object, where: Where) -> Condition:
    if not isinstance(argument, bool):
        raise refused("exists", argument, where, "true or false")
    return Exists(argument)


_OTHER_NAMES: Final[Mapping[str, str]] = {
    "not": "anything-but",
    "ne": "anything-but",
    "!=": "anything-but",
    "not-in": "anything-but",
    "startswith": "prefix",
    "starts-with": "prefix",
    "begins-with": "prefix",
    "endswith": "suffix",
    "ends-with": "suffix",
    "ignore-case": "equals-ignore-case",
    "iequals": "equals-ignore-case",
    "glob": "wildcard",
    "like": "wildcard",
    "regex": "wildcard",
    "contains": "wildcard",
    "range": "numeric",
    "between": "numeric",
    "number": "numeric",
    "=": "numeric",
    "<": "numeric",
    "<=": "numeric",
    ">": "numeric",
    ">=": "numeric",
    "ip": "cidr",
    "ip-address-in-range": "cidr",
    "present": "exists",
}


def _meant(name: object) -> str:
    if name == "$or":
        return "`$or` stands among the fields, not in the list of one"
    written = str(name).lower().replace("_", "-").replace(" ", "-")
    known = [*OPERATORS, *_OTHER_NAMES]
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.7) if len(written) < 40 else []  # noqa: PLR2004
    if not close:
        return f"there are {', '.join(OPERATORS)}"
    return f"did you mean {EXAMPLES[_OTHER_NAMES.get(close[0], close[0])]}?"


OPERATORS: Final[Mapping[str, Callable[[object, Where], Condition]]] = {
    "prefix": prefix,
    "suffix": suffix,
    "equals-ignore-case": ignoring_case,
    "wildcard": wildcard,
    "anything-but": anything_but,
    "numeric": numeric,
    "exists": _exists,
    "cidr": cidr,
    "exactly": exactly,
}
