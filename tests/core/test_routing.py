import pytest
from building import message, profile, route, table, text

from lambdo_router.core.message import Attribute
from lambdo_router.core.patterns import EventReader, compile_pattern
from lambdo_router.core.profile import Overrides
from lambdo_router.core.routing import Considered, Match, Queue, Refused, Route, Routed, decide

QUEUE = Queue("q", url="q", reject_to="rejected", on_unmatched="reject")
SILENT = Queue("q", url="q")


def attribute_route(name: str, pattern: dict[str, object]) -> Route:
    return route(name, match=Match(attributes=compile_pattern(pattern)))


IMAGES = attribute_route("images", {"kind": ["image", {"prefix": "img-"}]})
NOT_TESTS = attribute_route("not-tests", {"kind": [{"anything-but": ["test"]}]})
NO_KIND = attribute_route("no-kind", {"kind": [{"exists": False}]})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"kind": text("image")}, "images"),
        ({"kind": text("img-7")}, "images"),
        ({"kind": text("order")}, "not-tests"),
        ({"kind": text("test")}, None),
        ({}, "no-kind"),
        ({"kind": Attribute("Binary", b"image")}, "no-kind"),
    ],
    ids=["exact", "prefix", "first-match-wins", "none", "absent", "binary-is-no-text"],
)
def test_the_first_route_that_matches_wins(
    attributes: dict[str, Attribute], expected: str | None
) -> None:
    routes = table(IMAGES, NOT_TESTS, NO_KIND, queues=(QUEUE,))
    decision = decide(routes, QUEUE, message(attributes=attributes))

    taken = decision.route.name if isinstance(decision, Routed) else None
    assert taken == expected


def test_a_route_without_match_takes_every_message_of_its_queue() -> None:
    decision = decide(table(route()), SILENT, message())
    assert isinstance(decision, Routed)


def test_a_route_of_another_queue_is_not_asked() -> None:
    other = Queue("other", url="o")
    routes = table(route(queues=("other",)), queues=(SILENT, other))

    assert decide(routes, SILENT, message()) == Refused("unmatched", "no route matches", "leave")
    assert routes.sources() == (other,)


def test_every_part_of_a_match_must_hold() -> None:
    both = route(
        match=Match(
            attributes=compile_pattern({"kind": ["image"]}),
            body=compile_pattern({"object": {"size": [12]}}),
            system=compile_pattern({"SenderId": [{"prefix": "AROA"}]}),
        )
    )
    routes = table(both)
    good = message(body='{"object":{"size":12.0}}', attributes={"kind": text("image")})
    good = type(good)(good.id, good.receipt, good.body, good.attributes, {"SenderId": "AROAX"})

    assert isinstance(decide(routes, SILENT, good), Routed)
    for broken in (
        message(body='{"object":{"size":12}}', attributes={"kind": text("image")}),
        message(body='{"object":{"size":13}}', attributes=good.attributes),
    ):
        assert isinstance(decide(routes, SILENT, broken), Refused)


@pytest.mark.parametrize("queue", [QUEUE, SILENT], ids=["reject", "leave"])
@pytest.mark.parametrize(
    "body", ["", "text", "[1]", "1", "null", '{"a":}', "{'a':1}", '{"a":NaN}', '{"a":1}x']
)
def test_a_body_that_is_no_json_object_is_refused(body: str, queue: Queue) -> None:
    decision = decide(table(route(), queues=(queue,)), queue, message(body=body))

    assert isinstance(decision, Refused)
    assert decision.reason == "not_json"
    assert decision.policy == ("reject" if queue is QUEUE else "leave")


@pytest.mark.parametrize(
    ("queue", "policy"), [(QUEUE, "reject"), (SILENT, "leave")], ids=["reject", "leave"]
)
def test_a_wish_that_is_not_allowed_refuses_the_message(queue: Queue, policy: str) -> None:
    strict = route(overrides=Overrides(image=("registry.fly.io/jobs:*",)))
    decision = decide(
        table(strict, queues=(queue,)), queue, message(attributes={"image": text("evil/x")})
    )

    assert isinstance(decision, Refused)
    assert (decision.reason, decision.policy, decision.route) == ("override_denied", policy, strict)


