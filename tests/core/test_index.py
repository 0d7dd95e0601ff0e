"""The index over many routes: what it finds, that it never misses, and what it costs."""

import json
from collections.abc import Mapping, Sequence

import pytest
from building import message, route, table
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import (
    ARRAY_EVENTS,
    ARRAY_PATTERNS,
    EVENTS,
    KEYS,
    NUMBERS,
    PATTERNS,
    SCALARS,
    TEXTS,
    json_list,
)

from lambdo_router.core.message import Attribute, Message, attribute_document, system_document
from lambdo_router.core.patterns import EventReader, Index, Pattern, PatternError, compile_pattern
from lambdo_router.core.routing import Match, Queue, Refused, Route, Routed, decide
from lambdo_router.core.strict_json import WideNumber, parse_json

QUEUE = Queue("q", url="q")


def candidates(patterns: Sequence[Mapping[str, object]], event: Mapping[str, object]) -> list[int]:
    index = Index([("body", compile_pattern(pattern))] for pattern in patterns)
    return list(index.candidates(lambda _: EventReader(event)))


def fresh(size: int) -> list[dict[str, object]]:
    """Patterns that nobody of interest matches, so that values shared by few are told apart."""
    return [{"kind": [f"unlike-{at}"]} for at in range(size)]


@pytest.mark.parametrize(
    ("condition", "found", "passed_over"),
    [
        pytest.param("x", ["x", ["y", "x"]], ["y", "xx", None, 1], id="text"),
        pytest.param({"exactly": "::1"}, ["::1"], ["::01"], id="exactly"),
        pytest.param("::1", ["::1", "0:0::1"], ["::2", "x"], id="address"),
        pytest.param(5, [5, 5.0], [6, "5", True, None], id="number"),
        pytest.param(
            WideNumber("1e400"), [WideNumber("1e400")], [WideNumber("1e401"), 1], id="wide-number"
        ),
        pytest.param(2**64, [2**64], [2**64 + 1], id="wide-integer"),
        pytest.param(True, [True], [1, False, None, "true"], id="true"),
        pytest.param(None, [None], [False, "null", 0], id="null"),
        pytest.param({"prefix": "ab"}, ["ab", "abc"], ["a", "xab", 1], id="prefix"),
        pytest.param({"suffix": "ab"}, ["ab", "cab"], ["b", "abx", 1], id="suffix"),
        pytest.param({"wildcard": "ab*b"}, ["abb", "abx"], ["b", "aab"], id="wildcard-begins"),
        pytest.param({"wildcard": "a*bb"}, ["abb", "xbb"], ["ab", "bba"], id="wildcard-ends"),
        pytest.param({"wildcard": r"a\*"}, ["a*"], ["a", "ab"], id="wildcard-without-star"),
        pytest.param(
            {"equals-ignore-case": "Straße"},
            ["straße", "STRASSE", "Straße", "strasse"],
            ["strase", "strassen"],
            id="ignoring-case",
        ),
        pytest.param({"equals-ignore-case": ""}, [""], ["x", None], id="ignoring-no-case"),
        pytest.param(
            {"prefix": {"equals-ignore-case": "Ab"}}, ["aB", "ABc"], ["a", "cab"], id="fold-begins"
        ),
        pytest.param(
            {"suffix": {"equals-ignore-case": "Ab"}}, ["aB", "cAB"], ["b", "abc"], id="fold-ends"
        ),
        pytest.param({"numeric": ["=", 5]}, [5, 5.0], [6, "5"], id="equal-number"),
        pytest.param(
            {"cidr": "10.1.0.0/16"}, ["10.1.2.3", "10.1.0.01"], ["10.2.0.0", "x", "::1"], id="cidr"
        ),
        pytest.param({"cidr": "::/0"}, ["::1", "ff::"], ["10.2.0.0", 5], id="any-of-a-family"),
        pytest.param({"numeric": [">", 5]}, [6, 4, "x", None], [{}, [], [{}]], id="presence"),
        pytest.param({"anything-but": "x"}, ["x", 4], [{"a": 1}], id="anything-but"),
        pytest.param(
            {"equals-ignore-case": "\N{LATIN SMALL LETTER DOTLESS I}"},
            ["I", "i", "x"],
            [{}],
            id="a-letter-whose-cases-fold-apart",
        ),
    ],
)
def test_a_condition_waits_for_values_that_it_may_hold_for(
    condition: object, found: list[object], passed_over: list[object]
) -> None:
    patterns: list[dict[str, object]] = [*fresh(2), {"kind": [condition]}]

    assert [candidates(patterns, {"kind": value}) for value in found] == [[2]] * len(found)
    for value in passed_over:
        assert candidates(patterns, {"kind": value}) == []


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param({"kind": [{"exists": False}]}, id="absence"),
        pytest.param({"kind": ["x", {"exists": False}]}, id="absence-or-a-value"),
        pytest.param({"$or": [{"kind": ["x"]}, {"kind": [{"exists": False}]}]}, id="alternative"),
    ],
)
def test_what_absence_can_meet_is_asked_for_every_message(pattern: dict[str, object]) -> None:
    index = Index([[("body", compile_pattern(pattern))], []])

    assert index.always == (0, 1)
    assert candidates([*fresh(2), pattern, *fresh(1)], {"kind": "unlike-0"}) == [0, 2, 3]


