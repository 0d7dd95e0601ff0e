"""
The pattern language once more: slow, and so plain that it is obviously right.

It reads pattern and event as JSON texts with its own number type, flattens the event into leaves,
and tries every combination of leaves. The compiled matcher is compared with it.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

Leaf = tuple[object, dict[int, int]]
"""A value, and for each array element around it: the array's number and the element's index."""


@dataclass(frozen=True)
class Number:
    text: str

    @property
    def double(self) -> float | None:
        value = float(self.text)
        exact = value not in (float("inf"), float("-inf")) and (
            Decimal(self.text) == Decimal(repr(value))
        )
        return value if exact else None


def read(text: str) -> object:
    return json.loads(text, parse_int=Number, parse_float=Number)


def matches(pattern: str, event: str) -> bool:
    leaves = flatten(read(event))
    return any(_combines(sorted(rule.items()), leaves, {}) for rule in sub_rules(read(pattern)))


def sub_rules(source: object, path: tuple[str, ...] = ()) -> list[dict[str, list[object]]]:
    """Every field and every $or is a list of alternatives; one of each makes a sub-rule."""
    assert isinstance(source, dict)
    factors: list[list[dict[str, list[object]]]] = []
    for key, value in source.items():
        if key == "$or":
            factors.append([rule for branch in value for rule in sub_rules(branch, path)])
        elif isinstance(value, dict):
            factors.append(sub_rules(value, (*path, key)))
        else:
            factors.append([{".".join((*path, key)): value}])
    rules = []
    for combination in product(*factors):
        rule: dict[str, list[object]] = {}
        for part in combination:
            assert not rule.keys() & part.keys(), "the same path twice"
            rule |= part
        rules.append(rule)
    return rules


def flatten(event: object) -> dict[str, list[Leaf]]:
    leaves: dict[str, list[Leaf]] = {}
    arrays = 0

    def visit(value: object, path: tuple[str, ...], membership: dict[int, int]) -> None:
        nonlocal arrays
        if isinstance(value, dict):
            for key, child in value.items():
                visit(child, (*path, key), membership)
        elif isinstance(value, list):
            array, arrays = arrays, arrays + 1
            for index, child in enumerate(value):
                inside = isinstance(child, (dict, list))
                visit(child, path, membership | {array: index} if inside else membership)
        else:
            leaves.setdefault(".".join(path), []).append((value, membership))

    visit(event, (), {})
    return leaves


def _combines(
    fields: list[tuple[str, list[object]]],
    leaves: dict[str, list[Leaf]],
    membership: dict[int, int],
) -> bool:
    if not fields:
        return True
    (path, conditions), *rest = fields
    consistent = [
        (value, inside)
        for value, inside in leaves.get(path, [])
        if all(inside[array] == membership[array] for array in inside.keys() & membership.keys())
    ]
    if not consistent and {"exists": False} in conditions:
        return _combines(rest, leaves, membership)
    return any(
        _combines(rest, leaves, membership | inside)
        for value, inside in consistent
        if any(holds(condition, value) for condition in conditions)
    )


def holds(condition: object, value: object) -> bool:
    if isinstance(condition, dict):
        [(operator, argument)] = condition.items()
        return _operator(operator, argument, value)
    if isinstance(condition, str) and isinstance(value, str):
        return value == condition or (
            _address(condition) is not None and _address(condition) == _address(value)
        )
    return _same(condition, value)


def _same(wanted: object, value: object) -> bool:
    if isinstance(wanted, Number) and isinstance(value, Number):
        if wanted.double is None or value.double is None:
            return wanted.text == value.text
        return wanted.double == value.double
    return type(wanted) is type(value) and wanted == value


def _operator(operator: str, argument: object, value: object) -> bool:
    match operator, argument:
        case "exists", _:
            return argument is True
        case "anything-but", dict():
            [(inner, texts)] = argument.items()
            texts = texts if isinstance(texts, list) else [texts]
            return not any(_operator(inner, text, value) for text in texts)
        case "anything-but", _:
            unwanted = argument if isinstance(argument, list) else [argument]
            return not any(_same(item, value) for item in unwanted)
        case "numeric", list():
            return _numeric(argument, value)
        case _:
            return isinstance(value, str) and _text_operator(operator, argument, value)


def _text_operator(operator: str, argument: object, value: str) -> bool:
    if isinstance(argument, dict):
        text = argument["equals-ignore-case"]
        return any(_ignoring_case(text, part) for part in _edges(operator, value))
    assert isinstance(argument, str)
    return {
        "exactly": lambda: value == argument,
        "prefix": lambda: argument in _edges("prefix", value),
        "suffix": lambda: argument in _edges("suffix", value),
        "equals-ignore-case": lambda: _ignoring_case(argument, value),
        "wildcard": lambda: _wildcard(argument, value),
        "cidr": lambda: _in_range(argument, value),
    }[operator]()


def _edges(operator: str, value: str) -> list[str]:
    cuts = range(len(value) + 1)
    return [value[:cut] if operator == "prefix" else value[cut:] for cut in cuts]


def _ignoring_case(text: str, value: str) -> bool:
    if not text:
        return not value
    first, rest = text[0], text[1:]
    cases = {first} if ord(first) > 0xFFFF else {first.lower(), first.upper()}
    return any(
        value[: len(case)] == case and _ignoring_case(rest, value[len(case) :]) for case in cases
    )


def _wildcard(text: str, value: str) -> bool:
    if not text:
        return not value
    if text[0] == "*":
        return any(_wildcard(text[1:], value[cut:]) for cut in range(len(value) + 1))
    literal, rest = (text[1], text[2:]) if text[0] == "\\" else (text[0], text[1:])
    return value[:1] == literal and _wildcard(rest, value[1:])


def _numeric(argument: list[object], value: object) -> bool:
    number = value.double if isinstance(value, Number) else None
    if number is None:
        return False
    for sign, limit in zip(argument[::2], argument[1::2], strict=True):
        assert isinstance(limit, Number)
        assert limit.double is not None
        holds_here = {
            "=": number == limit.double,
            "<": number < limit.double,
            "<=": number <= limit.double,
            ">": number > limit.double,
            ">=": number >= limit.double,
        }[str(sign)]
        if not holds_here:
            return False
    return True


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", text):
            if len(text) > 15:
                return None
            return ipaddress.IPv4Address(".".join(str(int(part)) for part in text.split(".")))
        if re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*", text):
            return ipaddress.IPv6Address(text)
    except ValueError:
        pass
    return None


def _in_range(cidr: str, value: str) -> bool:
    text, bits = cidr.split("/")
    address = _address(value)
    network = ipaddress.ip_network(f"{_address(text)}/{bits}", strict=False)
    return address is not None and address in network
