"""
IP address literals, as patterns know them.

An IPv4 literal has four decimal parts, and leading zeros mean nothing: 10.0.0.01 is 10.0.0.1. An
IPv6 literal is hexadecimal digits and colons; the mixed form (::ffff:10.0.0.1) is no literal. The
families never mix: no IPv6 literal or range speaks of an IPv4 address.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal

_IPV4 = re.compile(r"0*([0-9]{1,3})\.0*([0-9]{1,3})\.0*([0-9]{1,3})\.0*([0-9]{1,3})")
_IPV4_LONGEST: Final = 15
_IPV6 = re.compile(r"[0-9a-fA-F:]{2,39}")
_LARGEST_PART: Final = 255


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address, whatever its spelling."""

    version: Literal[4, 6]
    number: int


def parse_address(text: str) -> Address | None:
    """The address that the text is a literal of; None for all other texts."""
    if ":" in text:
        if _IPV6.fullmatch(text) is None:
            return None
        try:
            return Address(6, int(IPv6Address(text)))
        except AddressValueError:
            return None
    if len(text) > _IPV4_LONGEST or (found := _IPV4.fullmatch(text)) is None:
        return None
    number = 0
    for part in map(int, found.groups()):
        if part > _LARGEST_PART:
            return None
        number = number << 8 | part
    return Address(4, number)
