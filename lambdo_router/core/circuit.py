"""
A profile that Fly refuses is probed with growing pauses.

A bad image, a bad size, a wrong token: every further create would be refused as well and burn a
receive of every message in it. So after a refusal the profile's batches wait, one of them probes
after a pause, and the first that Fly accepts opens the way again. Pure: time is an argument.
"""

from lambdo_router.core.backoff import backoff

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
