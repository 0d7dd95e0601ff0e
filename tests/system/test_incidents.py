"""
Bad nights, played on the embedded stack, and looked at with the commands of ops/runbook.md.

For each: what `/readyz`, `/status`, the metrics, the page and the log say, that the runbook's
commands lead to the cause, and that what it says to do mends it.
"""

import asyncio
import html
import json
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from admin_process import Running, started
from cloud_shell import CloudShell
from router_process import ROUTES, TOKEN, World
from runbook import sections
from scripted_runner import NEVER, ScriptedRunner

from lambdo_router.local.sqs_server import NewMessage

pytestmark = pytest.mark.real_time

TWO_ROUTES = (
    ROUTES.replace("profiles:\n", 'profiles:\n  other: {image: "registry.fly.io/jobs:2"}\n')
    + "  - {name: second, queue: work, match: {attributes: {kind: b}}, profile: other}\n"
)
TWO_QUEUES = (
    ROUTES.replace(", reject_to: rejected}", "}").replace("  rejected:", "  spare:")
    + "  - {name: second, queue: spare, profile: plain}\n"
)


@dataclass
class Night:
    """A router, its servers, and whoever was paged."""

    running: Running
    shell: CloudShell
    log: list[dict[str, Any]] = field(default_factory=list)
    """Every line that was read so far."""

    @property
    def here(self) -> World:
        return self.running.here

    def write(self, routes: str) -> None:
        (self.here.folder / "routes.yaml").write_text(routes)

    async def said(self, event: str, **fields: object) -> dict[str, Any]:
        """The next line of the log with this event and these fields."""
        assert self.running.process.stderr is not None
        async with asyncio.timeout(30):
            while True:
                text = (await self.running.process.stderr.readline()).decode()
                assert text, f"it has ended without {event}"
                if not text.startswith("{"):
                    continue
                line: dict[str, Any] = json.loads(text)
                self.log.append(line)
                if line["event"] == event and fields.items() <= line.items():
                    return line

    def warned(self) -> list[str]:
        """The events so far that were worth a warning or more."""
        return [line["event"] for line in self.log if line["level"] in ("warning", "error")]

    async def ready(self) -> tuple[int, Any]:
        answer = await self.running.get("/readyz")
        return answer.status_code, answer.json()

    async def status(self, until: Callable[[Any], bool] = lambda _: True) -> Any:
        """What `/status` says once it says what is waited for."""
        async with asyncio.timeout(30):
            while not until(now := (await self.running.get("/status")).json()):
                pass
        return now

    async def metrics(self) -> Mapping[str, float]:
        lines = (await self.running.get("/metrics")).text.splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {series: float(value) for series, _, value in samples}

    async def page(self) -> str:
        """What the page says, in words."""
        text = (await self.running.get("/")).text
        words = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", text[text.index("<main") :], flags=re.DOTALL)
        return " ".join(html.unescape(words).split())

    async def look(self, night: str) -> "Seen":
        """Type what a section of the runbook says under Look, each line for itself."""
        _, look, *_ = re.split(r"\*\*(?:Look|Do)\*\*", sections()[night])
        [block, *_] = re.findall(r"```sh\n(.*?)```", look, flags=re.DOTALL)
        lines = block.splitlines()
        return Seen(dict(zip(lines, await asyncio.gather(*map(self._type, lines)), strict=True)))

    async def _type(self, line: str) -> str:
        typed = await asyncio.create_subprocess_exec(
            *("bash", "-uc", line),
            cwd=self.here.folder,
            env=dict(self.shell.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(typed.communicate(), 30)
        text = out.decode()
        assert "command not found" not in text
        assert "Usage:" not in text
        assert TOKEN not in text
        return text


@dataclass(frozen=True)
class Seen:
    """What each command printed."""

    printed: Mapping[str, str]

    def __getitem__(self, command: str) -> str:
        """The output of this line, or of the one line that begins so."""
        if command in self.printed:
            return self.printed[command]
        [found] = [out for line, out in self.printed.items() if line.startswith(command)]
        return found


@asynccontextmanager
async def night(folder: Path, routes: str = ROUTES, **changes: str) -> AsyncIterator[Night]:
    """The log as operators have it, at INFO; the names of the runbook's commands are set."""
    (folder / "router").mkdir()
    async with started(folder / "router", routes, LAMBDO_LOG_LEVEL="info", **changes) as running:
        environment = running.here.environment
        own = {name: value for name, value in environment.items() if name != "PATH"}
        port = running.url.rpartition(":")[2]
        queue = f"{environment['AWS_ENDPOINT_URL']}/000000000000"
        shell = CloudShell.at(
            folder / "shell",
            TOKEN,
            **own | {"LAMBDO_ADMIN_PORT": port, "HOME": os.environ.get("HOME", "/")},
            ROUTER=running.url,
            JOBS="jobs",
            QUEUE_URL=f"{queue}/work",
            REJECTED_URL=f"{queue}/rejected",
            ROUTE="first",
            MACHINE="3d8d7949b22089",
        )
        opened = Night(running, shell)
        await opened.said("queue.opened", queue="work")
        yield opened


def concerns(document: Any) -> list[tuple[str, str, bool]]:
    """The kind and name of each, and whether the router is not ready because of it."""
    found = document.get("health", document)["concerns"]
    return [(concern["kind"], concern["name"], concern["fatal"]) for concern in found]


def scripted(here: World) -> ScriptedRunner:
    assert isinstance(here.machines.runner, ScriptedRunner)
    return here.machines.runner


async def test_a_flood_is_no_failure_and_shows_as_what_waits_and_why(tmp_path: Path) -> None:
    bounded = ROUTES.replace("acknowledge: launch", "acknowledge: success").replace(
        'jobs:1"', 'jobs:1", batch_size: 5, max_machines: 2'
    )
    async with night(tmp_path, bounded) as it:
        scripted(it.here).seconds = lambda _: NEVER
        for number in range(120):
            it.here.send(json.dumps({"n": number}), kind="a")
        for _ in range(2):
            await it.said("machine.launched")
        status = await it.status(lambda now: now["routes"][0]["waiting"] == 5)
        ready, metrics, page = await it.ready(), await it.metrics(), await it.page()
        seen = await it.look("queue-growing")
        it.write(bounded.replace("max_machines: 2", "max_machines: 20"))
        await it.said("routes.swapped")
        await it.said("machine.launched")
        warned = it.warned()

    assert (ready[0], ready[1]["concerns"]) == (200, [])
    queue, route = status["queues"][0], status["routes"][0]
    assert (queue["state"], queue["held"], queue["more"]) == ("reading", 15, True)
    assert (route["state"], route["waiting"]) == ("ok", 5)
    assert [level["running"] for level in status["machines"]] == [2]
    assert metrics['lambdo_messages_waiting{queue="work"}'] == 5
    assert metrics['lambdo_messages_waiting_limit{queue="work"}'] == 1000
    assert metrics['lambdo_machines_running{app="jobs",profile="plain"}'] == 2
    assert "All is well" in page
    assert "more on the queue" in page
    assert "waiting for a Machine 5 Machines running 2" in page
    assert warned == []

    assert seen["lambdo-router status --check"] == "ready\n"
    counts = json.loads(seen["aws sqs get-queue-attributes"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "105"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "15"
    assert re.search(r"^jobs +plain +2 +0$", seen["lambdo-router status"], re.MULTILINE)
    assert 'lambdo_machines_running{app="jobs",profile="plain"} 2.0' in seen["curl"]
    assert re.search(r"max_machines +2\b", seen["lambdo-router routes"])


async def test_a_bad_image_fails_its_route_and_no_other(tmp_path: Path) -> None:
    async with night(tmp_path, TWO_ROUTES) as it:
        it.here.machines.images = {"registry.fly.io/jobs:2"}
        it.here.send("{}", kind="a")
        failing = await it.said("profile.failing")
        it.here.send("{}", kind="b")
        await it.said("machine.launched", route="second")
        ready, status = await it.ready(), await it.status()
        metrics, page = await it.metrics(), await it.page()
        seen = await it.look("route-failing")
        it.write(TWO_ROUTES.replace("jobs:1", "jobs:2"))
        await it.said("routes.swapped")
        it.here.send("{}", kind="a")
        await it.said("machine.launched", route="first")
        mended = await it.status(lambda now: now["health"]["concerns"] == [])

    assert (failing["level"], failing["profile"], failing["code"]) == (
        "error", "plain", "bad_image"
    )  # fmt: skip
    assert "MANIFEST_UNKNOWN" in failing["error"]
    assert (ready[0], concerns(ready[1])) == (200, [("route", "first", False)])
    assert ready[1]["concerns"][0]["place"] == "routes.yaml:10"
    assert "unknown tag=1" in ready[1]["concerns"][0]["why"]
    assert [route["state"] for route in status["routes"]] == ["failing", "ok"]
    assert status["routes"][0]["trouble"]["code"] == "bad_image"
    failed = 'lambdo_launch_failures_total{app="jobs",code="bad_image",route="first"}'
    assert metrics[failed] == 1
    assert metrics['lambdo_profile_failing{app="jobs",profile="plain"}'] == 1
    assert metrics['lambdo_messages_retried_total{queue="work",route="first"}'] == 1
    assert "Ready, but one thing fails" in page
    assert "Fix the profile and save the routes file" in page
    assert [route["state"] for route in mended["routes"]] == ["ok", "ok"]

    assert "route first (routes.yaml:10)" in seen["lambdo-router status"]
    assert "MANIFEST_UNKNOWN" in seen["lambdo-router status"]
    assert failed in seen["curl"]
    assert re.search(
        r"image +registry.fly.io/jobs:1 +profile plain, routes.yaml:8:18",
        seen["lambdo-router routes"],
    )


async def test_a_full_region_is_tried_again_and_then_named_with_its_route(tmp_path: Path) -> None:
    routes = ROUTES.replace('jobs:1"', 'jobs:1", region: iad').replace(
        "max_attempts: 5", "max_attempts: 1"
    )
    async with night(tmp_path, routes) as it:
        it.here.machines.full_regions.add("iad")
        it.here.send("{}", kind="a")
        first = await it.said("machine.launch_failed")
        status = await it.status(lambda now: now["routes"][0]["state"] == "failing")
        ready, metrics, page = await it.ready(), await it.metrics(), await it.page()
        seen = await it.look("fly-at-capacity")
        it.write(routes.replace("region: iad", "region: 'iad,us,any'"))
        await it.said("routes.swapped")
        it.here.send("{}", kind="a")
        launched = await it.said("machine.launched")
        warned = it.warned()

    assert (first["level"], first["code"], first["attempt"]) == ("warning", "region_capacity", 1)
    # The other attempts are summed up. The delivery was the only one that max_attempts allows.
    assert warned == ["machine.launch_failed", "message.rejected"]
    assert (ready[0], concerns(ready[1])) == (200, [("route", "first", False)])
    assert "422 could not find a candidate host" in ready[1]["concerns"][0]["why"]
    [failure] = status["failures"]
    assert (failure["kind"], failure["code"], failure["count"]) == ("launch", "region_capacity", 4)
    failed = 'lambdo_launch_failures_total{app="jobs",code="region_capacity",route="first"}'
    assert metrics[failed] == 4
    assert 'lambdo_profile_failing{app="jobs",profile="plain"}' not in metrics
    assert "launch failed 4 times: Machines API: 422" in page
    assert "More regions in its profile help" in page
    assert launched["region"] != "iad"

    assert "could not find a candidate host" in seen["lambdo-router status"]
    assert f"{failed} 4.0" in seen["curl"]
    assert re.search(r"region +iad +profile plain, routes.yaml:7:", seen["lambdo-router routes"])


async def test_a_bad_reload_changes_nothing_and_names_the_place(tmp_path: Path) -> None:
    bad = ROUTES.replace("profile: plain", "profile: plian")
    problem = "routes.yaml:9:73: no profile is called `plian`"
    async with night(tmp_path) as it:
        it.write(bad)
        refused = await it.said("routes.refused")
        it.here.send("{}", kind="a")
        await it.said("machine.launched")
        ready, status = await it.ready(), await it.status()
        metrics, page = await it.metrics(), await it.page()
        seen = await it.look("reload-refused")
        it.write(ROUTES)
        answer = (await it.running.reload()).json()
        mended = await it.metrics()

    assert refused["level"] == "error"
    assert refused["problems"][0].startswith(problem)
    assert (ready[0], concerns(ready[1])) == (
        200, [("reload", status["router"]["generation"], False)]
    )  # fmt: skip
    assert ready[1]["concerns"][0]["why"].startswith(problem)
    assert "the file on disk was refused (1 problem)" in ready[1]["checks"][1]["detail"]
    assert status["refused_reload"]["problems"][0].startswith(problem)
    assert metrics["lambdo_config_last_reload_successful"] == 0
    assert metrics['lambdo_config_reloads_total{result="refused"}'] == 1
    assert "The routes file since" in page
    assert problem in page
    assert "Fix the file and save it" in page
    assert answer["outcome"] in ("accepted", "unchanged")  # the watcher may have been first
    assert mended["lambdo_config_last_reload_successful"] == 1

    assert problem in seen["lambdo-router status"]
    assert problem in seen['curl -s "$ROUTER/readyz"']
    assert "lambdo_config_last_reload_successful 0.0" in seen['curl -s "$ROUTER/metrics"']
    assert problem in seen["lambdo-router validate"]


async def test_a_dead_queue_makes_the_router_not_ready_and_stops_no_other(tmp_path: Path) -> None:
    async with night(tmp_path, TWO_QUEUES) as it:
        it.here.sqs.delete_queue("work", time.time())
        failed = await it.said("queue.failed")
        it.here.sqs.send("rejected", NewMessage("{}", {}), time.time())
        await it.said("machine.launched", queue="spare")
        ready, status = await it.ready(), await it.status()
        metrics, page = await it.metrics(), await it.page()
        seen = await it.look("queue-growing")
        it.here.sqs.create_queue("work-2", {}, time.time())
        it.write(TWO_QUEUES.replace("name: work,", "name: work-2,"))
        mended = await it.status(lambda now: now["health"]["ready"])

    code = "AWS.SimpleQueueService.NonExistentQueue"
    assert (failed["level"], failed["queue"], failed["action"], failed["code"]) == (
        "error", "work", "receive", code
    )  # fmt: skip
    assert (ready[0], concerns(ready[1])) == (503, [("queue", "work", True)])
    assert code in ready[1]["concerns"][0]["why"]
    assert [(check["name"], check["ok"]) for check in ready[1]["checks"]] == [
        ("router", True), ("routes", True), ("queues", False), ("fly", True)
    ]  # fmt: skip
    states = {queue["name"]: queue["state"] for queue in status["queues"]}
    assert states == {"work": "failing", "spare": "reading"}
    refused = 'lambdo_queue_failures_total{action="receive",kind="refused",queue="work"}'
    assert metrics[refused] == 1
    assert "Not ready" in page
    assert "queues : fails work: receive:" in page
    assert "Fix the queue's address or the permissions" in page
    assert concerns(mended) == []

    assert "queue work for" in seen["lambdo-router status"]
    assert seen["lambdo-router status --check"].startswith("not ready\nqueues: work: receive:")
    assert "NonExistentQueue" in seen["aws sqs get-queue-attributes"]
    assert refused in seen["curl"]
    assert re.search(r"routes.yaml:3:\d+: .*work", seen["lambdo-router validate"])


async def test_a_token_that_expires_is_told_from_a_route_that_fails(tmp_path: Path) -> None:
    async with night(tmp_path) as it:
        tokens = it.here.machines.access.tokens
        assert isinstance(tokens, dict)
        tokens.clear()
        it.here.send("{}", kind="a")
        failing = await it.said("profile.failing")
        ready, metrics, page = await it.ready(), await it.metrics(), await it.page()
        seen = await it.look("token-expired")

    assert failing["code"] == "bad_token"
    assert (ready[0], concerns(ready[1])) == (
        503, [("app", "jobs", True), ("route", "first", False)]
    )  # fmt: skip
    refused = 'lambdo_launch_failures_total{app="jobs",code="bad_token",route="first"}'
    assert metrics[refused] == 1
    assert "Create a new token: fly tokens create deploy -a jobs" in page
    assert "The app is failing, not this route" in page

    assert "401 Authenticate: token validation error" in seen["lambdo-router status"]
    assert refused in seen["curl"]
    assert ["tokens", "list", "--app", "jobs"] in it.shell.calls("fly")


async def test_messages_that_nobody_wants_are_listed_with_their_reasons(tmp_path: Path) -> None:
    async with night(tmp_path) as it:
        it.here.send("{}", kind="z")
        it.here.send("no json", kind="a")
        for _ in range(2):
            await it.said("message.rejected")
        ready, status, metrics = await it.ready(), await it.status(), await it.metrics()
        page, seen = await it.page(), await it.look("dlq-filling")
        rejected = [line for line in it.log if line["event"] == "message.rejected"]

    assert (ready[0], ready[1]["concerns"]) == (200, [])
    assert {line["reason"] for line in rejected} == {"unmatched", "not_json"}
    assert status["queues"][0]["reasons"] == {"unmatched": 1, "not_json": 1}
    unmatched = 'lambdo_messages_rejected_total{queue="work",reason="unmatched",route=""}'
    assert metrics[unmatched] == 1
    assert "not launched: 1 not_json, 1 unmatched" in page

    assert f"{unmatched} 1.0" in seen["curl"]
    listed = seen["lambdo-router rejected list"]
    assert "unmatched" in listed
    assert "not_json" in listed
    counts = json.loads(seen["aws sqs get-queue-attributes"])["Attributes"]
    assert int(counts["ApproximateNumberOfMessages"]) + int(
        counts["ApproximateNumberOfMessagesNotVisible"]
    ) == len(rejected)
