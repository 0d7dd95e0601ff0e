"""
The limit of open files, which includes connections.

The default of 1,024 is for programs that use select(). The router does not, and needs a file for
each poll, each request to Fly and each connection to its own server.
"""

import resource
from contextlib import suppress
from typing import Final

_ENOUGH: Final = 10_240
"""More than the router ever needs, and the most that every kernel grants (macOS)."""
_MOST_CONNECTIONS: Final = 512


def raise_limit() -> None:
    """Raise the limit as far as the process may."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(most, _ENOUGH)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(OSError, ValueError):  # a sandbox forbids it; go on with the present limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def most_connections() -> int:
    """Return the share of the router's own server: a quarter; the rest is for SQS and Fly."""
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if now == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, now // 4)