def test_candidates_come_in_the_order_of_the_entries() -> None:
    patterns: list[dict[str, object]] = [
        {"a": [{"exists": False}]},
        {"kind": ["z"]},
        {"kind": [{"prefix": "x"}]},
        {"b": [{"exists": False}]},
        {"kind": ["x"]},
        {"kind": ["y"]},
        {"c": [{"exists": False}]},
    ]

    assert candidates(patterns, {"kind": ["x", "y"]}) == [0, 2, 3, 4, 5, 6]


def test_of_several_fields_the_one_is_chosen_whose_values_are_shared_by_fewest() -> None:
    patterns: list[dict[str, object]] = [
        {"source": ["app"], "detail": {"kind": [f"kind-{at}"]}, "z": [{"prefix": "z"}]}
        for at in range(20)
    ]

    assert candidates(patterns, {"source": "app", "detail.kind": "kind-7", "z": "zz"}) == [7]
    assert candidates(patterns, {"source": "app", "z": "zz"}) == []


def test_of_several_documents_the_one_is_chosen_whose_values_are_shared_by_fewest() -> None:
    app = compile_pattern({"source": ["app"]})
    index = Index(
        [("attributes", app), ("body", compile_pattern({"id": [at]}))] for at in range(20)
    )
    asked: list[str] = []

    def reader_of(document: str) -> EventReader:
        asked.append(document)
        return EventReader({"id": 3, "source": "app"})

    assert list(index.candidates(reader_of)) == [3]
    assert asked == ["body"]


def test_every_alternative_waits_for_a_value_of_its_own() -> None:
    patterns = [*fresh(2), {"s": ["x"], "$or": [{"a": [1]}, {"b": [2], "a": [{"exists": True}]}]}]

    for event in ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}):
        assert candidates(patterns, event) == [2]
    assert candidates(patterns, {"a": 2, "b": 1}) == []


def test_entries_that_wait_for_the_same_can_be_named() -> None:
    rest = compile_pattern({"kind": ["x"], "size": [{"numeric": [">", 1]}]})
    index = Index([*([[("body", rest)]] * 3), [("body", compile_pattern({"kind": ["y"]}))]])

    [crowd] = index.crowds(2)
    assert (crowd.document, crowd.path, crowd.entries) == ("body", "kind", (0, 1, 2))
    assert list(index.crowds(3)) == []


# The index against a scan


def compiled(text: str) -> Pattern | None:
    try:
        return compile_pattern(parse_json(text))
    except PatternError:  # the same path twice
        return None


