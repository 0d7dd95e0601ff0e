"""
How long a server asks to wait, from the Retry-After header of its answer.

At most minutes, whatever it says: a longer wait would leave a recovered server idle while messages
are held, and a server that is still overloaded says so again. Pure: time is an argument.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 300.0
"""Seconds."""
_LONGEST_TEXT: Final = 64
_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)


def seconds_of(header: str, now: float) -> float | None:
    """Seconds from `now` (unix time), `LONGEST` at most; None for neither seconds nor a date."""
    text = header.strip()
    if len(text) > _LONGEST_TEXT:
        return None
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST)
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone is in UTC, not in local time.
        known = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return min(max(0.0, known.timestamp() - now), LONGEST)
    except (ValueError, TypeError, OverflowError):
        return None
