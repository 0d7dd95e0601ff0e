"""
The errors that cross modules.

LambdoError
├─ ConfigError(diagnostics)          (config/diagnostics.py) exit 1; on reload the old table stays
├─ SettingsError                     an environment variable is missing or wrong; exit 2
├─ QueueError
│  ├─ QueueUnavailable(retry_after)  transient: pause and go on; the lease expires by itself
│  └─ QueueRefused                   no such queue, no permission: reported, retried slowly
└─ LaunchError
   ├─ LaunchUnavailable(retry_after, ambiguous)  transient: retry with the same name
   ├─ MachineGone                    Fly does not know the Machine (any more)
   └─ LaunchRejected                 Fly refuses this request as it is

The adapter that knows the service decides once whether a call is worth retrying.
"""


class LambdoError(Exception):
    """The base of every error that this package raises across modules."""


class SettingsError(LambdoError):
    """An environment variable is missing or malformed; the text names it and what is allowed."""


class QueueError(LambdoError):
    """An SQS call failed. `code` is the service's error code, e.g. `AWS.SimpleQueueService...`."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class QueueUnavailable(QueueError):
    """The network, throttling or a service fault: the same call may succeed later."""

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds that the service asked to wait, if it did; minutes at most."""


class QueueRefused(QueueError):
    """No such queue, no permission, no credentials: only a person can fix it."""


class LaunchError(LambdoError):
    """Fly did not accept the Machine, as far as is known. `code` is for logs and metrics."""

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
        """Seconds that Fly asked to wait (Retry-After), if it did; minutes at most."""
        self.ambiguous = ambiguous


class MachineGone(LaunchError):
    """Fly does not know the Machine: it never existed, or was destroyed about two days ago."""


class LaunchRejected(LaunchError):
    """Fly refuses this request: bad image, bad guest, bad token, quota. A person must fix it."""
