"""What is different between two tables in meaning, and nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.cli.loading import load_leniently
from lambdo_router.config.explain.compare import Change, Comparison, KeyChange, compare
from lambdo_router.config.load import load_routes
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.core.routing import RoutingTable

_ROOT = Path(__file__).parents[2]
_FILES = [_ROOT / "routes.example.yaml", *sorted((_ROOT / "tests/routes/valid").glob("*.yaml"))]
_BASE = """\
version: 1
queues:
  q: {name: q, visibility: 60s, reject_to: r}
  r: {name: r}
defaults: {app: acme, acknowledge: launch, image: "nginx:1"}
profiles:
  small: {batch_size: 5}
  large: {size: performance-2x, env: {LEVEL: info}}
routes:
  - {name: one, queue: q, match: {attributes: {kind: [a, {prefix: b}]}}, profile: small}
  - {name: two, queue: q, match: {body: {n: 1}}, profile: small}
  - {name: three, queue: q, match: {body: {m: 1}}, profile: {extends: large, batch_size: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.schema.json").write_text('{"type": "object"}')
    (tmp_path / "b.schema.json").write_text('{"type": "object", "title": "b"}')
    return tmp_path


def compared(folder: Path, old: str, new: str, **env: str) -> Comparison:
    sides = []
    for name, text in (("old.yaml", old), ("new.yaml", new)):
        (folder / name).write_text(dedent(text))
        sides.append(load_routes(folder / name, env, missing="warning"))
    return compare(*sides)


def changed(folder: Path, *replacements: tuple[str, str], **env: str) -> Comparison:
    """What is different when these parts of the file are written otherwise."""
    text = _BASE
    for before, after in replacements:
        assert before in text
        text = text.replace(before, after)
    return compared(folder, _BASE, text, **env)


@pytest.mark.parametrize("file", _FILES, ids=lambda path: path.stem)
def test_a_file_is_not_different_from_itself_nor_from_its_values_in_json(file: Path) -> None:
    loaded = load_leniently(file)
    value = read_document(file.read_bytes(), str(file)).value
    # A number that no double stands for goes into the JSON as it was written.
    text = re.sub('"@wide (.*?)@"', r"\1", json.dumps(value, default=lambda n: f"@wide {n.text}@"))
    other = load_leniently(file, text.encode())

    assert not compare(loaded, loaded)
    assert not compare(loaded, other)


@pytest.mark.parametrize(
    "replacement",
    [
        pytest.param(("visibility: 60s", "visibility:   1m"), id="a-duration-and-spaces"),
        pytest.param(("[a, {prefix: b}]", "[{prefix: b}, a]"), id="order-of-alternatives"),
        pytest.param(("body: {n: 1}", "body: {n: [1]}"), id="a-scalar-is-a-list-of-one"),
        pytest.param(("small: {batch_size: 5}", "small: {batch_size: 5, batch_bytes: 512kb}"),
                     id="a-default-that-is-written"),
        pytest.param(("profiles:\n", "profiles:  # all\n  unused: {batch_size: 7}\n"),
                     id="unused-profile-and-comment"),
        pytest.param(("app: acme", "app: [acme]"), id="a-list-of-one-app"),
        pytest.param(("performance-2x", "{cpu_kind: performance, cpus: 2, memory_mb: 4096}"),
                     id="a-size-in-full"),
        pytest.param(("  q: {name: q, visibility: 60s, reject_to: r}\n  r: {name: r}\n",
                      "  r: {name: r}\n  q: {name: q, visibility: 60s, reject_to: r}\n"),
                     id="order-of-queues"),
    ],
)  # fmt: skip
def test_what_means_the_same_is_not_different(folder: Path, replacement: tuple[str, str]) -> None:
    assert changed(folder, replacement) == Comparison()


def test_a_profile_that_routes_share_is_told_once(folder: Path) -> None:
    assert changed(folder, ("small: {batch_size: 5}", "small: {batch_size: 6}")).changes == (
        Change("changed", "profile", "small", (KeyChange("batch_size", 5, 6),), ("one", "two")),
    )


def test_a_change_of_what_a_profile_extends_is_told_where_it_is_effective(folder: Path) -> None:
    assert changed(folder, ("LEVEL: info", "LEVEL: debug, MORE: x")).changes == (
        Change(
            "changed",
            "route",
            "three",
            (KeyChange("env.LEVEL", "info", "debug"), KeyChange("env.MORE", None, "x")),
        ),
    )


def test_a_route_with_another_profile_tells_what_that_changes(folder: Path) -> None:
    (change,) = changed(
        folder, ("{body: {n: 1}}, profile: small", "{body: {n: 1}}, profile: {batch_size: 9}")
    ).changes

    assert change.differences == (
        KeyChange("profile", "small", "(written in the route)"),
        KeyChange("batch_size", 5, 9),
    )


def test_a_new_route_tells_its_keys_and_its_place_and_a_removed_one_its_keys(folder: Path) -> None:
    route = "  - {name: new, queue: q, match: {body: {x: 1}}, profile: small}\n"
    base = _BASE.replace("  - {name: three", f"{route}  - {{name: three")

    added = compared(folder, _BASE, base)
    removed = compared(folder, base, _BASE)

    keys = (("queue", "q"), ("match.body.x", [1]), ("profile", "small"))
    assert added.changes == (
        Change(
            "added", "route", "new", tuple(KeyChange(k, None, v) for k, v in keys), behind="two"
        ),
    )
    assert removed.changes == (
        Change("removed", "route", "new", tuple(KeyChange(k, v, None) for k, v in keys)),
    )


def test_queues_are_compared_key_by_key(folder: Path) -> None:
    comparison = changed(
        folder,
        ("visibility: 60s, reject_to: r}", "visibility: 2m}"),
        ("  r: {name: r}\n", "  r: {name: r}\n  s: {name: s}\n"),
    )

    assert [(c.action, c.kind, c.name) for c in comparison.changes] == [
        ("changed", "queue", "q"),
        ("added", "queue", "s"),
    ]
    assert comparison.changes[0].differences == (
        KeyChange("visibility", "1m", "2m"),
        KeyChange("on_unmatched", "reject", "leave"),
        KeyChange("reject_to", "r", None),
    )


def test_the_contents_of_a_schema_count_and_not_its_name(folder: Path) -> None:
    with_a = _BASE.replace("profile: small}\n  - {name: two", "profile: small, "
                           "schema: a.schema.json}\n  - {name: two")  # fmt: skip
    with_b = with_a.replace("a.schema.json", "b.schema.json")
    (folder / "c.schema.json").write_text('{"type": "object"}')

    (change,) = compared(folder, with_a, with_b).changes
    assert change.differences == (KeyChange("schema", "a.schema.json", "b.schema.json"),)
    assert not compared(folder, with_a, with_a.replace("a.schema", "c.schema"))

    before = load_routes(folder / "old.yaml", {})
    (folder / "a.schema.json").write_text('{"type": "object", "title": "new"}')
    after = load_routes(folder / "old.yaml", {})
    (change,) = compare(before, after).changes
    (difference,) = change.differences
    assert str(difference.old).startswith("a.schema.json (")
    assert difference.old != difference.new


def test_secrets_are_compared_and_not_told(folder: Path) -> None:
    old = _BASE.replace("LEVEL: info", 'KEY: "${OLD}"')
    new = _BASE.replace("LEVEL: info", 'KEY: "${NEW}"')

    (change,) = compared(folder, old, new, OLD="s3cr3t", NEW="s3cr3t2").changes

    assert change.differences == (KeyChange("env.KEY", "${OLD}", "${NEW}"),)
    assert not compared(folder, old, new, OLD="s3cr3t", NEW="s3cr3t")


def test_variables_that_are_not_set_are_compared_as_they_are_written(folder: Path) -> None:
    old = _BASE.replace("size: performance-2x", 'size: "${OLD}"')
    new = _BASE.replace("size: performance-2x", 'size: "${NEW}"')

    (change,) = compared(folder, old, new).changes

    assert change.differences == (KeyChange("size", "${OLD}", "${NEW}"),)


def test_numbers_that_no_double_stands_for_are_told_apart(folder: Path) -> None:
    old = _BASE.replace("n: 1}", "n: 9007199254740992}")
    new = _BASE.replace("n: 1}", "n: 9007199254740993}")

    assert compared(folder, old, new).count("changed") == 1


@given(st.permutations(range(3)))
def test_the_other_way_round_what_was_added_is_removed(order: list[int]) -> None:
    loaded = load_routes(_ROOT / "routes.example.yaml", {})
    first, *others = loaded.table.routes
    routes = (first, *(others[at] for at in order[:2]))
    table = RoutingTable(loaded.generation, loaded.table.queues, routes)
    part = replace(loaded, table=table)

    there, back = compare(loaded, part), compare(part, loaded)

    assert there.count("removed") == back.count("added")
    assert there.moved == back.moved
    names = {change.name for change in there.changes if change.kind == "route"}
    assert names == {route.name for route in (first, *others)} - {route.name for route in routes}
