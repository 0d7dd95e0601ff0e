"""IP address literals. No IPv6 literal or range ever matches an IPv4 address."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

IpAddress = IPv4Address | IPv6Address

_IPV4: Final = re.compile(r"0*([0-9]{1,3})\.0*([0-9]{1,3})\.0*([0-9]{1,3})\.0*([0-9]{1,3})")
_IPV4_LONGEST: Final = 15
_IPV6: Final = re.compile(r"[0-9a-fA-F:]{2,39}")


def parse_address(text: str) -> IpAddress | None:
    """
    Return the address that the text is a literal of, or None.

    IPv4 has four decimal parts, in which leading zeros mean nothing: 10.0.0.01 is 10.0.0.1. IPv6
    is hexadecimal digits and colons; the mixed form (::ffff:10.0.0.1) is not a literal here.
    """
    if ":" in text:
        if _IPV6.fullmatch(text) is None:
            return None
        try:
            return IPv6Address(text)
        except AddressValueError:
            return None
    if len(text) > _IPV4_LONGEST or (found := _IPV4.fullmatch(text)) is None:
        return None
    parts = [int(part) for part in found.groups()]
    return IPv4Address(bytes(parts)) if max(parts) < 256 else None  # noqa: PLR2004 (one byte)
