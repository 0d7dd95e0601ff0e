from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from lambdo_router.config.diagnostics import ConfigError
from lambdo_router.config.load import Examined, examine_routes, load_routes
from lambdo_router.config.read import include as module

ROOT = """
version: 1
include: [routes.d/*.yaml]
queues: {orders: {name: orders, reject_to: rejected}, rejected: {name: rejected}}
defaults: {app: acme, acknowledge: launch}
profiles: {worker: {image: "nginx:1"}}
routes:
  - {name: first, queue: orders, match: {body: {a: [1]}}, profile: worker}
"""
TEAM = """
version: 1
routes:
  - {name: NAME, queue: orders, match: {body: {a: [NAME]}}, profile: worker}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.d").mkdir()
    (tmp_path / "routes.yaml").write_text(ROOT)
    return tmp_path


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    return folder / "routes.yaml"


def team(name: str) -> str:
    return TEAM.replace("NAME", name)


def reported(examined: Examined) -> list[str]:
    """Every diagnostic as `file:line:column code`."""
    return [f"{Path(d.file).name}:{d.line}:{d.column} {d.code}" for d in examined.diagnostics]


def examine(path: Path) -> Examined:
    return examine_routes(path, {}, missing="warning")


def names(path: Path) -> list[str]:
    return [route.name for route in load_routes(path, {}).table.routes]


def test_routes_are_those_of_the_file_and_then_of_each_included_one(folder: Path) -> None:
    path = write(folder, {"routes.d/b.yaml": team("b"), "routes.d/a.yaml": team("a")})

    assert names(path) == ["first", "a", "b"]


def test_globs_count_in_the_order_they_are_written_and_a_file_once(folder: Path) -> None:
    root = ROOT.replace("[routes.d/*.yaml]", "[last/*.yaml, routes.d/c.yaml, 'routes.d/*.yaml']")
    parts = {f"routes.d/{name}.yaml": team(name) for name in "abc"}
    path = write(folder, {"routes.yaml": root, "last/z.yaml": team("z"), **parts})

    assert names(path) == ["first", "z", "c", "a", "b"]


def test_a_glob_that_matches_the_including_file_does_not_mean_it(folder: Path) -> None:
    root = ROOT.replace("routes.d/*.yaml", "'*.yaml'")
    path = write(folder, {"routes.yaml": root, "team.yaml": team("team")})

    assert names(path) == ["first", "team"]
    assert reported(examine(path)) == []


def test_names_are_global(folder: Path) -> None:
    path = write(
        folder,
        {
            "routes.d/a.yaml": """
            version: 1
            queues: {own: {name: own, reject_to: rejected}}
            profiles: {large: {extends: worker, size: performance-2x}}
            routes: [{name: a, queue: [own], match: {body: {x: 1}}, profile: small}]
            """,
            "routes.d/b.yaml": """
            version: 1
            profiles: {small: {extends: large, size: shared-cpu-1x}}
            routes: [{name: b, queue: own, profile: {extends: large}}]
            """,
        },
    )
    table = load_routes(path, {}).table

    assert reported(examine(path)) == []
    assert [(r.name, r.queues, r.profile.size, r.profile.app) for r in table.routes] == [
        ("first", ("orders",), "shared-cpu-1x", "acme"),
        ("a", ("own",), "shared-cpu-1x", "acme"),
        ("b", ("own",), "performance-2x", "acme"),
    ]


def test_every_position_is_in_the_right_file(folder: Path) -> None:
    wrong = """
    version: 1
    profiles:
      broken: {size: huge}
    routes:
      - {name: a, queue: nowhere, profile: worker}
      - {queue: orders, match: {body: {a: 2}}, profile: none}
      - {name: c, queue: orders, match: {body: {a: []}}, schema: c.json, profile: worker}
    """
    again = wrong.replace("broken", "b").replace("name: a", "name: x").replace("name: c", "name: y")
    path = write(folder, {"routes.d/a.yaml": wrong, "routes.d/b.yaml": again})
    examined = examine(path)

    assert [line for line in reported(examined) if line.startswith("a.yaml")] == [
        "a.yaml:4:18 unknown-size",
        "a.yaml:6:22 unknown-queue",
        "a.yaml:7:5 missing-key",
        "a.yaml:7:53 unknown-profile",
        "a.yaml:8:48 bad-pattern",
        "a.yaml:8:62 schema-not-readable",
    ]
    [unnamed] = [d for d in examined.diagnostics if d.code == "missing-key" and "b.yaml" in d.file]
    assert unnamed.message == "route 2 has no `name`"
    assert set(examined.sources) == {
        str(folder / name) for name in ("routes.yaml", "routes.d/a.yaml", "routes.d/b.yaml")
    }


def test_a_schema_is_looked_for_beside_the_file_that_names_it(folder: Path) -> None:
    text = team("a").replace("profile:", "schema: a.json, profile:")
    path = write(folder, {"routes.d/a.yaml": text, "routes.d/a.json": '{"type": "object"}'})
    loaded = load_routes(path, {})

    assert loaded.table.routes[1].schema is not None
    assert folder / "routes.d/a.json" in loaded.inputs


def test_a_name_that_is_defined_twice_is_told_with_both_places(folder: Path) -> None:
    path = write(
        folder,
        {
            "routes.d/a.yaml": """
            version: 1
            queues: {orders: {name: other}}
            profiles: {worker: {image: "nginx:2"}}
            routes: [{name: first, queue: orders, match: {body: {x: 1}}, profile: worker}]
            """
        },
    )
    examined = examine(path)

    assert reported(examined) == [
        "a.yaml:3:10 defined-twice",
        "a.yaml:4:12 defined-twice",
        "a.yaml:5:17 duplicate-route",
    ]
    root = str(folder / "routes.yaml")
    assert [
        (d.message, [(place.file, place.line, place.column) for place in d.related])
        for d in examined.diagnostics
    ] == [
        (f"queue `orders` is already defined in line 4 of {root}", [(root, 4, 10)]),
        (f"profile `worker` is already defined in line 6 of {root}", [(root, 6, 12)]),
        (f"a route in line 8 of {root} is already called `first`", [(root, 8, 12)]),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(
            "version: 1\ninclude: [x.yaml]\n", ["a.yaml:2:1 only-in-root"], id="one-level-of-files"
        ),
        pytest.param(
            "version: 1\ndefaults: {region: iad}\n", ["a.yaml:2:1 only-in-root"], id="one-default"
        ),
        pytest.param("routes: []\n", ["a.yaml:1:1 missing-key", "a.yaml:1:9 empty"], id="version"),
        pytest.param("version: 2\n", ["a.yaml:1:10 not-allowed"], id="another-version"),
        pytest.param("- 1\n", ["a.yaml:1:1 wrong-type"], id="no-mapping"),
        pytest.param("version: [\n", ["a.yaml:1:10 yaml-syntax"], id="no-yaml"),
        pytest.param("", ["a.yaml:1:1 empty-file"], id="empty"),
    ],
)
def test_an_included_file_is_a_routes_file_without_what_holds_for_all(
    folder: Path, text: str, found: list[str]
) -> None:
    assert reported(examine(write(folder, {"routes.d/a.yaml": text}))) == found


def test_a_file_may_hold_nothing_but_its_version_and_some_names(folder: Path) -> None:
    path = write(folder, {"routes.d/a.yaml": "version: 1\nqueues: {}\nprofiles: {}\n"})

    assert reported(examine(path)) == ["a.yaml:2:9 empty"]


def test_names_that_may_be_in_a_broken_file_are_not_called_unknown(folder: Path) -> None:
    path = write(
        folder,
        {
            "routes.d/a.yaml": "version: 1\nqueues: [\n",
            "routes.d/b.yaml": team("b").replace("worker", "of-a").replace("orders", "of-a"),
        },
    )

    assert reported(examine(path)) == ["a.yaml:2:9 yaml-syntax"]


def test_a_file_that_is_named_and_not_there_is_an_error(folder: Path) -> None:
    path = write(folder, {"routes.yaml": ROOT.replace("routes.d/*.yaml", "routes.d/a.yaml")})
    with pytest.raises(ConfigError) as caught:
        load_routes(path, {})

    [problem] = caught.value.diagnostics
    assert (problem.line, problem.column, problem.code) == (3, 11, "include-not-readable")
    assert problem.message == "`routes.d/a.yaml` cannot be included: there is no such file"
    assert caught.value.inputs == (path, folder / "routes.d/a.yaml")


def test_a_glob_that_matches_nothing_is_a_warning(folder: Path) -> None:
    loaded = load_routes(folder / "routes.yaml", {})

    assert [warning.code for warning in loaded.warnings] == ["include-matches-nothing"]
    assert loaded.inputs == (folder / "routes.yaml", folder / "routes.d")


@pytest.mark.parametrize(
    "text",
    ["../x.yaml", "/etc/passwd", "routes.yaml", "./routes.yaml", "routes.d/**/a.yaml", "routes.d/"],
)
def test_what_must_not_be_included_is_refused(folder: Path, text: str) -> None:
    path = write(folder, {"routes.yaml": ROOT.replace("routes.d/*.yaml", text)})

    assert reported(examine(path)) == ["routes.yaml:3:11 include-not-allowed"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("a.yaml", "routes.yaml:3:10 wrong-type", id="no-list"),
        pytest.param("[1]", "routes.yaml:3:11 wrong-type", id="no-text"),
        pytest.param("['']", "routes.yaml:3:11 empty", id="empty"),
        pytest.param("['${A}']", "routes.yaml:3:11 missing-variable", id="not-known"),
    ],
)
def test_names_that_may_be_in_an_unknown_file_are_not_called_unknown(
    folder: Path, text: str, found: str
) -> None:
    root = ROOT.replace("[routes.d/*.yaml]", text).replace("profile: worker", "profile: unknown")

    assert reported(examine(write(folder, {"routes.yaml": root}))) == [found]


def test_globs_may_hold_variables(folder: Path) -> None:
    root = ROOT.replace("routes.d/*.yaml", "'${STAGE}/*.yaml'")
    path = write(folder, {"routes.yaml": root, "test/a.yaml": team("a")})

    assert [route.name for route in load_routes(path, {"STAGE": "test"}).table.routes][1:] == ["a"]


def test_what_a_variable_in_a_glob_stands_for_is_not_told(folder: Path) -> None:
    path = write(folder, {"routes.yaml": ROOT.replace("routes.d/*.yaml", "'${STAGE}/a.yaml'")})
    [gone] = examine_routes(path, {"STAGE": "s3cr3t"}).diagnostics
    (folder / "s3cr3t").symlink_to("/etc")
    [out] = examine_routes(path, {"STAGE": "s3cr3t"}).diagnostics

    assert gone.message == "`${STAGE}/a.yaml` cannot be included: there is no such file"
    assert out.message == "the link `${STAGE}/a.yaml` leads out of the folder of this file"


def test_the_files_are_no_more_than_a_thousand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_INCLUDED", 2)
    files = {f"routes.d/{name}.yaml": team(name) for name in "abc"}

    assert reported(examine(write(folder, files))) == ["routes.yaml:3:11 include-too-many"]


def test_the_generation_covers_every_file(folder: Path) -> None:
    path = write(folder, {"routes.d/a.yaml": team("a")})
    first = load_routes(path, {}).generation
    write(folder, {"routes.d/b.yaml": team("b")})
    second = load_routes(path, {}).generation
    write(folder, {"routes.d/b.yaml": team("b") + "# a comment\n"})

    assert len({first, second, load_routes(path, {}).generation}) == 3


def test_a_file_from_elsewhere_includes_what_lies_beside_its_name(folder: Path) -> None:
    path = write(folder, {"routes.d/a.yaml": team("a")})
    path.unlink()
    examined = examine_routes(path, {}, content=ROOT.encode())

    assert examined.compiled is not None
    assert [route.name for route in examined.compiled.routes] == ["first", "a"]


def test_neither_queues_nor_routes_need_to_be_in_the_including_file(folder: Path) -> None:
    path = write(folder, {"routes.yaml": "version: 1\ninclude: [routes.d/*.yaml]\n"})
    nothing = reported(examine(path))
    write(folder, {"routes.d/a.yaml": ROOT.replace("include: [routes.d/*.yaml]\n", "")})

    assert nothing == [
        "routes.yaml:1:1 missing-key",
        "routes.yaml:1:1 missing-key",
        "routes.yaml:2:11 include-matches-nothing",
    ]
    assert reported(examine(path)) == ["a.yaml:4:1 only-in-root"]
