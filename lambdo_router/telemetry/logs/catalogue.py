"""
Every event of the log: at which levels, with which fields, what it means and what to do.

Tests hold the list to what is logged: a name, a level or a field that is missing here fails them.
docs/logs.md is made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lambdo_router.telemetry.logs.lines import Level


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event. `do` is empty where there is nothing to be done."""

    name: str
    levels: tuple[Level, ...]
    fields: tuple[str, ...]
    means: str
    do: str = ""


_D: Final[tuple[Level, ...]] = ("debug",)
_I: Final[tuple[Level, ...]] = ("info",)
_W: Final[tuple[Level, ...]] = ("warning",)
_E: Final[tuple[Level, ...]] = ("error",)
_ONE: Final = ("queue", "message")
_SETTLED: Final = ("queue", "route", "message", "held")
_MANY: Final = ("queue", "messages", "message_ids")
_BATCH: Final = ("queue", "route", "app", "batch", "events")

SECTIONS: Final[Mapping[str, tuple[LogEvent, ...]]] = {
    "The router": (
        LogEvent(
            "router.started",
            _I,
            ("version", "generation", "queues", "routes", "settings"),
            "The first line: what runs here, on which routes, with which settings.",
        ),
        LogEvent(
            "admin.listening",
            _I,
            ("url",),
            "Health, metrics, status and the page are served at this address, and Machines report "
            "there.",
        ),
        LogEvent(
            "checks.given_up",
            _I,
            ("seconds",),
            "At the start AWS and Fly took too long to answer what is only worth a warning. "
            "`lambdo-router validate --online` asks without hurry.",
        ),
        LogEvent(
            "checks.crashed",
            _E,
            ("exception",),
            "A defect of this program in those checks; the router goes ahead.",
            "Report it, with the line.",
        ),
        LogEvent("router.stopping", _I, ("grace",), "It was told to stop."),
        LogEvent(
            "router.stopped",
            (*_I, *_W),
            ("abandoned",),
            "The last line. A warning if messages were still held when the time was over: they "
            "come back when their leases run out, and what was launched for them is found then.",
            "Give it more time: raise `LAMBDO_GRACE`, and Fly's `kill_timeout` above it.",
        ),
        LogEvent(
            "unit.failed",
            _E,
            (*_MANY, "error", "at", "exception"),
            "A defect of this program, with its traceback. It cost these messages only, and they "
            "come back when their leases run out.",
            "Report it, with the line. If it comes back with the same messages, move them out of "
            "the way: a queue with a redrive policy does so by itself.",
        ),
        LogEvent(
            "repeats.ended",
            _I,
            ("of", "since", "until", "repeated"),
            "The event `of` was repeated, and has not been for a minute or for twice the pause "
            "before its next try. It has the fields by which it was summed up as well.",
        ),
        LogEvent(
            "library.says",
            ("info", "warning", "error"),
            ("library", "text", "exception"),
            "What a library had to say, in its own words; `py.warnings` are Python's warnings.",
            "Read `text`. From `opentelemetry`: traces do not arrive, routing is not affected.",
        ),
    ),
    "Routes": (
        LogEvent(
            "routes.loaded",
            _I,
            ("generation", "changes", "warnings"),
            "A changed routes file is fit to run. `changes` says what is different in meaning.",
            "Read `warnings`; `lambdo-router validate --explain-code CODE` tells more.",
        ),
        LogEvent(
            "routes.refused",
            _E,
            ("problems",),
            "A changed routes file has errors. The router goes on with the routes it has; a "
            "restart would not come up.",
            "Mend the file at the places in `problems`, or put the old one back. "
            "`lambdo-router validate` in CI keeps such files away.",
        ),
        LogEvent(
            "routes.swapped",
            (*_D, *_I),
            ("generation", "previous", "queues", "routes"),
            "The router runs on other routes from now on. The first ones are at DEBUG.",
        ),
        LogEvent(
            "routes.unavailable",
            _W,
            ("reason", "failures", "next_try_in"),
            "The address that the routes come from does not answer. The router goes on with the "
            "routes it has.",
            "Look at the address, the credentials and the network that `reason` names.",
        ),
        LogEvent("routes.available", _I, ("address", "failures"), "It answers again."),
        LogEvent(
            "routes.not_kept",
            _W,
            ("reason",),
            "There is no copy of these routes on disk, for a start at which the address does not "
            "answer.",
            "Make the folder in `LAMBDO_ROUTES_CACHE` writable.",
        ),
        LogEvent(
            "routes.look_crashed",
            _E,
            ("address", "exception"),
            "A defect of this program in a look at the address; the next look goes ahead.",
            "Report it, with the line.",
        ),
        LogEvent(
            "routes.compare_crashed",
            _E,
            ("exception",),
            "A defect of this program in telling what a reload changes; the new routes are taken.",
            "Report it, with the line and both files.",
        ),
        LogEvent(
            "config.load_crashed",
            _E,
            ("exception",),
            "A defect of this program in the reading of the routes file; the old routes stay.",
            "Report it, with the line and the file.",
        ),
        LogEvent(
            "config.watch_degraded",
            _W,
            ("reason",),
            "The system does not tell of changed files. They are looked at once a second instead.",
        ),
    ),
    "Queues": (
        LogEvent("queue.opened", _I, ("queue",), "The router has begun to read a queue."),
        LogEvent("queue.closed", _I, ("queue",), "It has stopped, and holds nothing of it."),
        LogEvent(
            "queue.failed",
            (*_W, *_E),
            ("queue", "action", "code", "error", "next_try_in"),
            "A call to SQS failed and is made again. A warning for what may pass by itself "
            "(network, throttling), an error for what a person has to mend: no such queue, no "
            "rights, no credentials.",
            "For an error: read `error`, compare the queue's address and the rights of the "
            "credentials. For a warning that goes on: look at the network and at AWS's status.",
        ),
        LogEvent("queue.polled", _D, ("queue", "messages", "seconds"), "SQS has answered a poll."),
        LogEvent(
            "messages.given_back",
            _I,
            _MANY,
            "At a stop: these were received, not used, and made visible again. Those of running "
            "Machines are among them: the next start takes the Machines over.",
        ),
        LogEvent(
            "poll.not_given_back",
            _W,
            ("queue", "messages", "error"),
            "Messages of a poll that nobody waited for any more stay hidden until their leases "
            "run out.",
        ),
        LogEvent(
            "thread.failed",
            _E,
            ("exception",),
            "A defect of this program in a call to SQS whose outcome nobody waited for.",
            "Report it, with the line.",
        ),
        LogEvent(
            "sts.unknown_caller",
            _D,
            ("error",),
            "AWS did not say whose credentials these are; messages name them less exactly.",
        ),
    ),
    "Leases": (
        LogEvent(
            "leases.renewed",
            _D,
            ("queue", "messages", "margin"),
            "SQS keeps these messages from others for longer.",
        ),
        LogEvent(
            "lease.lost",
            _W,
            (*_MANY, "why"),
            "SQS may have given these messages to others, so their events may run twice. What "
            "waits here is not launched.",
            "Rare ones are lapses of the network. If they go on, the router has too little CPU, "
            "or the queue's `visibility` is too short for what a renewal takes.",
        ),
        LogEvent("message.lease_lost", _D, (*_ONE, "why"), "One of those."),
        LogEvent(
            "settlement.failed",
            _E,
            (*_MANY, "action", "why"),
            "Messages could not be settled as wanted. SQS will deliver them again; what was "
            "launched for them is found by then.",
            "Read `why`. For `send to ...`: look at the reject queue and the right to send to it.",
        ),
    ),
    "Messages": (
        LogEvent("message.received", _D, (*_ONE, "receives"), "Received and leased."),
        LogEvent(
            "message.redelivered", _D, _ONE, "SQS delivered a message that is held here already."
        ),
        LogEvent("message.routed", _D, (*_ONE, "route"), "It takes a route."),
        LogEvent("message.refused", _D, (*_ONE, "route", "reason"), "It takes none, or not there."),
        LogEvent(
            "message.batched",
            _D,
            ("queue", "route", "batch", "message"),
            "It is in this batch: from here on look for the batch.",
        ),
        LogEvent(
            "message.deleted",
            _D,
            (*_SETTLED, "why"),
            "It is done: `launched`, `succeeded`, or `dropped` as the routes file wants it.",
        ),
        LogEvent(
            "message.retried",
            _D,
            (*_SETTLED, "delay", "why"),
            "It is hidden for `delay` seconds, then delivered again.",
        ),
        LogEvent(
            "message.rejected",
            _W,
            (*_SETTLED, "to", "reason", "detail"),
            "It was moved to the reject queue `to`.",
            "`lambdo-router rejected` lists such messages with their reasons, and sends them back "
            "once the cause is mended. `lambdo-router explain` shows why a message takes no route.",
        ),
        LogEvent(
            "message.left",
            _W,
            (*_SETTLED, "reason", "detail"),
            "It is left to its queue, whose redrive policy decides; without one it comes back "
            "until it expires.",
            "As for `message.rejected`. Give the queue a `reject_to`, or a redrive policy.",
        ),
        LogEvent(
            "message.taken_over",
            _I,
            (*_ONE, "machine"),
            "It came again and is in a Machine of an earlier launch, which decides for it. After "
            "a restart that is as it should be.",
        ),
        LogEvent(
            "message.corrupt",
            _W,
            _ONE,
            "It did not arrive as SQS says that it was sent, and is left to be delivered again.",
            "If it goes on: look for a proxy between the router and SQS.",
        ),
    ),
    "Batches and Machines": (
        LogEvent("batch.closed", _D, (*_BATCH, "waited"), "It takes no more events."),
        LogEvent(
            "machine.launched",
            _I,
            (
                *_BATCH,
                "machine",
                "name",
                "region",
                "adopted",
                "seconds",
                "attempts",
                "lease_margin",
            ),
            "Fly has taken the Machine of a batch. With `acknowledge: launch` this is the one line "
            "of the batch.",
        ),
        LogEvent(
            "machine.launch_failed",
            _W,
            (*_BATCH, "name", "attempt", "ambiguous", "code", "error", "next_try_in"),
            "One attempt to launch a batch failed. Without `next_try_in` it was the last: the "
            "messages go back to the queue with a delay.",
            "`rate_limited`, `unavailable` and `connection` pass. `region_capacity` or "
            "`host_capacity`: give the profile more regions (`region: iad,us,any`). What Fly "
            "refuses shows as `profile.failing`.",
        ),
        LogEvent(
            "machine.ended",
            (*_I, *_W),
            (
                *_BATCH,
                "machine",
                "region",
                "kind",
                "exit_code",
                "failure",
                "reported",
                "seconds",
            ),
            "A Machine whose end was awaited has ended: the last line of its batch, with all that "
            "is known of it. A warning if it failed; never summed up.",
            "`fly logs -i MACHINE` shows what it printed. `oom`: a larger `size`. `timeout`: a "
            "longer `timeout`, or smaller batches. `never_ran`: look at the image and its command.",
        ),
        LogEvent(
            "machine.watch_failed",
            _W,
            ("app", "machine", "code", "error", "next_try_in"),
            "A question about running Machines failed and is asked again. Until it is answered, "
            "messages stay held.",
            "If it goes on: look at Fly's status, and at the token.",
        ),
        LogEvent(
            "machine.overdue",
            _W,
            ("app", "machine", "state", "host"),
            "A Machine outlived the `timeout` of its profile and was destroyed.",
            "A longer `timeout`, smaller batches, or mend what hangs. Where `state` is `created` "
            "or `starting`, its code never began, and where `host` is `unreachable`, Fly has lost "
            "it: look at Fly's status.",
        ),
        LogEvent(
            "profile.failing",
            _E,
            ("app", "profile", "code", "error", "next_try_in"),
            "Fly refuses the Machines of a profile. Its batches wait; one of them probes.",
            "Read `error`: a wrong image, size or region, a quota, or the token. A changed routes "
            "file is tried at once.",
        ),
        LogEvent("profile.recovered", _I, ("app", "profile"), "Fly takes the profile again."),
        LogEvent("report.taken", _D, ("batch", "failed"), "A Machine told which events failed."),
        LogEvent(
            "report.refused",
            _W,
            ("batch", "status", "why"),
            "What came as a report was not taken. The Machine's handler gets the status.",
            "401 or 404: somebody else, or a Machine that is over. 503: Fly did not record it, "
            "and the batch is retried as a whole.",
        ),
    ),
    "Traces": (
        LogEvent(
            "traces.off",
            _W,
            ("reason",),
            "The variables of OpenTelemetry ask for traces, and there are none.",
            "As `reason` says; see [traces](traces.md).",
        ),
        LogEvent(
            "traces.not_flushed",
            _W,
            ("seconds",),
            "At the stop the last traces did not reach the collector in time, and are lost.",
            "Look at the collector, or at the address in `OTEL_EXPORTER_OTLP_ENDPOINT`.",
        ),
    ),
}

EVENTS: Final[Mapping[str, LogEvent]] = {
    event.name: event for events in SECTIONS.values() for event in events
}
