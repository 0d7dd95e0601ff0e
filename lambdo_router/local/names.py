"""
How a queue of a routes file is called, and reached, on this machine.

The router of `dev` and the `send` that feeds it are two processes, and must mean the same queue.
"""

import ipaddress
import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from lambdo_router.adapters.sqs import Keys
from lambdo_router.core.routing import Queue

LOCAL_KEYS: Final = Keys("local", "local")
"""For servers that want a signed request and do not check the signature."""
LOCAL_REGION: Final = "us-east-1"


def local_name(queue: Queue) -> str:
    """
    Return the name in SQS of the queue that stands in for this one here.

    It is the last part of its URL or ARN, as at AWS. If that depends on a variable that is not set,
    it is the queue's name in the routes file.
    """
    address = queue.url or queue.lookup or ""
    name = re.split("[/:]", address.rstrip("/"))[-1]
    if not name or "${" in address:
        return re.sub("[^A-Za-z0-9_-]", "-", queue.name)
    return name


def stand_in(queue: Queue, *, url: str | None = None, lookup: str | None = None) -> Queue:
    """
    Return the queue at another address, on a server of this machine.

    No role is assumed there, and region and endpoint in the routes file are AWS's.
    """
    return replace(queue, url=url, lookup=lookup, region=None, role_arn=None, endpoint=None)


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to a server on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
