from lambdo_router.config.read.draft import Draft, without
from lambdo_router.config.read.nodes import Node, Section, known
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
    written = [section.text("name"), section.text("visibility"), section.number("max_waiting")]

    assert written == [
        Node(DRAFT, ("queues", "a", "name"), "orders"),
        Node(DRAFT, ("queues", "a", "visibility"), None),
        Node(DRAFT, ("queues", "a", "max_waiting"), None),
    ]
    assert section.text("reject_to") is None
    assert known(section.text("name"), "none") == "orders"
    assert known(section.text("visibility"), "none") == "none"
    assert known(section.text("reject_to"), "none") == "none"


def test_broken_entries_are_cut_out_and_their_names_kept() -> None:
    draft = draft_of(TEXT)

    assert dict(queue(draft, "b").value) == {}
    assert (draft.names("queues"), draft.good_names("queues")) == (("a", "b"), ["a"])
    assert [len(section.value) for section in draft.routes()] == [3, 0]


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
