"""What is counted of each fact, what is read of levels, and how it is written down."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alert_rules import LABELS_OF, needs_promtool
from building import entry, message, profile, route, table
from facts import BATCH, FACTS, SENT, FactCase
from metrics_page import LABELS, PROCESS, page, series_of
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from promql import named
from scenario import ScriptedLauncher, running

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable
from lambdo_router.core.machine import Machine
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.profile import Overrides
from lambdo_router.core.routing import Queue, Routed, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.core.snapshot import FailingSnapshot, MachinesSnapshot, QueueSnapshot, Snapshot
from lambdo_router.telemetry.metrics import Metrics
from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS
from lambdo_router.telemetry.metrics.gauges import memory_limit
from lambdo_router.telemetry.metrics.series import Series

ROOT = Path(__file__).parents[2]
OPENMETRICS = "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"
HOSTILE = "registry.fly.io/hostile:1"


def counted(*facts: journal.Fact, now: float = SENT + 20.0) -> Metrics:
    metrics = Metrics(None, lambda: now)
    for fact in facts:
        metrics.observe(fact)
    return metrics


def values(metrics: Metrics) -> dict[str, float]:
    """Every series of ours but the buckets, as `name label=value ...`, in the catalogue's order."""
    body, _ = metrics.exposition("")
    order = {series: it.labels for it in DEFINITIONS for series in series_of(it)}
    return {
        " ".join([sample.name, *(f"{it}={sample.labels[it]}" for it in order[sample.name])]): (
            sample.value
        )
        for family in prometheus(body.decode())
        for sample in family.samples
        if sample.name.startswith("lambdo_") and "le" not in sample.labels
    }


def changes(*facts: journal.Fact) -> dict[str, float]:
    """What these facts alone have brought; sums and counts of histograms as they are."""
    without = values(counted())
    return {
        name: value
        for name, value in values(counted(*facts)).items()
        if value and without.get(name) != value
    }


# Facts


@pytest.mark.parametrize("case", FACTS, ids=lambda case: f"{case.lines[0]}")
def test_a_fact_is_counted(case: FactCase) -> None:
    assert changes(case.fact) == case.metrics


def test_a_value_is_in_each_bucket_that_it_does_not_exceed() -> None:
    closed = [journal.BatchClosed(BATCH, "b1", waited) for waited in (0.1, 0.11, 900.0, 901.0)]
    body, _ = counted(*closed).exposition("")
    buckets = {
        sample.labels["le"]: sample.value
        for family in prometheus(body.decode())
        for sample in family.samples
        if sample.name == "lambdo_launch_wait_seconds_bucket"
    }

    assert buckets == {
        "0.1": 1,
        "0.5": 2,
        "1.0": 2,
        "2.5": 2,
        "5.0": 2,
        "10.0": 2,
        "30.0": 2,
        "60.0": 2,
        "300.0": 2,
        "900.0": 3,
        "+Inf": 4,
    }


def test_a_message_from_the_future_is_of_no_age() -> None:
    metrics = counted(journal.Received("q", message()), now=SENT - 5.0)

    assert values(metrics)["lambdo_message_age_seconds_sum queue=q"] == 0.0


# What it costs


def test_messages_that_one_call_has_settled_are_one_request_for_ten() -> None:
    together, alone = Acknowledge("launched"), [Retry(5.0, "x"), Retry(6.0, "x")]
    settled: list[journal.Fact] = [
        journal.Settled("q", f"m{n}", "orders", together) for n in range(21)
    ]
    settled += [journal.Settled("q", f"r{n}", "orders", it) for n, it in enumerate(alone)]

    assert values(counted(*settled))["lambdo_sqs_requests_total queue=q action=settle"] == 5


def test_each_64_kib_of_a_receive_are_a_request() -> None:
    large = [journal.Received("q", message(f"m{n}", "x" * 40_000)) for n in range(4)]
    facts: list[journal.Fact] = [journal.Polled("q", 4, 0.1), *large, journal.Polled("q", 0, 20.0)]

    assert values(counted(*facts))["lambdo_sqs_requests_total queue=q action=receive"] == 4


