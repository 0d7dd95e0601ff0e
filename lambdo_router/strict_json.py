"""
JSON as everybody may send it: RFC 8259 and nothing beside it.

UTF-8 without a byte order mark, no lone surrogates (no other program could be sure to read them),
at most `MAX_DEPTH` levels, and no number that takes long. Of two equal keys the last one counts.
What is parsed serves two readers. Patterns compare numbers as doubles, but only those that a double
stands for exactly; the others they compare as text. So a number becomes an int, a float if a float
is what the sender wrote, and otherwise a `WideNumber` that keeps the text. Schema validators know
no WideNumber: `plain` turns it into a Decimal for them.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

MAX_DEPTH: Final = 128
"""Levels of objects and arrays in one document."""


@dataclass(frozen=True, slots=True)
class WideNumber:
    """
    A JSON number that no double stands for, kept as its text.

    That is: it has more digits than a double keeps (`0.1000000000000000001`), lies beyond a
    double's range (`1e400`), or is an integer longer than Python reads in one go. Two of them are
    equal when their texts are.
    """

    text: str

    def decimal(self) -> Decimal:
        """
        The same value as a Decimal, for a schema validator.

        An exponent beyond Decimal's 18 digits is cut to a million: as large or as small as any
        schema can tell.
        """
        try:
            # A fraction keeps a validator from making a Python int of a million digits of it.
            return Decimal(f"{self.text}.0" if self.text.lstrip("-").isdigit() else self.text)
        except InvalidOperation:
            sign = "-" if self.text.startswith("-") else ""
            return Decimal(f"{sign}1E{'-' if 'e-' in self.text.lower() else '+'}1000000")


def comparable(number: object) -> float | None:
    """
    The double that stands for this number, or None.

    None for a number whose exact decimal value is not the shortest decimal of a double (2**53 + 1,
    integers of 20 digits, 1e400), and for everything that is no number. True and False are none.
    """
    if type(number) is float:
        return number if math.isfinite(number) else None
    if type(number) is not int:
        return None
    if -(2**53) <= number <= 2**53:
        return float(number)
    try:
        double = float(number)
    except OverflowError:
        return None
    return double if Decimal(repr(double)) == number else None


_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")


def parse_number(text: str) -> int | float | WideNumber:
    """
    Read one JSON number the way `parse_json` reads it inside a document.

    Raises ValueError if the text is anything else; white space is something else.
    """
    if _JSON_NUMBER.fullmatch(text) is None:
        raise ValueError("no JSON number")
    return _wide_integer(text) if text.lstrip("-").isdigit() else _wide_float(text)


class _NeedsCare(ValueError):
    """The quick reader met a number that it has no type for."""


def _quick_float(text: str) -> float:
    number = float(text)
    # Up to 15 digits a double and its decimal stand for each other, except close to its limits.
    if len(text) <= 16 and 1e-290 < abs(number) < 1e290:  # noqa: PLR2004 (said above)
        return number
    if not _stands_for(number, text):
        raise _NeedsCare
    return number


def _stands_for(number: float, text: str) -> bool:
    """Whether the double's shortest decimal is exactly what the text says."""
    if number in (float("inf"), float("-inf")):
        return False
    if number == 0:
        # By its digits: an exponent may be longer than Decimal takes.
        return not re.split("[eE]", text)[0].strip("-0.")
    return Decimal(text) == Decimal(repr(number))


def _wide_float(text: str) -> float | WideNumber:
    number = float(text)
    return number if _stands_for(number, text) else WideNumber(text)


def _wide_integer(text: str) -> int | WideNumber:
    try:
        return int(text)
    except ValueError:  # longer than Python's limit, which keeps the work per digit small
        return WideNumber(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_QUICK = json.JSONDecoder(parse_float=_quick_float, parse_constant=_no_constant)
_CAREFUL = json.JSONDecoder(
    parse_float=_wide_float, parse_int=_wide_integer, parse_constant=_no_constant
)


class _HoldsWideNumbers(dict[str, object]):
    """A document that `plain` has to convert. All others are ordinary dicts."""


def parse_json(text: str | bytes) -> object:
    """
    Read a JSON document: dicts with str keys, lists, str, int, float, bool, None and WideNumber.

    Every float is finite and `comparable`. Takes time in proportion to the text. Raises
    ValueError, and nothing else, for all that is not JSON as the head of this module describes it;
    its text says what is wrong and where, and repeats nothing of the document.
    """
    text = _checked_text(text)
    try:
        value = _decode(text)
    except json.JSONDecodeError as problem:
        reason = problem.msg[:1].lower() + problem.msg[1:].removesuffix(" at")
        raise ValueError(f"{reason}, line {problem.lineno} column {problem.colno}") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth_passes(value, MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if _SURROGATE_ESCAPE.search(text) and any(map(_LONE_SURROGATE.search, _strings(value))):
        raise ValueError("an escape \\uD800 to \\uDFFF that is not half of a pair")
    return value


_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # the decoder has joined the pairs


def _checked_text(text: str | bytes) -> str:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"byte {problem.start} is not UTF-8") from None
    elif not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as problem:
            raise ValueError(f"character {problem.start} is half of a surrogate pair") from None
    if text.startswith("\ufeff"):
        raise ValueError("it starts with a byte order mark, which JSON does not allow")
    return text


def _decode(text: str) -> object:
    try:
        return _QUICK.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # _NeedsCare, a very long integer, or a constant that fails again below
        value: object = _CAREFUL.decode(text)
    return _HoldsWideNumbers(value) if isinstance(value, dict) else value


def _depth_passes(value: object, limit: int) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    while level and limit:
        limit -= 1
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def plain(value: object) -> object:
    """
    What `parse_json` returned, with a Decimal in place of each WideNumber.

    The value itself, at once, for an object that holds none (nearly all).
    """
    return value if type(value) is dict else _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, WideNumber):
        return value.decimal()
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return value


_KINDS: Final[Mapping[type, str]] = {
    dict: "a JSON object",
    _HoldsWideNumbers: "a JSON object",
    list: "a JSON array",
    str: "a JSON string",
    bool: "a JSON boolean",
    type(None): "a JSON null",
}


def kind_of(value: object) -> str:
    """What `parse_json` returned, in words for people: `a JSON array`."""
    return _KINDS.get(type(value), "a JSON number")
