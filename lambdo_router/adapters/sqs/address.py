"""Where a queue is, by what the routes file says of it."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.routing import Queue

_ARN = re.compile(
    r"arn:[a-z-]+:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d+):(?P<name>[\w-]+(?:\.fifo)?)"
)
_REGION = r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)"
_AWS_HOSTS = (
    re.compile(rf"(?:.+\.)?sqs(?:-fips)?\.{_REGION}\.(?:vpce\.)?amazonaws\.com(?:\.cn)?"),
    re.compile(rf"(?:.+\.)?sqs(?:-fips)?\.{_REGION}\.api\.(?:aws|amazonwebservices\.com\.cn)"),
    re.compile(rf"{_REGION}\.queue\.amazonaws\.com(?:\.cn)?"),
)
_OLDEST_HOST = "queue.amazonaws.com"


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """A queue by its URL, or by its name to be looked up, in an account if `account` is known."""

    shown: str
    """As the routes file has it, for messages."""
    url: str | None = None
    name: str | None = None
    account: str | None = None
    region: str | None = None
    """What the address, or else the queue's `region`, says; None if nothing."""
    foreign_host: str | None = None
    """Scheme and host of a URL that is not one of AWS's."""


def address_of(queue: Queue) -> QueueAddress:
    """Raise QueueRefused if `url` is neither a queue URL nor an ARN."""
    if queue.url is None:
        name = queue.lookup or queue.name
        return QueueAddress(name, name=name, region=queue.region)
    arn = _ARN.fullmatch(queue.url)
    if arn is not None:
        return QueueAddress(queue.url, None, arn["name"], arn["account"], arn["region"])
    try:
        parts = urlsplit(queue.url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or len(parts.path) < 2:  # noqa: PLR2004
        raise QueueRefused(
            f"queue `{queue.name}`: {without_password(queue.url)!r} is neither a queue URL such as "
            "https://sqs.us-east-1.amazonaws.com/123456789012/orders nor an ARN such as "
            "arn:aws:sqs:us-east-1:123456789012:orders"
        )
    region = _region_of(host)
    port = f":{parts.port}" if parts.port else ""
    foreign = None if region else f"{parts.scheme}://{host}{port}"
    region = region or queue.region
    return QueueAddress(without_password(queue.url), queue.url, region=region, foreign_host=foreign)


def without_password(text: str) -> str:
    """Return the text without what precedes the host of a URL: it may be a password."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def _region_of(host: str) -> str | None:
    if host == _OLDEST_HOST:
        return "us-east-1"
    found = (pattern.fullmatch(host) for pattern in _AWS_HOSTS)
    return next((match["region"] for match in found if match is not None), None)
