"""The operator anything-but, plain and with another operator inside."""

from collections.abc import Callable, Mapping
from typing import Final

from lambdo_router.core.patterns.conditions import (
    AnyOf,
    AnythingBut,
    Condition,
    ExactNumber,
    ExactText,
)
from lambdo_router.core.patterns.numbers import comparable_number
from lambdo_router.core.patterns.problems import PatternError, Where, refused
from lambdo_router.core.patterns.texts import ignoring_case, prefix, suffix, wildcard
from lambdo_router.core.patterns.wording import cut, described, label, shown
from lambdo_router.core.strict_json import WideNumber


def anything_but(argument: object, where: Where) -> Condition:
    match argument:
        case str() | int() | float() | WideNumber() if not isinstance(argument, bool):
            return AnythingBut(AnyOf((_excluded(argument, where),)))
        case [*values] if values:
            excluded = [_excluded(value, (*where, at)) for at, value in enumerate(values)]
            if len({isinstance(condition, ExactText) for condition in excluded}) > 1:
                raise PatternError(
                    f"{shown(values)} mixes strings and numbers; `anything-but` takes only "
                    "strings or only numbers",
                    where,
                )
            return AnythingBut(AnyOf(tuple(excluded)))
        case Mapping() if len(argument) == 1:
            [(name, inner)] = argument.items()
            return _anything_but_operation(name, inner, where)
        case _:
            raise refused("anything-but", argument, where, _EXCLUDABLE)


_EXCLUDABLE: Final = (
    "a string, a number, a list of only strings or only numbers, or an object with one of "
    "prefix, suffix, equals-ignore-case and wildcard"
)


def _excluded(value: object, where: Where) -> ExactText | ExactNumber:
    match value:
        case str():
            return ExactText(value)
        case bool():
            pass
        case int() | float() | WideNumber():
            comparable_number(value, where)
            return ExactNumber(value)
        case {**operation}:
            name = next(iter(operation), "prefix")
            raise PatternError(
                "an operator inside a list of `anything-but`; put it in braces without the list, "
                f"like {{anything-but: {{{label(cut(str(name)))}: ...}}}}",
                where,
            )
    raise PatternError(
        f"{described(value)} in `anything-but`; it takes only strings or only numbers, and lets "
        "true, false and null pass anyway",
        where,
    )


def _anything_but_operation(name: object, argument: object, where: Where) -> Condition:
    inside = (*where, str(name))
    read = _INSIDE_ANYTHING_BUT.get(name) if isinstance(name, str) else None
    if read is None:
        raise PatternError(
            f"`anything-but` has no form {shown(name)}; allowed inside are "
            f"{', '.join(_INSIDE_ANYTHING_BUT)}",
            inside,
            of_key=True,
        )
    texts = argument if isinstance(argument, (list, tuple)) else [argument]
    if not texts:
        raise PatternError(
            f"`{name}` in `anything-but` has an empty list; list at least one", inside
        )
    conditions = []
    for at, text in enumerate(texts):
        spot = (*inside, at) if isinstance(argument, (list, tuple)) else inside
        if not isinstance(text, str):
            raise PatternError(
                f"`{name}` in `anything-but` takes a string or a list of strings, found "
                f"{described(text)}",
                spot,
            )
        if not text and name in ("prefix", "suffix"):
            raise PatternError(f'every string has the {name} "": nothing would be left', spot)
        conditions.append(read(text, spot))
    return AnythingBut(AnyOf(tuple(conditions)))


_INSIDE_ANYTHING_BUT: Final[Mapping[str, Callable[[object, Where], Condition]]] = {
    "prefix": prefix,
    "suffix": suffix,
    "equals-ignore-case": ignoring_case,
    "wildcard": wildcard,
}
