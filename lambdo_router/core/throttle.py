"""
How fast requests may be sent, and whether a profile may launch at all.

A token bucket spreads requests over time. A circuit breaker stops the launches of a profile that
Fly refuses, for a bad image, a bad size or a wrong token: any further create would be refused too,
and use up a receive of every message in it. So after a refusal the profile's batches wait, one of
them probes after a pause, and the first that Fly accepts ends the wait. Pure: time is an argument.
"""

import math

from lambdo_router.core.backoff import backoff

_TRANSIT = 0.25
"""Seconds that a create may take to reach Fly, including the first connection."""
_FIRST_PAUSE = 15.0
_LONGEST_PAUSE = 300.0


class CircuitBreaker:
    """Stops the launches of one profile after a refusal."""

    def __init__(self) -> None:
        self._refusals = 0
        self._probe_at = 0.0

    @property
    def failing(self) -> bool:
        """Whether the last create was refused."""
        return self._refusals > 0

    def wait(self, now: float) -> float:
        """Return the seconds until a create may be sent."""
        return max(0.0, self._probe_at - now) if self._refusals else 0.0

    def probing(self, now: float) -> None:
        """Note that a create is sent: until its answer, others wait as long as they just did."""
        if self._refusals:
            self._pause(now, jitter=1.0)

    def refused(self, now: float, jitter: float) -> None:
        """Note that Fly refused a create."""
        self._refusals += 1
        self._pause(now, jitter)

    def accepted(self) -> None:
        """Note that Fly accepted a create."""
        self._refusals = 0

    def _pause(self, now: float, jitter: float) -> None:
        self._probe_at = now + backoff(
            self._refusals, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, jitter=jitter
        )


class TokenBucket:
    """
    A token bucket: `wait` returns the time until a token is there, and `take` spends it.

    Fly's documented limit is about one create per second and app, three at once. `pause` closes the
    bucket until a given time, for when Fly answers 429 anyway.
    """

    def __init__(self, rate: float, burst: int, transit: float = _TRANSIT) -> None:
        """Allow `rate` launches a second, `burst` at once; each takes up to `transit` seconds."""
        self._rate = rate
        self._burst = burst
        self._transit = transit
        self._tokens = float(burst)
        self._as_of = -math.inf
        self._closed_until = 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until a launch may be sent."""
        return self.wait_behind(0, now)

    def wait_behind(self, others: int, now: float) -> float:
        """Return the seconds until a launch may be sent after `others` that wait already."""
        missing = 1.0 + others - self._filled(now)
        fills_in = missing / self._rate + max(0.0, self._as_of - now) if missing > 0 else 0.0
        return max(0.0, fills_in, self._closed_until - now)

    def take(self, now: float) -> None:
        """Spend one token."""
        filled = self._filled(now)
        # Fly's bucket refills from when the request arrives there, so a full one of ours must not
        # refill earlier. Later requests may then be early by as much.
        late = self._transit if filled > self._burst else 0.0
        self._tokens = min(self._burst, filled) - 1.0
        self._as_of = max(self._as_of, now + late)

    def release(self) -> None:
        """Return the token of a launch that was not sent."""
        self._tokens += 1.0

    def pause(self, until: float) -> None:
        """Close the bucket until this time."""
        self._closed_until = max(self._closed_until, until)

    def _filled(self, now: float) -> float:
        """Return the tokens, not limited to the burst."""
        return self._tokens + max(0.0, now - self._as_of) * self._rate