ANY_PATTERN = (PATTERNS | ARRAY_PATTERNS).map(compiled)
ROUTES = st.lists(
    st.builds(
        Match,
        attributes=st.none() | ANY_PATTERN,
        body=st.none() | ANY_PATTERN,
        system=st.none() | ANY_PATTERN,
    )
    | st.builds(Match, body=ANY_PATTERN),
    min_size=1,
    max_size=12,
).map(lambda matches: tuple(route(f"r{at}", match=match) for at, match in enumerate(matches)))
ATTRIBUTES = st.dictionaries(
    KEYS,
    st.builds(Attribute, st.just("String"), st.sampled_from(TEXTS))
    | st.builds(Attribute, st.just("Number"), st.sampled_from([*NUMBERS, "x"]))
    | st.builds(Attribute, st.just("String.Array"), st.lists(SCALARS, max_size=3).map(json_list)),
    max_size=3,
)
MESSAGES = st.builds(
    Message,
    st.just("m"),
    st.just("r"),
    EVENTS | ARRAY_EVENTS,
    ATTRIBUTES,
    st.dictionaries(KEYS, st.sampled_from(TEXTS), max_size=2),
)


def scanned(routes: tuple[Route, ...], sent: Message) -> Route | None:
    documents = {
        "attributes": attribute_document(sent.attributes),
        "body": json_of(sent.body),
        "system": system_document(sent.system),
    }
    for candidate in routes:
        if all(p.matches(documents[part]) for part, p in candidate.match.parts().items()):
            return candidate
    return None


def json_of(text: str) -> dict[str, object]:
    event = parse_json(text)
    assert isinstance(event, dict)
    return event


@settings(max_examples=80, deadline=None)
@given(ROUTES, st.lists(MESSAGES, min_size=1, max_size=4))
def test_the_index_and_a_scan_always_agree(
    routes: tuple[Route, ...], messages: list[Message]
) -> None:
    indexed = table(*routes)
    for sent in messages:
        expected = scanned(routes, sent)
        for record in (False, True):
            decision = decide(indexed, QUEUE, sent, record=record)
            assert decision.route == expected
            assert isinstance(decision, Routed if expected else Refused)


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        pytest.param({"": ["x"]}, {"": "x"}, True, id="a key without a character"),
        pytest.param({"": ["x"], "k": [1]}, {"k": 1}, False, id="and none of it"),
        pytest.param({"a": ["x"], "k": [1]}, {"k": 1, "a": {"x": 1}}, False, id="an object"),
        pytest.param({"a": ["x"], "k": [1]}, {"k": 1, "a": []}, False, id="an empty array"),
        pytest.param({"a": [{"exists": False}], "k": [1]}, {"k": 1, "a": []}, True, id="absent"),
        pytest.param({"a": ["x"], "k": [1]}, {"k": 1, "a": [["y"], "x"]}, True, id="in arrays"),
        pytest.param({"a": {"b": [1, 2], "c": [1]}}, {"a": [{"b": 2}], "a.c": 1}, True, id="one"),
        pytest.param(
            {"a": {"b": [2], "c": [1]}}, {"a": [{"b": 2}, {"c": 1}]}, False, id="not together"
        ),
        pytest.param({"a": ["x"], "k": [1]}, {"k": 1, "a": [*"y" * 50, "x"]}, True, id="many"),
        pytest.param({"a.b": [2], "k": [1]}, {"k": 1, "a": {"b": 1}, "a.b": 2}, True, id="twice"),
    ],
)
def test_what_the_index_saw_is_what_a_pattern_sees(
    pattern: dict[str, object],
    event: dict[str, object],
    matches: bool,  # noqa: FBT001
) -> None:
    indexed = table(route(match=Match(body=compile_pattern(pattern))))
    sent = message(body=json.dumps(event))

    for record in (False, True):
        assert isinstance(decide(indexed, QUEUE, sent, record=record), Routed) == matches


def test_an_index_makes_no_difference_to_equality() -> None:
    one, same = table(route()), table(route())

    assert one == same
    assert one.index_of("q") is not same.index_of("q")


def test_the_routes_of_a_queue_are_found_by_their_places_in_it() -> None:
    queues = (Queue("q", url="q"), Queue("other", url="o"), Queue("unread", url="u"))
    routes = [
        route(
            f"r{at}",
            queues=("q", "other") if at % 2 else ("q",),
            match=Match(body=compile_pattern({"kind": [f"kind-{at}"]})),
        )
        for at in range(4)
    ]
    both = table(*routes, queues=queues)
    sent = message(body=json.dumps({"kind": "kind-3"}))

    assert [decide(both, queue, sent).route for queue in queues] == [routes[3], routes[3], None]
