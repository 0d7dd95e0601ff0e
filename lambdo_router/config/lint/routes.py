"""
Problems that only the routes of a queue together show: routes that never get a message, and others.

Each lint runs over the whole compiled file. A route whose `match` has errors or depends on an unset
variable is skipped: it is neither reported as unreachable nor taken to shadow others.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lambdo_router.config.compile.matches import SYSTEM_ATTRIBUTES
from lambdo_router.config.diagnostics import Diagnostic, escape
from lambdo_router.config.lint.shadows import find_shadows
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section
from lambdo_router.core.message import SYSTEM_NUMBERS
from lambdo_router.core.patterns import Clause, Index, Pattern, Unmet, impossible
from lambdo_router.core.routing import Match, Part, Route

_FEW: Final = 50
"""Routes that can be tested one by one without a noticeable cost."""


def lint_routes(
    draft: Draft, routes: Sequence[Route], indexes: dict[str, Index]
) -> Iterator[Diagnostic]:
    """
    Yield the problems of routes and queues that their patterns together show.

    The index of each queue's routes is added to `indexes`: the table needs it too.
    """
    known = [
        route.match if _is_known(section, route.match) else None
        for section, route in zip(draft.routes(), routes, strict=True)
    ]
    readers: dict[str, list[int]] = {}
    for index, route in enumerate(routes):
        for queue in route.queues:
            readers.setdefault(queue, []).append(index)
    for index, match in enumerate(known):
        if match is not None:
            yield from _never_matching(draft, index, match)
    for queue, places in readers.items():
        matches = [known[index] for index in places]
        indexes[queue] = Index(() if it is None else it.parts().items() for it in matches)
    yield from _unreachable(draft, known, readers, indexes)
    yield from _unindexed(draft, known, readers, indexes)
    yield from _without_policy(draft, known, readers)


def _is_known(section: Section, match: Match) -> bool:
    """Return whether the compiled patterns are complete, whatever the environment."""
    draft, at = section.draft, section.at("match")
    if not draft.is_written(at):
        return draft.is_known(section.path) and draft.is_known(at)
    written = draft.written(at)
    if not isinstance(written, dict) or not written or written.keys() != match.parts().keys():
        return False
    return not (draft.unresolved or draft.has_gaps) or _all_known(draft, at, written)


def _all_known(draft: Draft, at: Path, value: object) -> bool:
    if not draft.is_known(at):
        return False
    if isinstance(value, dict):
        return all(_all_known(draft, (*at, key), inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_all_known(draft, (*at, item), inner) for item, inner in enumerate(value))
    return True


# Patterns that no message matches


def _never_matching(draft: Draft, index: int, match: Match) -> Iterator[Diagnostic]:
    for part, pattern in match.parts().items():
        unmet = impossible(pattern) or _unlike_sqs(part, pattern)
        if unmet is not None:
            what = f"{unmet.text}: {draft.describe(('routes', index))} never matches"
            at: Path = ("routes", index, "match", part, *unmet.path)
            yield draft.diagnostic(at, "never-matches", what)
            return


def _unlike_sqs(part: Part, pattern: Pattern) -> Unmet | None:
    """Why no message that SQS delivers can match."""
    look = {"attributes": _no_attribute, "system": _other_type}.get(part)
    if look is None:
        return None
    failures = [
        next((failure for clause in rule if (failure := look(clause)) is not None), None)
        for rule in pattern.sub_rules
    ]
    return None if None in failures else failures[0]


_ATTRIBUTE: Final = re.compile(r"(?!(?i:aws|amazon)\.)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME: Final = 256


def _no_attribute(clause: Clause) -> Unmet | None:
    name = clause.path
    if clause.allows_absence or (_ATTRIBUTE.fullmatch(name) and len(name) <= _LONGEST_NAME):
        return None
    what = (
        f"no message has an attribute called {_quoted(name)}; names are up to {_LONGEST_NAME} "
        "letters, digits, `_`, `-` and single periods inside, and do not begin with `AWS.`"
    )
    return Unmet(clause.where, what)


def _other_type(clause: Clause) -> Unmet | None:
    """Plain values are checked one by one where the pattern is compiled."""
    is_number = clause.path in SYSTEM_NUMBERS
    wrong = "text" if is_number else "number"
    if clause.path not in SYSTEM_ATTRIBUTES or any(
        condition.plain or condition.operand != wrong for condition in clause.conditions
    ):
        return None
    what = "a number; `numeric` tests it" if is_number else "text; `numeric` does not test it"
    return Unmet(clause.where, f"SQS's attribute `{clause.path}` is {what}")


def _quoted(name: str) -> str:
    return f"`{escape(name[:_LONGEST_NAME])}`"


# Routes that get no message


_Takers = dict[str, tuple[int, ...]]
"""For each queue that leaves no message for a route, the indexes of the routes that take them."""


def _unreachable(
    draft: Draft,
    known: Sequence[Match | None],
    readers: Mapping[str, Sequence[int]],
    indexes: Mapping[str, Index],
) -> Iterator[Diagnostic]:
    found: dict[int, _Takers] = {}
    for queue, places in readers.items():
        for shadow in find_shadows([known[index] for index in places], indexes[queue]):
            takers = tuple(places[taker] for taker in shadow.takers)
            found.setdefault(places[shadow.place], {})[queue] = takers
    for index, section in enumerate(draft.routes()):
        if index in found:
            yield _without_messages(section, found[index], known)


def _without_messages(
    section: Section, takers: _Takers, known: Sequence[Match | None]
) -> Diagnostic:
    draft, named = section.draft, section.value.get("queue")
    written = len(named) if isinstance(named, list) else 1
    at = section.at("name")
    who = draft.describe(section.path)
    takings = {queue: _taking(section, taken, known) for queue, taken in takers.items()}
    reasons = "; ".join(dict.fromkeys(takings.values()))
    if len(set(takings.values())) > 1:
        reasons = "; ".join(f"of queue `{queue}` {taking}" for queue, taking in takings.items())
    if len(takers) == written:
        what = f"no message reaches {who}: {reasons}"
    else:
        queues = " or ".join(f"`{queue}`" for queue in takers)
        what = f"no message of queue {queues} reaches {who}: {reasons}"
        if isinstance(named, list):
            at = section.at("queue", named.index(next(iter(takers))))
    others = list(dict.fromkeys(other for taken in takers.values() for other in taken))
    hint = _way_out(known[other] == Match() for other in others)
    related = [
        draft.related(("routes", other, "name"), f"{draft.describe(('routes', other))} comes first")
        for other in others[:_MOST_NAMED]
    ]
    problem = draft.diagnostic(at, "unreachable-route", what, "value", "warning", hint)
    return replace(problem, related=tuple(related))


_MOST_NAMED: Final = 5


def _taking(section: Section, takers: Sequence[int], known: Sequence[Match | None]) -> str:
    """Return who takes the messages, such as "route `a` in line 4 takes all that it matches"."""
    draft = section.draft
    names = [
        f"{draft.describe(('routes', taker))} in "
        f"{draft.line(('routes', taker), seen_from=section.path)}"
        for taker in takers
    ]
    if len(names) == 1:
        what = (
            "every message of the queue" if known[takers[0]] == Match() else "all that it matches"
        )
        return f"{names[0]} takes {what}"
    if len(names) > _MOST_NAMED:
        names[_MOST_NAMED:] = [f"{len(names) - _MOST_NAMED} more"]
    return f"{', '.join(names[:-1])} and {names[-1]} together take all that it matches"


def _way_out(catch_alls: Iterable[bool]) -> str:
    match list(catch_alls):
        case [True]:
            return "move that route after this one, or add a `match` to it"
        case [False]:
            return "move that route after this one, or narrow its `match`"
        case _:
            return "move those routes after this one, or narrow their `match`"


# Routes that are tested one by one


def _unindexed(
    draft: Draft,
    known: Sequence[Match | None],
    readers: Mapping[str, Sequence[int]],
    indexes: Mapping[str, Index],
) -> Iterator[Diagnostic]:
    reported: set[int] = set()
    hint = (
        "add a condition on a value, a prefix or a suffix: the router finds such routes without "
        "testing every one"
    )
    for queue, places in readers.items():
        if len(places) <= _FEW:
            continue
        for number in indexes[queue].always:
            index = places[number]
            if index not in reported and (match := known[index]) is not None and match.parts():
                reported.add(index)
                what = (
                    f"{draft.describe(('routes', index))} is tested for every message of queue "
                    f"`{queue}`, which has {len(places)} routes"
                )
                yield _warning(draft, ("routes", index, "match"), "unindexed-route", what, hint)
        for crowd in indexes[queue].crowds(_FEW):
            index = places[crowd.entries[0]]
            if index not in reported:
                reported.add(index)
                what = (
                    f"{draft.describe(('routes', index))} and {len(crowd.entries) - 1} more of "
                    f"queue `{queue}` are all tested for the same messages: their conditions on "
                    f"{_quoted(crowd.path)} do not tell them apart"
                )
                yield _warning(draft, ("routes", index, "match"), "unindexed-route", what, hint)


# Queues


def _without_policy(
    draft: Draft, known: Sequence[Match | None], readers: Mapping[str, Sequence[int]]
) -> Iterator[Diagnostic]:
    """Warn about unmatched messages, unless a reference with an error may take them."""
    wrong = any(problem.severity == "error" for problem in draft.problems)
    open_reference = any("queue" in path[-2:] for path in draft.unresolved)
    if wrong or open_reference or not draft.complete or draft.has_gaps:
        return
    for queue, places in readers.items():
        at: Path = ("queues", queue)
        written = (*at, "on_unmatched"), (*at, "reject_to")
        if any(map(draft.is_written, written)) or any(known[index] == Match() for index in places):
            continue
        what = f"messages that no route of queue `{queue}` matches stay there and are redelivered"
        hint = (
            "end with a route without `match`, add a `reject_to`, or set `on_unmatched` "
            "(`leave` if that is intended)"
        )
        yield draft.diagnostic(at, "no-unmatched-policy", what, "key", "warning", hint)


def _warning(draft: Draft, at: Path, code: str, what: str, hint: str) -> Diagnostic:
    return draft.diagnostic(at, code, what, "value", "warning", hint)
