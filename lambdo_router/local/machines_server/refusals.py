"""
What the Machines API answers when it refuses, in its own words.

The texts are those that users of the API have reported, since clients tell errors apart by them.
Fly documents only the shape: `error`, and for some errors `status`.
"""

from collections.abc import Mapping


class Refusal(Exception):
    """An answer other than success: HTTP status, the body's `error`, and its `status` if any."""

    def __init__(self, http: int, error: str, *, status: str = "") -> None:
        super().__init__(f"{http} {error}")
        self.http = http
        self.error = error
        self.status = status

    @property
    def body(self) -> Mapping[str, str]:
        return {"error": self.error} | ({"status": self.status} if self.status else {})


def bad_token() -> Refusal:
    return Refusal(401, "Authenticate: token validation error")


def not_permitted() -> Refusal:
    """The token is for another app."""
    return Refusal(403, "unauthorized")


def no_such_app() -> Refusal:
    return Refusal(404, "not_found: app not found")


def no_such_machine() -> Refusal:
    """It never existed, or was destroyed 48 hours ago: Fly makes no difference."""
    return Refusal(404, "not_found: machine not found")


def rate_limited() -> Refusal:
    return Refusal(429, "resource_exhausted: rate limit exceeded")


def no_body() -> Refusal:
    return Refusal(400, "EOF")


def body_too_large() -> Refusal:
    """The text is known; the HTTP status that comes with it was not recorded by anyone."""
    return Refusal(413, "http: request body too large")


def no_such_image(image: str) -> Refusal:
    tag = image.rpartition(":")[2]
    return Refusal(
        400,
        f"failed to get manifest {image}: request failed: not found [http 404]: "
        '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown",'
        f'"detail":"unknown tag={tag}"}}]}}\n',
    )


def name_taken(machine_id: str, name: str) -> Refusal:
    return Refusal(
        409,
        f"already_exists: unique machine name violation, machine ID {machine_id} "
        f'already exists with name "{name}"',
    )


def host_full() -> Refusal:
    return Refusal(
        409,
        "aborted: insufficient resources available to fulfill request: "
        "insufficient memory available",
    )


def volume_full() -> Refusal:
    return Refusal(
        412,
        "insufficient resources to create new machine with existing volume id 'vol_1'",
        status="volume_placement_capacity",
    )


def region_full() -> Refusal:
    return Refusal(422, "could not find a candidate host", status="insufficient_capacity")


def over_quota() -> Refusal:
    """An organisation's share of a region is used up, which Fly says like this, with 403."""
    return Refusal(
        403,
        'organization "jobs" is using 81920 MB of memory in dfw which is over the allowed quota. '
        "please consider other regions",
    )


def no_capacity() -> Refusal:
    return Refusal(400, "no capacity")


def machine_limit() -> Refusal:
    return Refusal(422, "You have reached the maximum number of machines for this app.")


def deadline() -> Refusal:
    """Time was up while the request was under way: it may have had its effect."""
    return Refusal(408, "deadline_exceeded: context deadline exceeded")


def wait_over(wanted: str, current: str) -> Refusal:
    return Refusal(
        408,
        f"deadline_exceeded: machine failed to reach desired state, {wanted}, currently {current}",
    )


def wait_timeout_out_of_range() -> Refusal:
    return Refusal(
        400,
        "invalid_argument: invalid WaitMachineRequest.Timeout: "
        "value must be inside range [1s, 1m0s]",
    )


def wrong_state(verb: str, state: str) -> Refusal:
    return Refusal(
        412, f"failed_precondition: unable to {verb} machine from current state: '{state}'"
    )


def version_moved() -> Refusal:
    return Refusal(412, "failed_precondition: machine version does not match")
