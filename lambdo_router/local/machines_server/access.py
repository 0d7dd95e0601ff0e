"""
Who may call the API, and how often. Pure: time is an argument.

Fly takes one call a second per action and per Machine or app, three at once; getting a Machine has
more room: five a second, ten at once. A call without a Machine in its path (create, list) counts
for its app. Beyond that the answer is 429. (Fly's documentation, working-with-machines-api.)
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Access:
    """The accepted tokens, each with its apps, and the apps that exist; None means all apps."""

    tokens: Mapping[str, Collection[str] | None]
    apps: Collection[str] | None = None

    def check(self, authorization: str, app: str) -> None:
        """Raise Refusal unless the caller may act in `app` and the app exists."""
        allowed = self.apps_of(authorization)
        if not allowed:
            raise Refusal(*refusals.BAD_TOKEN)
        if not any(apps is None or app in apps for apps in allowed):
            raise Refusal(*refusals.NOT_PERMITTED)
        if self.apps is not None and app not in self.apps:
            raise Refusal(*refusals.NO_SUCH_APP)

    def apps_of(self, authorization: str) -> list[Collection[str] | None]:
        """
        Return the apps of each accepted token in the header.

        As at Fly, `Bearer` and `FlyV1` both do, even in a row, and a comma separates tokens.
        """
        scheme = re.match(r"(?:(?:Bearer|FlyV1)\s+)+", authorization, re.IGNORECASE)
        tokens = authorization[scheme.end() :].split(",") if scheme else []
        return [self.tokens[token] for it in tokens if (token := it.strip()) in self.tokens]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call: `action` as `action_of` names it, `machine_id` empty where no Machine is named."""

    app: str
    action: str
    machine_id: str
    at: float
    """Unix time, by the server's clock."""


@dataclass(slots=True)
class RateLimits:
    """One token bucket per action and app or Machine. The settings may be changed at any time."""

    enabled: bool = True
    rate: float = 1.0
    """Calls a second, of each action but `get`."""
    burst: int = 3
    _buckets: dict[tuple[str, str, str], tuple[float, float]] = field(
        default_factory=dict, repr=False
    )
    """Tokens, and the time at which there were so many."""

    def admits(self, call: ApiCall) -> bool:
        """Take a token for the call; False if it is one too many."""
        if not self.enabled:
            return True
        rate, burst = (5.0, 10) if call.action == "get" else (self.rate, self.burst)
        key = (call.action, call.app, call.machine_id)
        tokens, as_of = self._buckets.get(key, (float(burst), call.at))
        tokens = min(float(burst), tokens + (call.at - as_of) * rate)
        # The sum of many small shares of a second may fall just short of 1.
        admitted = tokens >= 1.0 - 1e-6
        self._buckets[key] = (tokens - admitted, call.at)
        return admitted
