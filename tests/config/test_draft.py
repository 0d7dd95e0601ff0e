from lambdo_router.config.read.draft import Draft, Node, Section, known, without
from lambdo_router.config.read.units import parse_duration
from lambdo_router.config.read.variables import substitute
from lambdo_router.config.read.yaml_loader import read_document

TEXT = """
version: 1
queues:
  a: {name: orders, visibility: "${V}", max_waiting: ten, envelope: sns}
  b: [broken]
routes:
  - {name: one, queue: a, profile: {}}
  - broken
"""


def draft_of(text: str, **env: str) -> Draft:
    written = read_document(text, "routes.yaml")
    document, _ = substitute(written, env, missing="warning")
    return Draft([document])


DRAFT = draft_of(TEXT)


def queue(draft: Draft, name: str = "a") -> Section:
    return draft.section("queues", name)


def test_a_value_is_known_or_only_written_or_absent() -> None:
    section = queue(draft_of(TEXT))

    assert section.text("name") == Node(DRAFT, ("queues", "a", "name"), "orders")
    assert section.text("visibility") == Node(DRAFT, ("queues", "a", "visibility"), None)
    assert section.number("max_waiting") == Node(DRAFT, ("queues", "a", "max_waiting"), None)
    assert section.text("reject_to") is None


def test_a_default_stands_in_for_what_is_not_known() -> None:
    section = queue(draft_of(TEXT))

    assert known(section.text("name"), "none") == "orders"
    assert known(section.text("visibility"), "none") == "none"
    assert known(section.text("reject_to"), "none") == "none"


def test_broken_entries_are_cut_out_and_their_names_kept() -> None:
    draft = draft_of(TEXT)

    assert dict(queue(draft, "b").value) == {}
    assert draft.names("queues") == ("a", "b")
    assert draft.good_names("queues") == ["a"]
    assert [section.path for section in draft.routes()] == [("routes", 0), ("routes", 1)]
    assert [len(section.value) for section in draft.routes()] == [3, 0]


def test_a_text_is_parsed_and_its_mistake_quotes_what_the_author_wrote() -> None:
    good, bad = draft_of(TEXT, V="5m"), draft_of(TEXT, V="9999999999m")

    assert queue(good).parsed("visibility", parse_duration) == Node(
        DRAFT, ("queues", "a", "visibility"), 300.0
    )
    assert queue(bad).parsed("visibility", parse_duration) == Node(
        DRAFT, ("queues", "a", "visibility"), None
    )
    assert [str(problem) for problem in bad.problems if problem.code == "bad-format"] == [
        (
            'routes.yaml:4:33: `visibility` is the text "${V}"; write a whole number and a unit '
            "(ms, s, m or h), like 5s [bad-format]"
        )
    ]


def test_the_same_problem_is_noted_once() -> None:
    draft = draft_of(TEXT)
    before = len(draft.problems)
    draft.problem(("queues", "a"), "x", "the same")
    draft.problem(("queues", "a"), "x", "the same")

    assert len(draft.problems) == before + 1


def test_things_go_by_the_names_that_people_give_them() -> None:
    draft = draft_of(TEXT)
    paths = [
        *((), ("queues", "a"), ("profiles", "p"), ("routes", 0), ("routes", 1)),
        *(("routes", 0, "profile"), ("routes", 0, "queue", 1), ("queues",)),
    ]

    assert [draft.describe(path) for path in paths] == [
        *("the routes file", "queue `a`", "profile `p`", "route `one`", "route 2"),
        *("`profile`", "item 2 of `queue`", "`queues`"),
    ]


def test_cutting_out_leaves_the_rest_and_the_original_as_they_are() -> None:
    value: dict[str, object] = {"a": {"b": 1, "c": 2}, "d": [1, {"e": 2}, 3]}
    sound = without(value, {("a", "b"), ("d", 1), ("d", 1, "e"), ("gone", "x")})

    assert sound == {"a": {"c": 2}, "d": [1, None, 3]}
    assert value == {"a": {"b": 1, "c": 2}, "d": [1, {"e": 2}, 3]}
