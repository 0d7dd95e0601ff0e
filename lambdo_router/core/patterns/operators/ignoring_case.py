"""`equals-ignore-case`, alone and inside `prefix` and `suffix`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from lambdo_router.core.patterns.operators.condition import (
    HOLE,
    UNLIKELY,
    Condition,
    Key,
    TextCondition,
    TextOperator,
    Where,
)
from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.patterns.wording import shown

_FOLDED_KINDS: Final = {"whole": "folded", "start": "folded start", "end": "folded end"}


@dataclass(frozen=True, slots=True)
class IgnoringCase(TextOperator):
    """
    A string that is the text, or starts or ends with it, in any mixture of cases.

    Each character of the text matches its lower and its upper case and nothing else: `ß` matches
    `ß` and `SS`, but `SS` does not match `ß`. Characters beyond U+FFFF have no case here, because
    EventBridge works on UTF-16 units.
    """

    text: str
    where: Literal["whole", "start", "end"] = "whole"
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)

    name = "equals-ignore-case"
    example_text = '{equals-ignore-case: "a"}'
    aliases = ("ignore-case", "iequals")
    never_a_field = True
    verb = "does"
    in_brief = "{} (any case)"

    def __post_init__(self) -> None:
        # The two cases of a character begin and end differently, so the expression never
        # backtracks, forwards or backwards.
        cases = [_cases_of(character) for character in self.text]
        if self.where == "end":
            cases = [[case[::-1] for case in pair] for pair in reversed(cases)]
        expression = "".join(f"(?:{'|'.join(map(re.escape, pair))})" for pair in cases)
        object.__setattr__(self, "_expression", re.compile(expression))
        object.__setattr__(self, "_longest", sum(max(map(len, pair)) for pair in cases))

    @classmethod
    def read(cls, argument: object, where: Where) -> "IgnoringCase":
        return cls(cls.text_argument(argument, where))

    def holds(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        match self.where:
            case "whole":
                return self._expression.fullmatch(value) is not None
            case "start":
                return self._expression.match(value) is not None
            case "end":
                end = value[-self._longest :] if self._longest else ""
                return self._expression.match(end[::-1]) is not None

    @property
    def key(self) -> Key | None:
        if not self.text:
            return ("text", "") if self.where == "whole" else None
        fold = self._fold()
        return None if fold is None else (_FOLDED_KINDS[self.where], fold)

    def near(self, values: ManyValues) -> Sequence[object]:
        fold = self._fold() if self.where == "whole" else None
        return values.all if fold is None else values.folding_to(fold)

    @property
    def claim(self) -> str:
        how = {"whole": "equal", "start": "start with", "end": "end with"}[self.where]
        return f"{how} {shown(self.text)} in any case"

    @property
    def holes(self) -> str:
        cases = map(_cases_of, self.text)
        return self._between("".join(c[0] if len(c) == 1 else HOLE for c in cases), HOLE)

    @property
    def folded_holes(self) -> str:
        folds = map(_fold_of, self.text)
        return self._between("".join(HOLE if fold is None else fold for fold in folds), HOLE)

    def example(self) -> str:
        return self._between("".join(_cases_of(c)[-1] for c in self.text), UNLIKELY)

    def includes(self, other: Condition) -> bool:
        if isinstance(other, IgnoringCase) and self._agrees(other):
            return True
        return TextCondition.includes(self, other)

    def _agrees(self, inner: "IgnoringCase") -> bool:
        """Return whether the texts agree, character by character, where both are known."""
        size = len(self.text)
        if self.where != "whole" and inner.where not in (self.where, "whole"):
            return False
        if self.where == "whole" and (inner.where != "whole" or len(inner.text) != size):
            return False
        text = inner.text[-size:] if self.where == "end" and size else inner.text[:size]
        return len(text) == size and all(
            set(_cases_of(one)) <= set(_cases_of(other))
            for one, other in zip(text, self.text, strict=True)
        )

    def _fold(self) -> str | None:
        """Return what every text that meets it folds to; None if they differ."""
        folds = [_fold_of(character) for character in self.text]
        return None if None in folds else "".join(fold for fold in folds if fold is not None)

    def _between(self, text: str, rest: str) -> str:
        return rest * (self.where == "end") + text + rest * (self.where == "start")


def _cases_of(character: str) -> list[str]:
    """Return the lower and the upper case of a character; once, if they are the same."""
    if ord(character) > 0xFFFF:  # noqa: PLR2004 (the end of what UTF-16 has one unit for)
        return [character]
    return sorted({character.lower(), character.upper()})


def _fold_of(character: str) -> str | None:
    """Return what both cases fold to; None for the dotless i, whose cases fold differently."""
    folds = {case.casefold() for case in _cases_of(character)}
    return folds.pop() if len(folds) == 1 else None
