"""`anything-but`: a value that meets none of some conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns.operators.affixes import Prefix, Suffix
from lambdo_router.core.patterns.operators.any_of import AnyOf
from lambdo_router.core.patterns.operators.condition import (
    UNLIKELY,
    Condition,
    Operator,
    PatternError,
    TextOperator,
    Where,
    disjoint,
)
from lambdo_router.core.patterns.operators.exact import ExactNumber, ExactText, comparable_number
from lambdo_router.core.patterns.operators.ignoring_case import IgnoringCase
from lambdo_router.core.patterns.operators.wildcard import Wildcard
from lambdo_router.core.patterns.wording import brief_value, cut, described, either, label, shown
from lambdo_router.core.strict_json import WideNumber

_FORMS: Final[Mapping[str, type[TextOperator]]] = {
    form.name: form for form in (Prefix, Suffix, IgnoringCase, Wildcard)
}


@dataclass(frozen=True, slots=True)
class AnythingBut(Operator):
    """A value, of whatever type, that meets none of the conditions."""

    excluded: AnyOf

    name = "anything-but"
    example_text = '{anything-but: ["a", "b"]}'
    aliases = ("not", "ne", "!=", "not-in")
    never_a_field = True

    @classmethod
    def read(cls, argument: object, where: Where) -> "AnythingBut":
        match argument:
            case str() | int() | float() | WideNumber() if not isinstance(argument, bool):
                return cls(AnyOf((_excluded(argument, where),)))
            case [*values] if values:
                excluded = [_excluded(value, (*where, at)) for at, value in enumerate(values)]
                if len({condition.operand for condition in excluded}) > 1:
                    raise PatternError(
                        f"{shown(values)} mixes strings and numbers; `anything-but` takes only "
                        "strings or only numbers",
                        where,
                    )
                return cls(AnyOf(tuple(excluded)))
            case Mapping() if len(argument) == 1:
                [(name, inner)] = argument.items()
                return cls(AnyOf(tuple(_of_form(name, inner, where))))
            case _:
                raise cls.refused(
                    argument,
                    where,
                    "a string, a number, a list of only strings or only numbers, or an object "
                    f"with one of {either(list(_FORMS), 'and')}",
                )

    @classmethod
    def brief(cls, argument: object) -> str | None:
        items = argument if isinstance(argument, list) else [argument]
        return f"not {' | '.join(brief_value(item, _FORMS) for item in items)}"

    def holds(self, value: object) -> bool:
        return not self.excluded.holds(value) and type(value) is not Undecodable

    @property
    def claim(self) -> str:
        return f"anything-but {either([c.exclusion for c in self.excluded.conditions])}"

    def example(self) -> object:
        return next((value for value in (UNLIKELY, 0) if self.holds(value)), None)

    def includes(self, other: Condition) -> bool:
        if isinstance(other, AnythingBut):
            return other.excluded.contains(self.excluded)
        return all(disjoint(condition, other) for condition in self.excluded.conditions)


def _excluded(value: object, where: Where) -> Condition:
    match value:
        case str():
            return ExactText(value)
        case int() | float() | WideNumber() if not isinstance(value, bool):
            comparable_number(value, where)
            return ExactNumber(value)
        case {**operation}:
            name = next(iter(operation), "prefix")
            raise PatternError(
                "an operator inside a list of `anything-but`; put it in braces without the list, "
                f"like {{anything-but: {{{label(cut(str(name)))}: ...}}}}",
                where,
            )
        case _:
            raise PatternError(
                f"{described(value)} in `anything-but`; it takes only strings or only numbers, "
                "and true, false and null always match it",
                where,
            )


def _of_form(name: object, argument: object, where: Where) -> list[Condition]:
    inside = (*where, str(name))
    form = _FORMS.get(name) if isinstance(name, str) else None
    if form is None:
        raise PatternError(
            f"`anything-but` has no form {shown(name)}; allowed inside are {', '.join(_FORMS)}",
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
        spot = (*inside, at) if texts is argument else inside
        if not isinstance(text, str):
            raise PatternError(
                f"`{name}` in `anything-but` takes a string or a list of strings, found "
                f"{described(text)}",
                spot,
            )
        if not text and form in (Prefix, Suffix):
            raise PatternError(f'every string has the {name} "", so no string would be left', spot)
        conditions.append(form.read(text, spot))
    return conditions
