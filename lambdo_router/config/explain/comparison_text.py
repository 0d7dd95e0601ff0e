"""A comparison as text, in the style of Terraform, and as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lambdo_router.config.diagnostics import counted
from lambdo_router.config.explain.compare import Change, Comparison, KeyChange
from lambdo_router.config.explain.reorder import MOST_OTHERS, Move
from lambdo_router.config.explain.sample_messages import Fate, Rerouted

FORMAT_VERSION = "1.0"
_MARKS: Final = {"added": "+", "removed": "-", "changed": "~"}
_STEP: Final = "    "


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A line of text after `+`, `-` or `~`."""

    text: str = ""
    mark: str = ""
    indent: str = ""


def lines(
    comparison: Comparison,
    messages: Sequence[Rerouted],
    names: tuple[str, str],
    samples: int,
) -> Iterator[MarkedLine]:
    """Yield the differences between the files of these names; `samples` messages were tried."""
    if not comparison and not messages:
        tried = f"; {counted(samples, 'message')} routed alike" if samples else ""
        yield MarkedLine(f"No difference in meaning between {names[0]} and {names[1]}{tried}.")
        return
    for change in comparison.changes:
        yield MarkedLine(_head(change), _MARKS[change.action])
        for difference in change.differences:
            yield _difference(difference)
        yield MarkedLine()
    for move in comparison.moves:
        yield MarkedLine(_move(move), "~")
    if comparison.moves:
        yield MarkedLine()
    if messages:
        yield MarkedLine("Messages that are routed differently:")
        for message in messages:
            yield from _message(message)
        yield MarkedLine()
    yield MarkedLine(_summary(comparison, messages, samples))


def as_json(
    comparison: Comparison,
    messages: Sequence[Rerouted],
    names: tuple[str, str],
    samples: int,
) -> dict[str, object]:
    """Return what `diff --format json` prints; docs/json-output.md describes it."""
    return {
        "format_version": FORMAT_VERSION,
        "old": names[0],
        "new": names[1],
        "different": bool(comparison or messages),
        "summary": {
            "added": comparison.count("added"),
            "changed": comparison.count("changed"),
            "removed": comparison.count("removed"),
            "moved": comparison.moved,
            "messages": samples,
            "messages_changed": len(messages),
        },
        "changes": [asdict(change) for change in comparison.changes],
        "moves": [asdict(move) for move in comparison.moves],
        "messages": [
            {
                "file": message.file,
                "old": _fate_json(message.old),
                "new": _fate_json(message.new),
                "differences": [asdict(difference) for difference in _of_machines(message)],
            }
            for message in messages
        ],
    }


def _head(change: Change) -> str:
    what = f"{change.kind} `{change.name}`"
    match change.kind, change.action:
        case "route", "added":
            place = "first of its queue" if change.behind is None else f"after `{change.behind}`"
            return f"{what}, {place}"
        case "profile", "removed":
            return f"{what}, which no route uses now"
        case "profile", _:
            return f"{what}, used by {_names('route', change.routes)}"
        case _:
            return what


def _difference(difference: KeyChange, indent: str = _STEP) -> MarkedLine:
    key, old, new = difference.key, difference.old, difference.new
    if old is None:
        return MarkedLine(f"{key}: {_value(new)}", "+", indent)
    if new is None:
        return MarkedLine(f"{key}: {_value(old)}", "-", indent)
    return MarkedLine(f"{key}: {_value(old)} -> {_value(new)}", "~", indent)


def _move(move: Move) -> str:
    more = " and more" if len(move.others) == MOST_OTHERS else ""
    others = ", ".join(f"`{name}`" for name in move.others) + more
    note = "" if move.certain else "; this affects messages with several values in one field"
    return f"order: route `{move.route}` now comes {move.where} {others}{note}"


def _message(message: Rerouted) -> Iterator[MarkedLine]:
    old, new = _fate(message.old), _fate(message.new)
    way = old if old == new else f"{old} -> {new}"
    yield MarkedLine(f"{message.file}: {way}", "~", "  ")
    for difference in _of_machines(message):
        yield _difference(difference, "  " + _STEP)


def _of_machines(message: Rerouted) -> list[KeyChange]:
    old, new = message.old.shown, message.new.shown
    return [KeyChange(key, old.get(key), new.get(key)) for key in message.keys]


def _fate(fate: Fate) -> str:
    by = "" if fate.route is None else f" by route `{fate.route}`"
    match fate.outcome:
        case "batched":
            return f"route `{fate.route}`"
        case "rejected":
            return f"rejected to `{fate.to}`{by} ({fate.reason})"
        case "no_queue":
            return "no such queue"
        case "not_read":
            return "no route reads its queue"
        case _:
            return f"{fate.outcome}{by} ({fate.reason})"


def _fate_json(fate: Fate) -> dict[str, object]:
    return {"outcome": fate.outcome, "route": fate.route, "reason": fate.reason, "to": fate.to}


def _summary(comparison: Comparison, messages: Sequence[Rerouted], samples: int) -> str:
    counts = (
        f"{comparison.count('added')} added, {comparison.count('changed')} changed, "
        f"{comparison.count('removed')} removed, {comparison.moved} moved"
    )
    if not samples:
        return f"{counts}."
    changed = f"{len(messages)} of {counted(samples, 'message')} would be routed differently"
    return f"{counts}; {changed}."


def _names(noun: str, names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:MOST_OTHERS])
    more = len(names) - MOST_OTHERS
    noun = noun if len(names) == 1 else f"{noun}s"
    return f"{noun} {shown} and {more} more" if more > 0 else f"{noun} {shown}"


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