def test_requests_to_fifo_queues_cost_more() -> None:
    queues = (Queue("q", url="https://sqs.us-east-1.amazonaws.com/1/jobs.fifo"), Queue("p"))
    swapped = _swapped(table(route(queues=("q", "p")), queues=queues))
    polls = [journal.Polled(name, 0, 20.0) for name in ("q", "p")]
    found = values(counted(swapped, *polls))

    assert found["lambdo_sqs_cost_dollars_total queue=q"] == 5e-07
    assert found["lambdo_sqs_cost_dollars_total queue=p"] == 4e-07


def test_seconds_of_a_machine_cost_by_its_size_and_region() -> None:
    ended = journal.MachineEnded(BATCH, "b1", "m", "failed", 1, "exited", 100.0, region="gru")
    found = values(counted(ended))

    assert found["lambdo_machine_seconds_total route=orders size=shared-cpu-1x"] == 100.0
    dollars = found["lambdo_machine_cost_dollars_total route=orders size=shared-cpu-1x"]
    assert dollars == 100.0 * (8.465e-07 * 1.615)


# Reloads


def _swapped(made: RoutingTable, previous: str | None = None) -> journal.TableActivated:
    return journal.TableActivated(replace(made, generation="g"), previous)


def _of_route(name: str) -> journal.Settled:
    return journal.Settled("q", "m1", name, Acknowledge("succeeded"), SENT)


def test_counters_of_what_must_not_happen_begin_at_zero() -> None:
    found = values(counted(_swapped(table(route()))))

    assert found["lambdo_leases_lost_total queue=q"] == 0
    assert found["lambdo_settlement_failures_total queue=q action=delete"] == 0
    assert found["lambdo_machines_ended_total route=orders kind=failed"] == 0


def test_each_app_of_a_profile_has_its_series_and_all_are_forgotten_together() -> None:
    several = table(route(profile=profile(app="a", more_apps=("b",))))
    metrics = counted(_swapped(several))
    found = values(metrics)

    assert {name: value for name, value in found.items() if "app=" in name} == {
        "lambdo_launches_total route=orders app=a": 0,
        "lambdo_launches_total route=orders app=b": 0,
        "lambdo_route_info queue=q route=orders profile=worker app=a": 1,
        "lambdo_route_info queue=q route=orders profile=worker app=b": 1,
    }
    for _ in range(2):
        metrics.observe(_swapped(table(route(profile=profile(app="c")))))
    assert [name for name in values(metrics) if "app=a" in name or "app=b" in name] == []


def test_a_reload_sets_nothing_back() -> None:
    metrics = counted(_swapped(table(route())), _of_route("orders"), _swapped(table(route()), "g"))

    name = "lambdo_messages_deleted_total queue=q route=orders reason=succeeded"
    assert values(metrics)[name] == 1


def test_what_left_the_routes_file_is_forgotten_with_the_second_reload_after_it() -> None:
    before, after = table(route("old")), table(route("new"))
    metrics = counted(_swapped(before), _of_route("old"), _swapped(after))
    metrics.observe(_of_route("old"))  # its Machine ran on
    name = "lambdo_messages_deleted_total queue=q route=old reason=succeeded"

    assert values(metrics)[name] == 2
    metrics.observe(_swapped(after))
    metrics.observe(_swapped(after))
    assert [it for it in values(metrics) if "old" in it] == []


def test_series_of_a_new_table_come_step_by_step_and_all_before_a_scrape() -> None:
    steps: list[int] = []

    def work() -> Iterator[None]:
        for number in range(4):
            steps.append(number)
            yield

    series = Series()
    series.postpone(work())
    series.step()

    assert steps == [0]
    assert list(series.collect())
    assert steps == [0, 1, 2, 3]


