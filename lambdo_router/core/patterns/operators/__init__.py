"""
The operators, each a class in a file of its own, and the reader of a field's list.

Whatever the language does not know is an error that says what was found, what is allowed and, if
it can be guessed, what was meant. Nothing is ever read as "matches everything".
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from lambdo_router.core.patterns.operators.addresses import parse_address
from lambdo_router.core.patterns.operators.affixes import Prefix, Suffix
from lambdo_router.core.patterns.operators.any_of import AnyOf
from lambdo_router.core.patterns.operators.anything_but import AnythingBut
from lambdo_router.core.patterns.operators.cidr import Cidr
from lambdo_router.core.patterns.operators.condition import (
    Condition,
    Operator,
    PatternError,
    Where,
    disjoint,
)
from lambdo_router.core.patterns.operators.exact import (
    ExactLiteral,
    ExactText,
    SameAddress,
    exact_number,
)
from lambdo_router.core.patterns.operators.exists import Exists
from lambdo_router.core.patterns.operators.ignoring_case import IgnoringCase
from lambdo_router.core.patterns.operators.numeric import Numeric
from lambdo_router.core.patterns.operators.wildcard import Wildcard
from lambdo_router.core.patterns.wording import brief_value, described, either, shown
from lambdo_router.core.strict_json import WideNumber

__all__ = [
    "OPERATORS",
    "AnyOf",
    "Condition",
    "PatternError",
    "Where",
    "brief",
    "disjoint",
    "read_condition",
    "read_conditions",
]

_CLASSES: Final[tuple[type[Operator], ...]] = (
    *(Prefix, Suffix, IgnoringCase, Wildcard, AnythingBut, Numeric, Exists, Cidr, ExactText),
)
OPERATORS: Final[Mapping[str, type[Operator]]] = {cls.name: cls for cls in _CLASSES}
_BY_ANY_NAME: Final = {name: cls for cls in _CLASSES for name in (cls.name, *cls.aliases)}
_LONGEST_GUESSED: Final = 40
"""Characters of an unknown name for which a known one is suggested."""


def read_conditions(values: Sequence[object], where: Where) -> AnyOf:
    """Return the conditions in a field's list. Raises PatternError."""
    if not values:
        raise PatternError(
            "an empty list allows no value; list at least one, or write [{exists: true}] for any",
            where,
        )
    return AnyOf(tuple(read_condition(value, (*where, at)) for at, value in enumerate(values)))


def read_condition(value: object, where: Where) -> Condition:
    """Return the condition for one member of a field's list. Raises PatternError."""
    match value:
        case str():
            address = parse_address(value)
            return ExactText(value) if address is None else SameAddress(value, address)
        case bool() | None:
            return ExactLiteral(value)
        case int() | float() | WideNumber():
            return exact_number(value, where)
        case Mapping():
            return _operation(value, where)
        case _:
            raise PatternError(
                f"{described(value)} in the list of a field; allowed are strings, numbers, true, "
                'false, null and operators like {prefix: "a"}',
                where,
            )


def brief(condition: object) -> str:
    """Return one member of a field's list, as JSON, in a few words for a table."""
    return brief_value(condition, OPERATORS)


def _operation(operation: Mapping[object, object], where: Where) -> Condition:
    if len(operation) != 1:
        found = either([shown(key) for key in operation], "and") if operation else "none"
        raise PatternError(
            f"an operator object has exactly one key, found {found}; "
            'write {prefix: "a"}, and each alternative in braces of its own',
            where,
        )
    [(name, argument)] = operation.items()
    operator = OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        raise PatternError(
            f"there is no operator {shown(name)}; {_meant(name)}",
            (*where, str(name)),
            of_key=True,
        )
    return operator.read(argument, (*where, str(name)))


def _meant(name: object) -> str:
    if name == "$or":
        return "`$or` stands among the fields, not in the list of one"
    written = str(name).lower().replace("_", "-").replace(" ", "-")
    known = _BY_ANY_NAME if len(written) < _LONGEST_GUESSED else ()
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.7)
    if not close:
        return f"there are {', '.join(OPERATORS)}"
    return f"did you mean {_BY_ANY_NAME[close[0]].example_text}?"
