"""
How many calls the API takes: per action and per Machine or app, one a second, three at once.

Getting a Machine has more room: five a second, ten at once. A call without a Machine in its path
(create, list) counts for its app. Beyond that the answer is 429. (Fly's documentation,
working-with-machines-api; whether a Retry-After comes with it is not known, so it is a choice.)

Pure: time is an argument.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    tokens: float
    as_of: float


@dataclass(slots=True)
class RateLimits:
    """The buckets of one server. The settings may be changed at any time."""

    enabled: bool = True
    rate: float = 1.0
    """Calls a second, of each action."""
    burst: int = 3
    get_rate: float = 5.0
    get_burst: int = 10
    retry_after: int | None = None
    """Seconds to put into the Retry-After header of a 429; None leaves the header out."""
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict, repr=False)

    def admits(self, action: str, identifier: str, now: float) -> bool:
        """Take one call from the bucket of this action and app or Machine; False: one too many."""
        if not self.enabled:
            return True
        rate, burst = (
            (self.get_rate, self.get_burst) if action == "get" else (self.rate, self.burst)
        )
        bucket = self._buckets.setdefault((action, identifier), _Bucket(float(burst), now))
        bucket.tokens = min(float(burst), bucket.tokens + (now - bucket.as_of) * rate)
        bucket.as_of = now
        # The sum of many small shares of a second may fall short of 1 by a hair.
        if bucket.tokens < 1.0 - 1e-6:
            return False
        bucket.tokens -= 1.0
        return True