def test_an_allowed_wish_is_in_the_decisions_profile() -> None:
    lenient = route(overrides=Overrides(image=("registry.fly.io/jobs:*",)))
    wish = {"image": text("registry.fly.io/jobs:2")}
    decision = decide(table(lenient), SILENT, message(attributes=wish))

    assert isinstance(decision, Routed)
    assert decision.profile == profile(image="registry.fly.io/jobs:2")
    assert decision.route.profile == profile()


def test_a_decision_can_say_why_each_earlier_route_was_not_taken() -> None:
    sizes = route("sizes", match=Match(body=compile_pattern({"object": {"size": [1]}})))
    routes = table(IMAGES, sizes, NO_KIND, NOT_TESTS, IMAGES)
    decision = decide(routes, SILENT, message(attributes={"kind": text("order")}), record=True)

    assert isinstance(decision, Routed)
    assert decision.considered == (
        Considered(
            "images",
            'attributes.kind: "order" is not "image", nor does it start with "img-"',
            "attributes",
            ("kind",),
        ),
        Considered("sizes", "body.object.size: absent", "body", ("object", "size")),
        Considered(
            "no-kind",
            'attributes.kind: "order" is there and must be absent',
            "attributes",
            ("kind",),
        ),
    )


def test_two_readings_of_one_file_make_equal_routes() -> None:
    again = attribute_route("images", {"kind": ["image", {"prefix": "img-"}]})
    assert again == IMAGES
    assert hash(again) == hash(IMAGES)
    assert again != attribute_route("images", {"kind": ["image"]})


def test_a_match_covers_what_asks_for_more() -> None:
    kind, size = compile_pattern({"kind": ["image"]}), compile_pattern({"size": [12]})
    both = Match(attributes=kind, body=size)

    assert Match().covers(both)
    assert Match(body=size).covers(both)
    assert both.covers(both)
    assert not both.covers(Match(body=size))
    assert not Match(body=size).covers(Match(attributes=size))
    assert not both.covers(Match())


def test_only_routes_that_a_message_may_match_are_candidates() -> None:
    reads_no_system = table(IMAGES, attribute_route("orders", {"kind": ["order"]}), NO_KIND)
    asked = []

    def reading_of(part: str) -> EventReader:
        asked.append(part)
        return EventReader({"kind": "order"})

    found = [route.name for route in reads_no_system.candidates("q", reading_of)]
    assert found == ["orders", "no-kind"]
    assert asked == ["attributes"]
    assert list(reads_no_system.candidates("unknown", reading_of)) == []


def test_a_table_knows_its_profiles_who_launches_them_and_every_way_through_it() -> None:
    both, one = profile(name="both", app="a", more_apps=("b",)), profile(name="one", app="a")
    first, second = route("first", queues=("p", "q"), profile=both), route("second", profile=one)
    third = route("third", profile=both)
    made = table(first, second, third, queues=(Queue("p", url="p"), Queue("q", url="q")))

    assert made.profiles == {both, one}
    assert made.routes_with(both) == made.routes_with(both.within("b")) == (first, third)
    assert made.routes_with(one) == (second,)
    assert made.routes_with(profile(name="another")) == ()
    assert made.ways == {
        *(("p", "first", "a"), ("p", "first", "b"), ("q", "first", "a"), ("q", "first", "b")),
        *(("q", "second", "a"), ("q", "third", "a"), ("q", "third", "b")),
    }


def test_a_profile_shares_its_queue_once_and_once_more_where_senders_may_override_it() -> None:
    a, b = profile(name="a"), profile(name="b")
    choosing = Overrides(image=("r/*",))
    made = table(
        route("one", profile=a),
        route("two", profile=a),
        route("three", profile=b, overrides=choosing),
        route("elsewhere", queues=("p",), profile=a),
        queues=(Queue("q", url="q"), Queue("p", url="p"), Queue("unread", url="u")),
    )

    assert [made.sharers_of(name) for name in ("q", "p", "unread", "unknown")] == [3, 1, 0, 0]
