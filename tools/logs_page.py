"""docs/logs.md, made from the catalogue of log events."""

from collections.abc import Iterator, Mapping
from typing import Final

from lambdo_router.telemetry.logs.catalogue import SECTIONS

FIELDS: Final[Mapping[str, str]] = {
    "abandoned": "messages still held at the end",
    "action": "what was asked of SQS: open, receive, renew, retry, delete, send, ...",
    "address": "where the routes come from",
    "adopted": "an earlier attempt, whose answer was lost, had created it",
    "ambiguous": "the Machine may exist all the same; it is looked for before the next create",
    "app": "the Fly app",
    "at": "where in the code",
    "attempt": "which attempt it was",
    "attempts": "how many it took",
    "batch": "the batch's id: `LAMBDO_BATCH_ID` in the Machine, `lambdo_batch` in its metadata",
    "changes": "what is different in meaning, as `lambdo-router diff` prints it",
    "code": "the class of an error, of SQS or of Fly",
    "delay": "seconds until the next delivery",
    "detail": "the reason in words; may quote what the sender wrote",
    "error": "the error in words",
    "events": "events in the batch",
    "exception": "the traceback; in text it follows the line, indented",
    "exit_code": "of the command in the Machine",
    "failed": "events that were reported as failed",
    "failure": "what went wrong, in words",
    "failures": "how often in a row",
    "generation": "the routes file's digest",
    "grace": "seconds that a stop may take",
    "held": "seconds from the receive to here",
    "host": "of the Machine, as Fly says: `ok`, `unknown` or `unreachable`; absent if it does not",
    "kind": "`succeeded`, `failed`, `oom`, `timeout`, `stopped` or `never_ran`",
    "lease_margin": "seconds that were left of the shortest lease",
    "library": "whose words these are",
    "machine": "the Machine's id",
    "margin": "seconds that were left of the shortest lease",
    "message": "the message's id",
    "message_ids": "the first ten of them; at DEBUG each message has lines of its own",
    "messages": "how many",
    "name": "the Machine's name",
    "next_try_in": "seconds; nothing if there is no next try",
    "of": "the event that was repeated",
    "previous": "the generation before",
    "problems": "each as `file:line:col: message [code]`",
    "profile": "the profile's name",
    "queue": "the queue's name in the routes file",
    "queues": "the queues that are read; how many, or their names",
    "reason": "why",
    "receives": "how often SQS has delivered it",
    "region": "where the Machine runs",
    "repeated": "how often since `since`, this time included",
    "reported": "events that the Machine reported as failed",
    "route": "the route's name; nothing if the message took none",
    "routes": "how many routes",
    "seconds": "how long it took; for a Machine's end, how long its command ran",
    "settings": "what the environment says; secrets show only whether they are set",
    "since": "when it happened first, in UTC",
    "state": "of the Machine, in Fly's word, when it was last listed",
    "status": "the HTTP status of the answer",
    "text": "what it says",
    "to": "the reject queue",
    "until": "when it happened last, in UTC",
    "url": "where the router's own server is",
    "version": "of lambdo-router",
    "waited": "seconds from being due to the launch slot",
    "warnings": "each as `file:line:col: warning: message [code]`",
    "why": "the reason in words, or the service's code for it",
}


def page() -> str:
    """The catalogue as a page of Markdown."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    for title, events in SECTIONS.items():
        yield f"## {title}\n"
        for event in events:
            fields = ", ".join(f"`{name}`" for name in event.fields)
            yield f"### `{event.name}`\n"
            yield f"*{' or '.join(event.levels)}*: {fields}\n"
            yield f"{event.means}\n"
            if event.do:
                yield f"**Do:** {event.do}\n"
    yield "## Fields\n\n| field | what it is |\n| --- | --- |"
    for name, text in FIELDS.items():
        yield f"| `{name}` | {text} |"
    yield ""


_INTRODUCTION = """\
<!-- Made from lambdo_router/telemetry/logs by tools/logs_page.py -->

# Logs

The router writes one line for each thing that happens to stderr. Each has a constant name, the
*event*, and the rest in fields. `LAMBDO_LOG_FORMAT` is `text`, for people, or `json`, for machines
(the default wherever `LAMBDO_ENV` is neither unset nor `local`). `LAMBDO_LOG_LEVEL` is `debug`,
`info`, `warning` or `error`; the default is `info`.

```text
2026-03-01T12:03:04.301112Z [info     ] machine.launched         queue=uploads route=thumbs ...
2026-03-01T12:03:59.871305Z [warning  ] machine.ended            queue=uploads route=thumbs ...
```

**A batch has one line at INFO when Fly has taken its Machine**, and with `acknowledge: success` one
more when the Machine has ended: a Machine may run for hours, and in between you want to see that it
was launched. `machine.ended` alone is enough for statistics: it has all fields of the batch.

**Messages are at DEBUG**, each with its id from receipt to settlement. To find what became of one,
look for its id, take the `batch` from `message.batched`, and look for that. Those that were
rejected or left are warnings, since somebody has to look after them.

**What is repeated is summed up.** The first line of a kind is written at once. While it goes on,
one line a minute has `repeated=N since=TIME`: so often since then. Once it is over, `repeats.ended`
says so. Lines are of a kind if they have the same event and the same queue, route, app or profile,
and the same code or reason. At DEBUG every one of them is written, the repeats at that level.

**Nothing of an event is logged**, and no secret. What senders wrote all the same gets here in
details and errors: it is cut at 2,000 characters (500 in text), and control characters, line breaks
and terminal escapes are written out. Where a value has spaces or quotes in it, text has it in
quotes. A traceback is indented, so that no line of it looks like one of the log.

The events, with their levels and fields, what they mean, and what to do where there is something to
be done:
"""


if __name__ == "__main__":
    print(page(), end="")
