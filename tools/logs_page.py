"""Generate docs/logs.md from the facts of the journal and the other events listed here."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from lambdo_router.core.journal import FACTS, Fact
from lambdo_router.core.log_event import LogEvent, log_event

_REPORT: Final = "Report it, with the line."

OTHERS: Final = (
    log_event(
        "router.started",
        "info",
        "version generation queues routes settings",
        "The first line: the version, the routes and the settings of this router.",
    ),
    log_event(
        "admin.listening",
        "info",
        "url",
        "Health, metrics, status and the page are served at this address, and Machines report to "
        "it.",
    ),
    log_event(
        "checks.given_up",
        "info",
        "seconds",
        "After the start AWS and Fly took too long to answer checks that could only have given "
        "warnings. `lambdo-router validate --online` runs them without a time limit.",
    ),
    log_event(
        "checks.crashed",
        "error",
        "exception",
        "A bug in this program, in those checks. The router goes on without them.",
        _REPORT,
    ),
    log_event(
        "repeats.ended",
        "info",
        "of since until repeated",
        "The event `of` was repeated, and has not occurred for a minute or for twice the pause "
        "before its next try. The line also has the fields by which it was summed up.",
    ),
    log_event(
        "library.says",
        "info warning error",
        "library text exception",
        "A message of a library, in its own words; `py.warnings` are Python's warnings.",
        "Read `text`. From `opentelemetry`: traces are not delivered; routing is not affected.",
    ),
    log_event(
        "routes.unavailable",
        "warning",
        "reason failures next_try_in",
        "The address that the routes come from does not answer. The router keeps the routes it "
        "has.",
        "Check the address, the credentials and the network that `reason` names.",
    ),
    log_event("routes.available", "info", "address failures", "The address answers again."),
    log_event(
        "routes.not_kept",
        "warning",
        "reason",
        "These routes could not be saved to disk, for starts when the address does not answer.",
        "Make the folder in `LAMBDO_ROUTES_CACHE` writable.",
    ),
    log_event(
        "routes.look_crashed",
        "error",
        "address exception",
        "A bug in this program, in a request to the address. The next request is made as planned.",
        _REPORT,
    ),
    log_event(
        "routes.compare_crashed",
        "error",
        "exception",
        "A bug in this program, in the comparison of old and new routes. The new routes are used.",
        "Report it, with the line and both files.",
    ),
    log_event(
        "config.load_crashed",
        "error",
        "exception",
        "A bug in this program, in the reading of the routes file. The router keeps the old "
        "routes.",
        "Report it, with the line and the file.",
    ),
    log_event(
        "config.watch_degraded",
        "warning",
        "reason",
        "The system does not report changed files. The router checks them once a second instead.",
    ),
    log_event(
        "poll.not_given_back",
        "warning",
        "queue messages error",
        "Messages of a poll that was abandoned stay hidden until their leases run out.",
    ),
    log_event(
        "sts.unknown_caller",
        "debug",
        "error",
        "AWS did not say whose credentials these are, so messages name them less exactly.",
    ),
    log_event(
        "message.corrupt",
        "warning",
        "queue message",
        "The message differs from the checksum that SQS sent with it. It is left to be delivered "
        "again.",
        "If it goes on: look for a proxy between the router and SQS.",
    ),
    log_event(
        "traces.off",
        "warning",
        "reason",
        "The variables of OpenTelemetry ask for traces, but the router cannot send any.",
        "As `reason` says; see [traces](traces.md).",
    ),
    log_event(
        "traces.not_flushed",
        "warning",
        "seconds",
        "At the stop the last traces did not reach the collector in time, and are lost.",
        "Check the collector, and the address in `OTEL_EXPORTER_OTLP_ENDPOINT`.",
    ),
)
"""What modules log themselves, beside the facts."""

SECTIONS: Final[Mapping[str, str]] = {
    "The router": "router admin checks unit repeats library",
    "Routes": "routes config",
    "Queues": "queue messages poll thread sts",
    "Leases": "lease leases settlement",
    "Messages": "message",
    "Batches and Machines": "batch machine profile report",
    "Traces": "traces",
}
"""By title: with what the names of its events begin."""


def _of_fact(kind: type[Fact]) -> Iterator[LogEvent]:
    """Yield the events of a fact; the text of the first is the fact's docstring."""
    means, _, do = " ".join((kind.__doc__ or "").split()).partition(" Do: ")
    yield replace(kind.log, means=means, do=do)
    yield from kind.also


EVENTS: Final[Mapping[str, LogEvent]] = {
    event.name: event
    for event in sorted(
        (*OTHERS, *(event for kind in FACTS for event in _of_fact(kind))), key=lambda it: it.name
    )
}
"""Every event by its name, with the text for users."""