def test_a_queue_that_is_read_no_more_has_no_last_poll() -> None:
    metrics = counted(journal.Polled("q", 0, 20.0), journal.QueueClosed("q"))

    assert "lambdo_queue_last_poll_timestamp_seconds queue=q" not in values(metrics)


def test_a_thousand_reloads_leave_two_tables_of_series() -> None:
    metrics = counted()
    sizes = []
    for number in range(1000):
        name = f"route-{number}"
        metrics.observe(_swapped(table(route(name, profile=profile(name=name)))))
        metrics.observe(_of_route(name))
        if number in (3, 999):
            sizes.append(len(values(metrics)))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("facts", "successful", "taken_at"),
    [
        pytest.param([], None, None, id="nothing loaded yet"),
        pytest.param(["start"], 1, 1.0, id="started"),
        pytest.param(["start", "refused"], 0, 1.0, id="refused"),
        pytest.param(["start", "refused", "loaded"], 1, 3.0, id="mended"),
        pytest.param(["start", "loaded", "start"], 1, 3.0, id="swapped"),
    ],
)
def test_the_reload_metrics_tell_of_the_routes_file(
    facts: Sequence[str], successful: float | None, taken_at: float | None
) -> None:
    kinds: dict[str, journal.Fact] = {
        "start": _swapped(table(route())),
        "refused": journal.ReloadFailed(("routes.yaml:1:1: no",)),
        "loaded": journal.RoutesLoaded("g", ()),
    }
    now = 0.0
    metrics = Metrics(None, lambda: now)
    for fact in facts:
        now += 1.0
        metrics.observe(kinds[fact])
    found = values(metrics)

    assert found.get("lambdo_config_last_reload_successful") == successful
    assert found.get("lambdo_config_last_reload_success_timestamp_seconds") == taken_at
    assert found.get("lambdo_config_info generation=g") == (None if successful is None else 1)


# Levels


def of_levels(levels: Snapshot) -> dict[str, float]:
    return values(Metrics(lambda: levels))


def test_levels_are_read_when_somebody_asks() -> None:
    found = of_levels(
        Snapshot(
            "g1",
            (
                QueueSnapshot("q", "reading", 5, 3, {"orders": 2}, 20.5),
                QueueSnapshot("p", "opening"),
            ),
            (MachinesSnapshot("jobs", "worker", 4, 1), MachinesSnapshot("jobs", "", 1, 0)),
            (FailingSnapshot("jobs", "worker", 3),),
        )
    )
    of_the_router = ("build_info", "prices_info", "memory_limit", "router_stopping")

    assert {
        it.removeprefix("lambdo_"): value
        for it, value in found.items()
        if not it.removeprefix("lambdo_").startswith(of_the_router)
    } == {
        "messages_held queue=q": 5,
        "messages_held queue=p": 0,
        "messages_waiting queue=q": 3,
        "messages_waiting queue=p": 0,
        "messages_batched queue=q route=orders": 2,
        "queue_reading queue=q": 1,
        "queue_reading queue=p": 0,
        "lease_margin_seconds queue=q": 20.5,
        "machines_running app=jobs profile=worker": 4,
        "machines_running app=jobs profile=": 1,
        "machines_launching app=jobs profile=worker": 1,
        "machines_launching app=jobs profile=": 0,
        "profile_failing app=jobs profile=worker": 1,
    }


def test_a_queue_that_drains_while_its_successor_is_read_is_exposed_once() -> None:
    queues = (
        QueueSnapshot("q", "stopping", 5, 1, {"orders": 1}, 3.0),
        QueueSnapshot("q", "reading", 2, 2, {"orders": 2}, 30.0),
    )
    found = of_levels(Snapshot("g1", queues, ()))

    assert found["lambdo_messages_held queue=q"] == 7
    assert found["lambdo_messages_batched queue=q route=orders"] == 3
    assert found["lambdo_queue_reading queue=q"] == 1
    assert found["lambdo_lease_margin_seconds queue=q"] == 3.0


