"""Events of the log: declared where they happen, read by the log and by docs/logs.md."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of the log, as docs/logs.md lists it. Make one with `log_event`."""

    name: str
    levels: tuple[Level, ...]
    fields: tuple[str, ...]
    read: Callable[[object], tuple[object, ...]]
    """Reads the values of these fields from the fact."""
    means: str
    do: str
    folded_by: tuple[str, ...] | None
    """Lines with the same values here are repeats of each other; None: each line stands alone."""
    per_message: bool


def log_event(
    name: str,
    levels: str,
    fields: str,
    means: str = "",
    do: str = "",
    *,
    folded_by: str | None = None,
    per_message: bool = False,
) -> LogEvent:
    """
    Describe an event of the log.

    `levels`, `fields` and `folded_by` are lists of words. A field is an attribute of the fact:
    `queue`, or `machine=machine_id` if the names differ. `means` and `do` are the text for users;
    the `log` of a fact has it in the fact's docstring. A `per_message` event is one line for each
    of the fact's `message_ids`.
    """
    words = [word.partition("=") for word in fields.split()]
    return LogEvent(
        name,
        tuple(levels.split()),  # type: ignore[arg-type] # a test compares them with `Level`
        tuple(field for field, _, _ in words),
        read_all(*(path or field for field, _, path in words)),
        means,
        do,
        None if folded_by is None else tuple(folded_by.split()),
        per_message,
    )


def read_all(*paths: str) -> Callable[[object], tuple[object, ...]]:
    """Return what reads these attributes of an object, such as `error.code`."""
    if len(paths) == 1:  # attrgetter would return the bare value
        read = attrgetter(*paths)
        return lambda it: (read(it),)
    return attrgetter(*paths)
