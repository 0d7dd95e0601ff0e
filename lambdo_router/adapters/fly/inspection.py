"""
What Fly reports about a token, its regions and its clock, before anything is launched.

Nothing here creates or changes anything. The API has no call that lists sizes or resolves an image;
only a create shows those. What an answer does not contain is None: these calls are newer than those
that launches need, and an API without them is still usable.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lambdo_router.adapters.clock_skew import ahead_of
from lambdo_router.adapters.fly.answers import Answer
from lambdo_router.adapters.fly.client import Fields, FlyClient, text_of
from lambdo_router.core.errors import LaunchError

_TOKEN: Final = "/v1/tokens/current"  # noqa: S105 - a path
_REGIONS: Final = "/v1/platform/regions"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token is good for."""

    apps: frozenset[str] | None
    """The apps it is restricted to; None if it is not, or Fly does not say."""
    organizations: frozenset[str]
    machine: str = ""
    """The Machine it is restricted to."""


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """The regions that Fly has now, by code."""

    open: frozenset[str]
    deprecated: frozenset[str]


@dataclass(frozen=True, slots=True)
class FlyFacts:
    """All that could be learned of Fly."""

    token: TokenFacts | None
    regions: RegionFacts | None
    ahead: float
    """How far this machine's clock is ahead of Fly's, in seconds, to one or so; 0 if Fly does not
    say."""


class FlyInspector(FlyClient):
    """Asks Fly about itself."""

    async def inspect(self) -> FlyFacts:
        """Raise LaunchUnavailable if nothing answers."""
        started = time.time()
        regions = await self._call("GET", _REGIONS)
        ahead = ahead_of(regions.headers.get("date", ""), started, time.time())
        try:
            token = await self._call("GET", _TOKEN)
        except LaunchError:
            return FlyFacts(None, _regions(regions), ahead)
        return FlyFacts(_token(token), _regions(regions), ahead)


def _token(answer: Answer) -> TokenFacts | None:
    tokens = list(_objects(answer.fields().get("tokens"))) if answer.is_success else []
    if not tokens:
        return None
    restricted = [set(_texts(token.get("apps"))) for token in tokens]
    apps = frozenset().union(*restricted) if all(restricted) else None
    names = (text_of(token.get("org_slug") or token.get("organization")) for token in tokens)
    machines = (text_of(token.get("restricted_to_machine")) for token in tokens)
    return TokenFacts(apps, frozenset(filter(None, names)), next(filter(None, machines), ""))


def _regions(answer: Answer) -> RegionFacts | None:
    """Read a key in lower case, as in the specification, or capitalised, as Fly's client does."""
    fields = answer.fields() if answer.is_success else {}
    rows = [
        (
            text_of(row.get("code") or row.get("Code")),
            row.get("deprecated") or row.get("Deprecated"),
        )
        for row in _objects(fields.get("regions") or fields.get("Regions"))
    ]
    rows = [(code, deprecated) for code, deprecated in rows if code]
    if not rows:
        return None
    closing = frozenset(code for code, deprecated in rows if deprecated is True)
    return RegionFacts(frozenset(code for code, _ in rows) - closing, closing)


def _objects(value: object) -> Iterator[Fields]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item


def _texts(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str) and item:
            yield item
