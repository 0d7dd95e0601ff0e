"""
JSON as anyone may send it: RFC 8259 and nothing more.

UTF-8 without a byte order mark, no lone surrogates (no other program could be sure to read them),
at most `MAX_DEPTH` levels, and integers of at most `MAX_DIGITS` digits. Of two equal keys the last
one counts; what stands under the others is held to the same rules, for whoever reads the text after
us reads that too.
What is parsed serves two readers. Patterns compare numbers as doubles, but only those that a double
stands for exactly; the others they compare as text. So a number becomes an int, a float if a float
is what the sender wrote, and otherwise a `WideNumber` that keeps the text. Schema validators know
no WideNumber: `plain` turns it into a Decimal for them.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import accumulate
from typing import Final, NoReturn

MAX_DEPTH: Final = 128
"""Levels of objects and arrays in one document."""
MAX_DIGITS: Final = 4300
"""Digits of one integer: Python reads no more, here and in Machines."""


@dataclass(frozen=True, slots=True)
class WideNumber:
    """
    A JSON number that no double represents, kept as text.

    It has more digits than a double keeps (`0.1000000000000000001`), or is beyond a double's range
    (`1e400`). Two are equal if their texts are.
    """

    text: str

    def decimal(self) -> Decimal:
        """
        Return the same value as a Decimal, for a schema validator.

        An exponent beyond Decimal's 18 digits becomes a million, which no schema can distinguish.
        """
        try:
            return Decimal(self.text)
        except InvalidOperation:
            sign = "-" if self.text.startswith("-") else ""
            return Decimal(f"{sign}1E{'-' if 'e-' in self.text.lower() else '+'}1000000")


def comparable(number: object) -> float | None:
    """
    Return the double that represents this number, or None.

    None for a number whose exact decimal value is not the shortest decimal of a double (2**53 + 1,
    integers of 20 digits, 1e400), and for everything that is not a number, such as True.
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

    Raises ValueError if the text is anything else, or too long; white space is not allowed.
    """
    if _JSON_NUMBER.fullmatch(text) is None:
        raise ValueError("no JSON number")
    return int(text) if text.lstrip("-").isdigit() else _wide_float(text)


class _NeedsCare(ValueError):
    """The quick reader met a number that it has no type for."""


def _quick_float(text: str) -> float:
    number = float(text)
    # Up to 15 digits a double represents its decimal exactly, except close to its limits.
    if len(text) <= 16 and 1e-290 < abs(number) < 1e290:  # noqa: PLR2004 (said above)
        return number
    if not _stands_for(number, text):
        raise _NeedsCare
    return number


def _stands_for(number: float, text: str) -> bool:
    """Return whether the double's shortest decimal is exactly what the text says."""
    if number in (float("inf"), float("-inf")):
        return False
    if number == 0:
        # By its digits: an exponent may be longer than Decimal takes.
        return not re.split("[eE]", text)[0].strip("-0.")
    return Decimal(text) == Decimal(repr(number))


def _wide_float(text: str) -> float | WideNumber:
    number = float(text)
    return number if _stands_for(number, text) else WideNumber(text)


class _TooLong(ValueError):
    """An integer that is longer than Python reads."""


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _TooLong(text) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


@cache
def _quick_decode() -> Callable[[str | bytes], object]:
    import msgspec  # imported with the first document: it takes longer to load than a command

    return msgspec.json.Decoder(float_hook=_quick_float).decode


_CAREFUL = json.JSONDecoder(
    parse_float=_wide_float, parse_int=_integer, parse_constant=_no_constant
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
    encoded: str | bytes = text
    if not isinstance(text, str) or not text.isascii():
        text, encoded = _checked_text(text)
    try:
        value = _decode(text, encoded)
        if "\\" in text:  # a single character is found quickly
            _check_escapes(text)
    except json.JSONDecodeError as problem:
        reason = problem.msg[:1].lower() + problem.msg[1:].removesuffix(" at")
        raise ValueError(f"{reason}, line {problem.lineno} column {problem.colno}") from None
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


# The two checks look at the text, which is known to be JSON by then, and not at the value: there
# of two equal keys only the last one is left.


def _check_escapes(text: str) -> None:
    if _SURROGATE_ESCAPE.search(text) is None:
        return
    if _SURROGATE_ESCAPE.search(_PAIR.sub("", text.replace(r"\\", ""))) is not None:
        at = next(found.start() for found in _ESCAPE.finditer(text) if found["lone"])
        reason = r"an escape \uD800 to \uDFFF that is not half of a pair"
        raise json.JSONDecodeError(reason, text, at)


_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_PAIR = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
_ESCAPE = re.compile(rf"{_PAIR.pattern}|(?P<lone>{_SURROGATE_ESCAPE.pattern})|\\.")


def _depth(text: str) -> int:
    """Levels of a JSON document that has any."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    outside_of_strings = "".join(text.split('"')[::2])
    brackets = outside_of_strings.encode().translate(None, _NO_BRACKET)
    return max(accumulate(map(_STEP.__getitem__, brackets)))


_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKET = bytes(set(range(256)) - set(_STEP))


def _checked_text(text: str | bytes) -> tuple[str, bytes]:
    """Return the text, and its bytes."""
    if isinstance(text, bytes):
        try:
            decoded = text.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(f"byte {problem.start} is not UTF-8") from None
        encoded = text
    else:
        decoded = text
        try:
            encoded = text.encode()
        except UnicodeEncodeError as problem:
            raise ValueError(f"character {problem.start} is half of a surrogate pair") from None
    if decoded.startswith("\ufeff"):
        raise ValueError("it starts with a byte order mark, which JSON does not allow")
    return decoded, encoded


def _decode(text: str, encoded: str | bytes) -> object:
    try:
        return _quick_decode()(encoded)
    except (ValueError, RecursionError):
        pass  # whatever it refuses, the careful one reads or explains
    try:
        value: object = _CAREFUL.decode(text)
    except _TooLong as problem:
        digits = str(problem)
        reason = f"an integer of {len(digits.lstrip('-'))} digits, where programs stop reading at"
        raise json.JSONDecodeError(f"{reason} {MAX_DIGITS}", text, text.index(digits)) from None
    return _HoldsWideNumbers(value) if isinstance(value, dict) else value


def plain(value: object) -> object:
    """
    Return what `parse_json` returned, with a Decimal in place of each WideNumber.

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
    """Return what `parse_json` returned, in words for people: `a JSON array`."""
    return _KINDS.get(type(value), "a JSON number")
