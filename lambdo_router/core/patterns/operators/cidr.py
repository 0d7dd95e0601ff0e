"""`cidr`: IP addresses in a network."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from lambdo_router.core.patterns.operators.addresses import parse_address
from lambdo_router.core.patterns.operators.condition import (
    HOLE,
    Key,
    PatternError,
    Range,
    TextOperator,
    Where,
)
from lambdo_router.core.patterns.wording import shown


@dataclass(frozen=True, slots=True)
class Cidr(TextOperator):
    """A string that is a literal of an IP address in the network."""

    text: str
    network: IPv4Network | IPv6Network

    name = "cidr"
    example_text = '{cidr: "10.0.0.0/8"}'
    aliases = ("ip", "ip-address-in-range")

    @classmethod
    def read(cls, argument: object, where: Where) -> "Cidr":
        written = cls.text_argument(argument, where)
        text, _, bits = written.partition("/")
        address = parse_address(text)
        if address is None:
            raise PatternError(
                f"{shown(text)} is not an IP address; `cidr` takes one with a `/` and a number of "
                'bits, like "10.0.0.0/8" or "fd00::/8"',
                where,
            )
        width = address.max_prefixlen
        if not re.fullmatch("[0-9]{1,3}", bits) or int(bits) >= width:
            raise PatternError(
                f"{shown(written)}: after the address comes `/` and a number from 0 to "
                f"{width - 1}; a single address needs no operator, any spelling of it matches",
                where,
            )
        return cls(
            written, ip_network((int(address).to_bytes(width // 8), int(bits)), strict=False)
        )

    def holds(self, value: object) -> bool:
        address = parse_address(value) if isinstance(value, str) else None
        return address is not None and address in self.network

    @property
    def key(self) -> Key:
        free = self.network.max_prefixlen - self.network.prefixlen
        return ("network", (self.network.version, free, int(self.network[0]) >> free))

    @property
    def claim(self) -> str:
        return f"an IP address in {self.text}"

    @property
    def range(self) -> Range:
        version = self.network.version
        return (version, int(self.network[0])), (version, int(self.network[-1]))

    @property
    def holes(self) -> str:
        return HOLE

    def example(self) -> str:
        return self.network[-1].exploded  # `str` may use the mixed form, which is not a literal