FIELDS: Final[Mapping[str, str]] = {
    "abandoned": "messages still held at the end",
    "action": "the call to SQS: open, receive, renew, retry, delete, send, ...",
    "address": "where the routes come from",
    "adopted": "whether an earlier attempt, whose answer was lost, had created it",
    "ambiguous": "whether the Machine may exist nevertheless; the router checks before it retries",
    "app": "the Fly app",
    "at": "file and line in the code",
    "attempt": "which attempt it was",
    "attempts": "how many attempts it took",
    "batch": "the batch's id: `LAMBDO_BATCH_ID` in the Machine, `lambdo_batch` in its metadata",
    "changes": "what is different in meaning, as `lambdo-router diff` prints it",
    "code": "the class of the error, by SQS or by Fly",
    "delay": "seconds until the next delivery",
    "detail": "the reason in words; it may quote what the sender wrote",
    "error": "the error in words",
    "events": "events in the batch",
    "exception": "the traceback; in text it follows the line, indented",
    "exit_code": "the exit code of the command in the Machine",
    "failed": "events that the Machine reported as failed",
    "failure": "what went wrong, in words",
    "failures": "failures in a row",
    "generation": "the digest of the routes file",
    "grace": "seconds that the stop may take",
    "held": "seconds since the receive",
    "host": "state of the Machine's host, if Fly says so: `ok`, `unknown` or `unreachable`",
    "kind": "`succeeded`, `failed`, `oom`, `timeout`, `stopped` or `never_ran`",
    "lease_margin": "seconds that were left of the shortest lease",
    "library": "the library's name",
    "machine": "the Machine's id",
    "margin": "seconds that were left of the shortest lease",
    "message": "the message's id",
    "message_ids": "the first ten of them; at DEBUG each message has lines of its own",
    "messages": "how many messages",
    "name": "the Machine's name",
    "next_try_in": "seconds until the next try; absent if there is none",
    "of": "the event that was repeated",
    "previous": "the generation before this one",
    "problems": "each as `file:line:col: message [code]`",
    "profile": "the profile's name",
    "queue": "the queue's name in the routes file",
    "queues": "the queues that are read: their number, or their names",
    "reason": "why",
    "receives": "how often SQS has delivered the message",
    "region": "where the Machine runs",
    "repeated": "how often since `since`, including this time",
    "reported": "events that the Machine reported as failed",
    "route": "the route's name; absent if the message took none",
    "routes": "how many routes",
    "seconds": "how long it took; for a Machine's end, how long its command ran",
    "settings": "the settings from the environment; of secrets only whether they are set",
    "since": "when it happened first, in UTC",
    "state": "the Machine's state when it was last listed, in Fly's word",
    "status": "the HTTP status of the answer",
    "text": "the message of the library",
    "to": "the reject queue",
    "until": "when it happened last, in UTC",
    "url": "the address of the router's own server",
    "version": "of lambdo-router",
    "waited": "seconds from being due to getting a launch slot",
    "warnings": "each as `file:line:col: warning: message [code]`",
    "why": "the reason in words, or the service's code for it",
}


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    for title, prefixes in SECTIONS.items():
        yield f"## {title}\n"
        for name, event in EVENTS.items():
            if name.partition(".")[0] not in prefixes.split():
                continue
            fields = ", ".join(f"`{field}`" for field in event.fields)
            yield f"### `{name}`\n"
            yield f"*{' or '.join(event.levels)}*: {fields}\n"
            yield f"{event.means}\n"
            if event.do:
                yield f"**Do:** {event.do}\n"
    yield "## Fields\n\n| field | what it is |\n| --- | --- |"
    for name, text in FIELDS.items():
        yield f"| `{name}` | {text} |"
    yield ""


_INTRODUCTION = """\
<!-- Made from lambdo_router/core/journal by tools/logs_page.py -->

# Logs

The router logs to stderr, one line per event. Each line has a constant name, the *event*, and
fields. `LAMBDO_LOG_FORMAT` is `text`, for people, or `json`, for machines (the default unless
`LAMBDO_ENV` is unset or `local`). `LAMBDO_LOG_LEVEL` is `debug`, `info`, `warning` or `error`; the
default is `info`.

```text
2026-03-01T12:03:04.301112Z [info     ] machine.launched         queue=uploads route=thumbs ...
2026-03-01T12:03:59.871305Z [warning  ] machine.ended            queue=uploads route=thumbs ...
```

**A batch has one line at INFO when Fly accepts its Machine**, and with `acknowledge: success` a
second one when the Machine has ended: a Machine may run for hours, and you want to see that it was
launched. `machine.ended` alone is enough for statistics: it has all fields of the batch.

**Messages are at DEBUG**, each with its id from receipt to settlement. To find out what happened to
a message, search for its id, take the `batch` from `message.batched`, and search for that. Rejected
and left messages are warnings, because someone has to look into them.

**Repeats are folded.** The first line of a kind is written at once. While it goes on, one line a
minute has `repeated=N since=TIME`: how often it has happened since then. Once it is over,
`repeats.ended` says so. Lines are of one kind if they have the same event, the same queue, route,
app or profile, and the same code or reason. At DEBUG every repeat is written, at that level.

**No event body is logged**, and no secret. What senders wrote can still appear in details and
errors: values are cut at 2,000 characters (500 in text), and control characters, line breaks and
terminal escapes are escaped. Text format quotes values with spaces or quotes in them. A traceback
is indented, so that no line of it looks like a line of the log.

These are the events, with their levels and fields, what they mean, and what to do where something
should be done:
"""


if __name__ == "__main__":
    print(page(), end="")