@pytest.mark.parametrize(
    ("cgroup", "meminfo", "limit"),
    [
        pytest.param("max\n", "MemTotal:   231244 kB\nMemFree: 1 kB\n", 236793856, id="machine"),
        pytest.param("134217728\n", "MemTotal:   231244 kB\n", 134217728, id="cgroup"),
        pytest.param(None, "MemTotal: 4 kB\n", 4096, id="no cgroup"),
        pytest.param(None, None, None, id="not Linux"),
    ],
)
def test_the_memory_limit_is_the_least_that_linux_knows(
    cgroup: str | None, meminfo: str | None, limit: int | None, tmp_path: Path
) -> None:
    for name, text in (("sys/fs/cgroup/memory.max", cgroup), ("proc/meminfo", meminfo)):
        if text is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    assert memory_limit(tmp_path) == limit


# Real output


@asynccontextmanager
async def at_work() -> AsyncIterator[Metrics]:
    """The metrics of a running router to which this and that has happened."""
    profiles = {it: profile(name=it, acknowledge="success", batch_size=2) for it in ("a", "b")}
    made = table(
        route("orders", profile=profiles["a"], overrides=Overrides(image=("*",))),
        route("others", queues=("p",), profile=profiles["b"]),
        queues=(Queue("q", url="q"), Queue("p", url="p")),
    )
    refused: list[LaunchError | None] = [LaunchRejected("no such image", code="bad_image")]
    ends = [MachineEnd(0, seconds=3.0), MachineEnd(1, seconds=1.0)]
    launcher = ScriptedLauncher(runs_for=5.0, script=refused, ends=ends)
    async with running(made, launcher) as scenario:
        metrics = Metrics(scenario.router.snapshot, lambda: 8.0)
        scenario.put("{}", "{}", "not JSON", image=HOSTILE)
        scenario.put("{}", "{}", "{}", queue="p")
        await asyncio.sleep(8)
        for _, fact in scenario.facts:
            metrics.observe(fact)
        yield metrics


