import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from scripted_runner import NEVER, ScriptedRunner

from lambdo_router.local.faults import Delay, ErrorAnswer, FaultPlan, Throttle
from lambdo_router.local.machines_server import (
    AT_ONCE,
    SERVICE,
    Access,
    ApiCall,
    Delays,
    Exit,
    MachineEvent,
    MachineRecord,
    MachinesServer,
    Mishap,
    Mishaps,
    RateLimits,
    action_of,
    machines_app,
)
from lambdo_router.local.machines_server.machine import Identities

SCHEMA = json.loads((Path(__file__).parents[1] / "machines_api.schema.json").read_text())
MACHINES = "/v1/apps/jobs/machines"
SLOW = Delays(start=2.0, destroy=0.5, gone=0.25)


@asynccontextmanager
async def api(
    server: MachinesServer, faults: FaultPlan | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        server.running(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(machines_app(server, faults)),
            base_url="http://fly",
            headers={"authorization": "Bearer good"},
        ) as client,
    ):
        yield client


def a_server(
    runner: ScriptedRunner | None = None,
    delays: Delays = AT_ONCE,
    limits: RateLimits | None = None,
) -> MachinesServer:
    return MachinesServer(
        runner or ScriptedRunner(),
        Access({"good": {"jobs"}, "other": {"others"}, "org": None}, apps={"jobs", "others"}),
        delays,
        limits=limits or RateLimits(enabled=False),
    )


def create_body(name: str = "job-1", **more: object) -> dict[str, Any]:
    return {
        "name": name,
        "config": {
            "image": "registry.fly.io/jobs:one",
            "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
            "auto_destroy": True,
            "restart": {"policy": "no"},
            **more,
        },
    }


