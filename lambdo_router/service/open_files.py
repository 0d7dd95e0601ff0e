"""
How many files, which connections are too, this process may have open.

The kernel's default of 1,024 stands for programs that cannot count further. The router can, and
needs one for each poll, each request to Fly and each connection to its own server.
"""

import resource
from contextlib import suppress
from typing import Final

_ENOUGH: Final = 10_240
"""More than it ever needs, and as many as every kernel grants: that of macOS no more."""
_MOST_CONNECTIONS: Final = 512


def raise_limit() -> None:
    """Allow as many as whoever started the process lets it have."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(most, _ENOUGH)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(OSError, ValueError):  # a sandbox that forbids it: what there is must do
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def most_connections() -> int:
    """Return the share of the router's own server: a quarter; the rest is for SQS and Fly."""
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if now == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, now // 4)
