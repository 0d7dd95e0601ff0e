"""A handler for the whole batch: the first event says what to return."""

from typing import Any


async def handler_batch(events: list[dict[str, Any]], context: Any) -> Any:
    print(f"{len(events)} events, {len(context.messages)} messages")
    if "throw" in events[0]:
        raise ValueError(events[0]["throw"])
    return events[0].get("return")