@needs_promtool
async def test_promtool_finds_nothing_wrong_with_what_a_router_exposes() -> None:
    async with at_work() as metrics:
        body, _ = metrics.exposition("")
    checked = subprocess.run(  # noqa: ASYNC221 - time stands still here
        ["promtool", "check", "metrics"],  # noqa: S607 - wherever it is installed
        input=body,
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_openmetrics_says_the_same_to_who_asks_for_it() -> None:
    async with at_work() as metrics:
        text, plain = metrics.exposition("text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
        other, opened = metrics.exposition(OPENMETRICS)

    assert plain == "text/plain; version=0.0.4; charset=utf-8"
    assert opened.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    read = openmetrics(other.decode())  # type: ignore[no-untyped-call] # of the library
    assert _series(read) == _series(prometheus(text.decode()))


def _series(families: Iterable[Metric]) -> dict[tuple[str, str], float]:
    return {
        (sample.name, str(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


@pytest.mark.real_time
async def test_a_scrape_in_a_thread_says_the_same() -> None:
    metrics = counted(journal.Received("q", message()))
    in_thread, content_type = await metrics.scraped(OPENMETRICS)

    at_once = metrics.exposition(OPENMETRICS)
    assert content_type == at_once[1]
    ours = [line for line in in_thread.splitlines() if b"process_" not in line]
    assert ours == [line for line in at_once[0].splitlines() if b"process_" not in line]


async def test_what_a_router_exposes_is_as_the_catalogue_says() -> None:
    async with at_work() as metrics:
        body, _ = metrics.exposition("")
    known = {it.name.removesuffix("_total"): it for it in DEFINITIONS}
    seen = set()
    for family in prometheus(body.decode()):
        if family.name.removesuffix("_total") not in known:
            assert family.name in {name.removesuffix("_total") for name in PROCESS}
            continue
        definition = known[family.name.removesuffix("_total")]
        seen.add(definition.name)
        assert (family.type, family.documentation) == (definition.kind, definition.help)
        for sample in family.samples:
            assert sample.name in series_of(definition)
            assert sorted(sample.labels.keys() - {"le"}) == sorted(definition.labels)
    assert seen == {it.name for it in DEFINITIONS}


async def test_nothing_that_a_sender_writes_is_exposed() -> None:
    async with at_work() as metrics:
        body, _ = metrics.exposition("")

    assert b"hostile" not in body
    assert b'lambdo_profile_failing{app="jobs",profile="a"} 1.0' in body


async def test_facts_tell_what_metrics_must_know() -> None:
    made = table(route(profile=profile(acknowledge="success")))
    async with running(made, ScriptedLauncher(runs_for=1.0)) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)

    assert [fact.table for fact in scenario.of(journal.TableActivated)] == [made]
    assert [fact.region for fact in scenario.of(journal.MachineEnded)] == ["iad"]


# A thousand routes


def _busy(number: int, profile_name: str) -> Iterator[journal.Fact]:
    """All that happens to two messages of a route, with failures."""
    made = profile(name=profile_name, acknowledge="success")
    taken = route(f"route-{number}", profile=made)
    batch = Batch(BatchKey("q", taken, made), (entry(f"a{number}"), entry(f"b{number}")))
    yield journal.Polled("q", 2, 0.1)
    for it in batch.entries:
        yield journal.Received("q", it.message)
        yield journal.Decided("q", it.message.id, Routed(taken, made, it.event))
    yield journal.LaunchFailed(batch, LaunchUnavailable("429", code="rate_limited"), 1, 1.0)
    yield journal.BatchClosed(batch, "b", 0.1)
    yield journal.Launched(batch, Machine("id", "name", "iad"), 0.3, 2, 30.0, "b")
    yield journal.MachineEnded(batch, "b", "id", "succeeded", 0, "", 5.0, 1, "iad")
    yield journal.Settled("q", f"a{number}", taken.name, Acknowledge("succeeded"), SENT)
    yield journal.Settled("q", f"b{number}", taken.name, Retry(5.0, "reported"), SENT)


@pytest.mark.parametrize(
    ("profiles", "busy"),
    [
        pytest.param(20, 36_045, id="sharing 20 profiles"),
        pytest.param(1000, 85_045, id="each with a profile of its own"),
    ],
)
def test_a_thousand_routes_stay_within_their_number_of_series(profiles: int, busy: int) -> None:
    names = [f"profile-{number % profiles}" for number in range(1000)]
    made = table(*(route(f"route-{n}", profile=profile(name=it)) for n, it in enumerate(names)))
    metrics = counted(_swapped(made))
    assert _count(metrics) == 6_014
    for _ in range(2):
        for number, name in enumerate(names):
            for fact in _busy(number, name):
                metrics.observe(fact)
    assert _count(metrics) == busy


def _count(metrics: Metrics) -> int:
    body, _ = metrics.exposition("")
    return sum(line.startswith(b"lambdo_") for line in body.splitlines())


# The page


def test_the_page_is_made_from_the_catalogue() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == page()


def test_each_label_is_explained_and_each_explanation_is_of_a_label() -> None:
    assert {label for it in DEFINITIONS for label in it.labels} == set(LABELS)


def test_the_process_is_described_as_the_library_does() -> None:
    names = {family.name for family in prometheus(counted().exposition("")[0].decode())}

    assert {it for it in names if it.startswith("process_")} == {
        name.removesuffix("_total") for name in PROCESS
    }


@pytest.mark.parametrize(
    "query", re.findall(r"^\| .* \| `(.*\(.*)` \|$", page(), re.MULTILINE), ids=str
)
def test_a_query_of_the_page_asks_for_what_exists(query: str) -> None:
    asked = named(query, LABELS_OF)

    assert asked.series
    assert asked.wrong == ()
