"""Generate docs/metrics.md from the catalogue of metrics."""

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from lambdo_router.core.journal import EndKind
from lambdo_router.core.prices import read_prices
from lambdo_router.core.routing import Reason
from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS, Definition

_HEAD: Final = """\
<!-- Made from telemetry/metrics/catalogue.py by tools/metrics_page.py -->

# Metrics

The router's own server, on port 9091 unless `LAMBDO_ADMIN_PORT` says otherwise, answers
`GET /metrics` in Prometheus' text format, or in OpenMetrics if the request asks for it. On Fly the
`[metrics]` section of `fly.toml` has it scraped.

The repository has [alert rules](../ops/alerts.yaml), each with an annotation `runbook` that links
to the section of [the runbook](../ops/runbook.md) that says what to do, and a
[Grafana dashboard](../ops/grafana.json).

## How to read them

- A message counts as received at each of its receives. It ends once: deleted, rejected, or left to
  its queue's redrive policy. Before that it may be retried.
- A route, queue, profile or app that leaves the routes file keeps its series until the second
  reload after that, so there are never more than those of two files.
- An empty route means that the message took none. Counters of failures start at zero with the
  routes file, so that the first failure shows as an increase.
- Each router counts for itself: add up with `sum by (queue)`. Only `lambdo_machines_running` counts
  the Machines of all routers of an app: take the `max by (app, profile)`.
"""

LABELS: Final[Mapping[str, str]] = {
    "action": "the call to SQS: `open`, `receive`, `renew`, `delete`, `retry`, `give back`, "
    "`send`; where requests are counted: `receive`, `renew`, `settle`, `send`",
    "app": "a Fly app",
    "code": "the class of Fly's answer, such as `rate_limited`, `region_capacity`, `bad_image`, "
    "`bad_token`, `connection`",
    "date": "the date of the price table",
    "generation": "the digest of the routes file, its schemas and the values of its variables",
    "kind": "of Machines, how they ended: "
    + ", ".join(f"`{kind}`" for kind in get_args(EndKind))
    + "; of failures of SQS: `unavailable` (may pass) or `refused` (a person must fix it)",
    "outcome": "`deleted` or `rejected`",
    "profile": "a profile; an inline one has its route's name; empty if the Machine's metadata "
    "does not name one",
    "queue": "a queue, by its name in the routes file",
    "reason": "of deleted messages: `launched`, `succeeded`, `dropped`; of the others: "
    + ", ".join(f"`{reason}`" for reason in get_args(Reason)),
    "result": "`loaded` or `refused`",
    "route": "a route; empty for messages that took none",
    "size": "the size of a Machine, as in the routes file or in the sender's `size`",
    "status": "the HTTP status of the answer; `200` if the report was accepted",
    "version": "of lambdo-router",
}

PROCESS: Final[Mapping[str, str]] = {
    "process_virtual_memory_bytes": "Virtual memory size.",
    "process_resident_memory_bytes": "Resident memory size.",
    "process_start_time_seconds": "Unix time at which the process started.",
    "process_cpu_seconds_total": "CPU time, user and system.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "Limit of open file descriptors.",
}
"""What prometheus_client adds, on Linux only."""

_QUERIES: Final[Mapping[str, str]] = {
    "messages a second, by route": "sum by (route) (rate(lambdo_messages_routed_total[5m]))",
    "the 95th percentile of a message's time": "histogram_quantile(0.95, sum by (le) "
    "(rate(lambdo_message_sent_to_settlement_seconds_bucket[5m])))",
    "the share of Machines that failed": "sum by (route) "
    '(rate(lambdo_machines_ended_total{kind!="succeeded"}[15m])) / '
    "sum by (route) (rate(lambdo_machines_ended_total[15m]))",
    "why launches fail": "sum by (app, code) (increase(lambdo_launch_failures_total[1h]))",
    "events in a Machine, on average": "sum by (profile) (rate(lambdo_batch_events_sum[1h])) / "
    "sum by (profile) (rate(lambdo_batch_events_count[1h]))",
    "dollars a day, by route": "sum by (route) (increase(lambdo_machine_cost_dollars_total[1d]))",
    "routes of an app": "count by (app) (lambdo_route_info)",
}

_COST: Final = """\
Costs are estimates: list prices without free allowances, discounts, traffic, stopped Machines and
taxes. The price table is of {date}; it is in [prices.json](../lambdo_router/prices.json), and
`LAMBDO_PRICES` names a file whose values override it:

```json
{{"date": "2027-01-01", "vcpu_second": {{"shared": 7e-07}}, "region_factor": {{"xyz": 1.1}}}}
```

Machine seconds are those between a Machine's start and exit, from Fly's events. They are known for
Machines whose end this router awaited: not with `acknowledge: launch`, and not for Machines taken
over from another router. `lambdo_launches_total` counts all of them.

Requests to SQS are derived from what was asked of it: ten messages of one call are one request, and
so are 64 KiB of what a receive brings. Failed requests are not included.
"""

_SIZES: Final = """\
## How many series there are

Per route about 35: ten counters and two histograms. Per profile about 50, per queue about 60, per
app about 20. A series exists once it has a value. Measured with 1,000 busy routes: 36,000 series
and 3 MB of text if they share 20 profiles, 85,000 and 6 MB if each has its own; 1,000 idle routes
have 6,000. Reading them takes the router 0.1 to 0.25 seconds, and encoding them 0.2 to 1 second in
a thread: scrape such a router once a minute.
"""


def series_of(definition: Definition) -> tuple[str, ...]:
    """Return the names that queries use."""
    if definition.kind == "histogram":
        return tuple(f"{definition.name}_{suffix}" for suffix in ("bucket", "count", "sum"))
    return (definition.name,)


def page() -> str:
    """Return the page as Markdown."""
    queries = (f"| {what} | `{query}` |" for what, query in _QUERIES.items())
    parts = [_HEAD, "\n".join((*_header("to see", "query"), *queries)) + "\n"]
    for section in dict.fromkeys(definition.section for definition in DEFINITIONS):
        parts.append(f"## {section}\n")
        if section == "Cost":
            parts.append(_COST.format(date=read_prices().date))
        rows = [row for it in DEFINITIONS if it.section == section for row in _rows(it)]
        parts.append("\n".join((*_header("metric", "type", "labels", ""), *rows)) + "\n")
    parts.append("On Linux there are also those of the process:\n")
    process = (f"| `{name}` | {text} |" for name, text in PROCESS.items())
    parts.append("\n".join((*_header("metric", ""), *process)) + "\n")
    parts.append("## Labels\n")
    used = {label for definition in DEFINITIONS for label in definition.labels}
    labels = (f"| `{label}` | {LABELS[label]} |" for label in sorted(used))
    parts.append("\n".join((*_header("label", "what it is"), *labels)) + "\n")
    parts.append(_SIZES)
    return "\n".join(parts)


def _header(*titles: str) -> tuple[str, str]:
    return f"| {' | '.join(titles)} |".replace("|  |", "| |"), "| --- " * len(titles) + "|"


def _rows(definition: Definition) -> Iterator[str]:
    labels = ", ".join(f"`{label}`" for label in definition.labels)
    text = definition.help
    if definition.buckets:
        bounds = ", ".join(f"{bound:g}" for bound in definition.buckets)
        text = f"{text} Buckets: {bounds}."
    yield f"| `{definition.name}` | {definition.kind} | {labels} | {text} |"


if __name__ == "__main__":
    print(page(), end="")
