"""Turn a fact of the journal into lines of the log, as the fact declares them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lambdo_router.core.journal import Fact, Failure, Level

_NAMED = 10
"""Message ids in a line about many messages; each has a line of its own at DEBUG."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log."""

    level: Level
    event: str
    fields: Mapping[str, object] = field(default_factory=dict)
    topic: Mapping[str, object] | None = None
    """Lines of the event with the same topic are repeats; None: it stands alone."""
    pause: float = 0.0
    """Seconds until the next repeat, at the earliest."""
    error: BaseException | None = None
    """To be shown with its traceback."""


def lines_of(fact: Fact) -> Iterator[LogLine]:
    """Yield the line of a fact, then those of its messages."""
    event = fact.event
    values = {name: read(fact) for name, read in event.fields.items()}
    error = values.pop("exception", None)
    fields = {name: _plain(value) for name, value in values.items()}
    if "message_ids" in fields:
        fields["message_ids"] = list(values["message_ids"][:_NAMED])  # type: ignore[index] # a tuple
    topic = None
    if event.folded_by is not None:
        topic = {name: fields[name] for name in event.folded_by}
        if "why" in topic:  # after the colon a service may name one message
            topic["why"] = str(topic["why"]).partition(":")[0]
    pause = (fact.pause or 0.0) if isinstance(fact, Failure) else 0.0
    defect = error if isinstance(error, BaseException) else None
    yield LogLine(fact.level, event.name, fields, topic, pause, defect)
    for each in fact.also:
        if each.per_message:
            shared = {name: read(fact) for name, read in each.fields.items()}
            for message_id in shared["message"]:  # type: ignore[attr-defined] # a tuple
                yield LogLine(each.levels[0], each.name, {**shared, "message": message_id})


def _plain(value: object) -> object:
    """Return what JSON can show; an empty text is a value that is unknown."""
    match value:
        case float():
            return round(value, 3)
        case Exception():
            return str(value)
        case tuple():
            return list(value)
        case "":
            return None
        case _:
            return value
