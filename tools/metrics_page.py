"""docs/metrics.md, made from the catalogue."""

from collections.abc import Iterator, Mapping
from typing import Final

from lambdo_router.core.prices import read_prices
from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS, LABELS, PROCESS, Definition

_HEAD: Final = """\
<!-- Made from telemetry/metrics/catalogue.py by tools/metrics_page.py -->

# Metrics

The router's own server, on port 9091 unless `LAMBDO_ADMIN_PORT` says otherwise, answers
`GET /metrics` in Prometheus' text format, or in OpenMetrics where it is asked for. On Fly the
`[metrics]` section of `fly.toml` has it scraped.

In the repository lie [rules for alerts](../ops/alerts.yaml), each of which names in its annotation
`runbook` the section of [the runbook](../ops/runbook.md) that says what to do, and a
[Grafana dashboard](../ops/grafana.json).

## How to read them

- A message counts as received at each of its receives. It ends once: deleted, rejected or left to
  its queue's redrive policy. In between it may be retried.
- A route, queue, profile or app that leaves the routes file keeps its series until the second
  reload after that; so there are never more than those of two files.
- Where a route is empty, the message took none. Counters of what must not happen begin at zero with
  the routes file, so that the first time shows as an increase.
- Each router counts for itself: add up with `sum by (queue)`. Only `lambdo_machines_running` counts
  the Machines of all routers of an app: take the `max by (app, profile)`.
"""

_QUERIES: Final[Mapping[str, str]] = {
    "messages a second, by route": "sum by (route) (rate(lambdo_messages_routed_total[5m]))",
    "how long 95 of 100 messages take at most": "histogram_quantile(0.95, sum by (le) "
    "(rate(lambdo_message_sent_to_settlement_seconds_bucket[5m])))",
    "Machines that failed, as a part of all": "sum by (route) "
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
taxes. The table is of {date}; [prices.json](../lambdo_router/prices.json) has it, and
`LAMBDO_PRICES` names a file that is laid over it:

```json
{{"date": "2027-01-01", "vcpu_second": {{"shared": 7e-07}}, "region_factor": {{"xyz": 1.1}}}}
```

Seconds are those between start and exit of a Machine, as Fly's events tell them. They are known of
Machines whose end this router awaited: with `acknowledge: launch` nobody awaits it, and a Machine
that was taken over from another router is not counted either. `lambdo_launches_total` counts them
all.

Requests to SQS are worked out from what was asked of it: ten messages of one call are one request,
and so are 64 KiB of what a receive brings. Requests that failed are not among them.
"""

_SIZES: Final = """\
## How many series there are

Per route about 35: ten counters and two histograms. Per profile about 50, per queue about 60, per
app about 20. A series is there once it has something to say. Measured with 1,000 routes that are
all at work: 36,000 series and 3 MB of text where they share 20 profiles, 85,000 and 6 MB where each
has its own; 1,000 idle routes have 6,000. Reading them takes the router 0.1 to 0.25 seconds,
and writing them down 0.2 to 1 second in a thread beside it: scrape such a router once a minute.
"""


def page() -> str:
    """The whole page."""
    queries = (f"| {what} | `{query}` |" for what, query in _QUERIES.items())
    parts = [_HEAD, "\n".join((*_header("to see", "query"), *queries)) + "\n"]
    for section in dict.fromkeys(definition.section for definition in DEFINITIONS):
        parts.append(f"## {section}\n")
        if section == "Cost":
            parts.append(_COST.format(date=read_prices().date))
        rows = [row for it in DEFINITIONS if it.section == section for row in _rows(it)]
        parts.append("\n".join((*_header("metric", "type", "labels", ""), *rows)) + "\n")
    parts.append("Beside these, on Linux, there are those of the process:\n")
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
