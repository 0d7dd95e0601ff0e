"""
Every metric of the router: its name, its labels, and what it says.

This is the one list. The series that are exposed are made from it, and so is docs/metrics.md; tests
hold the alerts and the dashboard to it. Names and units follow the conventions of Prometheus: base
units, `_total` for what only grows. A label takes few values, none of which a sender can write: no
message id, no image, no error text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from lambdo_router.core.journal import EndKind
from lambdo_router.core.routing import Reason

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `buckets` are the upper bounds of a histogram's, without infinity."""

    name: str
    kind: Kind
    section: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries use."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum"))
        return (self.name,)


@dataclass(frozen=True, slots=True)
class _Section:
    title: str

    def counter(self, name: str, text: str, *labels: str) -> Definition:
        return Definition(name, "counter", self.title, labels, text)

    def gauge(self, name: str, text: str, *labels: str) -> Definition:
        return Definition(name, "gauge", self.title, labels, text)

    def histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...]
    ) -> Definition:
        return Definition(name, "histogram", self.title, labels, text, buckets)


_MESSAGES = _Section("Messages")
_QUEUES = _Section("Queues and leases")
_LAUNCHES = _Section("Batches and launches")
_MACHINES = _Section("Machines")
_COST = _Section("Cost")
_CONFIG = _Section("The routes file")
_ROUTER = _Section("The router itself")

LABELS: Final[Mapping[str, str]] = {
    "action": "what was asked of SQS: `open`, `receive`, `renew`, `delete`, `retry`, `give back`, "
    "`send`; where requests are counted: `receive`, `renew`, `settle`, `send`",
    "app": "a Fly app",
    "code": "the class of Fly's answer, such as `rate_limited`, `region_capacity`, `bad_image`, "
    "`bad_token`, `connection`",
    "date": "the day that the price table is of",
    "generation": "the digest of the routes file, its schemas and the values of its variables",
    "kind": "of Machines, how they ended: "
    + ", ".join(f"`{kind}`" for kind in get_args(EndKind))
    + "; of failures of SQS: `unavailable` (may pass) or `refused` (a person must mend it)",
    "outcome": "`deleted` or `rejected`",
    "profile": "a profile; one that is written inside a route has the route's name; empty where "
    "the metadata of a Machine names none",
    "queue": "a queue, by its name in the routes file",
    "reason": "of deleted messages: `launched`, `succeeded`, `dropped`; of the others: "
    + ", ".join(f"`{reason}`" for reason in get_args(Reason)),
    "result": "`loaded` or `refused`",
    "route": "a route; empty for messages that took none",
    "size": "the size of a Machine, as the routes file or the sender's `size` has it",
    "status": "the HTTP status of the answer; `200` if the report was taken",
    "version": "of lambdo-router",
}
"""What each label stands for."""

