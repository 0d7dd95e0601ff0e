"""
Which names the server may be called by.

A page on the internet can have its own name point to a private address, and then read from there
what the visitor's browser can reach (DNS rebinding). Such a name is public. So addresses are
allowed, and names that no public DNS has: `localhost`, those without a period, and those of private
networks. Others are to be listed.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_PRIVATE = (".internal", ".flycast", ".local", ".localhost")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names beside those that are allowed anyway, in lower case and without a port."""

    names: frozenset[str] = frozenset()

    def allow(self, header: str) -> bool:
        """Whether a request with this `Host` header is meant for this server."""
        name = host_of(header)
        if name is None:
            return False
        if name in self.names or "." not in name or name.endswith(_PRIVATE):
            return True
        return _is_address(name)


def hosts_of(names: Iterable[str]) -> Hosts:
    """
    These names, with or without a port, or as URLs.

    Raises ValueError, with the text that is wrong, for one that is none of these.
    """
    found = []
    for name in names:
        host = (urlsplit(name).hostname if "://" in name else host_of(name)) or ""
        if not host:
            raise ValueError(name)
        found.append(host)
    return Hosts(frozenset(found))


def host_of(header: str) -> str | None:
    """The name or address of a `Host` header, in lower case; None if it is malformed."""
    if any(character in header for character in "/@?# \t\\"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        port = parts.port  # raises ValueError for one that is no number
    except ValueError:
        return None
    name = (parts.hostname or "").rstrip(".")
    # An address of IPv6 has no period, and must not pass for a name because of that.
    if port == 0 or not name or (":" in name and not _is_address(name)):
        return None
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
