"""
Every metric of the router: its name, its labels, what it says, and which fact it counts.

This is the one list. The series that are exposed are made from it, and so is docs/metrics.md; tests
hold the alerts and the dashboard to it. Names and units follow the conventions of Prometheus: base
units, `_total` for what only grows. A label takes few values, none of which a sender can write: no
message id, no image, no error text.
"""

from dataclasses import dataclass
from typing import Final, Literal

from lambdo_router.core import journal


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One metric."""

    section: str
    name: str
    labels: tuple[str, ...]
    help: str
    of: tuple[type[journal.Fact], ...]
    """The facts that change it by themselves, which have the labels as attributes."""
    value: str | None
    """The attribute of the fact to add or to observe; None: each fact counts one."""
    buckets: tuple[float, ...]
    """The upper bounds of a histogram, without infinity."""

    @property
    def kind(self) -> Literal["counter", "gauge", "histogram"]:
        """Its type, by the conventions of Prometheus."""
        if self.buckets:
            return "histogram"
        return "counter" if self.name.endswith("_total") else "gauge"


@dataclass(frozen=True, slots=True)
class _Section:
    """A section of the page; call it to define a metric, as `name{label,label}`."""

    title: str

    def __call__(
        self,
        series: str,
        text: str,
        *of: type[journal.Fact],
        value: str | None = None,
        buckets: tuple[float, ...] = (),
    ) -> Definition:
        name, _, labels = series.rstrip("}").partition("{")
        named = tuple(filter(None, labels.split(",")))
        return Definition(self.title, name, named, text, of, value, buckets)


_MESSAGES = _Section("Messages")
_QUEUES = _Section("Queues and leases")
_LAUNCHES = _Section("Batches and launches")
_MACHINES = _Section("Machines")
_COST = _Section("Cost")
_CONFIG = _Section("The routes file")
_ROUTER = _Section("The router itself")

_AGES = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
_RUNS = (1, 5, 15, 60, 180, 600, 1800, 3600, 10800, 39600)
_WAITS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_CALLS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_MARGINS = (0, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_EVENTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
_BYTES = (1024, 4096, 16384, 65536, 131072, 262144, 524288, 655360)

# Messages

RECEIVED: Final = _MESSAGES(
    "lambdo_messages_received_total{queue}",
    "Messages received and leased; a message counts at each of its receives.",
    journal.Received,
)
REDELIVERED: Final = _MESSAGES(
    "lambdo_messages_redelivered_total{queue}",
    "Deliveries of messages that this router held already: their leases had run out at SQS.",
    journal.Redelivered,
)
AGE: Final = _MESSAGES(
    "lambdo_message_age_seconds{queue}",
    "From the sending of a message to its receive; for a message that is retried, at each receive.",
    buckets=_AGES,
)
ROUTED: Final = _MESSAGES(
    "lambdo_messages_routed_total{queue,route}", "Messages that took a route, at each receive."
)
REFUSED: Final = _MESSAGES(
    "lambdo_messages_refused_total{queue,route,reason}",
    "Messages that became part of no batch, by the first reason; unmatched ones are among them.",
)
DELETED: Final = _MESSAGES(
    "lambdo_messages_deleted_total{queue,route,reason}",
    "Messages deleted because they are done, or dropped as the routes file says.",
)
RETRIED: Final = _MESSAGES(
    "lambdo_messages_retried_total{queue,route}",
    "Messages given back with a delay, because their launch or their Machine failed.",
)
REJECTED: Final = _MESSAGES(
    "lambdo_messages_rejected_total{queue,route,reason}", "Messages moved to a reject queue."
)
LEFT: Final = _MESSAGES(
    "lambdo_messages_left_total{queue,route,reason}",
    "Messages left to their queue's redrive policy, which may move them to a dead-letter queue.",
)
SETTLED: Final = {
    "deleted": DELETED,
    "retried": RETRIED,
    "rejected": REJECTED,
    "left": LEFT,
}
"""The counter of each outcome of a message: by queue, route and, except for retries, reason."""
GIVEN_BACK: Final = _MESSAGES(
    "lambdo_messages_given_back_total{queue}",
    "Messages given back unused, because the router stopped or no longer reads the queue.",
    journal.GivenBack,
    value="messages",
)
TAKEN_OVER: Final = _MESSAGES(
    "lambdo_messages_taken_over_total{queue}",
    "Redelivered messages found in a Machine of an earlier launch, which then decided for them.",
    journal.MachineAdopted,
)
SENT_TO_LAUNCH: Final = _MESSAGES(
    "lambdo_message_sent_to_launch_seconds{route}",
    "From the sending of a message to Fly's acceptance of its Machine.",
    buckets=_AGES,
)
SENT_TO_SETTLEMENT: Final = _MESSAGES(
    "lambdo_message_sent_to_settlement_seconds{route,outcome}",
    "From the sending of a message to its end: deleted, or moved to a reject queue.",
    buckets=_AGES,
)
HELD: Final = _MESSAGES(
    "lambdo_messages_held{queue}", "Messages received and not settled, at this moment."
)
WAITING: Final = _MESSAGES(
    "lambdo_messages_waiting{queue}",
    "Of those held, the ones in no Machine yet: their bodies are in memory.",
)
WAITING_LIMIT: Final = _MESSAGES(
    "lambdo_messages_waiting_limit{queue}",
    "How many may wait before no more are received: max_waiting of the queue.",
)
BATCHED: Final = _MESSAGES(
    "lambdo_messages_batched{queue,route}",
    "Of those waiting, the ones in open batches; absent where there are none, and for FIFO queues.",
)

# Queues and leases

READING: Final = _QUEUES(
    "lambdo_queue_reading{queue}",
    "1 if the queue is read; 0 while SQS cannot be reached or refuses it at the start, or "
    "while it is drained.",
)
LAST_POLL: Final = _QUEUES(
    "lambdo_queue_last_poll_timestamp_seconds{queue}",
    "Unix time of SQS's last answer to a receive; it stands still while as many wait as may.",
)
POLLS: Final = _QUEUES("lambdo_polls_total{queue}", "Receives that SQS answered.", journal.Polled)
QUEUE_FAILURES: Final = _QUEUES(
    "lambdo_queue_failures_total{queue,action,kind}",
    "Calls to SQS that failed and are tried again.",
    journal.QueueFailed,
)
SETTLEMENT_FAILURES: Final = _QUEUES(
    "lambdo_settlement_failures_total{queue,action}",
    "Messages that could not be settled as wanted: SQS delivers them again.",
)
LEASES_RENEWED: Final = _QUEUES(
    "lambdo_leases_renewed_total{queue}",
    "Renewals of leases, by message.",
    journal.LeasesRenewed,
    value="messages",
)
LEASES_LOST: Final = _QUEUES(
    "lambdo_leases_lost_total{queue}",
    "Messages that SQS may have given to others, although they were held here.",
    journal.LeaseLost,
    value="messages",
)
RENEWAL_MARGIN: Final = _QUEUES(
    "lambdo_lease_renewal_margin_seconds{queue}",
    "What was left of the shortest lease of a renewal when SQS had answered.",
    journal.LeasesRenewed,
    buckets=_MARGINS,
    value="margin",
)
LEASE_MARGIN: Final = _QUEUES(
    "lambdo_lease_margin_seconds{queue}",
    "What is left of the shortest lease at this moment; absent where nothing is held.",
)

# Batches and launches

BATCH_EVENTS: Final = _LAUNCHES(
    "lambdo_batch_events{profile}",
    "Events in a batch when it was closed.",
    journal.BatchClosed,
    buckets=_EVENTS,
    value="events",
)
BATCH_BYTES: Final = _LAUNCHES(
    "lambdo_batch_bytes{profile}",
    "Bytes of the events of a batch.",
    journal.BatchClosed,
    buckets=_BYTES,
    value="bytes",
)
LAUNCH_WAIT: Final = _LAUNCHES(
    "lambdo_launch_wait_seconds{app,profile}",
    "From a batch being due to its launch: the wait for the profile and for a launch slot.",
    journal.BatchClosed,
    buckets=_WAITS,
    value="waited",
)
LAUNCHES_DONE: Final = _LAUNCHES(
    "lambdo_launches_total{route,app}", "Machines that Fly accepted.", journal.Launched
)
LAUNCH_FAILURES: Final = _LAUNCHES(
    "lambdo_launch_failures_total{route,app,code}",
    "Creates that failed; each try counts.",
    journal.LaunchFailed,
)
LAUNCH_DURATION: Final = _LAUNCHES(
    "lambdo_launch_duration_seconds{app}",
    "From the closing of a batch to Fly's acceptance, all tries included.",
    journal.Launched,
    buckets=_CALLS,
    value="seconds",
)
PROFILE_FAILING: Final = _LAUNCHES(
    "lambdo_profile_failing{app,profile}",
    "1 while Fly refuses the profile and its batches wait; absent otherwise.",
)

# Machines

RUNNING: Final = _MACHINES(
    "lambdo_machines_running{app,profile}",
    "Machines of ours that run, also those that another router has launched.",
)
LAUNCHING: Final = _MACHINES(
    "lambdo_machines_launching{app,profile}",
    "Machines that are about to be launched and count for max_machines already.",
)
ENDED: Final = _MACHINES(
    "lambdo_machines_ended_total{route,kind}",
    "Machines whose end was awaited (acknowledge: success) and has come.",
    journal.MachineEnded,
)
RUN: Final = _MACHINES(
    "lambdo_machine_run_seconds{profile}",
    "From the start of a Machine to its exit, where its end was awaited and Fly says both.",
    journal.MachineEnded,
    buckets=_RUNS,
    value="seconds",
)
REPORTED: Final = _MACHINES(
    "lambdo_messages_reported_failed_total{route}",
    "Messages that their Machine reported as failed.",
    journal.MachineEnded,
    value="reported",
)
REPORTS: Final = _MACHINES(
    "lambdo_reports_total{status}", "Reports of Machines that came in, by the answer that they got."
)
OVERDUE: Final = _MACHINES(
    "lambdo_machines_overdue_total{app}",
    "Machines destroyed because they outlived their deadline.",
    journal.MachineOverdue,
)
WATCH_FAILURES: Final = _MACHINES(
    "lambdo_watch_failures_total{app,code}",
    "Questions about Machines that Fly did not answer; they are asked again.",
    journal.WatchFailed,
)

# Cost

MACHINE_SECONDS: Final = _COST(
    "lambdo_machine_seconds_total{route,size}", "Seconds that Machines ran whose end was awaited."
)
MACHINE_COST: Final = _COST(
    "lambdo_machine_cost_dollars_total{route,size}",
    "What those seconds cost by the price table: an estimate, in US dollars.",
)
SQS_REQUESTS: Final = _COST(
    "lambdo_sqs_requests_total{queue,action}",
    "Requests that SQS bills, 64 KiB of messages being one: an estimate.",
)
SQS_COST: Final = _COST(
    "lambdo_sqs_cost_dollars_total{queue}",
    "What those requests cost by the price table, in US dollars.",
)
PRICES: Final = _COST("lambdo_prices_info{date}", "Always 1; says which price table is in use.")

# The routes file

RELOAD_SUCCESSFUL: Final = _CONFIG(
    "lambdo_config_last_reload_successful",
    "1 if the routes file was fit to run when it was read last; 0 if it was refused, and the "
    "router goes on with the one before.",
)
RELOAD_SUCCESS_TIME: Final = _CONFIG(
    "lambdo_config_last_reload_success_timestamp_seconds",
    "Unix time at which a routes file was taken last.",
)
RELOADS: Final = _CONFIG(
    "lambdo_config_reloads_total{result}",
    "Changed routes files that were read; the first at the start does not count.",
    journal.RoutesLoaded,
    journal.ReloadFailed,
)
CONFIG_INFO: Final = _CONFIG(
    "lambdo_config_info{generation}", "Always 1; says which routes file is in use."
)
ROUTE_INFO: Final = _CONFIG(
    "lambdo_route_info{queue,route,profile,app}",
    "Always 1 for each route in use, each of its queues and each app of its profile; for joins.",
)

# The router itself

BUILD_INFO: Final = _ROUTER("lambdo_build_info{version}", "Always 1 while the router runs.")
STOPPING: Final = _ROUTER("lambdo_router_stopping", "1 once the router was told to stop.")
UNIT_FAILURES: Final = _ROUTER(
    "lambdo_unit_failures_total{queue}",
    "Defects of this program in the handling of one message or batch; each cost only that.",
    journal.InternalError,
)
MEMORY_LIMIT: Final = _ROUTER(
    "lambdo_memory_limit_bytes",
    "Memory that this process may use: that of the Machine, or less if its cgroup says so.",
)

DEFINITIONS: Final = tuple(it for it in tuple(globals().values()) if isinstance(it, Definition))
"""All of them, in the order of the page."""
