import json

import pytest

from lambdo_router.adapters.fly.answers import Answer, failure, holder_of_name
from lambdo_router.core.errors import LaunchUnavailable

NOW = 1_790_000_000.0

CASES = [
    (429, {"error": "resource_exhausted: rate limit exceeded"}, "rate_limited", "passes"),
    (408, {"error": "deadline_exceeded: context deadline exceeded"}, "deadline", "unclear"),
    (
        409,
        {
            "error": "aborted: insufficient resources available to fulfill request: "
            "insufficient memory available"
        },
        "host_capacity",
        "passes",
    ),
    (
        409,
        {
            "error": "aborted: could not reserve resource for machine: insufficient CPUs "
            "available to fulfill request on the current host"
        },
        "host_capacity",
        "passes",
    ),
    (409, {"error": "aborted: no capacity"}, "region_capacity", "passes"),
    (
        409,
        {"error": "aborted: machine update failed due to concurrent update"},
        "conflict",
        "passes",
    ),
    (
        409,
        {"status": "error", "message": "lease currently held by x", "code": "held"},
        "conflict",
        "passes",
    ),
    (409, {"error": "already_exists: unique machine name violation"}, "name_taken", "unclear"),
    (
        412,
        {"error": "insufficient resources ...", "status": "volume_placement_capacity"},
        "volume_capacity",
        "passes",
    ),
    (412, {"error": "insufficient resources available"}, "host_capacity", "passes"),
    (412, {"error": "failed_precondition: unable to start"}, "precondition", "passes"),
    (
        422,
        {"error": "could not find a candidate host", "status": "insufficient_capacity"},
        "region_capacity",
        "passes",
    ),
    (422, {"error": "could not find a candidate host"}, "region_capacity", "passes"),
    (400, {"error": "anything", "status": "insufficient_capacity"}, "region_capacity", "passes"),
    (503, {"error": "out of capacity"}, "region_capacity", "passes"),
    (400, {"error": "no capacity"}, "region_capacity", "passes"),
    (400, {"error": "aborted: no capacity"}, "region_capacity", "passes"),
    (
        403,
        {
            "error": 'organization "personal" is using 81920 MB of memory in dfw which is over the '
            "allowed quota. please consider other regions"
        },
        "region_capacity",
        "passes",
    ),
    (
        422,
        {"error": "is over the allowed quota. Please consider other regions"},
        "region_capacity",
        "passes",
    ),
    (403, {"error": "unauthorized: quota of the token"}, "forbidden", "refused"),
    (
        422,
        {"error": "You have reached the maximum number of machines for this app."},
        "quota",
        "refused",
    ),
    (
        422,
        {"error": "To create more than 1 machine per app please add a payment method"},
        "quota",
        "refused",
    ),
    (402, {"error": "payment required"}, "quota", "refused"),
    (400, {"error": "invalid config.guest.cpus"}, "bad_guest", "refused"),
    (
        400,
        {"error": "invalid config.guest.memory_mb, cannot exceed 2048 MiB"},
        "bad_guest",
        "refused",
    ),
    (
        400,
        {
            "error": "failed to get manifest registry.fly.io/app:tag: request failed: not found "
            '[http 404]: {"errors":[{"code":"MANIFEST_UNKNOWN"}]}\n'
        },
        "bad_image",
        "refused",
    ),
    (400, {"error": "invalid_argument: unknown region 'xyz'"}, "bad_region", "refused"),
    (400, {"error": "EOF"}, "invalid_request", "refused"),
    (400, {"error": "http: request body too large"}, "too_large", "refused"),
    (500, {"error": "http: request body too large"}, "too_large", "refused"),
    (413, "", "too_large", "refused"),
    (401, {"error": "Authenticate: token validation error"}, "bad_token", "refused"),
    (403, {"error": "unauthorized"}, "forbidden", "refused"),
    (404, {"error": "not_found: app not found"}, "app_not_found", "refused"),
    (404, "<html><head><title>404 Not Found</title></head></html>", "not_found", "refused"),
    (418, "", "invalid_request", "refused"),
    (500, {"error": "unknown: oops", "status": "unknown"}, "unavailable", "unclear"),
    (502, "<html><head><title>502 Bad Gateway</title></head></html>", "unavailable", "unclear"),
    (503, "", "unavailable", "unclear"),
    (530, "", "unavailable", "unclear"),
    (301, "", "unexpected", "refused"),
]