_AGES = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_RUNS = (1, 5, 15, 60, 180, 600, 1800, 3600, 10800, 39600)
_WAITS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_CALLS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_MARGINS = (0, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_EVENTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
_BYTES = (1024, 4096, 16384, 65536, 131072, 262144, 524288, 655360)

# Messages

RECEIVED: Final = _MESSAGES.counter(
    "lambdo_messages_received_total",
    "Messages received and leased; a message counts at each of its receives.",
    "queue",
)
REDELIVERED: Final = _MESSAGES.counter(
    "lambdo_messages_redelivered_total",
    "Deliveries of messages that this router held already: their leases had run out at SQS.",
    "queue",
)
AGE: Final = _MESSAGES.histogram(
    "lambdo_message_age_seconds",
    "From the sending of a message to its receive; for a message that is retried, at each receive.",
    "queue",
    buckets=_AGES,
)
ROUTED: Final = _MESSAGES.counter(
    "lambdo_messages_routed_total", "Messages that took a route, at each receive.", "queue", "route"
)
REFUSED: Final = _MESSAGES.counter(
    "lambdo_messages_refused_total",
    "Messages that became part of no batch, by the first reason; unmatched ones are among them.",
    "queue",
    "route",
    "reason",
)
DELETED: Final = _MESSAGES.counter(
    "lambdo_messages_deleted_total",
    "Messages deleted because they are done, or dropped as the routes file says.",
    "queue",
    "route",
    "reason",
)
RETRIED: Final = _MESSAGES.counter(
    "lambdo_messages_retried_total",
    "Messages given back with a delay, because their launch or their Machine failed.",
    "queue",
    "route",
)
REJECTED: Final = _MESSAGES.counter(
    "lambdo_messages_rejected_total",
    "Messages moved to a reject queue.",
    "queue",
    "route",
    "reason",
)
LEFT: Final = _MESSAGES.counter(
    "lambdo_messages_left_total",
    "Messages left to their queue's redrive policy, which may move them to a dead-letter queue.",
    "queue",
    "route",
    "reason",
)
GIVEN_BACK: Final = _MESSAGES.counter(
    "lambdo_messages_given_back_total",
    "Messages given back unused, because the router stopped or no longer reads the queue.",
    "queue",
)
TAKEN_OVER: Final = _MESSAGES.counter(
    "lambdo_messages_taken_over_total",
    "Redelivered messages found in a Machine of an earlier launch, which then decided for them.",
    "queue",
)
SENT_TO_LAUNCH: Final = _MESSAGES.histogram(
    "lambdo_message_sent_to_launch_seconds",
    "From the sending of a message to Fly's acceptance of its Machine.",
    "route",
    buckets=_AGES,
)
SENT_TO_SETTLEMENT: Final = _MESSAGES.histogram(
    "lambdo_message_sent_to_settlement_seconds",
    "From the sending of a message to its end: deleted, or moved to a reject queue.",
    "route",
    "outcome",
    buckets=_AGES,
)
HELD: Final = _MESSAGES.gauge(
    "lambdo_messages_held", "Messages received and not settled, at this moment.", "queue"
)
WAITING: Final = _MESSAGES.gauge(
    "lambdo_messages_waiting",
    "Of those held, the ones in no Machine yet: their bodies are in memory.",
    "queue",
)
WAITING_LIMIT: Final = _MESSAGES.gauge(
    "lambdo_messages_waiting_limit",
    "How many may wait before no more are received: max_waiting of the queue.",
    "queue",
)
BATCHED: Final = _MESSAGES.gauge(
    "lambdo_messages_batched",
    "Of those waiting, the ones in open batches; absent where there are none, and for FIFO queues.",
    "queue",
    "route",
)

# Queues and leases

READING: Final = _QUEUES.gauge(
    "lambdo_queue_reading",
    "1 if the queue is read; 0 while SQS cannot be reached or refuses it at the start, or "
    "while it is drained.",
    "queue",
)
LAST_POLL: Final = _QUEUES.gauge(
    "lambdo_queue_last_poll_timestamp_seconds",
    "Unix time of SQS's last answer to a receive; it stands still while as many wait as may.",
    "queue",
)
POLLS: Final = _QUEUES.counter("lambdo_polls_total", "Receives that SQS answered.", "queue")
QUEUE_FAILURES: Final = _QUEUES.counter(
    "lambdo_queue_failures_total",
    "Calls to SQS that failed and are tried again.",
    "queue",
    "action",
    "kind",
)
SETTLEMENT_FAILURES: Final = _QUEUES.counter(
    "lambdo_settlement_failures_total",
    "Messages that could not be settled as wanted: SQS delivers them again.",
    "queue",
    "action",
)
LEASES_RENEWED: Final = _QUEUES.counter(
    "lambdo_leases_renewed_total", "Renewals of leases, by message.", "queue"
)
LEASES_LOST: Final = _QUEUES.counter(
    "lambdo_leases_lost_total",
    "Messages that SQS may have given to others, although they were held here.",
    "queue",
)
RENEWAL_MARGIN: Final = _QUEUES.histogram(
    "lambdo_lease_renewal_margin_seconds",
    "What was left of the shortest lease of a renewal when SQS had answered.",
    "queue",
    buckets=_MARGINS,
)
LEASE_MARGIN: Final = _QUEUES.gauge(
    "lambdo_lease_margin_seconds",
    "What is left of the shortest lease at this moment; absent where nothing is held.",
    "queue",
)

# Batches and launches

BATCH_EVENTS: Final = _LAUNCHES.histogram(
    "lambdo_batch_events", "Events in a batch when it was closed.", "profile", buckets=_EVENTS
)
BATCH_BYTES: Final = _LAUNCHES.histogram(
    "lambdo_batch_bytes", "Bytes of the events of a batch.", "profile", buckets=_BYTES
)
LAUNCH_WAIT: Final = _LAUNCHES.histogram(
    "lambdo_launch_wait_seconds",
    "From a batch being due to its launch: the wait for the profile and for a launch slot.",
    "app",
    "profile",
    buckets=_WAITS,
)
LAUNCHES_DONE: Final = _LAUNCHES.counter(
    "lambdo_launches_total", "Machines that Fly accepted.", "route", "app"
)
LAUNCH_FAILURES: Final = _LAUNCHES.counter(
    "lambdo_launch_failures_total", "Creates that failed; each try counts.", "route", "app", "code"
)
LAUNCH_DURATION: Final = _LAUNCHES.histogram(
    "lambdo_launch_duration_seconds",
    "From the closing of a batch to Fly's acceptance, all tries included.",
    "app",
    buckets=_CALLS,
)
PROFILE_FAILING: Final = _LAUNCHES.gauge(
    "lambdo_profile_failing",
    "1 while Fly refuses the profile and its batches wait; absent otherwise.",
    "app",
    "profile",
)

# Machines

RUNNING: Final = _MACHINES.gauge(
    "lambdo_machines_running",
    "Machines of ours that run, also those that another router has launched.",
    "app",
    "profile",
)
LAUNCHING: Final = _MACHINES.gauge(
    "lambdo_machines_launching",
    "Machines that are about to be launched and count for max_machines already.",
    "app",
    "profile",
)
ENDED: Final = _MACHINES.counter(
    "lambdo_machines_ended_total",
    "Machines whose end was awaited (acknowledge: success) and has come.",
    "route",
    "kind",
)
RUN: Final = _MACHINES.histogram(
    "lambdo_machine_run_seconds",
    "From the start of a Machine to its exit, where its end was awaited and Fly says both.",
    "profile",
    buckets=_RUNS,
)
REPORTED: Final = _MACHINES.counter(
    "lambdo_messages_reported_failed_total",
    "Messages that their Machine reported as failed.",
    "route",
)
REPORTS: Final = _MACHINES.counter(
    "lambdo_reports_total",
    "Reports of Machines that came in, by the answer that they got.",
    "status",
)
OVERDUE: Final = _MACHINES.counter(
    "lambdo_machines_overdue_total",
    "Machines destroyed because they outlived their deadline.",
    "app",
)
WATCH_FAILURES: Final = _MACHINES.counter(
    "lambdo_watch_failures_total",
    "Questions about Machines that Fly did not answer; they are asked again.",
    "app",
    "code",
)

# Cost

MACHINE_SECONDS: Final = _COST.counter(
    "lambdo_machine_seconds_total",
    "Seconds that Machines ran whose end was awaited.",
    "route",
    "size",
)
MACHINE_COST: Final = _COST.counter(
    "lambdo_machine_cost_dollars_total",
    "What those seconds cost by the price table: an estimate, in US dollars.",
    "route",
    "size",
)
SQS_REQUESTS: Final = _COST.counter(
    "lambdo_sqs_requests_total",
    "Requests that SQS bills, 64 KiB of messages being one: an estimate.",
    "queue",
    "action",
)
SQS_COST: Final = _COST.counter(
    "lambdo_sqs_cost_dollars_total",
    "What those requests cost by the price table, in US dollars.",
    "queue",
)
PRICES: Final = _COST.gauge(
    "lambdo_prices_info", "Always 1; says which price table is in use.", "date"
)

# The routes file

RELOAD_SUCCESSFUL: Final = _CONFIG.gauge(
    "lambdo_config_last_reload_successful",
    "1 if the routes file was fit to run when it was read last; 0 if it was refused, and the "
    "router goes on with the one before.",
)
RELOAD_SUCCESS_TIME: Final = _CONFIG.gauge(
    "lambdo_config_last_reload_success_timestamp_seconds",
    "Unix time at which a routes file was taken last.",
)
RELOADS: Final = _CONFIG.counter(
    "lambdo_config_reloads_total",
    "Changed routes files that were read; the first at the start does not count.",
    "result",
)
CONFIG_INFO: Final = _CONFIG.gauge(
    "lambdo_config_info", "Always 1; says which routes file is in use.", "generation"
)
ROUTE_INFO: Final = _CONFIG.gauge(
    "lambdo_route_info",
    "Always 1 for each route in use, each of its queues and each app of its profile; for joins.",
    "queue",
    "route",
    "profile",
    "app",
)

# The router itself

BUILD_INFO: Final = _ROUTER.gauge("lambdo_build_info", "Always 1 while the router runs.", "version")
STOPPING: Final = _ROUTER.gauge(
    "lambdo_router_stopping",
    "1 once the router was told to stop.",
)
UNIT_FAILURES: Final = _ROUTER.counter(
    "lambdo_unit_failures_total",
    "Defects of this program in the handling of one message or batch; each cost only that.",
    "queue",
)
MEMORY_LIMIT: Final = _ROUTER.gauge(
    "lambdo_memory_limit_bytes",
    "Memory that this process may use: that of the Machine, or less if its cgroup says so.",
)

DEFINITIONS: Final = tuple(it for it in tuple(globals().values()) if isinstance(it, Definition))
"""All of them, in the order of the page."""

PROCESS: Final[Mapping[str, str]] = {
    "process_virtual_memory_bytes": "Virtual memory size.",
    "process_resident_memory_bytes": "Resident memory size.",
    "process_start_time_seconds": "Unix time at which the process started.",
    "process_cpu_seconds_total": "CPU time, user and system.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "How many there may be.",
}
"""What prometheus_client adds, by its names: of Linux only."""
