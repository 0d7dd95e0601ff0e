"""
The errors that cross modules.

LambdoError
├─ ConfigError(diagnostics)          (config/diagnostics.py) exit 1; on reload the old table stays
├─ SettingsError                     an environment variable is missing or wrong; exit 2
├─ QueueError
│  ├─ QueueUnavailable(retry_after)  may pass: pause and go on; the lease runs out by itself
│  └─ QueueRefused                   no such queue, no rights: said loudly, tried again slowly
└─ LaunchError
   ├─ LaunchUnavailable(retry_after, ambiguous)  may pass: try again, with the same name
   ├─ MachineGone                    Fly does not know the Machine (any more)
   └─ LaunchRejected                 Fly will not take this request as it is

Whether something is worth another try is decided once, by the adapter that knows the service.
"""


class LambdoError(Exception):
    """Everything this package raises on purpose and across modules."""


class SettingsError(LambdoError):
    """An environment variable is missing or malformed; the text names it and what is allowed."""


class QueueError(LambdoError):
    """An SQS call failed. `code` is the service's error code, e.g. `AWS.SimpleQueueService...`."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class QueueUnavailable(QueueError):
    """Network, throttling or a fault of the service: the same call may succeed later."""

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds the service asked us to wait, if it did; minutes at most."""


class QueueRefused(QueueError):
    """No such queue, no rights, no credentials: only a person can mend it."""


class LaunchError(LambdoError):
    """Fly did not (surely) take the Machine. `code` is a stable class name for logs and metrics."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class LaunchUnavailable(LaunchError):
    """
    May pass: rate limit, capacity, 408, 5xx, a lost connection.

    `ambiguous` is true when the Machine may exist all the same (408, 5xx, no answer): look it
    up before the next create.
    """

    def __init__(
        self, message: str, *, code: str, retry_after: float | None = None, ambiguous: bool = False
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds Fly asked us to wait (the Retry-After header), if it did; minutes at most."""
        self.ambiguous = ambiguous


class MachineGone(LaunchError):
    """Fly does not know the Machine: it never existed, or was destroyed about two days ago."""


class LaunchRejected(LaunchError):
    """Fly refuses this request: bad image, bad guest, bad token, quota. A person must mend it."""
