"""
How fast, and whether at all, something may be asked of Fly.

A token bucket spreads requests over time. A circuit breaker holds back a profile that Fly refuses:
a bad image, a bad size, a wrong token. Every further create would be refused as well and burn a
receive of every message in it. So after a refusal the profile's batches wait, one of them probes
after a pause, and the first that Fly accepts opens the way again. Pure: time is an argument.
"""

import math

from lambdo_router.core.backoff import backoff

_TRANSIT = 0.25
"""Seconds that a create may be on its way to Fly, with the first connection to be made."""
_FIRST_PAUSE = 15.0
_LONGEST_PAUSE = 300.0


class CircuitBreaker:
    """Whether one profile may launch, and when it may try again."""

    def __init__(self) -> None:
        self._refusals = 0
        self._probe_at = 0.0

    @property
    def failing(self) -> bool:
        """Whether the last create was refused."""
        return self._refusals > 0

    def wait(self, now: float) -> float:
        """Seconds until a create may go out; 0.0 if it may now."""
        return max(0.0, self._probe_at - now) if self._refusals else 0.0

    def probing(self, now: float) -> None:
        """A create goes out now: until its answer, others wait for as long as they just did."""
        if self._refusals:
            self._pause(now, jitter=1.0)

    def refused(self, now: float, jitter: float) -> None:
        """Fly has refused a create."""
        self._refusals += 1
        self._pause(now, jitter)

    def accepted(self) -> None:
        """Fly has taken a create."""
        self._refusals = 0

    def _pause(self, now: float, jitter: float) -> None:
        self._probe_at = now + backoff(
            self._refusals, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, jitter=jitter
        )


class TokenBucket:
    """
    Fly takes about one create per second and app, three at once (its documented limit per action).

    A token bucket in values: `wait` asks, `take` spends. `pause` closes it until a given time, for
    when Fly has answered 429 all the same.
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
        """Seconds until a launch may go out; 0.0 if it may now."""
        return self.wait_behind(0, now)

    def wait_behind(self, others: int, now: float) -> float:
        """Seconds until a launch may go out for which so many others wait already."""
        missing = 1.0 + others - self._filled(now)
        fills_in = missing / self._rate + max(0.0, self._as_of - now) if missing > 0 else 0.0
        return max(0.0, fills_in, self._closed_until - now)

    def take(self, now: float) -> None:
        """Spend one launch."""
        filled = self._filled(now)
        # Fly's bucket begins to fill again when the request arrives there, so one of ours that
        # was full must not begin before. Later requests may then come early by as much.
        late = self._transit if filled > self._burst else 0.0
        self._tokens = min(self._burst, filled) - 1.0
        self._as_of = max(self._as_of, now + late)

    def release(self) -> None:
        """A launch that was taken did not go out."""
        self._tokens += 1.0

    def pause(self, until: float) -> None:
        """Let nothing out before `until`."""
        self._closed_until = max(self._closed_until, until)

    def _filled(self, now: float) -> float:
        """The launches that have come back since, not cut to the burst."""
        return self._tokens + max(0.0, now - self._as_of) * self._rate