@pytest.mark.parametrize(
    ("status", "body", "code", "fate"),
    [pytest.param(*case, id=f"{case[0]}-{case[2]}") for case in CASES],
)
def test_what_an_error_means(status: int, body: dict[str, str] | str, code: str, fate: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    error = failure(Answer(status, {}, text), "jobs", NOW)
    got = "refused"
    if isinstance(error, LaunchUnavailable):
        got = "unclear" if error.ambiguous else "passes"

    assert (error.code, got) == (code, fate)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            422,
            '{"error": "could not find a candidate host"}',
            "Machines API: 422 could not find a candidate host (request 01J-iad)",
            id="error",
        ),
        pytest.param(
            409,
            '{"status": "error", "message": "lease held", "error": ""}',
            "Machines API: 409 lease held (request 01J-iad)",
            id="message",
        ),
        pytest.param(
            502,
            "<html>\n<title>502 Bad Gateway</title>",
            "Machines API: 502 Bad Gateway (request 01J-iad)",
            id="page",
        ),
        pytest.param(
            500, "<html>", "Machines API: 500 a page of HTML (request 01J-iad)", id="no-title"
        ),
        pytest.param(
            503, "", "Machines API: 503 Service Unavailable (request 01J-iad)", id="nothing"
        ),
        pytest.param(
            500,
            '{"error": "a\\n\\u001b[31mb\\u202e"}',
            "Machines API: 500 a \\x1b[31mb\\u202e (request 01J-iad)",
            id="escaped",
        ),
        pytest.param(
            500,
            "x" * 500,
            f"Machines API: 500 {'x' * 200}... (request 01J-iad)",
            id="shortened",
        ),
        pytest.param(
            401,
            '{"error": "Authenticate: token validation error"}',
            "Machines API: 401 Authenticate: token validation error (request 01J-iad); "
            "the token is wrong or has expired; `fly tokens create deploy -a jobs` makes one",
            id="with-what-to-do",
        ),
    ],
)
def test_how_an_error_reads(status: int, body: str, expected: str) -> None:
    answer = Answer(status, {"fly-request-id": "01J-iad"}, body)

    assert str(failure(answer, "jobs", NOW)) == expected


def test_a_secret_is_hidden_before_the_text_is_shortened() -> None:
    answer = Answer(500, {"fly-request-id": "secret-1"}, "x" * 195 + "secret-1", ("secret-1",))

    assert str(failure(answer, "jobs", NOW)) == (
        f"Machines API: 500 {'x' * 195}[toke... (request [token])"
    )


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(
            409,
            "already_exists: unique machine name violation, machine ID 3d8d7000c52d78 already "
            'exists with name "lambdo-a-1"',
            "3d8d7000c52d78",
            id="as-reported",
        ),
        pytest.param(409, "Name already exists (3d8d7000c52d78)", "3d8d7000c52d78", id="hex-alone"),
        pytest.param(409, "machine id: m-42 already exists", "m-42", id="another-shape-of-id"),
        pytest.param(409, 'already_exists: "lambdo-a-1"', "", id="no-id"),
        pytest.param(422, "unique machine name violation", "", id="422"),
        pytest.param(409, "aborted: no capacity", None, id="capacity"),
        pytest.param(400, "already_exists", None, id="other-code"),
        pytest.param(200, "already_exists", None, id="success"),
    ],
)
def test_who_holds_a_name(status: int, body: str, expected: str | None) -> None:
    answer = Answer(status, {}, json.dumps({"error": body}))

    assert holder_of_name(answer, "lambdo-a-1") == expected
