import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import httpx
import pytest
from mock_fly import Mocked

from lambdo_router.adapters.fly import FlyLauncher
from lambdo_router.core.errors import LaunchError, LaunchUnavailable
from lambdo_router.core.machine import Machine, MachineRequest

MACHINES = "/v1/apps/jobs/machines"
REQUEST = MachineRequest(app="jobs", name="lambdo-a-1", batch_id="batch-1", body="{}")


def launcher(api: "Fly") -> FlyLauncher:
    return FlyLauncher(token="fm2_x", session=Mocked(api))


async def outcome(call: Awaitable[object]) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        await call
    return caught.value


class Fly:
    """A Machines API in a dictionary, of which each test says how it behaves."""

    def __init__(self, *machines: Mapping[str, Any], **quirks: Any) -> None:
        self.machines = machines
        self.quirks = quirks
        self.calls: list[tuple[float, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(MACHINES)
        query = f"?{request.url.query.decode()}" if request.url.query else ""
        self.calls.append((asyncio.get_running_loop().time(), f"{request.method} {path}{query}"))
        if request.method == "POST":
            return httpx.Response(409, json={"error": self.quirks["taken"]})
        if not path:
            return self._list(dict(request.url.params))
        machine_id, _, verb = path.strip("/").partition("/")
        found = [machine for machine in self.machines if machine["id"] == machine_id]
        if not found or machine_id in self.quirks.get("gone", ()):
            return httpx.Response(404, json={"error": "not_found: machine not found"})
        if verb:
            status = self.quirks.get("metadata_status", 200)
            return httpx.Response(status, json=found[0]["config"]["metadata"])
        return httpx.Response(200, json=found[0])

    def _list(self, query: dict[str, str]) -> httpx.Response:
        if lists := self.quirks.get("lists"):
            return lists.pop(0)  # type: ignore[no-any-return]
        batch = query.get("metadata.lambdo_batch")
        shown = [
            {key: machine[key] for key in ("id", "name", "state", "region")}
            for machine in self.machines
            if batch is None
            or self.quirks.get("ignores_filters")
            or machine["config"]["metadata"].get("lambdo_batch") == batch
        ]
        return httpx.Response(200, json=shown)


def machine(machine_id: str, batch: str | None = "batch-1", **more: Any) -> dict[str, Any]:
    metadata = {} if batch is None else {"lambdo_batch": batch}
    return {
        "id": machine_id,
        "name": "lambdo-a-1",
        "state": "destroyed",
        "region": "ord",
        "config": {"metadata": metadata},
    } | more


TAKEN = "already_exists: unique machine name violation, machine ID m1 already exists"


@pytest.mark.parametrize(
    ("api", "expected", "calls"),
    [
        pytest.param(
            Fly(machine("m1", state="started"), taken=TAKEN),
            Machine("m1", "lambdo-a-1", "ord", adopted=True),
            ["POST ", "GET /m1"],
            id="by-the-id-in-the-text",
        ),
        pytest.param(
            Fly(machine("m1"), gone={"m1"}, taken=TAKEN),
            Machine("m1", "lambdo-a-1", "", adopted=True),
            ["POST ", "GET /m1"],
            id="even-if-it-cannot-be-read",
        ),
        pytest.param(
            Fly(
                machine("m1", name="another"),
                machine("m2"),
                machine("m3", state="started"),
                taken=TAKEN,
            ),
            Machine("m3", "lambdo-a-1", "ord", adopted=True),
            ["POST ", "GET /m1", "GET ?summary=true"],
            id="not-one-of-another-name",
        ),
        pytest.param(
            Fly(machine("m2"), machine("m3", state="started"), taken="already exists"),
            Machine("m3", "lambdo-a-1", "ord", adopted=True),
            ["POST ", "GET ?summary=true"],
            id="by-the-name-if-there-is-no-id",
        ),
    ],
)
async def test_a_name_that_is_taken_is_our_own_machine(
    api: Fly, expected: Machine, calls: list[str]
) -> None:
    async with launcher(api) as fly:
        assert await fly.launch(REQUEST) == expected
    assert [call for _, call in api.calls] == calls


@pytest.mark.parametrize(
    "api",
    [
        pytest.param(Fly(machine("m2"), taken="already exists"), id="only-a-destroyed-one"),
        pytest.param(Fly(taken="already exists", lists=[httpx.Response(403)]), id="no-list"),
    ],
)
async def test_a_name_that_is_taken_by_nobody_to_be_seen_is_unclear(api: Fly) -> None:
    async with launcher(api) as fly:
        error = await outcome(fly.launch(REQUEST))

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("name_taken", True)


# Finding.

FILTERED = "GET ?include_deleted=true&summary=true&metadata.lambdo_batch=batch-1"
UNFILTERED = "GET ?include_deleted=true&summary=true"
FOUND = Machine("m1", "lambdo-a-1", "ord", adopted=True)


@pytest.mark.parametrize(
    ("api", "expected", "calls"),
    [
        pytest.param(
            Fly(machine("m0", "batch-0"), machine("m1")),
            FOUND,
            [(0.0, FILTERED), (0.0, "GET /m1/metadata")],
            id="by-its-batch",
        ),
        pytest.param(
            Fly(machine("m0", "batch-0"), machine("m1"), ignores_filters=True),
            FOUND,
            [(0.0, FILTERED), (0.0, "GET /m0/metadata"), (0.0, "GET /m1/metadata")],
            id="although-filters-are-ignored",
        ),
        pytest.param(
            Fly(machine("m1"), metadata_status=404),
            FOUND,
            [(0.0, FILTERED), (0.0, "GET /m1/metadata"), (0.0, "GET /m1")],
            id="although-there-is-no-metadata-endpoint",
        ),
        pytest.param(
            Fly(lists=[httpx.Response(200, json=[machine("m0", "batch-0"), machine("m1")])]),
            FOUND,
            [(0.0, FILTERED)],
            id="in-a-list-that-shows-configs",
        ),
        pytest.param(
            Fly(machine("m1"), lists=[httpx.Response(200, json=[])]),
            FOUND,
            [(0.0, FILTERED), (0.5, UNFILTERED), (0.5, "GET /m1/metadata")],
            id="at-the-second-look",
        ),
        pytest.param(
            Fly(machine("m0", "batch-0"), machine("m9", name="another"), ignores_filters=True),
            None,
            [
                (0.0, FILTERED),
                (0.0, "GET /m0/metadata"),
                (0.5, UNFILTERED),
            ],
            id="not-one-of-an-earlier-delivery",
        ),
        pytest.param(
            Fly(machine("m0", None), ignores_filters=True),
            None,
            [
                (0.0, FILTERED),
                (0.0, "GET /m0/metadata"),
                (0.0, "GET /m0"),
                (0.5, UNFILTERED),
            ],
            id="not-one-without-a-batch",
        ),
        pytest.param(
            Fly(machine("m1"), gone={"m1"}),
            None,
            [
                (0.0, FILTERED),
                (0.0, "GET /m1/metadata"),
                (0.0, "GET /m1"),
                (0.5, UNFILTERED),
            ],
            id="not-one-that-was-pruned",
        ),
        pytest.param(Fly(), None, [(0.0, FILTERED), (0.5, UNFILTERED)], id="nothing"),
    ],
)
async def test_a_batchs_machine_is_found(
    api: Fly, expected: Machine | None, calls: list[tuple[float, str]]
) -> None:
    async with launcher(api) as fly:
        assert await fly.find(REQUEST) == expected
    assert api.calls == calls


async def test_a_list_in_pages_is_read_to_its_end() -> None:
    next_page = {"fly-next-cursor": "c1"}
    api = Fly(
        machine("m1"),
        lists=[
            httpx.Response(200, json=[{"id": "m0", "name": "x"}, "odd"], headers=next_page),
            httpx.Response(200, json=[], headers={"fly-next-cursor": "c2"}),
            httpx.Response(200, json=[machine("m1")]),
        ],
    )
    async with launcher(api) as fly:
        assert await fly.find(REQUEST) == FOUND
    assert [call for _, call in api.calls] == [
        FILTERED,
        f"{FILTERED}&cursor=c1",
        f"{FILTERED}&cursor=c2",
    ]


@pytest.mark.parametrize(
    ("api", "text"),
    [
        pytest.param(
            Fly(lists=[httpx.Response(429, json={"error": "slow"}, headers={"retry-after": "3"})]),
            "Machines API: 429 slow",
            id="rate-limit",
        ),
        pytest.param(
            Fly(lists=[httpx.Response(403, json={"error": "no"}, headers={"retry-after": "3"})]),
            "Machines API: 403 no; the token is not for the app jobs; "
            "`fly tokens create deploy -a jobs` makes one, and several are joined by commas",
            id="forbidden",
        ),
        pytest.param(
            Fly(lists=[httpx.Response(200, json={"machines": []})]),
            'Machines API: the list of Machines is none: {"machines":[]}',
            id="no-list",
        ),
        pytest.param(
            Fly(machine("m1", state="started"), gone={"m1"}),
            "Machines API: 404 not_found: machine not found",
            id="a-living-machine-that-cannot-be-read",
        ),
        pytest.param(
            Fly(machine("m1"), metadata_status=500),
            'Machines API: 500 {"lambdo_batch":"batch-1"}',
            id="metadata-out-of-order",
        ),
    ],
)
async def test_a_look_up_that_fails_leaves_it_unclear(api: Fly, text: str) -> None:
    async with launcher(api) as fly:
        error = await outcome(fly.find(REQUEST))

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("lookup", True)
    assert str(error) == f"cannot tell whether lambdo-a-1 was created: {text}"
