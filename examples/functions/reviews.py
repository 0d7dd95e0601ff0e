"""
What the route `reviews` runs, on the runtime for Python: `handler` once for each event.

An event for which it raises is reported as failed; the others of its batch are done all the same.
"""

from typing import Any

GOOD, BAD = {"love", "great", "sturdy"}, {"broke", "late", "chipped"}


def handler(review: dict[str, Any], context: Any) -> None:
    words = set(review["text"].lower().replace(",", " ").split())
    if not words & (GOOD | BAD):
        raise ValueError(f"no idea what to make of {review['text']!r}")
    mood = "good" if len(words & GOOD) > len(words & BAD) else "bad"
    print(f"review {review['review_id']} is {mood}  [message {context.message_id[:8]}]")
