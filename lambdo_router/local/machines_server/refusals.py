"""
What the Machines API answers when it refuses.

The texts are those that users of the API have reported, since clients tell errors apart by them.
Fly documents only the shape: `error`, and for some errors `status`.
"""

from collections.abc import Mapping
from typing import Final

_Answer = tuple[int, str] | tuple[int, str, str]


class Refusal(Exception):
    """An answer other than success: HTTP status, the body's `error`, and its `status` if any."""

    def __init__(self, http: int, error: str, status: str = "") -> None:
        super().__init__(f"{http} {error}")
        self.http = http
        self.error = error
        self.status = status

    @property
    def body(self) -> Mapping[str, str]:
        return {"error": self.error} | ({"status": self.status} if self.status else {})


BAD_TOKEN: Final = (401, "Authenticate: token validation error")
NOT_PERMITTED: Final = (403, "unauthorized")
NO_SUCH_APP: Final = (404, "not_found: app not found")
NO_SUCH_MACHINE: Final = (404, "not_found: machine not found")
"""Fly does not distinguish between never created and destroyed 48 hours ago."""
DEADLINE: Final = (408, "deadline_exceeded: context deadline exceeded")
"""Time was up while the request was being handled: it may have had its effect."""
HOST_FULL: Final = (
    409,
    "aborted: insufficient resources available to fulfill request: insufficient memory available",
)
VOLUME_FULL: Final = (
    412,
    "insufficient resources to create new machine with existing volume id 'vol_1'",
    "volume_placement_capacity",
)
BODY_TOO_LARGE: Final = (413, "http: request body too large")
"""The text is known; nobody has recorded the HTTP status that comes with it."""
REGION_FULL: Final = (422, "could not find a candidate host", "insufficient_capacity")
RATE_LIMITED: Final = (429, "resource_exhausted: rate limit exceeded")

PLANNED: Final[Mapping[int, _Answer]] = {
    answer[0]: answer
    for answer in (
        *(BAD_TOKEN, NOT_PERMITTED, NO_SUCH_APP, DEADLINE, HOST_FULL, VOLUME_FULL, REGION_FULL),
    )
}
"""What a fault plan's error answer of this status says."""


def no_such_image(image: str) -> Refusal:
    """Return the registry's answer, which Fly passes on."""
    tag = image.rpartition(":")[2]
    return Refusal(
        400,
        f"failed to get manifest {image}: request failed: not found [http 404]: "
        '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown",'
        f'"detail":"unknown tag={tag}"}}]}}\n',
    )


def invalid_argument(reason: str) -> Refusal:
    """Return the refusal of a request that makes no sense."""
    return Refusal(400, f"invalid_argument: {reason}")


def wrong_state(verb: str, state: str) -> Refusal:
    """Return the refusal of a call that the Machine's state does not allow."""
    text = f"unable to {verb} machine from current state: '{state}'"
    return Refusal(412, f"failed_precondition: {text}")