def checked(response: httpx.Response, shape: str, status: int = 200) -> Any:
    """The answer's JSON, once its status and its shape are what the API's schema says."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    value = response.json()
    Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{shape}"}).validate(value)
    return value


async def test_a_create_answers_200_with_the_machine_in_created() -> None:
    async with api(a_server(delays=SLOW)) as client:
        body = create_body(metadata={"lambdo_batch": "b1"})
        machine = checked(await client.post(MACHINES, json=body), "Machine")

    assert machine["name"] == "job-1"
    assert machine["state"] == "created"
    assert machine["region"] == "iad"
    assert len(machine["id"]) == 14
    assert machine["config"] == body["config"]
    assert [event["status"] for event in machine["events"]] == ["created", "pending"]


async def test_every_answer_has_the_shape_of_the_api() -> None:
    runner = ScriptedRunner(outcome=lambda _: Exit(3), seconds=lambda _: 5.0)
    server = a_server(runner, SLOW)
    async with api(server) as client:
        body = create_body(metadata={"a": "1"})
        machine = f"{MACHINES}/{checked(await client.post(MACHINES, json=body), 'Machine')['id']}"
        began = server.now()

        checked(await client.get(machine), "Machine")
        assert checked(await client.get(f"{machine}/metadata"), "Metadata") == {"a": "1"}
        for query in ("", "?summary=true", "?limit=5", "?include_deleted=true"):
            (listed,) = checked(await client.get(MACHINES + query), "ListOfMachines")
            assert ("config" in listed) == (query != "?summary=true")
        await asyncio.sleep(30.0)
        events = checked(await client.get(f"{machine}/events?limit=50"), "ListOfEvents")
        shown = checked(await client.get(machine), "Machine")

    (record,) = server.machines()
    assert [(event.at - began, event.source, event.state) for event in record.events] == [
        (0.0, "user", "created"),
        (0.0, "flyd", "created"),
        (2.0, "flyd", "started"),
        (7.0, "flyd", "stopped"),
        (7.5, "flyd", "destroying"),
        (7.75, "flyd", "destroyed"),
    ]
    assert [f"{event['type']}/{event['status']}" for event in events] == [
        "destroy/destroyed",
        "destroy/destroying",
        "exit/stopped",
        "start/started",
        "launch/created",
        "launch/pending",
    ]
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids), reverse=True)
    assert events[2]["request"]["exit_event"]["exit_code"] == 3
    assert shown["state"] == "destroyed"
    assert shown["events"] == events[:5]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        pytest.param("GET", "/none", None, 404, "not_found: machine not found", id="get"),
        pytest.param("DELETE", "/none", None, 404, "not_found: machine not found", id="delete"),
        pytest.param("POST", "", "", 400, "EOF", id="empty-create"),
        pytest.param("POST", "", "{}", 400, "invalid_argument: config is required", id="create"),
        pytest.param(
            "POST", "", "x" * 1_200_000, 413, "http: request body too large", id="too-large"
        ),
        pytest.param("GET", "?limit=0", None, 400, "invalid_argument: invalid limit '0'", id="0"),
        pytest.param(
            "POST", "/none/exec", "{}", 404, "not_found: no such endpoint here", id="exec"
        ),
        pytest.param("POST", "/none", "{}", 405, "not_found: no such endpoint here", id="update"),
    ],
)
async def test_refusals_have_the_shape_of_the_api(
    method: str, path: str, body: str | None, status: int, error: str
) -> None:
    async with api(a_server()) as client:
        response = await client.request(method, MACHINES + path, content=body)

    assert checked(response, "ErrorResponse", status) == {"error": error}
    assert response.headers["fly-request-id"].endswith("-iad")


@pytest.mark.parametrize(
    ("authorization", "app", "expected"),
    [
        pytest.param("", "jobs", (401, "Authenticate: token validation error"), id="no-token"),
        pytest.param("Bearer bad", "jobs", (401, "Authenticate: token validation error"), id="bad"),
        pytest.param("good", "jobs", (401, "Authenticate: token validation error"), id="bare"),
        pytest.param("Bearer other", "jobs", (403, "unauthorized"), id="of-another-app"),
        pytest.param("Bearer org", "nowhere", (404, "not_found: app not found"), id="no-app"),
        pytest.param("Bearer good", "jobs", (200, None), id="bearer"),
        pytest.param("FlyV1 good", "jobs", (200, None), id="flyv1"),
        pytest.param("bearer FlyV1 good", "jobs", (200, None), id="both"),
        pytest.param("Bearer org", "jobs", (200, None), id="organization"),
        pytest.param("FlyV1 other,good", "jobs", (200, None), id="one-of-two"),
        pytest.param("FlyV1 bad, good", "jobs", (200, None), id="one-is-none"),
        pytest.param("FlyV1 other,bad", "jobs", (403, "unauthorized"), id="neither"),
    ],
)
async def test_tokens(authorization: str, app: str, expected: tuple[int, str | None]) -> None:
    async with api(a_server()) as client:
        headers = {"authorization": authorization}
        response = await client.get(f"/v1/apps/{app}/machines", headers=headers)

    assert response.status_code == expected[0]
    assert (response.json() or {"error": None})["error"] == expected[1]


async def test_an_image_that_does_not_exist_is_refused_in_the_registrys_words() -> None:
    server = a_server()
    server.images = {"nginx"}
    async with api(server) as client:
        response = await client.post(MACHINES, json=create_body())

    error = checked(response, "ErrorResponse", 400)["error"]
    assert error.startswith("failed to get manifest registry.fly.io/jobs:one: request failed")
    assert "MANIFEST_UNKNOWN" in error


async def test_the_fourth_create_at_once_is_one_too_many() -> None:
    server = a_server(limits=RateLimits())
    async with api(server) as client:
        answers = [await client.post(MACHINES, json=create_body(f"job-{n}")) for n in range(4)]
        await asyncio.sleep(1.0)
        later = await client.post(MACHINES, json=create_body("job-3"))

    assert [answer.status_code for answer in (*answers, later)] == [200, 200, 200, 429, 200]
    refused = checked(answers[3], "ErrorResponse", 429)
    assert refused == {"error": "resource_exhausted: rate limit exceeded"}


async def test_lists_are_filtered_by_all_that_is_asked() -> None:
    runner = ScriptedRunner(seconds=lambda job: 0.0 if job.env.get("QUICK") else 1000.0)
    async with api(a_server(runner)) as client:
        for name, batch, env in (("a", "1", {}), ("b", "2", {}), ("c", "2", {"QUICK": "1"})):
            await client.post(
                MACHINES, json=create_body(name, env=env, metadata={"batch": batch, "x": "y"})
            )
        await asyncio.sleep(0)

        async def names(query: str) -> list[str]:
            answer = checked(await client.get(f"{MACHINES}?{query}"), "ListOfMachines")
            return [machine["name"] for machine in answer]

        await asyncio.sleep(1.0)
        assert await names("") == ["a", "b"]
        assert await names("include_deleted=true") == ["a", "b", "c"]
        assert await names("include_deleted=true&metadata.batch=2") == ["b", "c"]
        assert await names("metadata.batch=2&metadata.x=y&summary=true") == ["b"]
        assert await names("metadata.batch=2&metadata.x=z") == []


async def test_a_list_is_as_short_as_its_limit() -> None:
    async with api(a_server()) as client:
        for number in range(3):
            await client.post(MACHINES, json=create_body(f"job-{number}"))
        listed = checked(await client.get(f"{MACHINES}?limit=2"), "ListOfMachines")

    assert [machine["name"] for machine in listed] == ["job-0", "job-1"]


async def test_metadata_is_set_and_removed_key_by_key() -> None:
    async with api(a_server(ScriptedRunner(seconds=lambda _: 100.0))) as client:
        body = create_body(metadata={"a": "1", "b": "2"})
        made = checked(await client.post(MACHINES, json=body), "Machine")
        metadata = f"{MACHINES}/{made['id']}/metadata"

        assert (await client.post(f"{metadata}/c", json={"value": "3"})).status_code == 204
        assert (await client.post(f"{metadata}/a", json={"value": ""})).status_code == 204
        assert (await client.get(metadata)).json() == {"b": "2", "c": "3"}
        checked(await client.post(f"{metadata}/a", json={"value": 1}), "ErrorResponse", 400)
        version = (await client.get(f"{MACHINES}/{made['id']}")).json()["version"]
        await asyncio.sleep(200.0)
        late = await client.post(f"{metadata}/c", json={"value": "4"})

    assert version == made["version"]
    assert checked(late, "ErrorResponse", 412) == {
        "error": "failed_precondition: unable to update machine from current state: 'destroyed'"
    }


async def test_a_running_machine_is_destroyed_only_by_force_and_then_killed() -> None:
    async with api(a_server(ScriptedRunner(seconds=lambda _: NEVER))) as client:
        made = (await client.post(MACHINES, json=create_body())).json()
        machine = f"{MACHINES}/{made['id']}"
        await asyncio.sleep(1.0)
        refused = await client.delete(machine)
        for _ in range(2):
            assert (await client.delete(f"{machine}?kill=true")).json() == {"ok": True}
        await asyncio.sleep(1.0)
        events = (await client.get(f"{machine}/events")).json()

    assert checked(refused, "ErrorResponse", 412) == {
        "error": "failed_precondition: unable to destroy machine from current state: 'started'"
    }
    assert [event["status"] for event in events][:3] == ["destroyed", "stopped", "destroying"]
    end = events[1]["request"]["exit_event"]
    assert (end["exit_code"], end["signal"], end["requested_stop"]) == (137, 9, True)


async def test_a_kill_before_the_command_has_begun_ends_it_all_the_same() -> None:
    runner = ScriptedRunner(seconds=lambda _: NEVER)
    server = a_server(runner)

    def at_once(record: MachineRecord, _: MachineEvent) -> None:
        if record.state == "started":
            server.destroy("jobs", record.id, force=True)

    server.observers.append(at_once)
    async with api(server) as client:
        await client.post(MACHINES, json=create_body())
        await asyncio.sleep(1.0)

    (record,) = server.machines()
    assert (record.state, record.exit) == ("destroyed", Exit(137, signal=9))


async def test_a_machine_destroyed_before_it_started_never_runs() -> None:
    runner = ScriptedRunner()
    server = a_server(runner, SLOW)
    async with api(server) as client:
        made = (await client.post(MACHINES, json=create_body())).json()
        await client.delete(f"{MACHINES}/{made['id']}")
        await asyncio.sleep(60.0)

    (record,) = server.machines()
    assert [event.type for event in record.events] == ["launch", "launch", "destroy", "destroy"]
    assert runner.jobs == []


async def test_a_machine_without_auto_destroy_stays_stopped_until_it_is_destroyed() -> None:
    server = a_server()
    async with api(server) as client:
        made = (await client.post(MACHINES, json=create_body(auto_destroy=False))).json()
        await asyncio.sleep(100.0)
        state = server.machines()[0].state
        await client.delete(f"{MACHINES}/{made['id']}")
        await asyncio.sleep(1.0)

    assert (state, server.machines()[0].state) == ("stopped", "destroyed")


async def test_a_name_is_taken_in_its_app_until_its_machine_is_destroyed() -> None:
    async with api(a_server(delays=SLOW)) as client:
        made = (await client.post(MACHINES, json=create_body())).json()
        again = await client.post(MACHINES, json=create_body())
        headers = {"authorization": "Bearer org"}
        others = "/v1/apps/others/machines"
        other = await client.post(others, json=create_body(), headers=headers)
        elsewhere = await client.get(f"{others}/{made['id']}", headers=headers)
        await asyncio.sleep(60.0)
        later = await client.post(MACHINES, json=create_body())

    taken = f'machine ID {made["id"]} already exists with name "job-1"'
    assert checked(again, "ErrorResponse", 409) == {
        "error": f"already_exists: unique machine name violation, {taken}"
    }
    assert (other.status_code, elsewhere.status_code, later.status_code) == (200, 404, 200)


async def test_full_regions_are_passed_over_and_full_everywhere_is_refused() -> None:
    server = a_server()
    server.full_regions |= {"iad", "ewr"}
    async with api(server) as client:
        made = [
            await client.post(MACHINES, json=create_body(name) | {"region": region})
            for name, region in (("a", "iad,ewr,ord"), ("b", "us"), ("c", "iad"))
        ]

    assert [answer.json()["region"] for answer in made[:2]] == ["ord", "dfw"]
    assert checked(made[2], "ErrorResponse", 422) == {
        "error": "could not find a candidate host",
        "status": "insufficient_capacity",
    }


async def test_a_machine_that_was_killed_for_its_memory_says_0_of_itself() -> None:
    server = a_server()
    server.mishaps.script("out_of_memory")
    async with api(server) as client:
        made = (await client.post(MACHINES, json=create_body())).json()
        await asyncio.sleep(1.0)
        events = checked(await client.get(f"{MACHINES}/{made['id']}/events"), "ListOfEvents")

    end = events[2]["request"]["exit_event"]
    assert (end["exit_code"], end["guest_exit_code"], end["oom_killed"]) == (137, 0, True)


async def test_a_machine_that_fails_stays_with_its_name_until_it_is_destroyed() -> None:
    server = a_server()
    server.mishaps.script("fails")
    async with api(server) as client:
        made = (await client.post(MACHINES, json=create_body("job-1"))).json()
        url = f"{MACHINES}/{made['id']}"
        await asyncio.sleep(10_000.0)
        listed = (await client.get(MACHINES, params={"summary": "true"})).json()
        again = await client.post(MACHINES, json=create_body("job-1"))
        await client.delete(url)
        await asyncio.sleep(1.0)
        states = [(await client.get(url)).json()["state"]]
        events = checked(await client.get(f"{url}/events"), "ListOfEvents")

    assert listed[0]["state"] == "failed"
    assert again.status_code == 409
    assert states == ["destroyed"]
    assert [event["status"] for event in events] == [
        "destroyed",
        "destroying",
        "failed",
        "created",
        "pending",
    ]


async def test_stale_events_are_those_of_a_moment_ago_and_404_before_there_were_any() -> None:
    server = a_server(delays=SLOW)
    async with api(server) as client:
        made = (await client.post(MACHINES, json=create_body())).json()
        events = f"{MACHINES}/{made['id']}/events"
        server.mishaps.script("stale_events")
        checked(await client.get(events), "ErrorResponse", 404)
        await asyncio.sleep(6.0)
        server.mishaps.script("stale_events")
        looks = [checked(await client.get(events), "ListOfEvents") for _ in range(2)]

    assert [[event["status"] for event in look] for look in looks] == [
        ["created", "pending"],
        ["destroyed", "destroying", "stopped", "started", "created", "pending"],
    ]


async def test_48_hours_after_its_end_a_machine_is_as_if_it_had_never_been() -> None:
    async with api(a_server()) as client:
        made = (await client.post(MACHINES, json=create_body(metadata={"a": "1"}))).json()
        machine = f"{MACHINES}/{made['id']}"
        await asyncio.sleep(48 * 3600.0 - 1.0)
        for part in ("", "/events", "/metadata"):
            assert (await client.get(machine + part)).status_code == 200
        assert len((await client.get(f"{MACHINES}?include_deleted=true")).json()) == 1

        await asyncio.sleep(1.0)
        for part in ("", "/events", "/metadata"):
            checked(await client.get(machine + part), "ErrorResponse", 404)
        checked(await client.delete(machine), "ErrorResponse", 404)
        assert (await client.get(f"{MACHINES}?include_deleted=true")).json() == []


async def test_every_call_is_noted_as_it_arrives_also_those_that_are_lost_or_refused() -> None:
    server, plan = a_server(), FaultPlan()
    plan.script(SERVICE, "list", ErrorAnswer(500), Delay(3.0, 3.0))
    async with api(server, plan) as client:
        began = server.now()
        made = (await client.post(MACHINES, json=create_body())).json()["id"]
        await asyncio.sleep(1.0)
        for _ in range(2):
            await client.get(MACHINES)
        await client.get(f"{MACHINES}/{made}/events", headers={"authorization": ""})
        await client.get(f"{MACHINES}/{made}/metadata")
        await client.get("/v1/platform/regions")

    assert [(c.app, c.action, c.machine_id, c.at - began) for c in server.calls] == [
        ("jobs", "create", "", 0.0),
        ("jobs", "list", "", 1.0),
        ("jobs", "list", "", 1.0),
        ("jobs", "events", made, 4.0),
        ("jobs", "metadata", made, 4.0),
        ("", "other", "", 4.0),
    ]


async def test_lists_may_lag_or_be_empty() -> None:
    server = a_server(delays=SLOW)
    async with api(server) as client:
        await client.post(MACHINES, json=create_body("old"))
        await asyncio.sleep(6.0)
        await client.post(MACHINES, json=create_body("new"))
        server.mishaps.script("empty_list", "stale_list")
        lists = [(await client.get(f"{MACHINES}?include_deleted=true")).json() for _ in range(3)]

    assert [[(it["name"], it["state"]) for it in listed] for listed in lists] == [
        [],
        [("old", "created")],
        [("old", "destroyed"), ("new", "created")],
    ]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        pytest.param(ErrorAnswer(500), 500, "<title>500 Server Error</title>", id="500-html"),
        pytest.param(ErrorAnswer(503), 503, "<title>503 Server Error</title>", id="503-html"),
        pytest.param(ErrorAnswer(408), 408, "deadline_exceeded", id="408"),
        pytest.param(ErrorAnswer(409), 409, "insufficient memory available", id="409-host"),
        pytest.param(ErrorAnswer(412), 412, "volume_placement_capacity", id="412-volume"),
        pytest.param(ErrorAnswer(422), 422, "insufficient_capacity", id="422-region"),
        pytest.param(Throttle(), 429, "resource_exhausted", id="429"),
        pytest.param(Throttle(3), 429, "resource_exhausted", id="429-retry-after"),
    ],
)
async def test_planned_faults_speak_as_fly_does_and_create_nothing(
    fault: ErrorAnswer | Throttle, status: int, text: str
) -> None:
    server, plan = a_server(), FaultPlan()
    plan.script(SERVICE, "create", fault)
    async with api(server, plan) as client:
        response = await client.post(MACHINES, json=create_body())
        again = await client.post(MACHINES, json=create_body())

    assert (response.status_code, again.status_code) == (status, 200)
    assert text in response.text
    assert response.headers["fly-request-id"].endswith("-iad")
    assert response.headers.get("retry-after") == ("3" if fault == Throttle(3) else None)
    assert len(server.machines()) == 1


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("POST", MACHINES, "create", id="create"),
        pytest.param("GET", MACHINES, "list", id="list"),
        pytest.param("GET", f"{MACHINES}/x", "get", id="get"),
        pytest.param("DELETE", f"{MACHINES}/x", "delete", id="delete"),
        pytest.param("POST", f"{MACHINES}/x", "update", id="update"),
        pytest.param("GET", f"{MACHINES}/x/events", "events", id="events"),
        pytest.param("POST", f"{MACHINES}/x/metadata/k", "metadata", id="metadata-key"),
        pytest.param("POST", f"{MACHINES}/x/exec", "other", id="exec"),
        pytest.param("GET", "/v1/apps", "other", id="apps"),
    ],
)
def test_actions(method: str, path: str, expected: str) -> None:
    assert action_of({"type": "http", "method": method, "path": path}) == expected


async def test_a_mistake_in_the_server_is_raised_when_it_ends() -> None:
    class Broken(ScriptedRunner):
        async def run(self, *_: object) -> Exit:
            raise ZeroDivisionError

    async def use() -> None:
        async with api(a_server(Broken())) as client:
            assert (await client.post(MACHINES, json=create_body())).status_code == 200
            await asyncio.sleep(1.0)

    with pytest.raises(ZeroDivisionError):
        await use()


T0 = 1_790_000_000.0


def admitted(limits: RateLimits, *calls: tuple[str, float]) -> list[bool]:
    return [limits.admits(ApiCall("jobs", action, "", T0 + at)) for action, at in calls]


def test_three_calls_at_once_and_one_a_second_per_action_and_app() -> None:
    limits = RateLimits()

    calls = [("create", 0.0)] * 4 + [
        ("list", 0.0),
        ("create", 0.9),
        ("create", 1.0),
        ("create", 1.0),
    ]
    assert admitted(limits, *calls) == [True, True, True, False, True, False, True, False]
    assert limits.admits(ApiCall("others", "create", "", T0))


def test_getting_a_machine_has_more_room_and_limits_can_be_switched_off() -> None:
    limits = RateLimits()

    assert admitted(limits, *[("get", 0.0)] * 11, ("get", 0.2)) == [True] * 10 + [False, True]
    limits.enabled = False
    assert all(admitted(limits, *[("create", 0.2)] * 100))


def test_mishaps_are_repeatable_and_each_of_its_own_action() -> None:
    shares: dict[Mishap, float] = {
        "late_answer": 0.3,
        "never_runs": 0.3,
        "stale_list": 0.3,
        "stale_events": 0.3,
    }

    def met(seed: int, action: str) -> list[str | None]:
        mishaps = Mishaps(seed, shares)
        return [mishaps.next(action) for _ in range(50)]

    assert met(1, "create") == met(1, "create") != met(2, "create")
    assert set(met(1, "create")) == {None, "late_answer", "never_runs"}
    assert set(met(1, "list")) == {None, "stale_list"}
    assert set(met(1, "events")) == {None, "stale_events"}


def test_ulids_grow_even_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    identities = Identities(seed=1)
    ulids = [identities.ulid(moment) for moment in (T0, T0, T0, T0 - 5.0)]

    assert ulids == sorted(set(ulids))
    assert {len(ulid) for ulid in ulids} == {26}
