"""What tests/system/test_runtimes.py asks of a handler, in Python. Each event says what to do."""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any


def _throw(event: dict[str, Any], _: Any) -> None:
    raise ValueError(event["text"])


async def _reject(event: dict[str, Any]) -> None:
    raise ValueError(event["text"])


def _wait(event: dict[str, Any], _: Any) -> None:
    print("waiting", flush=True)
    while not Path(event["path"]).exists():
        time.sleep(0.005)
    print("waited")


def _context(_: dict[str, Any], context: Any) -> None:
    left = context.seconds_left()
    known = {
        "index": context.index,
        "messageId": context.message_id,
        "receiveCount": context.receive_count,
        "sentAt": context.sent_at,
        "route": context.route,
        "queue": context.queue,
        "batchId": context.batch_id,
        "deadline": context.deadline,
    }
    attributes = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in context.attributes.items()
    }
    system = context.message["system"] if context.message else None
    told = "for ever" if left == math.inf else left > 0
    print(json.dumps({**known, "attributes": attributes, "system": system, "left": told}))


def _log(event: dict[str, Any], context: Any) -> None:
    for level in ("debug", "info", "warning", "error"):
        getattr(context.logger, level)(event["text"], extra={"shop": 7, "message": "mine"})


ACTIONS = {
    "print": lambda event, _: print(event["text"]),
    "throw": _throw,
    "reject": lambda event, _: _reject(event),
    "exit": lambda event, _: sys.exit(event["code"]),
    "wait": _wait,
    "touch": lambda event, _: Path(event["path"]).touch(),
    "numbers": lambda event, _: print(json.dumps(event["numbers"])),
    "context": _context,
    "log": _log,
}


def handler(event: dict[str, Any], context: Any) -> Any:
    return ACTIONS[event["do"]](event, context)
