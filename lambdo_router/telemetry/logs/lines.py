"""Turn a fact of the journal into lines of the log, as the fact declares them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lambdo_router.core.journal import Fact, Failure, InternalError
from lambdo_router.core.log_event import Level


class LogLine(NamedTuple):
    """One line of the log."""

    level: Level
    event: str
    fields: Mapping[str, object]
    topic: Mapping[str, object] | None = None
    """Lines of the event with the same topic are repeats; None: it stands alone."""
    pause: float = 0.0
    """Seconds until the next repeat, at the earliest."""
    error: BaseException | None = None
    """To be shown with its traceback."""


def lines_of(fact: Fact) -> Iterator[LogLine]:
    """Yield the line of a fact, then those of its messages."""
    event = fact.event
    fields = {
        # Most values are texts: this saves a fifth of the time.
        name: value if value.__class__ is str and value else _plain(value)
        for name, value in zip(event.fields, event.read(fact), strict=True)
    }
    topic, pause, defect = None, 0.0, None
    if event.folded_by is not None:
        topic = {name: fields[name] for name in event.folded_by}
        if "why" in topic:  # after the colon a service may name one message
            topic["why"] = str(topic["why"]).partition(":")[0]
        if isinstance(fact, Failure):
            pause = fact.pause or 0.0
        elif isinstance(fact, InternalError):
            defect = fact.error
            del fields["exception"]
    yield LogLine(fact.level, event.name, fields, topic, pause, defect)
    for each in fact.also:
        if each.per_message:
            shared = dict(zip(each.fields, each.read(fact), strict=True))
            for message_id in shared["message"]:  # type: ignore[attr-defined] # a tuple
                yield LogLine(each.levels[0], each.name, {**shared, "message": message_id})


def _plain(value: object) -> object:
    """Return what JSON can show; an empty text is a value that is unknown."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Exception):
        return str(value)
    return None if value == "" else value
