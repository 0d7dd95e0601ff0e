"""
What runs inside the Machines of routes.example.yaml.

A Machine finds its events in the file that $EVENTS_PATH names: a JSON array, each event as its
sender wrote it. The file that $LAMBDO_BATCH_PATH names says about each, in the same order, which
message brought it and with which attributes. What the command prints is in the Machine's log
(`fly logs`); when it ends, the Machine is destroyed.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus


class CannotBeDone(Exception):
    """The event is fine, and still nothing can be made of it."""


def main() -> int:
    events = json.loads(Path(os.environ["EVENTS_PATH"]).read_text(encoding="utf-8"))
    batch = json.loads(Path(os.environ["LAMBDO_BATCH_PATH"]).read_text(encoding="utf-8"))
    failed = 0
    for event, message in zip(events, batch["messages"], strict=True):
        try:
            for line in work(batch["route"], event):
                print(f"{line}  [message {message['message_id'][:8]}]")
        except CannotBeDone as reason:
            print(f"failed: {reason}  [message {message['message_id'][:8]}]", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def work(route: str, event: dict[str, Any]) -> Iterator[str]:
    """Say what the work would be; a real handler would do it here."""
    match route:
        case "image-uploads":
            for record in event["Records"]:
                stored = record["s3"]
                key = unquote_plus(stored["object"]["key"])
                size = stored["object"]["size"]
                yield f"thumbnail of s3://{stored['bucket']['name']}/{key} ({size:,} bytes)"
        case "site-build":
            if any("package.json" in commit["removed"] for commit in event["commits"]):
                raise CannotBeDone(f"{event['after'][:7]} has no package.json")
            yield f"build of {event['repository']['full_name']} at {event['after'][:7]}"
        case "orders":
            total = f"{event['total'] / 100:.2f} {event['currency']}"
            yield f"invoice for order {event['order_id']}: {total}"
        case _:
            yield f"{' '.join(sys.argv[1:]) or 'job'}: {json.dumps(event)}"


if __name__ == "__main__":
    sys.exit(main())
