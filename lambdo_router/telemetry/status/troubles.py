"""
Failures: in a row, where nothing has succeeded since the first, and one by one, of late.

A trouble that nobody heard of for half an hour is over: what is retried at all is retried sooner.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from lambdo_router.core.errors import LaunchError, LaunchRejected, QueueError, QueueRefused
from lambdo_router.telemetry.status.status import Failure, FailureKind, Trouble

LONGEST_TEXT = 500
FORGOTTEN_AFTER = 1800.0
"""Seconds; the longest delay of a retried message is 900."""
_FAILURES = 50

_REQUEST = re.compile(r" \(request [^()]*\)")
"""Fly's id of a request, at the end of what its API said: never the same twice."""

_Alike = tuple[str, str, str | None, str | None, str | None]


def worse(
    before: Trouble | None,
    what: str,
    error: LaunchError | QueueError | str,
    now: float,
    pause: float | None = None,
) -> Trouble:
    """The trouble that this failure begins or goes on with."""
    code = "" if isinstance(error, str) else error.code
    next_try = None if pause is None else now + pause
    since, count = now, 1
    if before is not None and not is_over(before, now):
        since, count = before.since, before.count + 1
    refused = isinstance(error, QueueRefused | LaunchRejected)
    return Trouble(what, cut(str(error)), code, since, now, count, next_try, refused)


def is_over(trouble: Trouble, now: float) -> bool:
    """Whether nothing was heard of it for so long that it is no trouble any more."""
    return now - trouble.last > FORGOTTEN_AFTER


def cut(text: str) -> str:
    """A text from elsewhere, not too long."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


class Failures:
    """The last fifty different failures; what fails alike again is counted."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Alike, Failure] = OrderedDict()

    def note(
        self,
        kind: FailureKind,
        text: str,
        code: str,
        now: float,
        *,
        count: int = 1,
        **about: str | None,
    ) -> Failure:
        """
        Note a failure; it comes back with how often the same has happened.

        `about` are the fields of a Failure that say what it has to do with.
        """
        made = Failure(kind, cut(text), code, now, now, count, **about)
        alike = (made.kind, _REQUEST.sub("", text), made.route, made.queue, made.app)
        before = self._known.get(alike)
        if before is not None:
            made = replace(made, first=before.first, count=before.count + count)
        self._known[alike] = made
        self._known.move_to_end(alike)
        if len(self._known) > _FAILURES:
            self._known.popitem(last=False)
        return made

    def newest_first(self) -> Iterator[Failure]:
        """What failed last comes first."""
        return reversed(self._known.values())
