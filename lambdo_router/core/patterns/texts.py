"""The operators that take a string: exactly, prefix, suffix, equals-ignore-case, wildcard, cidr."""

from typing import Final

from lambdo_router.core.patterns.addresses import Address, parse_address
from lambdo_router.core.patterns.conditions import (
    Cidr,
    Condition,
    ExactText,
    IgnoringCase,
    Prefix,
    Suffix,
    Wildcard,
)
from lambdo_router.core.patterns.problems import PatternError, Where, refused
from lambdo_router.core.patterns.wording import shown


def exactly(argument: object, where: Where) -> Condition:
    if not isinstance(argument, str):
        raise refused("exactly", argument, where)
    return ExactText(argument)


def ignoring_case(argument: object, where: Where) -> Condition:
    if not isinstance(argument, str):
        raise refused("equals-ignore-case", argument, where)
    return IgnoringCase(argument)


def prefix(argument: object, where: Where) -> Condition:
    match argument:
        case str():
            return Prefix(argument)
        case {"equals-ignore-case": str(text), **others} if not others:
            return IgnoringCase(text, "start")
        case _:
            raise refused("prefix", argument, where, _EDGE)


def suffix(argument: object, where: Where) -> Condition:
    match argument:
        case str():
            return Suffix(argument)
        case {"equals-ignore-case": str(text), **others} if not others:
            return IgnoringCase(text, "end")
        case _:
            raise refused("suffix", argument, where, _EDGE)


_EDGE: Final = "a string or {equals-ignore-case: string}"


def wildcard(argument: object, where: Where) -> Condition:
    if not isinstance(argument, str):
        raise refused("wildcard", argument, where)
    parts, part, characters = [], "", enumerate(argument, start=1)
    after_star = False
    for at, character in characters:
        if character == "*":
            if after_star:
                raise PatternError(
                    f"`**` at character {at - 1} of the wildcard; one `*` is any run of characters "
                    r"already, and `\*` is a star itself",
                    where,
                )
            parts.append(part)
            part = ""
        elif character == "\\":
            _, escaped = next(characters, (0, ""))
            if escaped not in ("*", "\\"):
                raise PatternError(
                    f"`\\` at character {at} of the wildcard must be followed by `*` or `\\`; "
                    r"`\\` is a backslash itself",
                    where,
                )
            part += escaped
        else:
            part += character
        after_star = character == "*"
    return Wildcard(argument, (*parts, part))


def cidr(argument: object, where: Where) -> Condition:
    if not isinstance(argument, str):
        raise refused("cidr", argument, where)
    text, slash, bits = argument.partition("/")
    address = parse_address(text)
    if address is None:
        raise PatternError(
            f"{shown(text)} is no IP address; `cidr` takes one with a `/` and a number of bits, "
            'like "10.0.0.0/8" or "fd00::/8"',
            where,
        )
    width = 32 if address.version == 4 else 128  # noqa: PLR2004 (IPv4)
    if not (slash and bits.isascii() and bits.isdigit() and len(bits) < 4 and int(bits) < width):  # noqa: PLR2004
        raise PatternError(
            f"{shown(argument)}: after the address comes `/` and a number from 0 to {width - 1}; "
            "a single address needs no operator, any spelling of it matches",
            where,
        )
    hosts = (1 << (width - int(bits))) - 1
    first = Address(address.version, address.number & ~hosts)
    return Cidr(argument, first, Address(address.version, address.number | hosts))
